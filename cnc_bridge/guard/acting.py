"""From a verdict to what came of it: pure steps, with the times given."""

from __future__ import annotations

import abc
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from cnc_bridge.guard.core import RANK, Guard, Verdict
from cnc_bridge.guard.track import Point

Outcome = Literal["none", "shadow", "held", "deferred", "refused", "failed"]
RETRY_S = 0.5
"""A hold that did not pass is sent again so often."""
_CALM_S = 1.0
_STEP_S, _SLEW = 0.1, 0.001
_SETTLE_S = 2.0
_EVERY_S = {"watch": 60.0, "alert": 10.0}
"""A signal that dances around its limit tells so once in this time, not a thousand times."""


class Relay(abc.ABC):
    """A dry contact on the machine's feed-hold input."""

    @abc.abstractmethod
    def close_contact(self) -> None:
        """Ask for the hold; returns at once, the contact opens again by itself."""


class Standstill:
    """Waits for velocity 0 after a command. What the velocity was before it says nothing."""

    def __init__(self, commanded: float, within_s: float, standstill: float) -> None:
        self._commanded = commanded
        self._deadline = commanded + within_s
        self._standstill = standstill
        self.outcome: Literal["held", "deferred"] | None = None
        self.stop_s: float | None = None

    def velocity(self, taken: float, heard: float, value: float | None) -> None:
        """A velocity sampled at `taken` and heard at `heard`, both on the guard's clock. None: it cannot be told."""
        if self.outcome is None and value is not None and taken > self._commanded and abs(value) <= self._standstill:
            self.outcome, self.stop_s = "held", heard - self._commanded

    def tick(self, now: float) -> None:
        if self.outcome is None and now > self._deadline:
            self.outcome = "deferred"


class SampleAge:
    """How old a sample is when it arrives, from its source's own time.

    The smallest (received - source) of the last 5 to 10 minutes is taken for the two clocks' offset, so what is seen is
    the delay beyond the least delayed sample: queues, publishing, polling. A constant delay of the network is not seen.
    When this computer's wall clock is set, its steps differ from the monotonic clock's: it begins again, and tells no
    age until what was on its way then has arrived.
    """

    def __init__(self) -> None:
        self._best: float | None = None
        self._older: float | None = None
        self._since = 0.0
        self._last: tuple[datetime, float] | None = None
        self._settled = float("-inf")

    def of(self, source: datetime | None, wall: datetime, mono: float) -> float | None:
        """Seconds; None without a source time, or when it is not believable (a clock that was set)."""
        if self._is_set(wall, mono):
            self._settled = mono + _SETTLE_S
        if source is None:
            return None
        lag = (wall - source).total_seconds()
        if mono < self._settled:
            self._best, self._older, self._since = lag, None, mono
            return None
        if self._best is None or mono - self._since > 300.0:
            self._older, self._best, self._since = self._best, lag, mono
        self._best = min(self._best, lag)
        age = lag - (self._best if self._older is None else min(self._best, self._older))
        if age > 30.0:  # its clock was set back: begin again
            self._best, self._older = lag, None
            return None
        return age

    def _is_set(self, wall: datetime, mono: float) -> bool:
        """Whether the wall clock was set since the sample before; a slewed clock is not."""
        before, self._last = self._last, (wall, mono)
        if before is None:
            return False
        walked, ran = (wall - before[0]).total_seconds(), mono - before[1]
        return abs(walked - ran) > _STEP_S + _SLEW * abs(ran)


class Trip(msgspec.Struct):
    """A verdict on its way to a fact: it waits for what comes after it, and for the outcome."""

    verdict: Verdict
    outcome: Outcome
    until: float
    age_s: float | None = None
    latency_s: float | None = None
    feed: float | None = None
    standstill: Standstill | None = None
    others: int = 0
    tries: int = 0
    """How often its hold was sent; more than once when it did not pass at first."""
    trying: bool = False
    """Its hold did not pass and is sent again: it is told when that is over."""
    curve: list[Point] | None = None
    """What the ring saw, kept while it waits for longer than the ring remembers."""

    @property
    def stop_s(self) -> float | None:
        return None if self.standstill is None else self.standstill.stop_s

    @property
    def travel_mm(self) -> float | None:
        """Along the path at the feed (mm/min) of the verdict, from the sample's own time to the standstill."""
        if self.feed is None or self.latency_s is None or self.stop_s is None:
            return None
        return abs(self.feed) / 60.0 * ((self.age_s or 0.0) + self.latency_s + self.stop_s)


class Trips:
    """Gathers verdicts into trips: one for each episode, with its highest level."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._open: dict[str, Trip] = {}
        self._told: dict[tuple[str, str], float] = {}
        self._untold: dict[str, int] = {}

    def add(self, verdict: Verdict, outcome: Outcome) -> Trip:
        """A verdict, and what is done of it."""
        until = verdict.ts + self._guard.settings.after_s
        known = self._open.get(verdict.signal)
        if known is None:
            known = self._open[verdict.signal] = Trip(verdict, outcome, until)
        elif RANK[verdict.level] > RANK[known.verdict.level]:
            known.verdict, known.outcome, known.until = verdict, outcome, until
        else:
            known.others += 1
        return known

    def due(self, now: float, *, flush: bool = False) -> list[tuple[Trip, list[Point]]]:
        """The trips that are complete, each with what the ring saw of its signal."""
        out = []
        for signal, trip in list(self._open.items()):
            if trip.standstill is not None:
                trip.standstill.tick(now)
                trip.outcome = trip.standstill.outcome or ("deferred" if flush else trip.outcome)
            waiting = trip.trying or (trip.standstill is not None and trip.standstill.outcome is None)
            if waiting and trip.curve is None and now >= trip.until:
                trip.curve = self._curve(trip)
            if not flush and (now < trip.until or waiting):
                continue
            del self._open[signal]
            if self._is_news(trip, now):
                trip.others += self._untold.pop(signal, 0)
                out.append((trip, self._curve(trip) if trip.curve is None else trip.curve))
        return out

    def _curve(self, trip: Trip) -> list[Point]:
        since = trip.verdict.first - self._guard.settings.before_s
        return self._guard.seen(trip.verdict.signal, since, trip.until)

    def _is_news(self, trip: Trip, now: float) -> bool:
        signal, level = trip.verdict.signal, trip.verdict.level
        last = self._told.get((signal, level))
        if last is not None and now - last < _EVERY_S.get(level, 0.0):
            self._untold[signal] = self._untold.get(signal, 0) + 1
            return False
        self._told[(signal, level)] = now
        return True


class Unsent:
    """Holds that did not pass. Each is due again while the guard is armed and its signal stays above the hold limit.

    A short dip below sends nothing and ends nothing: the guard itself says `hold` anew only after a calm moment.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._trips: dict[str, tuple[Trip, float]] = {}
        self._calm: dict[str, float] = {}
        self._next = float("-inf")

    def __bool__(self) -> bool:
        return bool(self._trips)

    def add(self, trip: Trip, heard: float, now: float) -> None:
        """The hold of `trip`, whose sample was heard at `heard`, did not pass at `now`."""
        trip.trying = True
        self._trips.setdefault(trip.verdict.signal, (trip, heard))
        self._next = now + RETRY_S

    def failed(self, now: float) -> None:
        """Nor did it pass at `now`."""
        self._next = now + RETRY_S
        for trip, _ in self._trips.values():
            trip.tries += 1

    def take(self) -> list[tuple[Trip, float]]:
        """All of them, with the time each was heard: sent, or over. They are told from now on."""
        taken = list(self._trips.values())
        self._trips, self._calm = {}, {}
        for trip, _ in taken:
            trip.trying = False
        return taken

    def due(self, now: float) -> bool:
        """Whether to send it again now. What is over is dropped."""
        if not self._guard.armed:
            self.take()
        wanted = False
        for signal, (trip, _) in list(self._trips.items()):
            if self._lasts(trip):
                self._calm.pop(signal, None)
                wanted = True
            elif now - self._calm.setdefault(signal, now) > max(_CALM_S, 3 * self._guard.period(signal)):
                trip.trying = False
                del self._trips[signal], self._calm[signal]
        return wanted and now >= self._next and not self._guard.context.tapping

    def _lasts(self, trip: Trip) -> bool:
        signal = trip.verdict.signal
        if signal not in self._guard.seeing or not self._guard.context.active:
            return False
        seen = self._guard.seen(signal, float("-inf"), float("inf"))
        return bool(seen) and seen[-1].value > trip.verdict.limit


def gpio_relay(
    pin: int, *, active_high: bool, pulse_s: float, later: Callable[[float, Callable[[], None]], object]
) -> Relay:
    """A relay on a Pi's pin. `later(seconds, call)` opens the contact again. Raises OSError, RuntimeError."""
    from gpiozero import DigitalOutputDevice
    from gpiozero.exc import GPIOZeroError

    try:
        device = DigitalOutputDevice(pin, active_high=active_high, initial_value=False)
    except GPIOZeroError as error:
        raise RuntimeError(f"GPIO {pin}: {error}") from error

    class _Gpio(Relay):
        def close_contact(self) -> None:
            device.on()
            later(pulse_s, device.off)

    return _Gpio()
