"""The port of every detector: one frame in, labelled boxes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
"""An image, (H, W, 3), uint8, BGR."""


class DetectorError(RuntimeError):
    """A detector that cannot be loaded or fed; the text says why."""


@dataclass(frozen=True)
class Detection:
    """A box in px of the frame it was found in, its class and its score 0..1."""

    label: str
    score: float
    x0: float
    y0: float
    x1: float
    y1: float


class Detector(Protocol):
    """Finds known things in a frame.

    Attributes:
        classes: the labels that it may give.
        version: names the model, for the evidence kept with each change.
    """

    classes: tuple[str, ...]
    version: str

    def detect(self, frame: Frame, floor: float = 0.35) -> list[Detection]:
        """Boxes scored ``floor`` or more, best first, after suppression per class at IoU 0.5.

        Raises:
            DetectorError: the frame is not (H, W, 3) uint8.
        """
        ...
