"""Whether a camera can be believed: dark, covered, frozen, flickering, dirty, or the drawer is not open.

What is wrong with the picture is said before what it shows: a drawer is closed only where the camera is healthy.

Every frame is sampled, not read: a coarse grid for light, and now and then small patches at the camera's own
resolution where the taught picture has texture, for sharpness. Each judgement begins and ends only after a while; what
is suspected meanwhile is said too, so that nothing is settled on a doubtful frame.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame
from vision.drawers import DrawerEye, DrawerState
from vision.fiducials import TaughtMarkers
from vision.privacy import Outline
from vision.slots import Rack

Code = Literal["ok", "dark", "covered", "frozen", "dirty", "flicker", "closed", "moved"]
Plane = npt.NDArray[np.float32]

BEGINS_S: Final[dict[Code, float]] = {
    "dark": 1.0, "frozen": 2.0, "covered": 2.0, "dirty": 2.5, "flicker": 2.0, "moved": 0.0, "closed": 0.6,
}  # fmt: skip
"""How long each is seen before it is said, s, in order of rank."""

ENDS_S: Final[dict[Code, float]] = {
    "dark": 1.0, "frozen": 0.4, "covered": 1.0, "dirty": 3.0, "flicker": 3.0, "moved": 0.4, "closed": 0.6,
}  # fmt: skip

REPEATS_S: Final = 15.0
"""A compressed stream may repeat a still picture until its next key frame. One that was seen to do so is frozen only
after this, s."""
_REPEAT_S, _REPEATS, _REPEATS_IN_S = 1.2, 2, 120.0

DARK_LEVEL: Final = 10.0
"""Median grey level under which nothing can be told."""
_DARK_BACK: Final = 16.0
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
_FLICKER: Final = 0.06  # of the level, RMS
_FLICKER_BACK: Final = 0.035
_FLICKER_TURNS: Final = 3
_FLICKER_S: Final = 3.0
_EV_TOLD: Final = 0.5
_TINT_TOLD: Final = 0.12
_GRID: Final = (96, 54)
_HIDDEN_EVERY_S: Final = 0.5
_OTHER_TONE: Final = 0.35  # of ln(intensity)
_CELL: Final = 8  # of every second px
_NEW_SHARE: Final = 0.0015
_FRONT_SHARE: Final = 0.0004  # nothing of the rack is left: a drawer's plain front has a handle, a cover has nothing
_NEW_EDGE: Final = 0.2  # of the level
_OVER_NOISE: Final = 3.0
_ASIDE: Final = 0.75  # of the taught edge, at most 40 px aside


@dataclass(frozen=True)
class Condition:
    """What can be said of a camera now.

    Attributes:
        code: ok, or why it cannot be believed.
        since: from when, s, the frames' clock.
        detail: what it saw, English, with figures.
        suspect: a code that is seen but not yet for long enough; nothing should be settled meanwhile.
        exposure_ev: how much lighter the picture is than the taught one, in stops; told, never blind.
        tint: largest change of a colour's share against the taught one, 0..1.
        light_changed: `exposure_ev` or `tint` is beyond what is expected of a locked camera under its own lamp.
        drawer: for a drawer, by its markers.
    """

    code: Code
    since: float
    detail: str = ""
    suspect: Code = "ok"
    exposure_ev: float = 0.0
    tint: float = 0.0
    light_changed: bool = False
    drawer: DrawerState | None = None


@dataclass
class _Timer:
    """A judgement that begins and ends late."""

    on: bool = False
    since: float = 0.0
    turned: float | None = None
    detail: str = ""


class Health:
    """Judges the frames of one camera, cut to the rack's outline.

    Args:
        rack: outline, markers, whether it is a drawer.
        picture: the taught picture; without one, the first frame that is not dark.
    """

    def __init__(self, rack: Rack, picture: Frame | None = None) -> None:
        self.rack = rack
        self._timers: dict[Code, _Timer] = {code: _Timer() for code in BEGINS_S}
        self._shape: tuple[int, int] | None = None
        self._last: npt.NDArray[np.uint8] | None = None
        self._same_since: float | None = None
        self._levels: deque[tuple[float, Plane]] = deque(maxlen=150)
        self._since = 0.0
        self._code: Code = "ok"
        self._drawer: DrawerEye | None = None
        self._healthy = True
        self._repeats: deque[float] = deque(maxlen=_REPEATS)
        self._hidden: tuple[tuple[bool, str], tuple[bool, str]] = ((False, ""), (False, ""))
        self._hidden_at = float("-inf")
        self._markers: TaughtMarkers | None = None
        self._ready = False
        if picture is not None:
            self.teach(picture)

    def teach(self, picture: Frame) -> None:
        """Take (H, W, 3) as how it looks when all is well: at teaching, and when a person changed light or places."""
        self._shape = (picture.shape[0], picture.shape[1])
        seen = Outline(self.rack, picture.shape).mask
        if self.rack.markers is not None:
            self._markers = TaughtMarkers(self.rack.markers, picture)
            if self.rack.drawer is not None:
                places = [slot.polygon for slot in self.rack.slots]
                self._drawer = DrawerEye(self._markers, picture, seen, places, self.rack.drawer.tolerance_px)
        rows = np.linspace(0, self._shape[0] - 1, _GRID[1]).astype(np.intp)
        columns = np.linspace(0, self._shape[1] - 1, _GRID[0]).astype(np.intp)
        self._grid = np.ix_(rows, columns)
        inside = cv2.erode(seen, np.ones((9, 9), np.uint8))
        self._inside = inside[self._grid].astype(bool)
        if not self._inside.any():
            self._inside[:] = True
        self._row_share = self._inside.mean(1) > 0.3
        self._spots = self._choose(picture, seen)
        self._taught_spots = self._spots
        self._around = self._around_places()
        size = self._around.shape[1]
        self._middles = np.minimum(size - self._around.sum(1, keepdims=True) // 2, size - 1)
        self._mosaic = np.zeros((_PATCH, _PATCH * max(len(self._spots), 1)), np.uint8)
        small = np.asarray(picture[self._grid], np.uint8)
        self._taught_edges, self._taught_tones, _ = self._edges(picture)
        self._telling = (self._taught_edges > _LEAST_EDGE) & (self._around.sum(1) > _LEAST_AROUND)
        self._taught_colour = self._colour(small, self._level(small))
        whole = (_pooled(1.0 - inside[::2, ::2].astype(np.float32)) == 0).astype(np.uint8)
        self._seen_cells = whole.astype(bool)  # the paint's own edge changes with the light
        cells = self._cells(picture)
        self._taught_cells = cv2.dilate(cells, np.ones((3, 3), np.uint8))
        self._taught_near = self._near(cells, 3)
        self._ready = True

    def follow(self, homography: npt.NDArray[np.float64]) -> None:
        """Look where the rack lies now, taught → now: after a fix that stands."""
        if not self._ready or self._shape is None:
            return
        limit = np.array([self._shape[1], self._shape[0]]) - _PATCH
        if self._taught_spots:
            corners = np.array(self._taught_spots, np.float64)[None]
            moved = np.clip(np.round(cv2.perspectiveTransform(corners, homography)[0]), 0, limit).astype(int)
            self._spots = [(int(x), int(y)) for x, y in moved]
        if self._markers is not None:
            self._markers.follow(homography)
        if self._drawer is not None:
            self._drawer.follow(homography)

    def look(self, frame: Frame, ts: float, still: bool = True) -> Condition:
        """Judge one frame.

        Args:
            frame: (H, W, 3) as it left the capture step.
            ts: monotonic time, s.
            still: nothing moves in it; a covering is believed more slowly while something does.
        """
        if self._shape != frame.shape[:2] and self._shape is not None and self._ready:
            self._ready = False
            self._last = None
        if not self._ready:
            if float(np.median(frame[::16, ::16, 1])) < _DARK_BACK:
                return self._said(ts, {"dark": (True, "dark since the start")}, 0.0, 0.0)
            self.teach(frame)
        small = np.asarray(frame[self._grid], np.uint8)
        level = self._level(small)
        seen: dict[Code, tuple[bool, str]] = {
            "dark": self._is_dark(level),
            "frozen": self._is_frozen(frame, ts),
            "flicker": self._is_flickering(small, ts),
        }
        if not 0 <= ts - self._hidden_at < _HIDDEN_EVERY_S:
            self._hidden, self._hidden_at = self._is_hidden(frame, level, still), ts
        seen["covered"], seen["dirty"] = self._hidden
        if self._drawer is not None:
            healthy = not any(seen[code][0] for code in ("dark", "frozen", "covered", "dirty"))
            if healthy:
                if not self._healthy:
                    self._drawer.hurry()
                self._drawer.look(frame, ts, still)
            self._healthy = healthy
            state, detail = self._drawer.state, f"drawer {self._drawer.state}: {self._drawer.detail}"
            seen["closed"] = (healthy and state in ("partial", "closed"), detail)
            seen["moved"] = (healthy and state == "moved", detail)
        colour = self._colour(small, level)
        ev = float(np.log2(max(level, 1.0) / max(float(self._taught_colour[3]), 1.0)))
        tint = float(np.abs(colour[:3] - self._taught_colour[:3]).max())
        return self._said(ts, seen, ev, tint, still)

    def _others(self) -> list[_Timer]:
        """Of what hides a drawer."""
        return [self._timers[code] for code in ("dark", "covered", "dirty")]

    def _said(
        self, ts: float, seen: dict[Code, tuple[bool, str]], ev: float, tint: float, still: bool = True
    ) -> Condition:
        suspect: Code = "ok"
        for code, (now, detail) in seen.items():
            timer = self._timers[code]
            if now:
                timer.detail = detail
            if now == timer.on:
                timer.turned = None
                continue
            if timer.turned is None:
                timer.turned = ts
            waits = ENDS_S[code] if timer.on else BEGINS_S[code] * (1.0 if still or code != "covered" else 1.5)
            began = timer.turned
            if code == "frozen" and now:
                began, waits = ts, 0.0  # its own clock ran already
            if code == "closed" and timer.on and not now and any(t.turned is not None for t in self._others()):
                waits = max(waits, 4.0)  # until what hides the drawer is told: it did not open meanwhile
            if ts - began >= waits:
                timer.on, timer.since, timer.turned = now, began, None
        for code in reversed(BEGINS_S):
            if self._timers[code].turned is not None and not self._timers[code].on:
                suspect = code
        code = next((c for c in BEGINS_S if self._timers[c].on), "ok")
        if code != self._code:
            self._code, self._since = code, self._timers[code].since if code != "ok" else ts
        changed = abs(ev) > _EV_TOLD or tint > _TINT_TOLD
        detail = self._timers[code].detail if code != "ok" else ""
        if code == "ok" and changed:
            detail = f"exposure {ev:+.1f} stops, colour {tint:.2f} from the taught picture"
        return Condition(
            code, self._since, detail, suspect, ev, tint, changed, None if self._drawer is None else self._drawer.state
        )

    def _level(self, small: Frame) -> float:
        return float(np.median(small[..., 1][self._inside]))

    def _colour(self, small: Frame, level: float) -> npt.NDArray[np.float64]:
        """Share of each colour, and the level."""
        mean = small[self._inside].mean(0)
        return np.append(mean / max(float(mean.sum()), 1.0), level)

    def _is_dark(self, level: float) -> tuple[bool, str]:
        limit = _DARK_BACK if self._timers["dark"].on else DARK_LEVEL
        return level < limit, f"median level {level:.0f} of 255"

    def _is_frozen(self, frame: Frame, ts: float) -> tuple[bool, str]:
        """A live sensor has noise: the same sampled pixels again and again are a picture that is repeated."""
        sample = frame[3::16, 5::16].copy()
        lasted = 0.0 if self._same_since is None else ts - self._same_since
        if self._last is None or self._last.shape != sample.shape or not np.array_equal(sample, self._last):
            if lasted >= _REPEAT_S:
                self._repeats.append(ts)
            self._last, self._same_since = sample, ts
            return False, ""
        usual = len(self._repeats) == _REPEATS and 0 <= ts - self._repeats[0] < _REPEATS_IN_S
        return lasted >= (REPEATS_S if usual else BEGINS_S["frozen"]), f"the same picture for {lasted:.0f} s"

    def _is_flickering(self, small: Frame, ts: float) -> tuple[bool, str]:
        """Light that goes up and down, over the picture or in bands: medians of rows, which a hand does not move."""
        if self._levels and ts <= self._levels[-1][0]:
            self._levels.clear()
        self._levels.append((ts, np.median(small[self._row_share][:, ::2, 1], axis=1).astype(np.float32)))
        while self._levels[-1][0] - self._levels[0][0] > _FLICKER_S:
            self._levels.popleft()
        if len(self._levels) < 8 or self._levels[-1][0] - self._levels[0][0] < 0.5 * _FLICKER_S:
            return self._timers["flicker"].on, self._timers["flicker"].detail
        rows = np.log(np.stack([level for _, level in self._levels]) + 4.0)
        rows -= rows.mean(0)
        swing = float(np.median(rows.std(0)))
        limit = _FLICKER_BACK if self._timers["flicker"].on else _FLICKER
        if swing <= limit:
            return False, ""
        turns = float(np.median([_turns(row, swing / 2) for row in rows.T[:: max(rows.shape[1] // 8, 1)]]))
        return turns >= _FLICKER_TURNS, f"light swings by {100 * swing:.0f} %"

    def _is_hidden(self, frame: Frame, level: float, still: bool) -> tuple[tuple[bool, str], tuple[bool, str]]:
        """Covered: taught edges are gone under another tone. Dirty: they are softer, the tone stays."""
        nothing = (False, "")
        if len(self._spots) < _LEAST_PATCHES or level < DARK_LEVEL:
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
        gain = max(level / max(float(self._taught_colour[3]), 1.0), min(sharpest, 1.0), 0.02)
        gone = (ratio < _LOST_SHARP * gain) & (ratio < _LOST_SHARP * tone)  # a shadow takes edge and tone alike
        lost = float(gone.mean())
        on = self._timers["covered"].on or self._timers["dirty"].on
        detail = f"{100 * lost:.0f} % of the taught edges are hidden or blurred"
        if lost < (_HIDDEN_BACK if on else HIDDEN_SHARE) or sharpest > _MORE_EDGE * max(gain, 1.0):
            return nothing, nothing
        if not (still or on or lost >= _COVERED_SHARE) or self._has_other_edges(frame, gain, telling, gone):
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
        least = _NEW_EDGE * max(float(self._taught_colour[3]), 4.0)
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
        places = np.zeros(self._shape or (1, 1), np.uint8)
        for slot in self.rack.slots:
            cv2.fillPoly(places, [np.round(slot.polygon).astype(np.int32)], (1,))
        return cv2.erode(places, np.ones((_RIM_PX, _RIM_PX), np.uint8)).astype(np.uint8)

    def _around_places(self) -> npt.NDArray[np.bool_]:
        """(patches, px): what of each patch lies beside the places, on the rack itself."""
        places = self._places()
        cuts = [places[y + 1 : y + _PATCH - 1, x + 2 : x + _PATCH - 2] == 0 for x, y in self._spots]
        size = (_PATCH - 2) * (_PATCH - 4)
        return np.array(cuts, bool).reshape(-1, size) if cuts else np.ones((1, size), bool)

    def _choose(self, picture: Frame, seen: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
        """Where to look for sharpness: the strongest edges of the taught rack beside its places, one to a cell."""
        inner = cv2.erode(seen, np.ones((9, 9), np.uint8))
        for centre in {} if self._markers is None else self._markers.centres.values():
            x, y = (int(v) for v in centre)  # the sharpest edges of all, and one sheet hides them
            reach = int(self._markers.side) if self._markers is not None else 0
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


def _turns(signal: Plane, least: float) -> int:
    """How often it goes from above `least` to below its negative, or back; one step of light is one."""
    beyond = np.sign(signal[np.abs(signal) > least])
    return int((np.diff(beyond) != 0).sum())


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
