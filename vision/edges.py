"""The rack's own edges, as they were taught: what hides or blurs them, over the whole picture.

Small patches at the camera's own resolution where the taught picture has texture beside its places. What lies in a
place comes and goes, and is the slot judge's business.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame
from vision.fiducials import TaughtMarkers
from vision.slots import Rack

Plane = npt.NDArray[np.float32]
Hidden = tuple[bool, str]
"""Whether, and what was seen."""

_PATCH: Final = 32
_PATCHES: Final = 60
_RIM_PX: Final = 7  # of a place, its own edge
_LEAST_PATCHES: Final = 8
_LEAST_EDGE: Final = 8.0  # grey levels
_LEAST_AROUND: Final = 160  # px of a patch beside the places
HIDDEN_SHARE: Final = 0.15
"""Of the taught edges: as many hidden or blurred are told, fewer are the judge's business, place by place."""
_HIDDEN_BACK: Final = 0.08
_LOST_SHARP: Final = 0.6  # of the taught contrast of edges, the light taken off
_COVERED_SHARE: Final = 0.5
_MORE_EDGE: Final = 1.6  # dirt makes no edge sharper
_OTHER_TONE: Final = 0.35  # of ln(intensity)
_CELL: Final = 8  # of every second px
_NEW_SHARE: Final = 0.0015
_FRONT_SHARE: Final = 0.0004  # nothing of the rack is left: a drawer's plain front has a handle, a cover has nothing
_NEW_EDGE: Final = 0.2  # of the level
_OVER_NOISE: Final = 3.0
_ASIDE: Final = 0.75  # of the taught edge, at most 40 px aside


class TaughtEdges:
    """The taught picture's edges and where to look for them.

    Args:
        rack: its places are left out.
        picture: the taught one, (H, W, 3).
        seen: (H, W), 1 inside the outline.
        markers: left out too.
        level: the picture's median grey level.
    """

    def __init__(
        self, rack: Rack, picture: Frame, seen: npt.NDArray[np.uint8], markers: TaughtMarkers | None, level: float
    ) -> None:
        self._rack, self._level = rack, level
        self._shape = (picture.shape[0], picture.shape[1])
        self._spots = self._choose(picture, seen, markers)
        self._taught_spots = self._spots
        self._around = self._around_places()
        size = self._around.shape[1]
        self._middles = np.minimum(size - self._around.sum(1, keepdims=True) // 2, size - 1)
        self._mosaic = np.zeros((_PATCH, _PATCH * max(len(self._spots), 1)), np.uint8)
        self._taught_edges, self._taught_tones, _ = self._edges(picture)
        self._telling = (self._taught_edges > _LEAST_EDGE) & (self._around.sum(1) > _LEAST_AROUND)
        inside = cv2.erode(seen, np.ones((9, 9), np.uint8))
        whole = (_pooled(1.0 - inside[::2, ::2].astype(np.float32)) == 0).astype(np.uint8)
        self._seen_cells = whole.astype(bool)  # the paint's own edge changes with the light
        cells = self._cells(picture)
        self._taught_cells = cv2.dilate(cells, np.ones((3, 3), np.uint8))
        self._taught_near = self._near(cells, 3)

    def follow(self, homography: npt.NDArray[np.float64]) -> None:
        """Look where the rack lies now, taught → now."""
        if self._taught_spots:
            limit = np.array([self._shape[1], self._shape[0]]) - _PATCH
            corners = np.array(self._taught_spots, np.float64)[None]
            moved = np.clip(np.round(cv2.perspectiveTransform(corners, homography)[0]), 0, limit).astype(int)
            self._spots = [(int(x), int(y)) for x, y in moved]

    def hidden(self, frame: Frame, level: float, *, still: bool, already: bool) -> tuple[Hidden, Hidden]:
        """Covered: taught edges are gone under another tone. Dirty: they are softer, the tone stays.

        Args:
            frame: (H, W, 3), of the taught size.
            level: its median grey level.
            still: nothing moves in it.
            already: one of both is said now: it ends later than it began.
        """
        nothing = (False, "")
        if len(self._spots) < _LEAST_PATCHES:
            return nothing, nothing
        edges, tones, noise = self._edges(frame)
        telling = self._telling & (self._taught_edges > noise)
        if telling.sum() < _LEAST_PATCHES:
            return nothing, nothing
        edges, tones, taught, taught_tones = (
            values[telling] for values in (edges, tones, self._taught_edges, self._taught_tones)
        )
        ratio = edges / np.maximum(taught, 1.0)
        tone = (tones + 8.0) / (taught_tones + 8.0)
        sharpest = float(np.percentile(ratio, 92))
        # what half a cover does to the median is no change of light: the sharpest patches say how much there is
        gain = max(level / max(self._level, 1.0), min(sharpest, 1.0), 0.02)
        gone = (ratio < _LOST_SHARP * gain) & (ratio < _LOST_SHARP * tone)  # a shadow takes edge and tone alike
        lost = float(gone.mean())
        detail = f"{100 * lost:.0f} % of the taught edges are hidden or blurred"
        if lost < (_HIDDEN_BACK if already else HIDDEN_SHARE) or sharpest > _MORE_EDGE * max(gain, 1.0):
            return nothing, nothing
        if not (still or already or lost >= _COVERED_SHARE) or self._has_other_edges(frame, gain, telling, gone):
            return nothing, nothing
        # grease keeps what is light and dark, something before the lens has its own tone
        other = float(np.median(np.abs(np.log(tone[gone] / gain)))) > _OTHER_TONE
        if lost >= _COVERED_SHARE:
            other |= _correlation(tones[gone], taught_tones[gone]) < 0.5
        return ((True, detail), nothing) if other else (nothing, (True, detail))

    def _has_other_edges(
        self, frame: Frame, gain: float, telling: npt.NDArray[np.bool_], gone: npt.NDArray[np.bool_]
    ) -> bool:
        """Sharp edges where there were none, or those that are gone close by: something lies over the rack, a drawer's
        front is seen, or the camera was pushed; no dirt and no cover before the lens does that.
        """
        least = _NEW_EDGE * max(self._level, 4.0)
        cells = self._cells(frame)
        noise = float(np.percentile(cells[self._seen_cells], 10)) if self._seen_cells.any() else 0.0
        new = (cells / np.float32(gain) - self._taught_cells > least) & (cells > _OVER_NOISE * noise + 4.0)
        share = _NEW_SHARE if gone.mean() < 0.9 else _FRONT_SHARE
        if (new & self._seen_cells).sum() > share * self._seen_cells.sum():
            return True
        aside = self._near(cells, 5)[telling][gone] / np.maximum(gain * self._taught_near[telling][gone], 1.0)
        return float(np.median(aside)) > _ASIDE

    def _near(self, cells: Plane, reach: int) -> Plane:
        """The strongest edge around each patch, `reach` cells wide."""
        strongest = cv2.dilate(cells, np.ones((reach, reach), np.uint8))
        middles = (np.array(self._spots, int).reshape(-1, 2) + _PATCH // 2) // (2 * _CELL)
        rows, columns = (np.clip(middles[:, i], 0, cells.shape[1 - i] - 1) for i in (1, 0))
        return np.asarray(strongest[rows, columns], np.float32)

    def _cells(self, picture: Frame) -> Plane:
        """The strongest edge in each cell of every second row and column of the picture, grey levels."""
        soft = cv2.blur(np.ascontiguousarray(picture[::2, ::2, 1]), (3, 3))
        edge = np.zeros(soft.shape, np.float32)
        edge[1:-1] = cv2.absdiff(soft[2:], soft[:-2])
        edge[:, 1:-1] = np.maximum(edge[:, 1:-1], cv2.absdiff(soft[:, 2:], soft[:, :-2]))
        return _pooled(edge)

    def _edges(self, frame: Frame) -> tuple[Plane, Plane, Plane]:
        """Contrast of edges in each patch, what noise adds taken off, its mean tone, and the noise; grey levels."""
        for i, (x, y) in enumerate(self._spots):
            self._mosaic[:, i * _PATCH : (i + 1) * _PATCH] = frame[y : y + _PATCH, x : x + _PATCH, 1]
        soft = cv2.blur(self._mosaic, (3, 3))
        # noise is alike in all directions and weak after the blur: the strongest twentieth is the rack's own edge
        step = cv2.absdiff(soft[2:], soft[:-2]).astype(np.float32)
        patches = step.reshape(_PATCH - 2, -1, _PATCH).transpose(1, 0, 2)[..., 2:-2].reshape(len(self._around), -1)
        ordered = np.sort(np.where(self._around, patches, -1.0), axis=1)
        top = ordered[:, -40:].mean(1)
        base = np.float32(3.0) * np.take_along_axis(ordered, self._middles, axis=1)[:, 0]
        tones = self._mosaic.reshape(_PATCH, -1, _PATCH).mean(axis=(0, 2))
        return (
            np.asarray(np.sqrt(np.maximum(top * top - base * base, 0.0)), np.float32),
            np.asarray(tones, np.float32),
            base,
        )

    def _places(self) -> npt.NDArray[np.uint8]:
        """(H, W), 1 where things come and go."""
        places = np.zeros(self._shape, np.uint8)
        for slot in self._rack.slots:
            cv2.fillPoly(places, [np.round(slot.polygon).astype(np.int32)], (1,))
        return cv2.erode(places, np.ones((_RIM_PX, _RIM_PX), np.uint8)).astype(np.uint8)

    def _around_places(self) -> npt.NDArray[np.bool_]:
        """(patches, px): what of each patch lies beside the places, on the rack itself."""
        places = self._places()
        cuts = [places[y + 1 : y + _PATCH - 1, x + 2 : x + _PATCH - 2] == 0 for x, y in self._spots]
        size = (_PATCH - 2) * (_PATCH - 4)
        return np.array(cuts, bool).reshape(-1, size) if cuts else np.ones((1, size), bool)

    def _choose(
        self, picture: Frame, seen: npt.NDArray[np.uint8], markers: TaughtMarkers | None
    ) -> list[tuple[int, int]]:
        """Where to look for sharpness: the strongest edges of the taught rack beside its places, one to a cell."""
        inner = cv2.erode(seen, np.ones((9, 9), np.uint8))
        for centre in {} if markers is None else markers.centres.values():
            x, y = (int(v) for v in centre)  # the sharpest edges of all, and one sheet hides them
            reach = int(markers.side) if markers is not None else 0
            inner[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach] = 0
        soft = cv2.blur(picture[..., 1], (3, 3))
        edge = np.zeros(soft.shape, np.float32)
        edge[1:-1] = cv2.absdiff(soft[2:], soft[:-2])
        edge[self._places() > 0] = 0
        found = []
        height, width = soft.shape
        cell = _PATCH * 2
        for y in range(0, height - cell + 1, cell):
            for x in range(0, width - cell + 1, cell):
                if not inner[y : y + cell, x : x + cell].all() or not edge[y : y + cell, x : x + cell].any():
                    continue
                row, column = np.unravel_index(int(edge[y : y + cell, x : x + cell].argmax()), (cell, cell))
                left = int(np.clip(x + column - _PATCH // 2, 0, width - _PATCH))
                top = int(np.clip(y + row - _PATCH // 2, 0, height - _PATCH))
                strength = float(edge[y + row, x + column])
                if strength > 6:
                    found.append((-strength, left, top))
        found.sort()
        return [(left, top) for _, left, top in found[:_PATCHES]]


def _correlation(first: Plane, second: Plane) -> float:
    """Of two rows of numbers; 0 where one of them is even."""
    a, b = first - first.mean(), second - second.mean()
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / power if power > 1e-6 else 0.0


def _pooled(plane: Plane) -> Plane:
    """The largest value of each cell."""
    height, width = plane.shape[0] // _CELL * _CELL, plane.shape[1] // _CELL * _CELL
    cells = plane[:height, :width].reshape(height // _CELL, _CELL, width // _CELL, _CELL)
    return np.asarray(cells.max(axis=(1, 3)), np.float32)
