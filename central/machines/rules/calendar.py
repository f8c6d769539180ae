"""The opening calendar: what a machine can work. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple, Self
from zoneinfo import ZoneInfo


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
