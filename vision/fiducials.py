"""The printed markers of a rack (ArUco, dictionary 4X4_50): found in a frame, and the plane's motion that they show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from contracts.racks import Markers
from vision.detectors.base import Frame

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]

DICTIONARY: Final = cv2.aruco.DICT_4X4_50
IDS: Final = 50

_ODD_PX: Final = 2.0
"""A marker that stands further than this from where the others put it was moved by itself."""
_SPREAD: Final = 0.15
"""Least ratio of the markers' extents: on one line they tell no perspective."""
_TAUGHT_PX: Final = 8.0
_USUAL: Final = 4


@dataclass(frozen=True)
class Marker:
    """One marker in a frame: its number and corners, (4, 2) float32 px, from its own top left, clockwise."""

    id: int
    corners: Points

    @property
    def centre(self) -> Points:
        """Where its diagonals cross, (2,)."""
        a, b, c, d = self.corners.astype(np.float64)
        matrix = np.array([c - a, b - d]).T
        share = np.linalg.solve(matrix, b - a)[0]
        return np.asarray(a + share * (c - a), np.float32)


@dataclass(frozen=True)
class MarkerFit:
    """What the markers say.

    Attributes:
        matrix: (3, 3) taught → now.
        residual_px: RMS over the markers' corners.
        seen: markers that carry it.
        model: how much they could tell.
        odd: markers that stand elsewhere than the others say, and were left out.
    """

    matrix: Matrix
    residual_px: float
    seen: int
    model: str
    odd: tuple[int, ...] = ()


def _detector() -> cv2.aruco.ArucoDetector:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    parameters.minMarkerPerimeterRate = 0.02
    return cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(DICTIONARY), parameters)


def find_markers(frame: Frame, wanted: Collection[int] | None = None) -> list[Marker]:
    """The markers in `frame`, corners to a fraction of a px; a number may come twice when two sheets carry it.

    Those of other racks are left out when `wanted` says ours. What is missing is searched once more in a softened,
    evened picture (noise, darkness).
    """
    gray = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
    found = _detected(gray, wanted)
    if len({m.id for m in found}) < (_USUAL if wanted is None else len(set(wanted))):
        level = float(np.percentile(gray[::8, ::8], 98))
        even = cv2.convertScaleAbs(cv2.GaussianBlur(gray, (0, 0), 1.3), alpha=min(20.0, 230.0 / max(level, 4.0)))
        have = {m.id for m in found}
        found += [m for m in _detected(np.asarray(even, np.uint8), wanted) if m.id not in have]
    return found


def _detected(gray: npt.NDArray[np.uint8], wanted: Collection[int] | None) -> list[Marker]:
    corners, ids, _ = _detector().detectMarkers(gray)
    if not corners:
        return []
    found = [Marker(int(i), np.asarray(c[0], np.float32)) for c, i in zip(corners, ids.ravel(), strict=True)]
    return [m for m in found if wanted is None or m.id in wanted]


class TaughtMarkers:
    """Where a rack's markers stood when it was taught.

    Args:
        markers: the description's.
        picture: the taught picture; the corners found there are used where they agree with the description.
    """

    def __init__(self, markers: Markers, picture: Frame | None) -> None:
        self.ids = tuple(markers.ids)
        self.centres = {i: np.array(c, np.float32) for i, c in zip(markers.ids, markers.centres, strict=True)}
        self.now = dict(self.centres)
        """Where they stand now, px: moved by `follow`."""
        self._corners: dict[int, Points] = {}
        if picture is not None:
            for marker in find_markers(picture, self.ids):
                if np.linalg.norm(marker.centre - self.centres[marker.id]) <= _TAUGHT_PX:
                    self._corners[marker.id] = marker.corners

    @property
    def certain(self) -> int:
        """Markers that are seen in the taught picture where the description puts them."""
        return len(self._corners)

    def follow(self, homography: Matrix) -> None:
        """Expect them where the rack lies now, taught → now."""
        for i, centre in self.centres.items():
            there = cv2.perspectiveTransform(centre.reshape(1, 1, 2).astype(np.float64), homography)
            self.now[i] = np.asarray(there[0, 0], np.float32)

    @property
    def side(self) -> float:
        """Longest side of a marker in the taught picture, px; 64 where none was seen in it."""
        sides = [float(np.linalg.norm(np.roll(c, 1, axis=0) - c, axis=1).max()) for c in self._corners.values()]
        return max(sides, default=64.0)

    def fit(self, found: Sequence[Marker], expected: Matrix) -> MarkerFit | None:
        """The motion that the markers found show, None from fewer than two. `expected`: the last matrix, to choose
        between two markers of one number.
        """
        chosen = self._one_each(found, expected)
        if len(chosen) < 2:
            return None
        fit = self._fitted(chosen)
        if fit is None or fit.residual_px <= _ODD_PX or len(chosen) < 4:
            return fit
        without = []
        for odd in chosen:
            rest = [m for m in chosen if m is not odd]
            source, target = self._points(rest)
            stiff = _similarity(source, target)
            if stiff is not None:
                without.append((_rms(stiff, source, target), odd.id, rest))
        best = min(without, key=lambda w: w[0], default=None)
        if best is None or best[0] > min(_ODD_PX, fit.residual_px / 2):
            return fit
        again = self._fitted(best[2])
        return fit if again is None else MarkerFit(again.matrix, again.residual_px, again.seen, again.model, (best[1],))

    def fit_from_now(self, found: Sequence[Marker]) -> MarkerFit | None:
        """The shift, turn and scale that the markers found show from where they stand now (`follow`), from one on."""
        chosen = self._one_each(found, np.eye(3))
        source, target = [], []
        for m in chosen:
            taught = self._corners.get(m.id)
            here = self.now[m.id]
            source.append(here[None] if taught is None else taught - self.centres[m.id] + here)
            target.append(m.centre[None] if taught is None else m.corners)
        if not chosen:
            return None
        start, end = np.concatenate(source), np.concatenate(target)
        matrix = _similarity(start, end)
        return None if matrix is None else MarkerFit(matrix, _rms(matrix, start, end), len(chosen), "similarity")

    def _one_each(self, found: Sequence[Marker], expected: Matrix) -> list[Marker]:
        chosen = []
        for i in self.ids:
            same = [m for m in found if m.id == i]
            if same:
                there = cv2.perspectiveTransform(self.centres[i].reshape(1, 1, 2), expected)[0, 0]
                chosen.append(min(same, key=lambda m: float(np.linalg.norm(m.centre - there))))
        return chosen

    def _points(self, markers: Sequence[Marker]) -> tuple[Points, Points]:
        source, target = [], []
        for m in markers:
            taught = self._corners.get(m.id)
            source.append(self.centres[m.id][None] if taught is None else taught)
            target.append(m.centre[None] if taught is None else m.corners)
        return np.concatenate(source), np.concatenate(target)

    def _fitted(self, markers: Sequence[Marker]) -> MarkerFit | None:
        source, target = self._points(markers)
        centres = np.array([self.centres[m.id] for m in markers])
        extent = np.linalg.svd(centres - centres.mean(0), compute_uv=False)
        flat = extent[1] < _SPREAD * extent[0]
        matrix: Matrix | None = None
        if len(markers) >= 4 and not flat:
            matrix, model = homography(source, target, 0, 3.0)[0], "homography"
        elif len(markers) >= 3 and not flat:
            ones = np.concatenate([source, np.ones((len(source), 1), np.float32)], axis=1).astype(np.float64)
            rows = np.linalg.lstsq(ones, target.astype(np.float64), rcond=None)[0].T
            matrix, model = np.vstack([rows, [0.0, 0.0, 1.0]]), "affine"
        else:
            matrix, model = _similarity(source, target), "similarity"
        if matrix is None or not np.isfinite(matrix).all():
            return None
        return MarkerFit(matrix, _rms(matrix, source, target), len(markers), model)


def homography(
    source: Points, target: Points, method: int, agree_px: float
) -> tuple[Matrix | None, npt.NDArray[np.bool_]]:
    """OpenCV's, with what its type stub leaves out: it finds none in points that lie on a line."""
    found: Any
    found, inliers = cv2.findHomography(source, target, method, agree_px)
    if found is None or not np.isfinite(found).all():
        return None, np.zeros(len(source), bool)
    return np.asarray(found, np.float64), inliers.ravel().astype(bool)


def _similarity(source: Points, target: Points) -> Matrix | None:
    """Least-squares turn, scale and shift."""
    z = source[:, 0].astype(np.complex128) + 1j * source[:, 1]
    w = target[:, 0].astype(np.complex128) + 1j * target[:, 1]
    z0, w0 = z.mean(), w.mean()
    power = float((np.abs(z - z0) ** 2).sum())
    if power < 1e-6:
        return None
    a = (np.conj(z - z0) * (w - w0)).sum() / power
    b = w0 - a * z0
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1]], np.float64)


def _rms(matrix: Matrix, source: Points, target: Points) -> float:
    placed = cv2.perspectiveTransform(source[None].astype(np.float64), matrix)[0]
    return float(np.sqrt(np.mean(np.sum((placed - target) ** 2, axis=1))))
