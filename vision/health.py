"""Whether a camera can be believed: dark, covered, frozen, flickering, dirty, or the drawer is not open.

What is wrong with the picture is said before what it shows: a drawer is closed only where the camera is healthy.

Every frame is sampled, not read: a coarse grid for light, and now and then the taught edges (`vision.edges`). Each
judgement begins and ends only after a while; what is suspected meanwhile is said too, so that nothing is settled on a
doubtful frame.
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
from vision.edges import Hidden, TaughtEdges
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
_FLICKER: Final = 0.06  # of the level, RMS
_FLICKER_BACK: Final = 0.035
_FLICKER_TURNS: Final = 3
_FLICKER_S: Final = 3.0
_EV_TOLD: Final = 0.5
_TINT_TOLD: Final = 0.12
_GRID: Final = (96, 54)
_HIDDEN_EVERY_S: Final = 0.5


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
        self._hidden: tuple[Hidden, Hidden] = ((False, ""), (False, ""))
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
        small = np.asarray(picture[self._grid], np.uint8)
        self._taught_colour = self._colour(small, self._level(small))
        self._edges = TaughtEdges(self.rack, picture, seen, self._markers, float(self._taught_colour[3]))
        self._ready = True

    def follow(self, homography: npt.NDArray[np.float64]) -> None:
        """Look where the rack lies now, taught → now: after a fix that stands."""
        if not self._ready or self._shape is None:
            return
        self._edges.follow(homography)
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
            self._hidden, self._hidden_at = self._is_hidden(frame, level, still=still), ts
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

    def _is_hidden(self, frame: Frame, level: float, *, still: bool) -> tuple[Hidden, Hidden]:
        if level < DARK_LEVEL:
            return (False, ""), (False, "")
        already = self._timers["covered"].on or self._timers["dirty"].on
        return self._edges.hidden(frame, level, still=still, already=already)


def _turns(signal: Plane, least: float) -> int:
    """How often it goes from above `least` to below its negative, or back; one step of light is one."""
    beyond = np.sign(signal[np.abs(signal) > least])
    return int((np.diff(beyond) != 0).sum())
