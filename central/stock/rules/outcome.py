"""The whole of it: observations in, events, adjustments and questions out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from central.stock.rules.counting import Adjustment, compare, counts_of
from central.stock.rules.matching import Event, lots_of, questions_of
from central.stock.rules.sayings import NOWHERE, Decision, Doubt, Obs, Question, place_key, prepared

_NONE: Mapping[int, int] = {}
_UNDECIDED: Mapping[str, Decision] = {}


@dataclass(frozen=True, slots=True)
class Outcome:
    events: tuple[Event, ...]
    adjustments: tuple[Adjustment, ...]
    questions: tuple[Question, ...]

    def levels(self, base: Mapping[int, int] = _NONE) -> dict[int, int]:
        """Level of each place after all of it."""
        found = dict(base)
        changes = [(e.place, e.qty) for e in self.events] + [(a.place, a.qty) for a in self.adjustments]
        for place, qty in changes:
            found[place] = found.get(place, 0) + qty
        return found


def match(
    observations: Iterable[Obs],
    decisions: Mapping[str, Decision] = _UNDECIDED,
    *,
    window: timedelta = timedelta(hours=4),
    same_scan: timedelta = timedelta(seconds=5),
    home: int = NOWHERE,
    base: Mapping[int, int] = _NONE,
    begun: frozenset[int] = frozenset(),
    doubts: Sequence[Doubt] = (),
) -> Outcome:
    """One item's observations, in any order; the answer depends on their times and contents only.

    window:  two sayings so far apart in event time may still be one event.
    home:    where a saying without place is booked.
    base:    level of each place before the first observation; `begun`: places of which anything was known then.
    doubts:  open ones from before the first observation, that no count came after.
    """
    ordered = prepared(observations, decisions, same_scan)
    lots = lots_of((o for o in ordered if o.nature == "move"), decisions, window)
    events = [lot.event(home) for lot in lots if not lot.doubtful]
    events += [
        Event(o.qty, o.place or home, o.at, (o.id,), o.operation, o.person, seen=True, uncertain=o.uncertain)
        for o in ordered
        if o.nature == "receipt" and o.qty
    ]
    asked = questions_of(lots, home)
    open_doubts = [*doubts, *(Doubt(q.place, q.at, q.qty) for q in asked if q.kind == "doubt")]
    counts = counts_of(ordered, decisions)
    events, adjustments, ecarts = compare(events, counts, base, begun, decisions, window, open_doubts)
    events.sort(key=lambda e: e.order)
    questions = [*asked, *ecarts]
    if begun or any(o.place for o in ordered):
        questions += _unplaced(events, {o.id: o.at for o in ordered}, decisions)
    return Outcome(tuple(events), tuple(adjustments), tuple({q.key: q for q in questions}.values()))


def _unplaced(
    events: Iterable[Event], times: Mapping[int, datetime], decisions: Mapping[str, Decision]
) -> list[Question]:
    """Events of an item that has places, at none of them: no count there will ever tell whether they are right."""
    found: dict[str, Question] = {}
    for e in events:
        first = e.observations[0]
        key = place_key(first)
        if e.place == NOWHERE and key not in decisions:
            qty = e.qty + (found[key].qty if key in found else 0)
            found[key] = Question(key, "unplaced", NOWHERE, times[first], qty, first)
    return list(found.values())
