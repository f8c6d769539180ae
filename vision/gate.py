"""The motion gate: a cheap look at each frame that says whether anything moves, where, and whether someone reaches
into the picture.

Works on a small band-passed log image, so that exposure, gradients and soft shadows do not count. A pixel is
foreground when it lies outside the range of the reference in its 3 x 3 neighbourhood by more than noise explains. An
arm is foreground outside the places that is connected with the picture's border: a person always reaches in from
outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vision.appearance import frame_level
from vision.detectors.base import Frame
from vision.slots import Rack

WIDTH = 192
_OFFSET, _LEVEL = 12.0, 100.0
_FINE, _COARSE = 0.8, 9.0
_LEAST = 0.12
_MOVING_SHARE = 0.0012
_ARM_SHARE = 0.004
_KERNEL = np.ones((3, 3), np.uint8)

Small = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sight:
    """What the gate saw in one frame.

    Attributes:
        band: the small band-passed image, (h, w) float32.
        moving: share of pixels that differ from the frame before.
        foreground: (h, w) 0/1, what differs from the reference (all 0 without one).
        arm: something outside the places reaches in from the border.
    """

    band: Small
    moving: bool
    foreground: Mask
    arm: bool


class Gate:
    """Holds the reference and the last frame, for one camera.

    Args:
        shape: (height, width, …) of the frames.
        rack: the places; foreground inside them is not an arm.
    """

    def __init__(self, shape: tuple[int, ...], rack: Rack) -> None:
        self.scale = WIDTH / shape[1]
        self.size = (WIDTH, max(24, round(shape[0] * self.scale)))
        self._places = np.zeros((self.size[1], self.size[0]), np.uint8)
        for slot in rack.slots:
            cv2.fillPoly(self._places, [np.round(slot.polygon * self.scale).astype(np.int32)], 1)
        self._reference: Small | None = None
        self._low: Small | None = None
        self._high: Small | None = None
        self._last: Small | None = None
        self._noise = 0.02

    @property
    def reference(self) -> Small | None:
        """The band-passed reference, None before the first `adopt`."""
        return self._reference

    def look(self, frame: Frame) -> Sight:
        """Judge one frame."""
        band = self._band(frame)
        limit = max(_LEAST, 6 * self._noise)
        moving = True
        if self._last is not None:
            step = np.abs(band - self._last)
            self._noise = 0.9 * self._noise + 0.1 * float(np.median(step)) * 1.05
            moving = _cleaned(step > limit).mean() > _MOVING_SHARE
        self._last = band
        return self._against_reference(band, bool(moving))

    def again(self, sight: Sight) -> Sight:
        """Judge the same frame against the present reference (after `shift`)."""
        return self._against_reference(sight.band, sight.moving)

    def adopt(self, band: Small, share: float = 1.0) -> None:
        """Take ``band`` as the reference, or blend it in by ``share``."""
        self._reference = band.copy() if self._reference is None else (1 - share) * self._reference + share * band
        self._low = np.asarray(cv2.erode(self._reference, _KERNEL), np.float32)
        self._high = np.asarray(cv2.dilate(self._reference, _KERNEL), np.float32)

    def displacement(self, band: Small) -> tuple[float, float]:
        """How far the camera moved since the reference, in px of the full frame; (0, 0) unless it explains the
        picture better.
        """
        if self._reference is None:
            return 0.0, 0.0
        window = cv2.createHanningWindow((band.shape[1], band.shape[0]), cv2.CV_32F)
        (dx, dy), _ = cv2.phaseCorrelate(self._reference, band, window)
        if max(abs(dx), abs(dy)) < 0.25 or max(abs(dx), abs(dy)) > WIDTH / 8:
            return 0.0, 0.0
        moved = cv2.warpAffine(
            self._reference,
            np.array([[1, 0, dx], [0, 1, dy]], np.float64),
            (band.shape[1], band.shape[0]),
            borderMode=cv2.BORDER_REPLICATE,
        )
        if np.abs(moved - band).mean() > 0.85 * np.abs(self._reference - band).mean():
            return 0.0, 0.0
        return dx / self.scale, dy / self.scale

    def shift(self, dx: float, dy: float) -> None:
        """Move the reference by ``(dx, dy)`` px of the full frame after the camera was found displaced."""
        if self._reference is not None:
            matrix = np.array([[1, 0, dx * self.scale], [0, 1, dy * self.scale]], np.float64)
            size = (self._reference.shape[1], self._reference.shape[0])
            moved = cv2.warpAffine(self._reference, matrix, size, borderMode=cv2.BORDER_REPLICATE)
            self._reference = None
            self.adopt(np.asarray(moved, np.float32))

    def _band(self, frame: Frame) -> Small:
        small = cv2.resize(frame, self.size, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
        log = np.log(grey * np.float32(_LEVEL / frame_level(frame)) + np.float32(_OFFSET))
        return np.asarray(cv2.GaussianBlur(log, (0, 0), _FINE) - cv2.GaussianBlur(log, (0, 0), _COARSE), np.float32)

    def _against_reference(self, band: Small, moving: bool) -> Sight:
        foreground = np.zeros(band.shape, np.uint8)
        if self._low is not None and self._high is not None:
            limit = max(_LEAST, 6 * self._noise)
            foreground = _cleaned((band < self._low - limit) | (band > self._high + limit))
        return Sight(band, moving, foreground, self._is_arm(foreground))

    def _is_arm(self, foreground: Mask) -> bool:
        if not foreground.any():
            return False
        outside = np.asarray(cv2.dilate(foreground, _KERNEL), np.uint8) & (1 - self._places)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=8)
        border = set(labels[0]) | set(labels[-1]) | set(labels[:, 0]) | set(labels[:, -1])
        least = _ARM_SHARE * outside.size
        return any(stats[i, cv2.CC_STAT_AREA] > least for i in border if i)


def _cleaned(mask: npt.NDArray[np.bool_]) -> Mask:
    """Drop single pixels."""
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)), np.uint8)
