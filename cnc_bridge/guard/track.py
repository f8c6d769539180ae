"""One guarded signal as the guard remembers it: its pace, how long it is above, the last that was seen."""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

from cnc_bridge.guard.settings import Limits
from cnc_bridge.guard.signals import Guarded

Level = Literal["watch", "alert", "hold"]
SLOWEST_S = 10.0
_RING = 700


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One judged sample. `limit` is None where the guard was masked."""

    ts: float
    value: float
    limit: float | None


class Track:
    """One guarded signal."""

    __slots__ = (
        "about", "alert_since", "bound", "calm_since", "fixed", "gaps", "heard", "hold_since", "lag", "last", "paces",
        "paused", "period", "reached", "ring",
    )  # fmt: skip

    def __init__(self, about: Guarded, fixed: Limits | None) -> None:
        self.about = about
        self.fixed = fixed
        self.heard = False
        self.period = about.period_s
        self.gaps: deque[float] = deque(maxlen=32)
        self.last: tuple[float, float] | None = None
        self.lag = 0.0
        """How much later than what was already known its newest sample came."""
        self.paces = 0
        self.paused: tuple[float, float | None, float] | None = None
        self.alert_since: float | None = None
        self.hold_since: float | None = None
        self.calm_since: float | None = None
        self.reached: Level | None = None
        self.bound = NO_BOUND
        self.ring: deque[Point] = deque(maxlen=_RING)

    def paced(self, ts: float) -> None:
        """Follow the sampling period: the shorter gaps tell it, the longer ones are values that did not change."""
        if self.last is None or ts <= self.last[0]:
            return
        self.gaps.append(ts - self.last[0])
        self.paces += 1
        if self.paces <= 8 or self.paces % 16 == 0:
            self.period = min(max(sorted(self.gaps)[len(self.gaps) // 5], 0.0002), SLOWEST_S)

    def quiet(self) -> None:
        self.alert_since = self.hold_since = self.paused = None

    def pause(self, value: float) -> None:
        """Not judged for a moment (a feed begins): what was above stays so if it is now; the moment does not count."""
        if self.alert_since is not None and self.last is not None:
            limit = self.bound.alert if self.bound.alert is not None else self.bound.hold
            above_until = self.last[0]
            hold = None if self.hold_since is None else above_until - self.hold_since
            self.paused = (above_until - self.alert_since, hold, limit or 0.0)
            self.alert_since = self.hold_since = None
        if self.paused is not None and value <= self.paused[2]:
            self.paused = None

    def resume(self, now: float) -> None:
        if self.paused is not None:
            alert, hold, _ = self.paused
            self.alert_since = now - alert - self.period  # the one before and this one: two samples above
            self.hold_since = None if hold is None else now - hold
            self.paused = None

    def lose(self) -> None:
        """The machine cannot tell its value any more."""
        self.quiet()
        self.last = None

    def forget(self) -> None:
        self.lose()
        self.reached = self.calm_since = None


class Bound(msgspec.Struct, frozen=True):
    """What a sample is held against now: None where nothing is known."""

    alert: float | None
    hold: float | None
    learnt: bool
    cap: Level
    cap_why: str = ""
    spike: float = 0.0
    """A lone sample up to here is nothing new: good cycles have such too."""


NO_BOUND = Bound(None, None, learnt=False, cap="hold")
