"""Pure rules of the inbox: which numbers are settled, what to ask again, and when a fact happened."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

Span: TypeAlias = tuple[int, int]
"""First and last sequence number, both included."""

MAX_SPANS = 256
"""Spans remembered above a hole. Forgetting the highest is safe: not acknowledged, they come again."""

FUTURE_TOLERANCE = timedelta(seconds=5)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class Progress(NamedTuple):
    """How far a stream is settled: everything up to `upto`, and `spans` above the first hole (ascending, apart)."""

    upto: int = 0
    spans: tuple[Span, ...] = ()

    def settled(self, seq: int) -> bool:
        if seq <= self.upto:
            return True
        if not self.spans:
            return False
        index = bisect_right(self.spans, (seq, 2**63)) - 1
        return index >= 0 and self.spans[index][1] >= seq

    def settle(self, spans: Iterable[Span]) -> Progress:
        """The progress once `spans` are settled too; they may overlap, be out of order or lie far away."""
        merged: list[Span] = []
        for first, last in sorted([(0, self.upto), *self.spans, *spans]):
            if last < first:
                continue
            if merged and first <= merged[-1][1] + 1:
                if last > merged[-1][1]:
                    merged[-1] = (merged[-1][0], last)
            else:
                merged.append((first, last))
        return Progress(merged[0][1], tuple(merged[1 : 1 + MAX_SPANS]))

    def holes(self, most: int = 8) -> list[Span]:
        """The first gaps between what is settled, lowest first."""
        before = self.upto
        gaps: list[Span] = []
        for first, last in self.spans[:most]:
            gaps.append((before + 1, first - 1))
            before = last
        return gaps


def spans_of(seqs: Iterable[int]) -> list[Span]:
    """Numbers joined into runs: ``[3, 1, 2, 7]`` is ``[(1, 3), (7, 7)]``."""
    spans: list[Span] = []
    for seq in sorted(seqs):
        if spans and seq <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], seq)
        else:
            spans.append((seq, seq))
    return spans


class Asked(NamedTuple):
    """A range that was asked again, and when it last moved."""

    first: int
    last: int
    at: datetime


def ask(asked: Asked | None, gap: Span, now: datetime, patience: timedelta) -> tuple[Asked, bool]:
    """Whether to ask for `gap` now. While its beginning moves inside what was asked, the answer is on its way."""
    first, last = gap
    if asked is not None and asked.first < first <= asked.last:
        return Asked(first, asked.last, now), False
    if asked is not None and asked.first == first and now - asked.at < patience:
        return asked, False
    return Asked(first, last, now), True


class EventTime(NamedTuple):
    at: datetime
    uncertain: bool


def plausible(ts: datetime) -> bool:
    """A source's clock may be wrong by years (a Pi without a battery says 1970), not by millennia."""
    return _EARLIEST <= ts < _LATEST


def event_time(
    ts: datetime, mono_ms: int, off_ms: int | None, anchor: datetime | None, received_at: datetime
) -> EventTime:
    """The event's time on the centre's clock.

    With a measured offset ``ts + off``; else `anchor` (the centre's time at mono 0 of this run) plus ``mono``; else
    ``ts`` itself, uncertain. Nothing happens after it was received: a later time is replaced by the reception,
    uncertain.
    """
    moment, uncertain = _corrected(ts, mono_ms, off_ms, anchor)
    if moment > received_at + FUTURE_TOLERANCE:
        return EventTime(received_at, uncertain=True)
    return EventTime(moment, uncertain)


def anchor_of(ts: datetime, mono_ms: int, off_ms: int) -> datetime | None:
    """The centre's time at mono 0, from one reading that carried an offset; None when the numbers are absurd."""
    try:
        moment = ts.astimezone(UTC) + timedelta(milliseconds=off_ms - mono_ms)
    except OverflowError:
        return None
    return moment if plausible(moment) else None


def _corrected(ts: datetime, mono_ms: int, off_ms: int | None, anchor: datetime | None) -> tuple[datetime, bool]:
    ts = ts.astimezone(UTC)
    try:
        if off_ms is not None:
            moment = ts + timedelta(milliseconds=off_ms)
        elif anchor is not None:
            moment = anchor + timedelta(milliseconds=mono_ms)
        else:
            return ts, True
    except OverflowError:
        return ts, True
    return (moment, False) if plausible(moment) else (ts, True)
