"""Looks of one place, rendered once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from vision.appearance import Look, take_look


@dataclass(frozen=True)
class Looks:
    """One place with its item, without it, with the item nudged, with two items, and with another item."""

    full: Look
    empty: Look
    nudged: Look
    two: Look
    other: Look


def _look(seed: int, *items: tuple[int, int, int]) -> Look:
    rng = np.random.default_rng(seed)
    image = np.full((160, 160, 3), 130, np.uint8)
    for x, y, tone in items:
        cv2.rectangle(image, (x - 12, y - 26), (x + 12, y + 26), (tone, tone, tone + 30), -1)
        cv2.line(image, (x - 12, y - 10), (x + 12, y + 10), (30, 30, 30), 3)
    frames = [np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8) for _ in range(4)]
    return take_look(frames, np.array([[20, 20], [140, 20], [140, 140], [20, 140]], np.float32))


@pytest.fixture(scope="session")
def looks() -> Looks:
    return Looks(
        full=_look(1, (50, 80, 200)),
        empty=_look(2),
        nudged=_look(3, (53, 78, 200)),
        two=_look(4, (50, 80, 200), (105, 80, 200)),
        other=_look(5, (105, 80, 40)),
    )
