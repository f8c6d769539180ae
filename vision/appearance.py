"""The second judge: a place compared with its own earlier looks, whatever lies in it.

A look is a small median picture of the place. Two looks are compared in the logarithm of intensity after a band-pass,
so that a change of exposure, a light gradient or a soft shadow (all smooth factors) cancels; each small patch may be
found again up to `SEARCH` thumbnail px away, so that a nudged item or a bumped camera is no change. What remains is
split by direction: structure of the earlier look that is not found any more (*lost*) and structure of the later look
    that was not there before (*gained*). A removed item loses more than it gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame

SIDE = 40
"""Short side of a place in its thumbnail, px."""

SEARCH = 5
"""How far a patch may have moved, thumbnail px: an eighth of the place's short side."""

_LONGEST = 120
_PATCH = 7
_OFFSET = 12.0
_FINE, _COARSE = 0.8, 7.0
_LEAST_CONTRAST = 0.09  # of ln(intensity): 9 % of local brightness, below which paint, dust and compression live
_NOISE_FACTOR = 4.0
_SAME, _CHANGED = 0.012, 0.03
_LEVEL = 100.0
_TONES, _HUES = 14, 14

Band = npt.NDArray[np.float32]

_DISPLACEMENTS = sorted(
    ((dy, dx) for dy in range(-SEARCH, SEARCH + 1) for dx in range(-SEARCH, SEARCH + 1)),
    key=lambda d: d[0] ** 2 + d[1] ** 2,
)


@dataclass(frozen=True)
class Look:
    """How a place looked.

    Attributes:
        pixels: (h, w, 3) uint8 BGR thumbnail with a margin of `SEARCH` px around the place.
        mask: (h, w) bool, True inside the place's polygon.
        level: median grey value of the whole frame, to compensate exposure.
        noise: standard deviation of what is left of the camera's noise, grey levels.
    """

    pixels: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    level: float
    noise: float


@dataclass(frozen=True)
class Comparison:
    """What changed between two looks.

    Attributes:
        lost: share 0..1 of the place whose earlier structure (edges, marks) is gone.
        gained: share 0..1 of the place with structure that was not there before.
        amount: share 0..1 of the place that looks different, structured or smooth.
    """

    lost: float
    gained: float
    amount: float

    @property
    def direction(self) -> float:
        """-1 something only left … +1 something only came."""
        total = self.lost + self.gained
        return (self.gained - self.lost) / total if total > 0 else 0.0

    @property
    def verdict(self) -> Literal["same", "changed", "uncertain"]:
        if self.amount < _SAME:
            return "same"
        return "changed" if self.amount >= _CHANGED else "uncertain"

    @property
    def confidence(self) -> float:
        """Distance from the nearer limit of the verdict, 0..1."""
        if self.verdict == "same":
            return 0.6 + 0.4 * (1 - self.amount / _SAME)
        if self.verdict == "changed":
            return float(min(1.0, 0.6 + 0.4 * (self.amount - _CHANGED) / _CHANGED))
        return 0.3


def frame_level(frame: Frame) -> float:
    """Median grey value of a frame, from every eighth pixel."""
    return float(max(np.median(frame[::8, ::8, 1]), 4.0))


def strongest(image: Band) -> Band:
    """The largest of the three channels, (h, w, 3) → (h, w); three times as fast as ``max(2)``."""
    return np.asarray(np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2]), np.float32)


def take_look(frames: Sequence[Frame], polygon: npt.NDArray[np.float32], level: float | None = None) -> Look:
    """The median look of a place over a few clear frames (H, W, 3).

    Args:
        frames: whole frames, or crops of the place.
        polygon: the place, px of those frames.
        level: the light of the whole picture; needed with crops, else the frames' own median.
    """
    x0, y0 = polygon.min(0)
    x1, y1 = polygon.max(0)
    scale = min(SIDE / max(min(x1 - x0, y1 - y0), 4.0), _LONGEST / max(x1 - x0, y1 - y0, 4.0))
    size = (round((x1 - x0) * scale) + 2 * SEARCH, round((y1 - y0) * scale) + 2 * SEARCH)
    margin = SEARCH / scale
    thumbs = np.stack([_cut(frame, x0 - margin, y0 - margin, scale, size) for frame in frames])
    noise = 1.5
    if len(frames) > 1:
        steps = np.diff(thumbs.astype(np.int16), axis=0)
        noise = float(
            1.4826 / np.sqrt(2) * np.mean(np.abs(steps - np.median(steps, axis=(1, 2), keepdims=True))) * 0.845
        )
        noise = max(noise * 1.25 / np.sqrt(len(frames)), 0.3)
    pixels = np.median(thumbs, axis=0).astype(np.uint8)
    mask = np.zeros(pixels.shape[:2], np.uint8)
    inner = (polygon - np.array([x0 - margin, y0 - margin], np.float32)) * np.float32(scale)
    cv2.fillPoly(mask, [np.round(inner).astype(np.int32)], 1)
    if level is None:
        level = float(np.median([frame_level(f) for f in frames]))
    return Look(pixels, mask.astype(bool), level, noise)


def compare(before: Look, after: Look) -> Comparison:
    """What left and what came between two looks of the same place."""
    if before.pixels.shape != after.pixels.shape:  # rounding at another camera offset
        height, width = before.pixels.shape[:2]
        resized = np.asarray(cv2.resize(after.pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        after = Look(resized, before.mask, after.level, after.noise)
    a, limit_a = _band(before)
    b, limit_b = _band(after)
    limit = np.maximum(limit_a, limit_b) ** 2
    left = _unexplained(a, b, limit + _slack(a), before.mask)
    came = _unexplained(b, a, limit + _slack(b), before.mask)
    area = max(int(before.mask.sum()), 1)
    return Comparison(
        lost=float((left & (_structure(a) > limit)).sum()) / area,
        gained=float((came & (_structure(b) > limit)).sum()) / area,
        amount=max(float(left.sum()), float(came.sum())) / area,
    )


def novelty(known: Look, now: Look) -> float:
    """Share 0..1 of a place that shows colours which it, or its margin, did not show before.

    A thing that was turned or slid shows none; another thing, an open box, a rag or a thing left on it shows many.
    """
    had = np.zeros((_TONES, _HUES, _HUES), np.uint8)
    np.add.at(had, _colours(known), 1)
    wide = np.pad(had > 1, 1)
    near = np.zeros(had.shape, bool)
    for i, j, k in np.ndindex(3, 3, 3):
        near |= wide[i : i + _TONES, j : j + _HUES, k : k + _HUES]
    strange = ~near[_colours(now)]
    steady = cv2.erode(strange.astype(np.uint8), np.ones((2, 2), np.uint8)).astype(bool)
    return float(steady[now.mask].mean()) if now.mask.any() else 0.0


def _colours(look: Look) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Bins of brightness, blue to green and red to green, each (h, w)."""
    soft = cv2.GaussianBlur(look.pixels, (0, 0), 1.0).astype(np.float32) * np.float32(_LEVEL / look.level)
    log = np.log(soft + np.float32(_OFFSET))
    tone = (log[..., 1] - 2.4) / 0.3
    blue, red = ((log[..., i] - log[..., 1]) / 0.18 + _HUES / 2 for i in (0, 2))
    bins = [np.clip(v, 0, n - 1).astype(np.intp) for v, n in ((tone, _TONES), (blue, _HUES), (red, _HUES))]
    return bins[0], bins[1], bins[2]


def _cut(frame: Frame, x0: float, y0: float, scale: float, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    left, top = max(int(x0) - 8, 0), max(int(y0) - 8, 0)
    right, bottom = int(x0 + size[0] / scale) + 9, int(y0 + size[1] / scale) + 9
    frame = frame[top : max(bottom, top + 1), left : max(right, left + 1)]
    if frame.size == 0:  # the place lies outside the picture
        return np.zeros((size[1], size[0], 3), np.uint8)
    matrix = np.array([[scale, 0, (left - x0) * scale], [0, scale, (top - y0) * scale]], np.float64)
    if scale < 0.7:  # warpAffine does not average: soften first so that nothing aliases
        frame = np.asarray(cv2.blur(frame, (max(1, round(0.8 / scale)),) * 2), np.uint8)
    return np.asarray(
        cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _band(look: Look) -> tuple[Band, Band]:
    """Band-passed log intensity (h, w, 3) and the least contrast that counts, (h, w)."""
    even = look.pixels.astype(np.float32) * np.float32(_LEVEL / look.level)
    log = np.log(even + np.float32(_OFFSET))
    band = cv2.GaussianBlur(log, (0, 0), _FINE) - cv2.GaussianBlur(log, (0, 0), _COARSE)
    local = cv2.GaussianBlur(even, (0, 0), 2.0).min(2)
    noise = look.noise * _LEVEL / look.level / (local + _OFFSET)
    limit = np.maximum(_LEAST_CONTRAST, _NOISE_FACTOR * noise)
    return np.asarray(band, np.float32), np.asarray(limit, np.float32)


def _unexplained(these: Band, those: Band, limit: Band, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Where the patches of ``these`` are found nowhere near in ``those``; (h, w).

    The mean squared difference of a patch stays above ``limit`` for all displacements up to `SEARCH`, nearest first.
    """
    height, width = these.shape[:2]
    padded = cv2.copyMakeBorder(those, SEARCH, SEARCH, SEARCH, SEARCH, cv2.BORDER_REPLICATE)
    open_still = mask.copy()
    for dy, dx in _DISPLACEMENTS:
        step = these - padded[SEARCH + dy : SEARCH + dy + height, SEARCH + dx : SEARCH + dx + width]
        squared = strongest(step * step)
        open_still &= cv2.boxFilter(squared, -1, (_PATCH, _PATCH)) > limit
        if not open_still.any():  # most places did not change: one or two displacements explain them
            break
    return open_still


def _slack(band: Band) -> Band:
    """What half a pixel of misalignment may cost a patch, squared: displacements are tried in whole pixels."""
    gx = cv2.Sobel(band, -1, 1, 0, ksize=1) / 2
    gy = cv2.Sobel(band, -1, 0, 1, ksize=1) / 2
    step = (np.float32(0.5) * (np.abs(gx) + np.abs(gy))) ** 2
    return np.asarray(cv2.boxFilter(strongest(step), -1, (_PATCH, _PATCH)), np.float32)


def _structure(band: Band) -> Band:
    """Variance inside each patch, the largest of the channels: a smooth halo has little, an item's edges have much."""
    mean = cv2.boxFilter(band, -1, (_PATCH, _PATCH))
    square = cv2.boxFilter(band * band, -1, (_PATCH, _PATCH))
    return strongest(square - mean * mean)
