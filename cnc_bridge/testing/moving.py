"""What a made-up machine does at a given second, for every simulated controller. No controller speaks here."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

TOOLS = ((1, 2400.0, 320.0, 38.0), (5, 3200.0, 180.0, 22.0), (7, 900.0, 90.0, 55.0))
"""Number, spindle speed (rpm), feed (mm/min), load (% of rated power)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment. `execution` is READY, ACTIVE or STOPPED (then `alarm` is not 0)."""

    execution: str
    programme: str
    tool: int
    parts: int
    load: float
    speed: float
    feed: float
    alarm: int
    feed_override: float = 100.0


@dataclass
class MovingMachine:
    """Runs cycles of three tools for ever, from the moment it was made, with 0 parts at first. Times in seconds."""

    cycle_s: float = 20.0
    between_s: float = 3.0
    alarm_every: int = 7
    """Every so many cycles it stops for an alarm instead of finishing; 0 never."""
    alarm_s: float = 6.0
    programme: str = "O1234"
    alarm_number: int = 1042
    _since: float = field(default_factory=time.monotonic)

    def now(self) -> Snapshot:
        """What it does now."""
        return self.at(time.monotonic() - self._since)

    def at(self, seconds: float) -> Snapshot:
        """What it does `seconds` after its start."""
        turn = self.between_s + self.cycle_s
        group = max(1, self.alarm_every)
        extra = self.alarm_s if self.alarm_every else 0.0
        groups, rest = divmod(seconds, group * turn + extra)
        done, in_turn = divmod(min(rest, group * turn - 1e-9), turn)
        good = group - 1 if self.alarm_every else group
        parts = int(groups) * good + int(done)
        if self.alarm_every and rest >= group * turn:
            return Snapshot("STOPPED", self.programme, TOOLS[-1][0], parts, 0.0, 0.0, 0.0, self.alarm_number)
        if in_turn < self.between_s:
            return Snapshot("READY", self.programme, TOOLS[0][0], parts, 0.0, 0.0, 0.0, 0)
        share = (in_turn - self.between_s) / self.cycle_s * len(TOOLS)
        number, speed, feed, load = TOOLS[min(int(share), len(TOOLS) - 1)]
        engaged = math.sin(math.pi * (share % 1.0)) ** 0.3
        cut = 3 + load * engaged * (1 + 0.08 * math.sin(seconds * 9.0))
        return Snapshot("ACTIVE", self.programme, number, parts, round(cut, 2), speed, round(feed * engaged, 1), 0)
