"""What a show is: frames with what a hand finished in them, at one pace, until the demo closes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

DATA = Path(__file__).parent / "data"
FPS = 10


closing = threading.Event()
"""Set by SIGUSR1: shows finish what they began, then rest."""


class Shown(NamedTuple):
    """One frame: its JPEG, and what a hand finished with this frame (slot, change)."""

    jpeg: bytes
    events: list[tuple[str, int]]


def encode(image: npt.NDArray[np.uint8]) -> bytes:
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return jpeg.tobytes()
