"""Where the taught places lie now: the camera or the rack was pushed, and the taught polygons never change.

Always measured against the taught picture, never against the frame before, so that nothing drifts. Small motions are
followed alone; larger ones wait for a person's word, once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame
from vision.fiducials import TaughtMarkers, find_markers
from vision.likeness import Likeness
from vision.privacy import Outline
from vision.slots import Rack

log = logging.getLogger(__name__)

SMALL_PX: Final = 25.0
SMALL_DEG: Final = 3.0
SMALL_WARP_PX: Final = 25.0
"""What is followed alone: shift of the rack's middle, turn, and what is left at its corners (nearer, farther, askew);
all since the pose that a person last saw."""

RESIDUAL_PX: Final = 2.5
"""A fit worse than this, px of the full frame, is not followed alone."""

_JITTER_PX: Final = 1.0
_WEAK_JITTER_PX: Final = 2.5
_DOUBTFUL_PX, _WEAK_RESIDUAL_PX = 1.0, 0.5
_SCALE: Final = (0.7, 1.4)
_LEAST_ALIKE: Final = 0.35
_LEAST_SHARE: Final = 0.2

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]
Kind = Literal["still", "small", "large", "lost"]
By = Literal["markers", "look", "nothing"]


@dataclass(frozen=True)
class Fix:
    """Where the rack lies in one frame.

    Attributes:
        homography: (3, 3) taught → now, px; where `kind` is lost, the last that stood.
        moved_px: shift of the rack's middle since the pose that a person last saw (teaching, `accept`).
        turned_deg: turn since then, degrees, clockwise in the picture.
        warp_px: what shift and turn leave at the outline's corners (distance, perspective).
        residual_px: RMS of what the fit leaves unexplained; inf where there is none.
        seen: markers that carry it.
        kind: still: as it was; small: followed alone; large: a person is to look; lost: not found.
        by: what told it.
        weak: fewer than four markers, or none: less certain.
        odd: markers that stand elsewhere than the others say.
    """

    homography: Matrix
    moved_px: float
    turned_deg: float
    warp_px: float
    residual_px: float
    seen: int
    kind: Kind
    by: By
    weak: bool = False
    odd: tuple[int, ...] = ()

    def place(self, points: Points) -> Points:
        """Taught points (N, 2) in px of the frame now."""
        return np.asarray(
            cv2.perspectiveTransform(np.asarray(points, np.float32)[None], self.homography)[0], np.float32
        )


class Registration:
    """Places one rack in the frames of its camera.

    Args:
        rack: places, markers, outline.
        picture: the picture in which it was taught, (H, W, 3), cut to the outline.
    """

    def __init__(self, rack: Rack, picture: Frame) -> None:
        self.rack = rack
        self._shape = picture.shape[:2]
        outline = Outline(rack, picture.shape)
        self._outline = outline.taught
        self._inside = [slot.polygon for slot in rack.slots if self._all_in(slot.polygon)]
        self.markers = None if rack.markers is None else TaughtMarkers(rack.markers, picture)
        self._look = Likeness(picture, outline.mask, [slot.polygon for slot in rack.slots])
        self._base: Matrix = np.eye(3)
        self._held: Matrix = np.eye(3)

    @property
    def homography(self) -> Matrix:
        """Taught → now as it stands, (3, 3)."""
        return self._held.copy()

    @property
    def trackable(self) -> bool:
        """Whether it can be found again without markers."""
        return self._look.trackable

    def locate(self, frame: Frame) -> Fix:
        """Where the rack lies in this frame. A small motion is taken over at once; a large or lost one changes
        nothing.

        Raises:
            ValueError: the frame's size is not the taught picture's.
        """
        if frame.shape[:2] != self._shape:
            raise ValueError(
                f"the camera's picture changed from {self._shape[1]}x{self._shape[0]} "
                f"to {frame.shape[1]}x{frame.shape[0]}"
            )
        fix = self._by_markers(frame)
        if fix is None or fix.residual_px > (_WEAK_RESIDUAL_PX if fix.weak else _DOUBTFUL_PX):
            look = self._by_look(frame)  # a marker half hidden or cut by the outline pulls the others askew
            if fix is None or (look.by == "look" and look.residual_px < fix.residual_px):
                fix = look
        if fix.kind == "small":
            log.info("rack followed: %.1f px, %.2f deg, by %s", fix.moved_px, fix.turned_deg, fix.by)
            self._held = fix.homography
        return fix

    def accept(self, fix: Fix) -> None:
        """A person saw that the places fit: from now on this is where the rack stands."""
        self._base = self._held = fix.homography

    def dump(self) -> dict[str, Any]:
        """The pose, JSON-able; taught picture and polygons are kept by whoever taught them."""
        return {"base": self._base.ravel().tolist(), "held": self._held.ravel().tolist(), "size": list(self._shape)}

    def load(self, raw: Mapping[str, Any]) -> None:
        """Go on from `dump`. What cannot be used is said in the log, and the taught pose stands."""
        try:
            size = tuple(raw["size"])
            base, held = (np.array(raw[k], np.float64).reshape(3, 3) for k in ("base", "held"))
        except (KeyError, TypeError, ValueError) as problem:
            log.warning("a saved pose cannot be read, the taught one stands: %s", problem)
            return
        if size != self._shape or not all(self._possible(m) for m in (base, held)):
            log.warning("a saved pose of another picture is not used")
            return
        self._base, self._held = base, held

    def _by_markers(self, frame: Frame) -> Fix | None:
        if self.markers is None:
            return None
        fit = self.markers.fit(find_markers(frame, self.markers.ids), self._held)
        if fit is None or not self._possible(fit.matrix):
            return None
        weak = fit.seen < 4
        return self._judged(fit.matrix, fit.residual_px, fit.seen, "markers", weak=weak, odd=fit.odd)

    def _by_look(self, frame: Frame) -> Fix:
        if not self._look.trackable:
            return self._fix(self._held, float("inf"), 0, "lost" if self.markers else "still", "nothing")
        starts = [self._held] if np.array_equal(self._held, self._base) else [self._held, self._base]
        fit = self._look.fit(frame, starts)
        if fit is None or fit.alike < _LEAST_ALIKE or fit.share < _LEAST_SHARE or not self._possible(fit.matrix):
            return self._fix(self._held, float("inf"), 0, "lost", "look")
        return self._judged(fit.matrix, fit.residual_px, 0, "look", weak=True)

    def _judged(self, matrix: Matrix, residual: float, seen: int, by: By, weak: bool, odd: tuple[int, ...] = ()) -> Fix:
        aside = np.abs(self._placed(matrix) - self._placed(self._held)).max()
        if residual <= RESIDUAL_PX and aside <= (_WEAK_JITTER_PX if weak else _JITTER_PX):
            return self._fix(self._held, residual, seen, "still", by, weak, odd)
        moved, turned, warp = self._motion(matrix)
        small = (
            moved <= SMALL_PX
            and abs(turned) <= SMALL_DEG
            and warp <= SMALL_WARP_PX
            and residual <= RESIDUAL_PX
            and all(self._all_in(cv2.perspectiveTransform(polygon[None], matrix)[0]) for polygon in self._inside)
        )
        return self._fix(matrix, residual, seen, "small" if small else "large", by, weak, odd)

    def _fix(
        self,
        matrix: Matrix,
        residual: float,
        seen: int,
        kind: Kind,
        by: By,
        weak: bool = True,
        odd: tuple[int, ...] = (),
    ) -> Fix:
        moved, turned, warp = self._motion(matrix)
        return Fix(matrix.copy(), moved, turned, warp, residual, seen, kind, by, weak, odd)

    def _placed(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        return np.asarray(cv2.perspectiveTransform(self._outline[None].astype(np.float64), matrix)[0], np.float64)

    def _motion(self, matrix: Matrix) -> tuple[float, float, float]:
        """Shift px, turn degrees and what they leave px, since the pose that a person last saw."""
        before, now = self._placed(self._base), self._placed(matrix)
        z, w = before @ np.array([1, 1j]), now @ np.array([1, 1j])
        z0, w0 = z.mean(), w.mean()
        a = (np.conj(z - z0) * (w - w0)).sum()
        turn = a / abs(a) if abs(a) > 1e-9 else 1.0
        left = np.abs((w - w0) - turn * (z - z0)).max()
        return float(abs(w0 - z0)), float(np.degrees(np.angle(turn))), float(left)

    def _possible(self, matrix: Matrix) -> bool:
        """Whether a camera can have moved like this: not mirrored, not folded, not far nearer."""
        if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
            return False
        height, width = self._shape
        corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
        homogeneous = np.column_stack([corners[0], np.ones(4)]) @ matrix.T
        if (homogeneous[:, 2] * np.sign(homogeneous[0, 2]) < 0.2 * abs(homogeneous[0, 2])).any():
            return False
        area = cv2.contourArea(np.asarray(cv2.perspectiveTransform(corners, matrix)[0], np.float32), oriented=True)
        lo, hi = _SCALE
        return bool(lo**2 <= area / (width * height) <= hi**2)

    def _all_in(self, polygon: Points) -> bool:
        height, width = self._shape
        lowest, highest = polygon.min(0), polygon.max(0)
        return bool(lowest.min() >= 0 and highest[0] <= width and highest[1] <= height)
