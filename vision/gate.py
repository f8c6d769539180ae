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

from vision.appearance import frame_level, strongest
from vision.detectors.base import Frame
from vision.slots import Rack

WIDTH = 192
_OFFSET, _LEVEL = 12.0, 100.0
_FINE, _COARSE = 0.8, 9.0
_LEAST = 0.12
_NOISE_FACTOR = 6.0
_EDGE = 0.6  # least gradient of an edge, per px, in units of the least step
_MOVING_SHARE = 0.0012
_ARM_SHARE = 0.004
_KERNEL = np.ones((3, 3), np.uint8)

Small = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sight:
    """What the gate saw in one frame.

    Attributes:
        band: the small band-passed image, (h, w, 3) float32.
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
        self._margin = 0
        self._noise: float | None = None  # grey levels between two frames
        self._even = np.zeros((self.size[1], self.size[0], 3), np.float32)

    @property
    def reference(self) -> Small | None:
        """The band-passed reference, None before the first `adopt`."""
        return self._reference

    def look(self, frame: Frame) -> Sight:
        """Judge one frame."""
        band = self._band(frame)
        moving = True
        if self._last is not None:
            step = np.abs(band - self._last)
            noise = float(np.median(step * (self._even + _OFFSET)))
            self._noise = noise if self._noise is None else 0.9 * self._noise + 0.1 * noise
            moving = _cleaned(strongest(step - self._limit()) > 0).mean() > _MOVING_SHARE
        self._last = band
        return self._against_reference(band, bool(moving))

    def again(self, sight: Sight) -> Sight:
        """Judge the same frame against the present reference (after `shift`)."""
        return self._against_reference(sight.band, sight.moving)

    def adopt(self, band: Small, share: float = 1.0) -> None:
        """Take ``band`` as the reference, or blend it in by ``share``."""
        if share >= 1.0:
            self._margin = 0
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
        # new arrays on purpose: phaseCorrelate multiplies its arguments by the window in place
        (dx, dy), _ = cv2.phaseCorrelate(self._reference.mean(2), band.mean(2), window)
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
            margin = self._margin + int(np.ceil(max(abs(dx), abs(dy)) * self.scale)) + 2
            self._reference = None
            self.adopt(np.asarray(moved, np.float32))
            self._margin = min(margin, WIDTH // 10)  # what came into the picture at its edge has no reference yet

    def _limit(self) -> Small:
        """Least step that is no noise, per pixel: a sensor's noise is even in grey levels, so more in the dark."""
        noise = (self._noise or 0.0) / (self._even + _OFFSET)
        return np.asarray(np.maximum(_LEAST, _NOISE_FACTOR * noise), np.float32)

    def _band(self, frame: Frame) -> Small:
        small = cv2.resize(frame, self.size, interpolation=cv2.INTER_AREA)
        even = small.astype(np.float32) * np.float32(_LEVEL / frame_level(frame))
        self._even = np.asarray(cv2.blur(even, (5, 5)), np.float32)
        log = np.asarray(cv2.log(even + np.float32(_OFFSET)))
        quarter = (log.shape[1] // 4, log.shape[0] // 4)
        coarse = cv2.GaussianBlur(cv2.resize(log, quarter, interpolation=cv2.INTER_AREA), (0, 0), _COARSE / 4)
        fine = cv2.GaussianBlur(log, (0, 0), _FINE)
        return np.asarray(fine - cv2.resize(coarse, self.size, interpolation=cv2.INTER_LINEAR), np.float32)

    def _against_reference(self, band: Small, moving: bool) -> Sight:
        foreground = np.zeros(band.shape[:2], np.uint8)
        if self._low is not None and self._high is not None:
            limit = self._limit()
            beyond = np.maximum(self._low - limit - band, band - self._high - limit)
            foreground = _cleaned(strongest(beyond) > 0)
            if self._margin:
                inner = np.zeros_like(foreground)
                inner[self._margin : -self._margin, self._margin : -self._margin] = 1
                foreground &= inner
        return Sight(band, moving, foreground, self._is_arm(foreground, band))

    def _is_arm(self, foreground: Mask, band: Small) -> bool:
        if not foreground.any():
            return False
        gx, gy = cv2.Sobel(band, -1, 1, 0, ksize=1) / 2, cv2.Sobel(band, -1, 0, 1, ksize=1) / 2
        edges = (np.maximum(np.abs(gx), np.abs(gy)) > _EDGE * self._limit()).any(2).astype(np.uint8)
        # an arm has edges of its own; the halo that the band-pass leaves around an item that came or went has none
        outside = np.asarray(cv2.dilate(foreground & edges, np.ones((5, 5), np.uint8)), np.uint8) & (1 - self._places)
        m = self._margin
        outside = np.ascontiguousarray(outside[m : outside.shape[0] - m, m : outside.shape[1] - m])
        _, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=8)
        border = set(labels[0]) | set(labels[-1]) | set(labels[:, 0]) | set(labels[:, -1])
        least = _ARM_SHARE * outside.size
        return any(stats[i, cv2.CC_STAT_AREA] > least for i in border if i)


def _cleaned(mask: npt.NDArray[np.bool_]) -> Mask:
    """Drop single pixels."""
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)), np.uint8)
