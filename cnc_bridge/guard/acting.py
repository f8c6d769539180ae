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
    """

    def __init__(self) -> None:
        self._best: float | None = None
        self._older: float | None = None
        self._since = 0.0

    def of(self, source: datetime | None, wall: datetime, mono: float) -> float | None:
        """Seconds; None without a source time, or when it is not believable (a clock that was set)."""
        if source is None:
            return None
        lag = (wall - source).total_seconds()
        if self._best is None or mono - self._since > 300.0:
            self._older, self._best, self._since = self._best, lag, mono
        self._best = min(self._best, lag)
        age = lag - (self._best if self._older is None else min(self._best, self._older))
        if age > 30.0:  # its clock was set back: begin again
            self._best, self._older = lag, None
            return None
        return age


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
            waiting = trip.standstill is not None and trip.standstill.outcome is None
            if not flush and (now < trip.until or waiting):
                continue
            del self._open[signal]
            if self._is_news(trip, now):
                trip.others += self._untold.pop(signal, 0)
                since = trip.verdict.first - self._guard.settings.before_s
                out.append((trip, self._guard.seen(signal, since, trip.until)))
        return out

    def _is_news(self, trip: Trip, now: float) -> bool:
        signal, level = trip.verdict.signal, trip.verdict.level
        last = self._told.get((signal, level))
        if last is not None and now - last < _EVERY_S.get(level, 0.0):
            self._untold[signal] = self._untold.get(signal, 0) + 1
            return False
        self._told[(signal, level)] = now
        return True


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
