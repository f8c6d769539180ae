"""Pictures of one place, cut at the camera's own resolution and always in the frame of the taught picture.

A hand detector works on a whole picture at 320 px, where an insert of a 600 mm drawer is 7 px wide: nothing. A place
is judged on its own crop, warped by the homography that says how the camera stands now, so that crops of one place
have the same size whatever moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame
from vision.slots import Rack, Slot

MARGIN = 0.16
"""Margin around the place's bounding box, share of its short side (and 4 px)."""

MOST_PX = 320
"""A crop's longest side, px; larger places are made smaller by averaging."""

_LEVEL_POINTS = 4096
_LEAST_LEVEL = 4.0

Homography = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crop:
    """A registered picture of one place.

    Attributes:
        pixels: (h, w, 3) uint8 BGR; the size depends on the place alone.
        polygon: (N, 2) float32, the place's corners in px of the crop.
        level: median grey value of the rack in that frame, to compensate exposure.
        scale: px of the crop per px of the taught picture, at most 1.
    """

    pixels: npt.NDArray[np.uint8]
    polygon: npt.NDArray[np.float32]
    level: float
    scale: float = 1.0

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(h, w) bool, True inside the place."""
        filled = np.zeros(self.pixels.shape[:2], np.uint8)
        cv2.fillPoly(filled, [np.round(self.polygon).astype(np.int32)], 1)
        return filled.astype(bool)


def take_crop(frame: Frame, slot: Slot, homography: Homography | None = None, level: float | None = None) -> Crop:
    """Cut one place out of a frame.

    Args:
        frame: (H, W, 3) uint8 BGR.
        slot: the place, in px of the taught picture.
        homography: (3, 3), taught px → px of this frame; None: nothing moved.
        level: `rack_level` of the frame (once per frame, for all its places); None: the median of the frame.

    Parts that lie outside the frame repeat its border.
    """
    low, high = slot.polygon.min(0), slot.polygon.max(0)
    short = float(min(high - low))
    pad = MARGIN * short + 4.0
    origin = np.floor(low - pad)
    width, height = (np.ceil(high + pad) - origin).astype(int)
    scale = min(1.0, MOST_PX / max(width, height))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    if level is None:
        level = float(max(np.median(frame[::8, ::8, 1]), _LEAST_LEVEL))
    polygon = ((slot.polygon - origin) * scale).astype(np.float32)
    pixels = _still(frame, origin, width, height) if homography is None else None
    if pixels is None:
        to_taught = np.array([[1 / scale, 0, origin[0]], [0, 1 / scale, origin[1]], [0, 0, 1]], np.float64)
        to_frame = to_taught if homography is None else homography @ to_taught
        left, top, part = _part(frame, to_frame, size)
        if scale < 0.7:  # warping does not average: soften first so that nothing aliases
            part = np.asarray(cv2.blur(part, (max(1, round(0.8 / scale)),) * 2), np.uint8)
        back = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64) @ to_frame
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        pixels = np.asarray(
            cv2.warpPerspective(part, back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
        )
    elif scale < 1.0:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Crop(pixels, polygon, level, scale)


def level_points(rack: Rack) -> npt.NDArray[np.float32]:
    """Points of the taught picture, (N, 2), spread over the hull of the places: where the light is measured."""
    corners = np.concatenate([slot.polygon for slot in rack.slots])
    hull = cv2.convexHull(corners)[:, 0]
    low, high = hull.min(0), hull.max(0)
    step = max(float(np.sqrt(np.prod(high - low) / _LEVEL_POINTS)), 1.0)
    xs, ys = np.arange(low[0], high[0], step), np.arange(low[1], high[1], step)
    grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float32)
    filled = np.zeros((int(high[1] - low[1]) + 2, int(high[0] - low[0]) + 2), np.uint8)
    cv2.fillPoly(filled, [np.round(hull - low).astype(np.int32)], 1)
    at = (grid - low).astype(int)
    return np.asarray(grid[filled[at[:, 1], at[:, 0]] > 0], np.float32)


def rack_level(frame: Frame, points: npt.NDArray[np.float32], homography: Homography | None = None) -> float:
    """Median grey value of the rack in a frame, at `level_points`; what lies outside the picture has no vote."""
    at = points if homography is None else cv2.perspectiveTransform(points[None], homography)[0]
    whole = np.round(at).astype(int)
    inside = (whole >= 0).all(1) & (whole[:, 0] < frame.shape[1]) & (whole[:, 1] < frame.shape[0])
    whole = whole[inside]
    if not len(whole):
        return _LEAST_LEVEL
    return float(max(np.median(frame[whole[:, 1], whole[:, 0], 1]), _LEAST_LEVEL))


def median_picture(pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Median of up to five equally large uint8 pictures, by minima and maxima (twenty times as fast as a sort).

    Of two or four pictures the first is left out.
    """
    if not pictures:
        raise ValueError("a median needs at least one picture")
    odd = list(pictures[-5:]) if len(pictures) % 2 or len(pictures) > 5 else list(pictures[1:])
    if len(odd) == 1:
        return odd[0]
    if len(odd) == 3:
        a, b, c = odd
        return np.asarray(cv2.max(cv2.min(a, b), cv2.min(cv2.max(a, b), c)), np.uint8)
    a, b, c, d, e = odd
    f = cv2.max(cv2.min(a, b), cv2.min(c, d))
    g = cv2.min(cv2.max(a, b), cv2.max(c, d))
    return np.asarray(cv2.max(cv2.min(e, f), cv2.min(cv2.max(e, f), g)), np.uint8)


def _still(frame: Frame, origin: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.uint8] | None:
    """The plain cut when the camera stands as taught and the place lies inside the picture."""
    x, y = int(origin[0]), int(origin[1])
    if x < 0 or y < 0 or x + width > frame.shape[1] or y + height > frame.shape[0]:
        return None
    return np.ascontiguousarray(frame[y : y + height, x : x + width])


def _part(frame: Frame, to_frame: Homography, size: tuple[int, int]) -> tuple[int, int, npt.NDArray[np.uint8]]:
    """The part of the frame that a warp of `size` px needs, with its left and top."""
    corners = np.array([[[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]], np.float32)
    at = cv2.perspectiveTransform(corners, to_frame)[0]
    height, width = frame.shape[:2]
    x0, y0 = np.clip(np.floor(at.min(0)).astype(int) - 8, 0, [width - 1, height - 1])
    x1, y1 = np.clip(np.ceil(at.max(0)).astype(int) + 9, [x0 + 1, y0 + 1], [width, height])
    return int(x0), int(y0), np.asarray(frame[y0:y1, x0:x1], np.uint8)
