"""Where a rack lies in a frame, told by its look alone: for racks without markers, or whose markers are hidden.

Works on a band-passed log picture, so that light does not count. A first guess (the last place, a phase correlation,
matched corners) is refined by tracking the taught picture's corners; what most of them agree on is the motion, and what
moved by itself (an item taken, a hand) is left out. The guess that makes the two pictures most alike wins: a rack
repeats itself, and one pitch aside looks right nearly everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame
from vision.fiducials import homography

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]
Gray = npt.NDArray[np.uint8]

WORK: Final = 960
"""Longer side of the picture worked on, px."""
LEAST_CORNERS: Final = 15
"""Fewer corners in the taught picture, or carried by a fit, tell nothing."""

_SMALL: Final = 320
_OFFSET: Final = 12.0
_CORNERS: Final = 240
_PARTS, _PER_PART = 16, 5
_AGREE_PX: Final = 1.5
_ALIKE: Final = 0.8
_TWINS: Final = 0.97
_WORSE: Final = 0.02
_NEAR_PX: Final = 4.0
_EDGE: Final = 12
_STEADY: Final = 0.2
_WINDOW: Final = (21, 21)
_CRITERIA: Final = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)


@dataclass(frozen=True)
class LookFit:
    """What the look says.

    Attributes:
        matrix: (3, 3) taught → now, px of the full frame.
        residual_px: RMS over the corners that agree, px of the full frame.
        corners: how many agree.
        share: of the corners tracked.
        alike: correlation of the two pictures once placed, -1..1.
    """

    matrix: Matrix
    residual_px: float
    corners: int
    share: float
    alike: float


class Likeness:
    """The taught picture, ready to be found again.

    Args:
        picture: (H, W, 3), cut to the outline.
        seen: (H, W) uint8, 1 inside the outline.
        places: polygons, px; what lies in them comes and goes, so pictures are compared around them where that is
            enough.
    """

    def __init__(self, picture: Frame, seen: Gray, places: Sequence[Points] = ()) -> None:
        self._scale = min(1.0, WORK / max(picture.shape[:2]))
        self._taught = self._band(picture)
        size = (self._taught.shape[1], self._taught.shape[0])
        inner = cv2.resize(seen, size, interpolation=cv2.INTER_NEAREST)
        # the paint's own edge stands still whatever the camera does: keep off it
        inner = cv2.copyMakeBorder(inner, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0,))
        self._seen = np.asarray(cv2.erode(inner, np.ones((2 * _EDGE + 1,) * 2, np.uint8))[1:-1, 1:-1], np.uint8)
        self._corners = _spread(self._taught, self._seen)
        self._factor = _SMALL / max(self._taught.shape)
        self._small_taught = self._small(self._taught)
        self._small_seen = self._small(self._seen * np.uint8(255)) > 0.99
        steady = self._seen.copy()
        cv2.fillPoly(steady, [np.round(p * self._scale).astype(np.int32) for p in places], (0,))
        around = self._small(steady * np.uint8(255)) > 0.99
        self._steady = around if around.sum() > _STEADY * self._small_seen.sum() else self._small_seen
        self._orb = cv2.ORB.create(nfeatures=700, fastThreshold=12)
        self._words: Any
        self._keys, self._words = self._orb.detectAndCompute(self._taught, self._seen)

    @property
    def trackable(self) -> bool:
        """Whether the taught picture has enough to hold on to."""
        return len(self._corners) >= LEAST_CORNERS

    def fit(self, frame: Frame, guesses: Sequence[Matrix]) -> LookFit | None:
        """The motion taught → now, None where nothing of the taught picture is found. `guesses`: places to try first,
        px of the full frame.
        """
        if not self.trackable:
            return None
        now = self._band(frame)
        small = self._small(now)
        fits = self._tried(now, small, [self._scaled(guess) for guess in guesses])
        best = max(fits, key=lambda f: f.alike, default=None)
        if best is None or best.alike < _ALIKE:
            fits += self._tried(now, small, self._searched(now, small, [self._scaled(g) for g in guesses]))
            best = max(fits, key=lambda f: f.alike, default=None)
        if best is None:
            return None
        if any(self._alike(small, self._scaled(guess)) > best.alike + _WORSE for guess in guesses):
            return None  # what moved was not the rack
        twins = [f for f in fits if f.alike > _TWINS * best.alike and self._apart(f.matrix, best.matrix) > 8]
        return None if twins else best

    def _tried(self, now: Gray, small: Points, guesses: Sequence[Matrix]) -> list[LookFit]:
        """Each guess refined twice: by the corners that lie near where it puts them, and by what most corners do."""
        tried = [self._refined(now, small, guess, reach) for guess in guesses for reach in (_NEAR_PX, np.inf)]
        return [fit for fit in tried if fit is not None]

    def _band(self, picture: Frame) -> Gray:
        gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        if self._scale < 1.0:
            gray = cv2.resize(gray, None, fx=self._scale, fy=self._scale, interpolation=cv2.INTER_AREA)
        log = cv2.log(gray.astype(np.float32) + np.float32(_OFFSET))
        size = (log.shape[1], log.shape[0])
        coarse = cv2.resize(log, (max(size[0] // 8, 1), max(size[1] // 8, 1)), interpolation=cv2.INTER_AREA)
        coarse = cv2.resize(cv2.GaussianBlur(coarse, (0, 0), 2.0), size, interpolation=cv2.INTER_LINEAR)
        fine = cv2.GaussianBlur(log, (0, 0), 1.0) - coarse
        return np.asarray(np.clip(fine * np.float32(160.0) + np.float32(128.0), 0, 255), np.uint8)

    def _small(self, band: Gray) -> Points:
        small = cv2.resize(band, None, fx=self._factor, fy=self._factor, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32) / np.float32(255.0)

    def _scaled(self, matrix: Matrix) -> Matrix:
        s = np.diag([self._scale, self._scale, 1.0])
        return np.asarray(s @ matrix @ np.linalg.inv(s), np.float64)

    def _searched(self, now: Gray, small: Points, starts: Sequence[Matrix]) -> list[Matrix]:
        guesses: list[Matrix] = []
        window = cv2.createHanningWindow((small.shape[1], small.shape[0]), cv2.CV_32F)
        middle = np.float32(128 / 255)
        masked = np.where(self._small_seen, self._small_taught, middle) - middle
        # new arrays on purpose: phaseCorrelate multiplies its arguments by the window in place
        (dx, dy), _ = cv2.phaseCorrelate(masked.astype(np.float32), (small - middle).astype(np.float32), window)
        shift = np.eye(3)
        shift[:2, 2] = dx / self._factor, dy / self._factor
        guesses.append(shift)
        guesses += [start @ shift for start in starts]
        words: Any
        keys, words = self._orb.detectAndCompute(now, None)
        if words is not None and self._words is not None and len(keys) >= LEAST_CORNERS:
            pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(self._words, words)
            if len(pairs) >= LEAST_CORNERS:
                source = np.array([self._keys[m.queryIdx].pt for m in pairs], np.float32)
                target = np.array([keys[m.trainIdx].pt for m in pairs], np.float32)
                found: Any
                found, _ = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=3.0, maxIters=3000)
                if found is not None and np.isfinite(found).all():
                    guesses.append(np.vstack([found, [0.0, 0.0, 1.0]]))
        return guesses

    def _refined(self, now: Gray, small: Points, guess: Matrix, reach: float) -> LookFit | None:
        matrix = guess
        kept, tracked, source, target = np.zeros(0, bool), 1, self._corners, self._corners
        for levels in (3, 1):
            warped = np.asarray(
                cv2.warpPerspective(
                    self._taught,
                    matrix,
                    (now.shape[1], now.shape[0]),
                    borderMode=cv2.BORDER_CONSTANT,
                    borderValue=(128,),
                ),
                np.uint8,
            )
            start = np.asarray(cv2.perspectiveTransform(self._corners, matrix), np.float32)
            found, ok, _ = cv2.calcOpticalFlowPyrLK(
                warped, now, start, start.copy(), winSize=_WINDOW, maxLevel=levels, criteria=_CRITERIA,
                flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            )  # fmt: skip
            good = ok.ravel().astype(bool)
            inside = (found[:, 0] > _EDGE / 2).all(1) & (
                found[:, 0] < np.array([now.shape[1], now.shape[0]]) - _EDGE / 2
            ).all(1)
            good &= inside & (np.abs(found - start)[:, 0].max(1) <= reach)
            tracked = int(good.sum())
            if tracked < LEAST_CORNERS:
                return None
            source, target = self._corners[good], np.asarray(found, np.float32)[good]
            step: Any
            step, inliers = cv2.estimateAffinePartial2D(
                source, target, ransacReprojThreshold=2 * _AGREE_PX if levels == 3 else _AGREE_PX, maxIters=2000
            )
            if step is None or not np.isfinite(step).all():
                return None
            matrix = np.vstack([step, [0.0, 0.0, 1.0]])
            kept = inliers.ravel().astype(bool)
            matrix, kept = self._with_perspective(source, target, matrix, kept)
        if int(kept.sum()) < LEAST_CORNERS:
            return None
        residual = _rms(matrix, source[kept], target[kept]) / self._scale
        s = np.diag([self._scale, self._scale, 1.0])
        full = np.linalg.inv(s) @ matrix @ s
        return LookFit(full, residual, int(kept.sum()), float(kept.sum()) / tracked, self._alike(small, matrix))

    def _with_perspective(
        self, source: Points, target: Points, matrix: Matrix, kept: npt.NDArray[np.bool_]
    ) -> tuple[Matrix, npt.NDArray[np.bool_]]:
        """A homography where it explains clearly more: a plane seen from elsewhere is no turn and shift."""
        if len(source) < 3 * LEAST_CORNERS:
            return matrix, kept
        plane, more = homography(source, target, cv2.RANSAC, _AGREE_PX)
        if plane is None:
            return matrix, kept
        gained = more.sum() > 1.15 * kept.sum()
        closer = more.sum() >= 0.95 * kept.sum() and _rms(plane, source[more], target[more]) < 0.6 * _rms(
            matrix, source[kept], target[kept]
        )
        return (plane, more) if gained or closer else (matrix, kept)

    def _alike(self, small: Points, matrix: Matrix) -> float:
        s = np.diag([self._factor, self._factor, 1.0])
        there = s @ matrix @ np.linalg.inv(s)
        size = (small.shape[1], small.shape[0])
        back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        placed = cv2.warpPerspective(
            small, there, size, flags=back, borderMode=cv2.BORDER_CONSTANT, borderValue=(-1.0,)
        )
        valid = self._steady & (placed >= 0)
        if valid.sum() < 400:
            return 0.0
        a, b = self._small_taught[valid], placed[valid]
        a, b = a - a.mean(), b - b.mean()
        power = float(np.sqrt((a * a).sum() * (b * b).sum()))
        return float((a * b).sum()) / power if power > 1e-9 else 0.0

    @staticmethod
    def _apart(first: Matrix, second: Matrix) -> float:
        probe = np.array([[[200.0, 200.0], [WORK, 200.0], [200.0, WORK / 2]]])
        return float(np.abs(cv2.perspectiveTransform(probe, first) - cv2.perspectiveTransform(probe, second)).max())


def _spread(band: Gray, seen: Gray) -> Points:
    """Corners (N, 1, 2), a few from each part of the picture: one printed box must not outvote the rack."""
    found: Any = cv2.goodFeaturesToTrack(band, 4 * _CORNERS, 0.01, 8, mask=seen)
    if found is None:
        return np.zeros((0, 1, 2), np.float32)
    corners = np.asarray(found, np.float32)  # the strongest first
    cell = max(band.shape) / _PARTS
    taken: dict[tuple[int, int], int] = {}
    kept = []
    for x, y in corners[:, 0]:
        part = (int(x // cell), int(y // cell))
        taken[part] = taken.get(part, 0) + 1
        kept.append(taken[part] <= _PER_PART)
    return np.asarray(corners[np.array(kept)][:_CORNERS], np.float32)


def _rms(matrix: Matrix, source: Points, target: Points) -> float:
    placed = cv2.perspectiveTransform(source.reshape(-1, 1, 2).astype(np.float64), matrix)
    return float(np.sqrt(np.mean(np.sum((placed - target.reshape(-1, 1, 2)) ** 2, axis=2))))
