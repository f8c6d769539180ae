"""States as intervals, sample blocks, and the opening calendar. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple, Self
from zoneinfo import ZoneInfo

STATE_LABELS: Final[dict[str, str]] = {
    "off": "Éteinte",
    "ready": "Attente",
    "running": "En production",
    "stopped": "Arrêt",
    "setup": "Réglage",
    "alarm": "Alarme",
    "silent": "Sans nouvelles",
}
MINUTE_MS: Final = 60_000
MINUTE_S: Final = 60
HOUR_S: Final = 3600


class StateEvent(NamedTuple):
    at: datetime
    seq: int
    fact_id: int
    state: str
    programme: str | None = None
    tool: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StateInterval:
    """The machine was in `state` from `begin`; `end` is null while it lasts."""

    begin: datetime
    end: datetime | None
    state: str
    programme: str | None = None
    tool: str | None = None
    detail: str = ""

    def minutes(self, until: datetime) -> float:
        return max(0.0, ((self.end or until) - self.begin).total_seconds() / 60)


def intervals(events: Iterable[StateEvent]) -> list[StateInterval]:
    """What the events mean, whatever the order in which they came.

    A state lasts until the next event in event time; one that says the same state and programme again changes nothing.
    Of two events at one time the later of its source wins.
    """
    at_each_time: dict[datetime, StateEvent] = {}
    for event in sorted(events, key=lambda e: e[:3]):
        at_each_time[event.at] = event
    found: list[StateInterval] = []
    for event in at_each_time.values():
        last = found[-1] if found else None
        if last is not None:
            if (last.state, last.programme) == (event.state, event.programme):
                continue
            found[-1] = _ended(last, event.at)
        found.append(StateInterval(event.at, None, event.state, event.programme, event.tool, event.detail))
    return found


def clip(found: Iterable[StateInterval], begin: datetime, end: datetime) -> list[StateInterval]:
    """The part of the intervals that lies in [begin, end); an interval that still lasts ends at `end`."""
    clipped = []
    for one in found:
        first, last = max(one.begin, begin), min(one.end or end, end)
        if first < last:
            clipped.append(StateInterval(first, last, one.state, one.programme, one.tool, one.detail))
    return clipped


def minutes_by_state(found: Iterable[StateInterval], until: datetime) -> dict[str, float]:
    totals: dict[str, float] = {}
    for one in found:
        totals[one.state] = totals.get(one.state, 0.0) + one.minutes(until)
    return totals


def _ended(one: StateInterval, end: datetime) -> StateInterval:
    return StateInterval(one.begin, end, one.state, one.programme, one.tool, one.detail)


# Samples ---------------------------------------------------------------------------------------------------------


class Summary(NamedTuple):
    """Rollup of some values: `low` and `high` are the extremes, `total` their sum over `n`."""

    n: int
    low: float
    high: float
    total: float


@dataclass(slots=True)
class Block:
    """The values of one signal in one minute: milliseconds in the minute (0–59 999) and readings, in time order."""

    offsets: array[int] = field(default_factory=lambda: array("H"))
    readings: array[float] = field(default_factory=lambda: array("d"))

    @classmethod
    def unpack(cls, offsets: bytes, readings: bytes) -> Self:
        block = cls()
        block.offsets.frombytes(offsets)
        block.readings.frombytes(readings)
        return block

    def pack(self) -> tuple[bytes, bytes]:
        return self.offsets.tobytes(), self.readings.tobytes()

    def add(self, offsets: Sequence[int], readings: Sequence[float]) -> None:
        """Merge values in. One that is already there at the same millisecond is replaced: adding twice is harmless."""
        # compared in C: this runs for every value that a machine ever sends
        in_order = sorted(set(offsets)) == list(offsets)
        if in_order and (not self.offsets or not offsets or self.offsets[-1] < offsets[0]):
            self.offsets.extend(offsets)
            self.readings.extend(readings)
            return
        merged = dict(zip(self.offsets, self.readings, strict=True))
        merged.update(zip(offsets, readings, strict=True))
        ordered = sorted(merged)
        self.offsets = array("H", ordered)
        self.readings = array("d", map(merged.__getitem__, ordered))

    def summary(self) -> Summary:
        return Summary(len(self.readings), min(self.readings), max(self.readings), sum(self.readings))


def split_minutes(
    t0_ms: int, dt: Sequence[int], v: Sequence[float]
) -> Mapping[int, tuple[Sequence[int], Sequence[float]]]:
    """Values by minute since 1970 → (milliseconds in that minute, values). Unequal lengths raise ValueError."""
    if len(dt) != len(v):
        raise ValueError(f"{len(dt)} times for {len(v)} values")
    if not dt:
        return {}
    first, last = (t0_ms + min(dt)) // MINUTE_MS, (t0_ms + max(dt)) // MINUTE_MS
    if first == last:
        base = t0_ms - first * MINUTE_MS
        return {first: ([base + d for d in dt], v)}
    if last == first + 1 and sorted(dt) == list(dt):  # the usual batch that passes a minute: two slices
        base = t0_ms - first * MINUTE_MS
        cut = bisect_left(dt, MINUTE_MS - base)
        early, late = [base + d for d in dt[:cut]], [base + d - MINUTE_MS for d in dt[cut:]]
        return {first: (early, v[:cut]), last: (late, v[cut:])}
    minutes: dict[int, tuple[list[int], list[float]]] = {}
    for d, value in zip(dt, v, strict=True):
        minute, offset = divmod(t0_ms + d, MINUTE_MS)
        offsets, values = minutes.setdefault(minute, ([], []))
        offsets.append(offset)
        values.append(value)
    return minutes


class Bucket(NamedTuple):
    """One point of a drawn curve."""

    at: datetime
    low: float
    mean: float
    high: float


def buckets(points: Iterable[tuple[datetime, Summary]], begin: datetime, end: datetime, count: int) -> list[Bucket]:
    """At most `count` points over [begin, end); an empty bucket gives none (a hole stays a hole)."""
    width = (end - begin) / max(1, count)
    if width <= timedelta(0):
        return []
    merged: dict[int, Summary] = {}
    for at, s in points:
        index = (at - begin) // width
        if not 0 <= index < count:
            continue
        have = merged.get(index)
        merged[index] = s if have is None else merge(have, s)
    return [
        Bucket(begin + index * width, s.low, s.total / s.n, s.high) for index, s in sorted(merged.items()) if s.n > 0
    ]


def merge(one: Summary, other: Summary) -> Summary:
    return Summary(one.n + other.n, min(one.low, other.low), max(one.high, other.high), one.total + other.total)


# Calendar --------------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """From `begin` to `end`, aware."""

    begin: datetime
    end: datetime

    def minutes(self) -> float:
        # UTC on both sides: two times of one zone would subtract as wall clocks and forget the change of hour
        return max(0.0, (self.end.astimezone(UTC) - self.begin.astimezone(UTC)).total_seconds() / 60)


Hours = tuple[tuple[time, time], ...]
"""Opening hours of one day, local. An end that is not after its begin is on the next day (a night shift)."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Weekly hours (Monday first), and days that differ."""

    weekly: tuple[Hours, ...]
    exceptions: Mapping[date, Hours] = field(default_factory=dict)

    @classmethod
    def from_json(cls, weekly: Any, exceptions: Mapping[date, Any] | None = None) -> Self:
        """`weekly` is seven lists of ``["06:00", "14:00"]`` pairs, Monday first. Raises ValueError."""
        if len(weekly) != 7:
            raise ValueError("a week has seven days of opening hours, Monday first")
        return cls(
            tuple(hours_from_json(day) for day in weekly),
            {day: hours_from_json(hours) for day, hours in (exceptions or {}).items()},
        )

    def openings(self, day: date, zone: ZoneInfo) -> list[Span]:
        """Opening spans that begin on `day`, in UTC. A night shift belongs to the day on which it begins."""
        hours = self.exceptions.get(day, self.weekly[day.weekday()])
        spans = []
        for opens, closes in hours:
            last_day = day if closes > opens else day + timedelta(days=1)
            begin = datetime.combine(day, opens, zone).astimezone(UTC)
            end = datetime.combine(last_day, closes, zone).astimezone(UTC)
            if begin < end:
                spans.append(Span(begin, end))
        return spans

    def capacity_minutes(self, day: date, zone: ZoneInfo, closed: Sequence[Span] = ()) -> float:
        """Minutes that the machine can work on `day`: its opening hours less what `closed` (maintenance) takes."""
        return sum(minutes_outside(opening, closed) for opening in union(self.openings(day, zone)))


def hours_from_json(pairs: Any) -> Hours:
    return tuple((time.fromisoformat(opens), time.fromisoformat(closes)) for opens, closes in pairs)


def union(spans: Iterable[Span]) -> list[Span]:
    """The same time, without overlaps."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def minutes_outside(span: Span, closed: Sequence[Span]) -> float:
    """Minutes of `span` that no span of `closed` covers."""
    taken = union(
        Span(max(c.begin, span.begin), min(c.end, span.end))
        for c in closed
        if c.begin < span.end and span.begin < c.end
    )
    return span.minutes() - sum(t.minutes() for t in taken)


def day_span(day: date, zone: ZoneInfo) -> Span:
    """The civil day in UTC: 23, 24 or 25 hours."""
    midnight = time(0, 0)
    begin = datetime.combine(day, midnight, zone).astimezone(UTC)
    return Span(begin, datetime.combine(day + timedelta(days=1), midnight, zone).astimezone(UTC))


SHOP_WEEK: Final[list[list[list[str]]]] = [
    *([[["08:00", "12:00"], ["13:30", "17:30"]]] * 4),
    [["08:00", "12:00"]],
    [],
    [],
]
"""Hours of a machine that nobody described: 36 h."""
