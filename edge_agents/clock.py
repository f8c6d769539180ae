"""The agent's time: its wall clock, a monotonic clock that never jumps, and how far the centre's clock is from them."""

from __future__ import annotations

import secrets
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from contracts.control import TimeReply, TimeRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = 8
_OLDEST_MS = 10 * 60 * 1000  # two quartz clocks part by up to 100 ppm, 60 ms in this time


class Moment(NamedTuple):
    """`wall`: aware UTC. `mono`: milliseconds of this run's monotonic clock."""

    wall: datetime
    mono: int


class Ticks(Protocol):
    """Where time comes from; a test passes its own."""

    def wall(self) -> datetime: ...

    def mono(self) -> int: ...


class SystemTicks:
    """The machine's clocks; the monotonic one goes on while the machine sleeps, where the system has such a clock."""

    _id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def mono(self) -> int:
        return time.clock_gettime_ns(self._id) // 1_000_000


class _Heard(NamedTuple):
    round_trip: int
    anchor: int
    at: int


class Clock:
    """Time of one run (one start of the process)."""

    def __init__(self, ticks: Ticks | None = None, run: str | None = None) -> None:
        self._ticks = ticks or SystemTicks()
        self.run = run or secrets.token_hex(8)
        self._heard: deque[_Heard] = deque(maxlen=_KEPT)

    def now(self) -> Moment:
        return Moment(self._ticks.wall(), self._ticks.mono())

    def at(self, wall: datetime) -> Moment:
        """The moment that the wall clock shows as `wall`: a source's own stamp, taken a little before now."""
        now = self.now()
        return Moment(wall, now.mono + milliseconds(wall - now.wall))

    def request(self) -> TimeRequest:
        """To be sent to the centre, which echoes it in its reply."""
        return TimeRequest(run=self.run, mono=self._ticks.mono())

    def heard(self, reply: TimeReply) -> None:
        """Take the centre's time: half the round trip is the one-way delay (Cristian, 1989)."""
        now = self._ticks.mono()
        round_trip = now - reply.mono
        if reply.run != self.run or round_trip < 0:
            return
        self._heard.append(_Heard(round_trip, milliseconds(reply.now - _EPOCH) + round_trip // 2 - now, now))

    @property
    def anchor(self) -> int | None:
        """The centre's time (milliseconds since 1970) when this run's monotonic clock was 0; None if never heard.

        The reply with the shortest round trip among the last few, because its error is at most half of that.
        """
        if not self._heard:
            return None
        newest = self._heard[-1].at
        return min(h for h in self._heard if newest - h.at <= _OLDEST_MS).anchor

    def off(self, moment: Moment) -> int | None:
        """Milliseconds to add to the moment's wall time to get the centre's time."""
        return offset(self.anchor, moment)

    def centre_now(self) -> datetime:
        """Now on the centre's clock, as well as this run knows it."""
        now = self.now()
        return now.wall + timedelta(milliseconds=self.off(now) or 0)


def offset(anchor: int | None, moment: Moment) -> int | None:
    """`off` of a moment of the run that has this anchor."""
    return None if anchor is None else anchor + moment.mono - milliseconds(moment.wall - _EPOCH)


def milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
