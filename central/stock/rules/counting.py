"""What counts say about the events between them.

A count fixes the level of its place at its time. The difference with the events since the count before is one
*écart*: an adjustment that is booked, and a question that stays open. So an earlier event that arrives later
explains the difference and leaves the present level alone.

A camera's observation that carries its counts is a movement *and* two counts: a gap between the last ``after`` and
this ``before`` is a difference like any other.

A person's saying is about its event, not at it: one scans a minute before or an hour after. Where two counts
disagree with the ledger in a way that vanishes when such an event is taken on the other side of a count, it is.

A difference that an open doubt from before the count would explain is not asked as well: the doubt asks already. The
adjustment is booked all the same, since the count fixes the level whatever the answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from central.stock.rules.matching import Event
from central.stock.rules.sayings import NOWHERE, Decisions, Doubt, Obs, Question, pair_key


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What the count of that observation adds to the ledger."""

    key: str
    qty: int
    place: int
    at: datetime
    observation: int
    uncertain: bool


@dataclass(frozen=True, slots=True)
class _Count:
    key: str
    at: datetime
    side: int
    """Beside movements of the same instant: −1 before them, 1 after."""
    qty: int
    place: int
    observation: int
    by_camera: bool
    uncertain: bool
    accepted: bool = False
    """A person said that a reading is right: its difference is no question any more."""


@dataclass(slots=True)
class _Span:
    """From just after the count before (or the beginning) up to `count`, its events in order."""

    count: _Count | None
    events: list[Event]


def ecart_key(observation: int, side: str = "") -> str:
    return f"ecart:{observation}{side}"


def counts_of(observations: Iterable[Obs], decisions: Decisions) -> list[_Count]:
    """All counts, stated or implied by a trusted camera observation; refused ones are not there."""
    found: list[_Count] = []

    def add(obs: Obs, key: str, side: int, qty: int) -> None:
        decision = decisions.get(key)
        reading = obs.nature in {"read", "there"}
        if reading and decision is None:
            return
        if decision is not None and decision.verdict == "refused":
            return
        if decision is not None and decision.verdict == "corrected" and decision.qty is not None:
            qty = decision.qty
        seen = obs.source == "camera"
        found.append(_Count(key, obs.at, side, qty, obs.place, obs.id, seen, obs.uncertain, accepted=reading))

    observations = list(observations)
    firsts = _firsts(o for o in observations if o.place and not o.review)
    for obs in observations:
        if obs.nature in {"count", "read", "there"}:
            add(obs, ecart_key(obs.id), 1, obs.qty)
        elif obs.place and not obs.review and obs.nature != "ask":
            if obs.before is not None and obs.id in firsts:
                add(obs, ecart_key(obs.id, "b"), -1, obs.before)
            # When both agree with the movement, the one before says it all.
            if obs.after is not None and (obs.before is None or obs.after - obs.before != obs.qty):
                add(obs, ecart_key(obs.id, "a"), 1, obs.after)
    return sorted(found, key=lambda c: (c.at, c.side, c.place, c.qty, c.observation))


def _firsts(observations: Iterable[Obs]) -> set[int]:
    """Which camera observations' ``before`` can be compared: of several of one place and instant, the one before all.

    Its count is no other's ``after``; the order of arrival says nothing about which came first.
    """
    groups: defaultdict[tuple[int, datetime], list[Obs]] = defaultdict(list)
    for obs in observations:
        if obs.nature == "move" and obs.before is not None:
            groups[obs.place, obs.at].append(obs)
    found: set[int] = set()
    for group in groups.values():
        afters = {o.after for o in group}
        found.add(min(group, key=lambda o: (o.before in afters, -(o.before or 0), o.order)).id)
    return found


def compare(
    events: list[Event],
    counts: list[_Count],
    base: Mapping[int, int],
    begun: frozenset[int],
    decisions: Decisions,
    window: timedelta,
    doubts: Sequence[Doubt] = (),
) -> tuple[list[Event], list[Adjustment], list[Question]]:
    """Events (some now placed, or on the other side of a count), adjustments and questions.

    base:   level of each place before all of this.
    begun:  places of which anything was known before.
    doubts: open ones; of those before all of this, the ones that no count came after.
    """
    by_place: defaultdict[int, list[_Count]] = defaultdict(list)
    for count in counts:
        by_place[count.place].append(count)
    events = _placed(events, by_place, base)
    result = [e for e in events if e.place not in by_place]
    adjustments: list[Adjustment] = []
    questions: list[Question] = []
    for place, its_counts in sorted(by_place.items()):
        spans = _spans([e for e in events if e.place == place], its_counts)
        questions += _take_across(spans, base.get(place, 0), window, decisions)
        level, known = base.get(place, 0), place in begun
        open_doubts = sorted((d for d in doubts if d.place == place), key=lambda d: (d.at, d.qty), reverse=True)
        for span in spans:
            result.extend(span.events)
            level += sum(e.qty for e in span.events)
            known = known or bool(span.events)
            if span.count is None:
                continue
            count = span.count
            difference = count.qty - level
            before: list[Doubt] = []
            while open_doubts and (open_doubts[-1].at, 0) <= (count.at, count.side):
                before.append(open_doubts.pop())
            if difference:
                adjustments.append(
                    Adjustment(count.key, difference, place, count.at, count.observation, count.uncertain)
                )
                opening = not known and not count.by_camera
                left = _unexplained(difference, before)
                if left and not opening and not count.accepted and not _accepted(decisions, count.key, left):
                    questions.append(Question(count.key, "ecart", place, count.at, left, count.observation))
            level, known = count.qty, True
    return result, adjustments, questions


def _unexplained(difference: int, doubts: Iterable[Doubt]) -> int:
    """What is left of a difference if these doubts are true, each that fits into it."""
    for doubt in doubts:
        if doubt.qty * difference > 0 and abs(doubt.qty) <= abs(difference):
            difference -= doubt.qty
    return difference


def _accepted(decisions: Decisions, key: str, difference: int) -> bool:
    decision = decisions.get(key)
    if decision is None:
        return False
    if decision.verdict == "corrected":
        return True
    return decision.verdict == "confirmed" and decision.qty == difference


def _spans(events: list[Event], counts: list[_Count]) -> list[_Span]:
    spans = [_Span(count, []) for count in counts] + [_Span(None, [])]
    index = 0
    for event in sorted(events, key=lambda e: e.order):
        while index < len(counts) and (counts[index].at, counts[index].side) < (event.at, 0):
            index += 1
        spans[index].events.append(event)
    return spans


def _differences(spans: list[_Span], base: int) -> list[int]:
    level, found = base, []
    for span in spans:
        if span.count is not None:
            found.append(span.count.qty - level - sum(e.qty for e in span.events))
            level = span.count.qty
    return found


def _take_across(spans: list[_Span], base: int, window: timedelta, decisions: Decisions) -> list[Question]:
    """Move a person's saying over a count where that leaves less unexplained, in both directions.

    Told after the last count, done before it: nothing confirms that yet, so it is asked as well.
    """
    questions: list[Question] = []
    differences = _differences(spans, base)
    for index in range(len(differences)):
        count, earlier, later = spans[index].count, spans[index].events, spans[index + 1].events
        last = index + 1 == len(differences)
        if count is None:
            continue
        for event in list(later):
            here, after = differences[index], 0 if last else differences[index + 1]
            better = abs(here - event.qty) + (0 if last else abs(after + event.qty)) < abs(here) + abs(after)
            if event.seen or event.at - count.at > window or not better:
                continue
            key = pair_key(count.observation, event.observations[0])
            decision = decisions.get(key)
            if decision is not None and decision.verdict == "refused":
                continue
            later.remove(event)
            earlier.append(event)
            differences[index] -= event.qty
            if not last:
                differences[index + 1] += event.qty
            elif decision is None:
                questions.append(
                    Question(key, "pairing", count.place, count.at, event.qty, count.observation, event.observations[0])
                )
        for event in list(earlier):
            if last or event.seen or count.at - event.at > window:
                continue
            here, after = differences[index], differences[index + 1]
            if abs(here + event.qty) + abs(after - event.qty) < abs(here) + abs(after):
                earlier.remove(event)
                later.insert(0, event)
                differences[index] += event.qty
                differences[index + 1] -= event.qty
    return questions


def _placed(events: list[Event], by_place: Mapping[int, list[_Count]], base: Mapping[int, int]) -> list[Event]:
    """An event of unknown place goes where the first count after it misses exactly such a quantity."""
    floating = [e for e in events if e.place == NOWHERE]
    if not floating or not by_place:
        return events
    fixed = [e for e in events if e.place != NOWHERE]
    for event in sorted(floating, key=lambda e: e.order):
        places = [place for place in sorted(by_place) if _misses(event, fixed, place, by_place[place], base)]
        fixed.append(replace(event, place=places[0]) if len(places) == 1 else event)
    return fixed


def _misses(event: Event, events: list[Event], place: int, counts: list[_Count], base: Mapping[int, int]) -> bool:
    if not any((c.at, c.side) > (event.at, 0) for c in counts):
        return False
    here = [e for e in events if e.place == place]
    before = _differences(_spans(here, counts), base.get(place, 0))
    after = _differences(_spans([*here, replace(event, place=place)], counts), base.get(place, 0))
    return sum(map(abs, after)) < sum(map(abs, before))
