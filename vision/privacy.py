"""Only the rack leaves the capture step: everything outside its outline is painted over, in the source's own array,
before any other code sees the frame. Hands are filled in pictures that are stored or shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Detection, Frame
from vision.slots import Rack

MARGIN: Final = 0.05
"""Margin of an outline that nobody drew, share of the picture's longer side: markers stay in view when a camera is
pushed by 60 px of 1920."""

HAND_FILL: Final = 64
_HAND_MARGIN: Final = 0.12
_UNKNOWN: Final = 114
_STEP: Final = 8

Points = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


class OutlineError(ValueError):
    """An outline that does not fit the camera's picture: nothing may pass. The text says what to do."""


def outline_of(rack: Rack, shape: tuple[int, ...]) -> Points:
    """The polygon that may be seen, (N, 2) px: the drawn one, else the hull of places and markers with `MARGIN`."""
    if rack.outline is not None:
        return np.asarray(rack.outline, np.float32)
    parts = [slot.polygon for slot in rack.slots]
    if rack.markers is not None:
        parts.append(np.array(rack.markers.centres, np.float32))
    hull = cv2.convexHull(np.concatenate(parts).astype(np.float32))[:, 0]
    reach = MARGIN * max(shape[:2])
    corners = np.array([[-reach, -reach], [reach, -reach], [reach, reach], [-reach, reach]], np.float32)
    return np.asarray(cv2.convexHull((hull[:, None] + corners[None]).reshape(-1, 2))[:, 0], np.float32)


class Outline:
    """Paints what lies outside a rack, for one camera.

    The paint is the median of what may be seen: it carries nothing of the outside, and the median level of the whole
    frame stays the rack's own.

    Args:
        rack: its outline.
        shape: (height, width, …) of the camera's frames.

    Raises:
        OutlineError: the rack was taught in a picture of another size.
    """

    def __init__(self, rack: Rack, shape: tuple[int, ...]) -> None:
        self.shape = (int(shape[0]), int(shape[1]))
        if rack.picture is not None and (rack.picture[1], rack.picture[0]) != self.shape:
            raise OutlineError(
                f"the rack was taught in a picture of {rack.picture[0]}x{rack.picture[1]}, the camera gives "
                f"{shape[1]}x{shape[0]}: set the camera back or teach the rack again"
            )
        self.taught = outline_of(rack, shape)
        self._set(self.taught)

    def cut(self, frame: Frame) -> Frame:
        """`frame` (H, W, 3) with everything outside painted: in place, so that nothing of it is left behind.

        Raises:
            OutlineError: the frame has another size; it has not been passed on.
        """
        if frame.shape[:2] != self.shape or frame.ndim != 3:
            raise OutlineError(
                f"the camera's picture changed from {self.shape[1]}x{self.shape[0]} "
                f"to {frame.shape[1]}x{frame.shape[0]}"
            )
        if not frame.flags.writeable or not frame.flags.c_contiguous:
            frame = np.array(frame, np.uint8, order="C")
        contours, sampled = self._now
        seen = frame[::_STEP, ::_STEP, 1][sampled]
        level = _UNKNOWN
        if seen.size:
            level = int(np.searchsorted(np.cumsum(np.bincount(seen, minlength=256)), (seen.size + 1) // 2))
        cv2.fillPoly(frame, contours, (level, level, level))
        return frame

    def place(self, homography: Matrix) -> None:
        """Follow the rack in a camera that was found moved: `homography` taught → now, of a fix that stands."""
        self._set(np.asarray(cv2.perspectiveTransform(self.taught[None], homography)[0], np.float32))

    @property
    def mask(self) -> npt.NDArray[np.uint8]:
        """(H, W) uint8, 1 where the frame may be seen now."""
        seen = np.ones(self.shape, np.uint8)
        cv2.fillPoly(seen, self._now[0], (0,))
        return seen

    def _set(self, polygon: Points) -> None:
        height, width = self.shape
        if not np.isfinite(polygon).all():
            raise OutlineError("the outline has a corner that is no number")
        # far corners would overflow the drawing's fixed point
        inner = np.round(np.clip(polygon, -4 * max(self.shape), 5 * max(self.shape))).astype(np.int32)
        far = 8 * max(self.shape)
        around = np.array([[-far, -far], [width + far, -far], [width + far, height + far], [-far, height + far]])
        contours = [around.astype(np.int32), inner]
        seen = np.ones(self.shape, np.uint8)
        cv2.fillPoly(seen, contours, (0,))
        self._now = (contours, seen[::_STEP, ::_STEP].astype(bool))  # one assignment: read by the capture thread


class OutlineCut:
    """The cut as a step of a source: an `Outline` made for the first frame's size.

    Attributes:
        outline: None before the first frame.
    """

    def __init__(self, rack: Rack) -> None:
        self._rack = rack
        self.outline: Outline | None = None

    def __call__(self, frame: Frame) -> Frame:
        """The frame, cut. Raises OutlineError; then nothing passes."""
        if self.outline is None:
            self.outline = Outline(self._rack, frame.shape)
        return self.outline.cut(frame)


def mask_hands(
    crop: Frame,
    boxes: Iterable[Detection],
    origin: tuple[float, float] = (0.0, 0.0),
    foreground: npt.NDArray[np.uint8] | None = None,
) -> Frame:
    """A copy of `crop` with every box, a little enlarged, filled with one grey: nothing under it can be recovered.

    Args:
        crop: (h, w, 3) that is to be stored or shown.
        boxes: hands, px of the picture that the crop was cut from.
        origin: where the crop's corner lies in that picture, px.
        foreground: (h', w') non-zero where something lies over the rack, over the crop's extent at any resolution.
    """
    out = np.array(crop, np.uint8)
    height, width = out.shape[:2]
    for box in boxes:
        pad = _HAND_MARGIN * max(box.x1 - box.x0, box.y1 - box.y0)
        left, top = int(max(box.x0 - pad - origin[0], 0)), int(max(box.y0 - pad - origin[1], 0))
        right, bottom = int(np.ceil(box.x1 + pad - origin[0])), int(np.ceil(box.y1 + pad - origin[1]))
        if right > 0 and bottom > 0:
            out[top:bottom, left:right] = HAND_FILL
    if foreground is not None and foreground.any():
        cell = int(np.ceil(max(width / foreground.shape[1], height / foreground.shape[0])))
        covered = cv2.resize((foreground > 0).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        covered = cv2.dilate(covered, np.ones((2 * cell + 3, 2 * cell + 3), np.uint8))
        out[covered > 0] = HAND_FILL
    return out
