"""What the machine is doing, as far as a guard must know: which piece of work, how far in it, and when not to judge."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from cnc_bridge.guard.envelope import BIN_S, Key, line_place
from cnc_bridge.guard.settings import GuardSettings
from cnc_bridge.guard.signals import Family
from cnc_bridge.model import HAND_MODES

CycleEnd = Literal["completed", "aborted"]

RAMP_S = 1.5
"""After the spindle was seen to accelerate; its load settles later than its speed."""
TOOL_CHANGE_S = 2.0
SETTLE_S = 0.7
"""After a rapid or the start of a feed: the axis' own acceleration shows as load."""
START_S = 1.0
_SPEED_STEP = 0.06
_SPEED_WINDOW_S = 0.3
_TAPPING = re.compile(r"(^|\W)G(0?33|32|76|84|74|92)(?![0-9])|TAP|THREAD|FILET|TARAUD", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mask:
    """Why a learnt limit does not count now.

    `caps`: it counts, but for an alert at most. `ends_streaks`: what was above before says nothing of what comes after.
    """

    why: str
    caps: bool = False
    ends_streaks: bool = False


_TOOL_CHANGE = Mask("changement d'outil", ends_streaks=True)
_RAMP = Mask("broche en accélération")
_SLOWING = Mask("broche en décélération", caps=True)
_RAPID = Mask("avance rapide")
_START = Mask("début du mouvement")


class Context:
    """Fed with context signals in order of time; values are text or numbers, None when the machine cannot say."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self.execution: str | None = None
        self.hand = False
        self.programme = ""
        self.tool = ""
        self.segment = ""
        self.line: int | None = None
        self.feed: float | None = None
        self.override: float | None = None
        self.motion = ""
        self.in_cycle = False
        self._tool_blank = False
        self._tools_used: dict[str, int] = {}
        self.key = Key("", "", 0, "")
        self._elapsed = self._line_began = 0.0
        self._running_since: float | None = None
        self._tool_until = self._ramp_until = self._slow_until = self._axis_until = self._start_until = float("-inf")
        self._rapid = False
        self._speeds: dict[str, tuple[float, float]] = {}
        self._commands: dict[str, float] = {}
        self._parts: float | None = None

    @property
    def active(self) -> bool:
        """Whether it cuts, as far as known: a machine that never says so (a bare sensor, a CSV) is taken to."""
        return self.execution in (None, "ACTIVE")

    @property
    def tapping(self) -> bool:
        """A hold would break a thread: alert at most."""
        chosen = self._settings
        return (
            bool(_TAPPING.search(self.motion) or _TAPPING.search(self.segment))
            or any(fnmatchcase(self.programme, pattern) for pattern in chosen.tapping_programmes)
            or self.tool in chosen.tapping_tools
        )

    def place(self, ts: float) -> tuple[int | None, bool]:
        """Where in the piece of work: its bin, and whether bins are blocks. None when time cannot be compared."""
        if self.execution is None and self._running_since is None:
            self._running_since = ts  # a source that never says whether it runs
        if self.line is not None:
            return line_place(self.line, self.elapsed(ts) - self._line_began), True
        if self.override is not None and abs(self.override - 100.0) > 5.0:
            return None, False  # stretched by the override
        return int(self.elapsed(ts) / BIN_S), False

    def elapsed(self, ts: float) -> float:
        """Seconds of running since this piece of work began; pauses do not count."""
        return self._elapsed + (0.0 if self._running_since is None else max(0.0, ts - self._running_since))

    def mask(self, ts: float, family: Family, period: float) -> Mask | None:
        """Why not to judge a sample at `ts`; sampled every `period` seconds, it may still be of the moment before."""
        if family == "contact":
            return None
        earliest = ts - 0.5 * period
        if self._tool_blank or earliest < self._tool_until:
            return _TOOL_CHANGE
        if family in ("spindle", "vibration"):
            if earliest < self._ramp_until:
                return _RAMP
            if earliest < self._slow_until:
                return _SLOWING
        if family in ("axis", "following", "vibration"):
            if self._rapid or earliest < self._axis_until:
                return _RAPID
            if earliest < self._start_until:
                return _START
        return None

    def update(self, ts: float, signal: str, value: float | str | None) -> CycleEnd | None:
        """Take one context value; whether it ended a cycle, and how."""
        number = _number(value)
        text = "" if value is None else (f"{value:g}" if isinstance(value, float) else str(value)).strip()
        match signal:
            case "execution":
                return self._executed(ts, text.upper() or "UNAVAILABLE")
            case "mode":
                self.hand = text.upper() in HAND_MODES
            case "programme":
                if text and text != self.programme:
                    ended = self._end("aborted")
                    self.programme = text
                    self._piece(ts)
                    self._begin_if_active(ts)
                    return ended
            case "tool":
                self._tool(ts, text)
            case "segment":
                if text != self.segment:
                    self.segment = text
                    self._piece(ts)
            case "line":
                line = None if number is None else abs(int(number))
                if line != self.line:
                    self.line, self._line_began = line, self.elapsed(ts)
            case "feed":
                self._fed(ts, number)
            case "feed_override":
                self.override = number
            case "motion":
                self.motion = text
            case "part_count":
                return self._counted(ts, number)
            case "emergency_stop":
                if text.upper() == "TRIGGERED":
                    return self._end("aborted")
            case _ if number is not None and signal.startswith("spindle_speed"):
                self._spindle(ts, signal, abs(number))
            case _ if number is not None and signal.startswith("spindle_command"):
                self._commanded(ts, signal, abs(number))
            case _:
                pass
        return None

    def _executed(self, ts: float, word: str) -> CycleEnd | None:
        before, self.execution = self.execution, word
        if word == before:
            return None
        if word == "ACTIVE":
            if not self.in_cycle:
                self._begin(ts)
            self._running_since = ts
            self._start_until = ts + START_S
            return None
        if self._running_since is not None:
            self._elapsed, self._running_since = self.elapsed(ts), None
        if word == "PROGRAM_COMPLETED" or (word == "READY" and before == "ACTIVE"):
            return self._end("completed")
        if word in ("UNAVAILABLE", "READY", "STOPPED"):
            return self._end("aborted")
        return None

    def _begin_if_active(self, ts: float) -> None:
        if self.execution == "ACTIVE":
            self._begin(ts)

    def _begin(self, ts: float) -> None:
        self.in_cycle = True
        self._tools_used = {}
        self._piece(ts)

    def _end(self, how: CycleEnd) -> CycleEnd | None:
        was, self.in_cycle = self.in_cycle, False
        return how if was else None

    def _counted(self, ts: float, number: float | None) -> CycleEnd | None:
        """A part more while it runs (a loop, M99): one cycle ends, the next begins."""
        before, self._parts = self._parts, number
        if before is None or number is None or number <= before or not self.in_cycle or self.execution != "ACTIVE":
            return None
        self._end("completed")
        self._begin(ts)
        return "completed"

    def _tool(self, ts: float, text: str) -> None:
        if text in ("", "0"):
            self._tool_blank = bool(self.tool)
            return
        if self._tool_blank or text != self.tool:
            self._tool_until = ts + TOOL_CHANGE_S if self.tool else float("-inf")
        self._tool_blank = False
        if text != self.tool:
            self.tool = text
            self._tools_used[text] = self._tools_used.get(text, -1) + 1
            self._piece(ts)

    def _piece(self, ts: float) -> None:
        """Another piece of work begins."""
        self._tools_used.setdefault(self.tool, 0)
        self.key = Key(self.programme, self.tool, self._tools_used[self.tool], self.segment)
        self._elapsed = self._line_began = 0.0
        if self._running_since is not None:
            self._running_since = ts

    def _spindle(self, ts: float, name: str, speed: float) -> None:
        if name not in self._speeds:
            self._speeds[name] = (ts, speed)
            return
        since, reference = self._speeds[name]
        step = (speed - reference) / max(speed, reference, 100.0)
        if step > _SPEED_STEP:
            self._ramp_until = ts + RAMP_S
        elif step < -_SPEED_STEP:
            if not self._cutting and self.feed is not None:
                self._ramp_until = ts + RAMP_S  # M5, a tool change
            elif self._commands.get(name.replace("speed", "command"), 0.0) < 0.9 * reference:
                self._slow_until = ts + RAMP_S  # perhaps meant (constant cutting speed), perhaps a stall
        if abs(step) > _SPEED_STEP or ts - since >= _SPEED_WINDOW_S:
            self._speeds[name] = (ts, speed)

    def _commanded(self, ts: float, name: str, speed: float) -> None:
        before = self._commands.get(name)
        if before is not None and abs(speed - before) > _SPEED_STEP * max(speed, before):
            self._ramp_until = ts + RAMP_S
        self._commands[name] = speed

    @property
    def _cutting(self) -> bool:
        return self.feed is not None and 0.0 < abs(self.feed) < self._settings.rapid_feed

    def _fed(self, ts: float, feed: float | None) -> None:
        before, self.feed = self.feed, feed
        was_rapid = self._rapid
        self._rapid = feed is not None and abs(feed) >= self._settings.rapid_feed
        if was_rapid and not self._rapid:
            self._axis_until = ts + SETTLE_S
        elif feed is not None and abs(feed) > 5 * abs(before or 0.0) + 1.0:
            self._start_until = max(self._start_until, ts + SETTLE_S)


def _number(value: float | str | None) -> float | None:
    """A recording gives its numbers as text."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e12 else None
