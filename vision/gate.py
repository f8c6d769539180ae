"""The motion gate: a cheap look at each frame that says whether anything moves, where, and whether someone reaches
into the picture.

Works on a small band-passed log image, so that exposure, gradients and soft shadows do not count. A pixel is
foreground when it lies outside the range of the reference in its 3 x 3 neighbourhood by more than noise explains. An
arm is foreground outside the places that is connected with the border of the rack's outline: a person always reaches in
from outside. What lies outside the outline was painted before it came here and is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vision.appearance import strongest
from vision.detectors.base import Frame
from vision.privacy import outline_of
from vision.slots import Rack

WIDTH = 192
_OFFSET, _LEVEL = 12.0, 100.0
_FINE, _COARSE = 0.8, 9.0
_LEAST = 0.12
_NOISE_FACTOR = 6.0
_EDGE = 0.6  # least gradient of an edge, per px, in units of the least step
_MOVING_SHARE = 0.0012
_ARM_SHARE = 0.004
_DEEP_PX = 4
_LEAST_ARM_PX = 20
_KERNEL = np.ones((3, 3), np.uint8)

Small = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Reach:
    """Where an arm may have come in, and where it ends then: its farthest point from there; (x, y) px of the gate's
    picture.
    """

    entry: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True)
class Sight:
    """What the gate saw in one frame.

    Attributes:
        band: the small band-passed image, (h, w, 3) float32.
        moving: share of pixels that differ from the frame before.
        foreground: (h, w) 0/1, what differs from the reference (all 0 without one).
        arm: something outside the places reaches in from the border.
        limit: least step that is no noise, (h, w) float32.
    """

    band: Small
    moving: bool
    foreground: Mask
    arm: bool
    limit: Small


class Gate:
    """Holds the reference and the last frame, for one camera.

    Args:
        shape: (height, width, …) of the frames.
        rack: the places; foreground inside them is not an arm.
    """

    def __init__(self, shape: tuple[int, ...], rack: Rack) -> None:
        self.scale = WIDTH / shape[1]
        self.size = (WIDTH, max(24, round(shape[0] * self.scale)))
        self._rack = rack
        self._outline = outline_of(rack, shape)
        self._reference: Small | None = None
        self._low: Small | None = None
        self._high: Small | None = None
        self._last: Small | None = None
        self._margin = 0
        self._noise: float | None = None  # grey levels between two frames
        self._even = np.zeros((self.size[1], self.size[0], 3), np.float32)
        self.place(np.eye(3))

    def place(self, homography: npt.NDArray[np.float64]) -> None:
        """Follow the rack in a camera that was found moved: `homography` taught → now."""
        self._places = np.zeros((self.size[1], self.size[0]), np.uint8)
        for slot in self._rack.slots:
            cv2.fillPoly(self._places, [self._small(slot.polygon, homography)], 1)
        seen = np.zeros_like(self._places)
        cv2.fillPoly(seen, [self._small(self._outline, homography)], 1)
        inner = _shrunk(seen, 2)  # the paint's edge may lie a pixel aside of where it was
        self._seen = inner
        self._border = inner & (1 - _shrunk(inner, 1))
        self._deep = _shrunk(inner, _DEEP_PX)
        self._rim = inner & (1 - _shrunk(inner, 2))
        self._around = int((inner & (1 - self._places)).sum())

    def _small(self, polygon: npt.NDArray[np.float32], homography: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        at = cv2.perspectiveTransform(polygon[None].astype(np.float32), homography)[0]
        return np.asarray(np.round(np.clip(at * self.scale, -4 * WIDTH, 4 * WIDTH)), np.int32)

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
            noise = float(np.median((step * (self._even + _OFFSET))[::2, ::2]))
            self._noise = noise if self._noise is None else 0.9 * self._noise + 0.1 * noise
            moved = _cleaned(strongest(step - self._limit()) > 0) & self._seen
            moving = int(moved.sum()) > _MOVING_SHARE * self._seen.sum()
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
        self.warp(np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1]], np.float64))

    def warp(self, homography: npt.NDArray[np.float64]) -> None:
        """Move the reference by `homography`, px of the full frame as it was → as it is now."""
        if self._reference is None:
            return
        size = (self._reference.shape[1], self._reference.shape[0])
        down = np.diag([self.scale, self.scale, 1.0])
        matrix = down @ homography @ np.linalg.inv(down)
        moved = cv2.warpPerspective(self._reference, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        corners = np.array([[[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]], np.float32)
        by = float(np.abs(cv2.perspectiveTransform(corners, matrix) - corners).max())
        margin = self._margin + int(np.ceil(by)) + 2
        self._reference = None
        self.adopt(np.asarray(moved, np.float32))
        self._margin = min(margin, WIDTH // 10)  # what came into the picture at its edge has no reference yet

    def arms(self, sight: Sight) -> list[list[Reach]]:
        """Each arm with what it may be: one that meets the border twice may have come in at either.

        Arms that run into one another are told apart no more: then their middle is an end.
        """
        over = self.reaching(sight)
        count, labels = cv2.connectedComponents(over, connectivity=8)
        found = []
        for label in range(1, count):
            part = labels == label
            ys, xs = np.nonzero(part)
            if len(xs) < _LEAST_ARM_PX:
                continue
            entries, runs = cv2.connectedComponents((part & (self._border > 0)).astype(np.uint8), connectivity=8)
            if entries > 3:
                middle = (float(xs.mean()), float(ys.mean()))
                found.append([Reach(middle, middle)])
                continue
            choices = []
            for entry in range(1, entries):
                in_y, in_x = np.nonzero(runs == entry)
                x, y = float(in_x.mean()), float(in_y.mean())
                far = int(((xs - x) ** 2 + (ys - y) ** 2).argmax())
                choices.append(Reach((x, y), (float(xs[far]), float(ys[far]))))
            found.append(choices)
        return found

    def surroundings(self, sight: Sight) -> float:
        """Share 0..1 of what lies around the places, inside the outline, that differs from the reference."""
        return float((sight.foreground & (1 - self._places)).sum()) / max(self._around, 1)

    def reaching(self, sight: Sight) -> Mask:
        """(h, w) 0/1: what reaches in from the outline's border, places it covers included."""
        wide = np.asarray(cv2.dilate(sight.foreground, _KERNEL), np.uint8) & self._seen
        _, labels = cv2.connectedComponents(wide, connectivity=8)
        from_border = np.unique(labels[(self._border > 0) & (sight.foreground > 0)])
        return np.asarray(np.isin(labels, from_border[from_border > 0]), np.uint8)

    def _limit(self) -> Small:
        """Least step that is no noise, per pixel: a sensor's noise is even in grey levels, so more in the dark."""
        noise = (self._noise or 0.0) / (self._even + _OFFSET)
        return np.asarray(np.maximum(_LEAST, _NOISE_FACTOR * noise), np.float32)

    def _band(self, frame: Frame) -> Small:
        rows = frame[:: max(1, int(0.25 / self.scale))]  # four rows a pixel are enough, and cost no copy
        small = cv2.resize(rows, self.size, interpolation=cv2.INTER_AREA)
        even = small.astype(np.float32) * np.float32(_LEVEL / max(float(np.median(small[::2, ::2, 1])), 4.0))
        self._even = np.asarray(cv2.blur(even, (5, 5)), np.float32)
        log = np.asarray(cv2.log(even + np.float32(_OFFSET)))
        quarter = (log.shape[1] // 4, log.shape[0] // 4)
        coarse = cv2.GaussianBlur(cv2.resize(log, quarter, interpolation=cv2.INTER_AREA), (0, 0), _COARSE / 4)
        fine = cv2.GaussianBlur(log, (0, 0), _FINE)
        return np.asarray(fine - cv2.resize(coarse, self.size, interpolation=cv2.INTER_LINEAR), np.float32)

    def _against_reference(self, band: Small, moving: bool) -> Sight:
        foreground = np.zeros(band.shape[:2], np.uint8)
        limit = self._limit()
        if self._low is not None and self._high is not None:
            beyond = np.maximum(self._low - limit - band, band - self._high - limit)
            foreground = _cleaned(strongest(beyond) > 0) & self._seen
            if self._margin:
                inner = np.zeros_like(foreground)
                inner[self._margin : -self._margin, self._margin : -self._margin] = 1
                foreground &= inner
        return Sight(band, moving, foreground, self._is_arm(foreground, band), limit[..., 0])

    def _is_arm(self, foreground: Mask, band: Small) -> bool:
        if not foreground.any():
            return False
        gx, gy = cv2.Sobel(band, -1, 1, 0, ksize=1) / 2, cv2.Sobel(band, -1, 0, 1, ksize=1) / 2
        edges = (np.maximum(np.abs(gx), np.abs(gy)) > _EDGE * self._limit()).any(2).astype(np.uint8)
        # an arm has edges of its own; the halo that the band-pass leaves around an item that came or went has none
        outside = np.asarray(cv2.dilate(foreground & edges, np.ones((5, 5), np.uint8)), np.uint8) & (1 - self._places)
        outside &= self._seen
        border = self._border & np.asarray(cv2.dilate(foreground & edges & self._rim, _KERNEL), np.uint8)
        if self._margin:
            m = self._margin
            inner = np.zeros_like(outside)
            inner[m:-m, m:-m] = 1
            outside &= inner
            inner[m + 1 : -m - 1, m + 1 : -m - 1] = 0
            border = self._border | inner
        _, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=8)
        least = _ARM_SHARE * self._around
        deep = set(np.unique(labels[self._deep > 0]))  # a line along the border is no arm
        return any(stats[i, cv2.CC_STAT_AREA] > least and i in deep for i in np.unique(labels[border > 0]) if i)


def _shrunk(mask: Mask, by: int) -> Mask:
    """Less `by` pixels all around, the picture's border included."""
    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    return np.asarray(cv2.erode(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0), np.uint8)


def _cleaned(mask: npt.NDArray[np.bool_]) -> Mask:
    """Drop single pixels."""
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)), np.uint8)
