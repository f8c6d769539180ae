"""What stays to be asked of a place that a camera looks at: asks that nothing answered, and a reading that nothing
explains.

Of the readings of a place only the newest is compared: with the level at its time, and with what was in doubt then. It
changes nothing by itself. A saying that arrives late and happened before, a person's word about something done before
it, a count or a reading after it: each settles the difference. So it is the same whatever arrived first.

Of every other item the newest reading says that none of it lies there: what is still booked of it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from central.stock.rules.counting import Adjustment, ecart_key
from central.stock.rules.matching import Event
from central.stock.rules.sayings import NOWHERE, Obs, Question, ask_key, former_key

ANSWERS: Final = timedelta(minutes=15)
"""A person's scan or entry so near an ask says what the camera could not."""
CLEARED: Final = frozenset({"masked", "foreign", "stacked"})
"""What hid the place is seen to be gone by a later reading. Of a heap, a lid or a swap a reading says nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All that bears on one item at one place, of which a camera asked or which it read."""

    place: int
    asks: Sequence[Obs]
    """Undecided ones."""
    reading: Obs | None
    """The newest of this place; None when another item was read there since, or it was refused or taken as a count."""
    level: int
    """Of the ledger at the reading's time."""
    pending: int
    """What doubts of that time would change."""
    events: Sequence[Event]
    """Of the item, around the asks and the reading."""
    adjustments: Sequence[Adjustment]
    counted_at: datetime | None
    """The last count there by a person; that of a trusted camera is in `counted_by_camera`."""
    counted_by_camera: datetime | None
    read_at: datetime | None
    """The last reading there, decided or not."""


@dataclass(frozen=True, slots=True)
class Former:
    """An item that is booked in a place where another one is read now."""

    item: int
    place: int
    observation: int
    """The first reading of another item since this one was last read there, and its time."""
    since: datetime
    level: int
    """Of the ledger, now."""
    pending: int
    """What open doubts would change of it."""
    is_asked: bool
    """A « combien ? » about it stands."""
    counts: Sequence[tuple[datetime, int]]
    """What persons counted of it there, in order."""


def ask_where(f: Former) -> Question | None:
    """Where is it? Until nothing is booked there any more, or a person found some there since."""
    counted = [qty for at, qty in f.counts if at > f.since]
    # What a doubt takes away is asked by the doubt.
    left = f.level + f.pending if f.pending * f.level < 0 else f.level
    if left * f.level <= 0 or f.is_asked or (counted and counted[-1] > 0):
        return None
    key = former_key(f.item, f.place, f.observation)
    return Question(key, "former", f.place, f.since, -left, f.observation)


def stand(s: Standing, window: timedelta) -> list[Question]:
    """The questions of that place, at most one about its reading."""
    asks = _unanswered(s)
    questions = [Question(ask_key(a.id), "ask", s.place, a.at, a.qty, a.id) for a in asks]
    reading = s.reading
    if reading is None or any(a.at <= reading.at for a in asks):
        return questions
    if any(c is not None and c > reading.at for c in (s.counted_at, s.counted_by_camera)):
        return questions
    difference = _difference(reading, s.level, s.pending)
    words = [e for e in s.events if not e.seen and e.place == s.place and reading.at < e.at <= reading.at + window]
    for event in sorted(words, key=lambda e: e.order):
        if abs(difference - event.qty) < abs(difference):
            difference -= event.qty
    if difference:
        questions.append(Question(ecart_key(reading.id), "read", s.place, reading.at, difference, reading.id))
    return questions


def _difference(reading: Obs, level: int, pending: int) -> int:
    if reading.nature == "there":
        if reading.qty:
            return 0 if level > 0 or level + pending > 0 else reading.qty - level - pending
        return 0 if level <= 0 or level + pending <= 0 else -level - pending
    return 0 if reading.qty == level else reading.qty - level - pending


def _unanswered(s: Standing) -> list[Obs]:
    words = [e for e in s.events if not e.seen and e.place in {s.place, NOWHERE}]
    used: set[int] = set()
    left: list[Obs] = []
    for ask in sorted(s.asks, key=lambda a: a.order):
        if s.counted_at is not None and s.counted_at >= ask.at:
            continue
        seen_since = max((t for t in (s.read_at, s.counted_by_camera) if t is not None), default=None)
        if ask.reason in CLEARED and seen_since is not None and seen_since > ask.at:
            continue
        near = [
            (abs(e.at - ask.at), e.order, n)
            for n, e in enumerate(words)
            if n not in used and abs(e.at - ask.at) <= ANSWERS and not _tells(e, ask)
        ]
        if near:
            used.add(min(near)[2])
        else:
            left.append(ask)
    return left


def _tells(event: Event, ask: Obs) -> bool:
    return ask.id in event.observations


def level_at(
    place: int, moment: datetime, base: int, events: Iterable[Event], adjustments: Iterable[Adjustment]
) -> int:
    """The level of `place` at that time, what happened at that instant included."""
    level = base + sum(e.qty for e in events if e.place == place and e.at <= moment)
    return level + sum(a.qty for a in adjustments if a.place == place and a.at <= moment)
