"""The second judge: what counts as a change of a place, and what does not."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vision.appearance import Look, compare, take_look

POLYGON = np.array([[30, 30], [130, 30], [130, 150], [30, 150]], np.float32)
Picture = npt.NDArray[np.uint8]


def picture(item: bool = True, dx: int = 0, dy: int = 0, floor: int = 120, tone: int = 60) -> Picture:
    rng = np.random.default_rng(3)
    image = np.full((180, 200, 3), floor, np.uint8)
    image[:25] = 60
    cv2.rectangle(image, (28, 28), (132, 152), (90, 90, 90), 2)
    image = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
    if item:
        cv2.ellipse(image, (80 + dx, 90 + dy), (14, 34), 20, 0, 360, (tone, tone + 40, tone + 60), -1, cv2.LINE_AA)
        cv2.circle(image, (80 + dx, 90 + dy), 6, (20, 20, 20), -1, cv2.LINE_AA)
    return image


def look(image: Picture, noise: float = 2.0, seed: int = 0) -> Look:
    rng = np.random.default_rng(seed)
    frames = [np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8) for _ in range(4)]
    return take_look(frames, POLYGON)


def test_the_same_place_is_the_same() -> None:
    assert compare(look(picture()), look(picture(), seed=1)).verdict == "same"


def test_a_removed_item_loses_more_than_it_gains() -> None:
    change = compare(look(picture()), look(picture(item=False), seed=1))
    assert change.verdict == "changed"
    assert change.direction < -0.3


def test_a_returned_item_gains_more_than_it_loses() -> None:
    change = compare(look(picture(item=False)), look(picture(), seed=1))
    assert change.verdict == "changed"
    assert change.direction > 0.3


@pytest.mark.parametrize("gain", [0.4, 0.6, 0.8, 1.25, 1.6])
def test_exposure_is_no_change(gain: float) -> None:
    other = np.clip(picture().astype(np.float32) * gain, 0, 255).astype(np.uint8)
    assert compare(look(picture()), look(other, seed=1)).verdict == "same"


def test_a_soft_shadow_is_no_change() -> None:
    yy, xx = np.mgrid[0:180, 0:200]
    shade = 1 - 0.4 * np.exp(-((xx - 60) ** 2 + (yy - 80) ** 2) / 60.0**2)
    other = (picture() * shade[..., None]).astype(np.uint8)
    assert compare(look(picture()), look(other, seed=1)).verdict == "same"


@pytest.mark.parametrize(("dx", "dy"), [(4, 0), (0, -5), (-4, 4), (6, 6)])
def test_an_item_nudged_by_a_few_px_is_no_change(dx: int, dy: int) -> None:
    assert compare(look(picture()), look(picture(dx=dx, dy=dy), seed=1)).verdict == "same"


@pytest.mark.parametrize("noise", [6.0, 12.0])
def test_noise_alone_is_no_change(noise: float) -> None:
    assert compare(look(picture(), noise), look(picture(), noise, seed=1)).verdict == "same"


def test_a_dark_item_on_dark_foam_is_still_seen_to_leave() -> None:
    before, after = picture(floor=40, tone=10), picture(item=False, floor=40)
    assert compare(look(before), look(after, seed=1)).verdict == "changed"


def test_two_looks_of_slightly_different_size_compare() -> None:
    wider = take_look([picture()] * 3, POLYGON + np.array([[0, 0], [1.4, 0], [1.4, 0], [0, 0]], np.float32))
    assert compare(look(picture()), wider).verdict == "same"
