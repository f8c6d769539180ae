"""The questions that stay open about places under a camera, from all that is known of each (`rules.reading`).

Nothing is loaded for items that no camera ever asked about or read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import case, exists, func, literal, select, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from central.stock.loading import COUNTS, Bounds, Chain, Span, chains
from central.stock.models import NO_PLACE, SEEN, Level, Observation, Proposal
from central.stock.rules import Adjustment, Event, Outcome, Question, Standing, stand
from central.stock.rules.reading import level_at
from central.stock.rules.sayings import Obs

AT_ONCE = 500
"""Most values in one IN list."""
_DECIDED = frozenset({"confirmed", "corrected", "refused"})

_O = Observation
_COLUMNS = (
    _O.item_id, _O.id, _O.at, _O.qty, _O.channel, _O.source, _O.nature, _O.place_id, _O.operation, _O.person, _O.post,
    _O.review, _O.count_before, _O.count_after, _O.uncertain, _O.reason,
)  # fmt: skip
_REFUSED = aliased(Proposal)
_COUNTED_AFTER = (
    select(func.min(_O.at))
    .where(_O.item_id == Proposal.item_id, _O.place_id == Proposal.place_id, _O.at > Proposal.at, COUNTS)
    .where(
        ~exists(
            select(_REFUSED.id)
            .where(_REFUSED.item_id == _O.item_id, _REFUSED.observation_id == _O.id)
            .where(_REFUSED.kind == "ecart", _REFUSED.state == "refused")
            .correlate(_O)
        )
    )
    .correlate(Proposal)
    .scalar_subquery()
)
"""When the place of a doubt was first counted after it: from then on the doubt explains nothing there."""
_IS_DOUBT = (Proposal.kind == "doubt") & (Proposal.state == "open")
_OPEN = select(Proposal.id, Proposal.key, Proposal.kind, Proposal.state, Proposal.item_id, Proposal.place_id,
               Proposal.qty, Proposal.at, Proposal.observation_id,
               case((_IS_DOUBT, _COUNTED_AFTER)).label("counted_at"))  # fmt: skip

Look = Callable[[Chain], tuple[Outcome, dict[int, int]]]


@dataclass(slots=True)
class Changes:
    """What the proposals of one item need."""

    new: list[Question] = field(default_factory=list)
    again: list[tuple[int, Question]] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Place:
    """Of one item at one place: its undecided asks, and its newest reading."""

    asks: list[Obs] = field(default_factory=list)
    reading: Obs | None = None

    @property
    def looked(self) -> list[Obs]:
        return [*self.asks, *([self.reading] if self.reading is not None else [])]


class _Counted(NamedTuple):
    by_hand: datetime | None
    by_camera: datetime | None
    read: datetime | None


_Key: TypeAlias = tuple[int, int]
"""Item, place."""
_Seen: TypeAlias = dict[tuple[int, datetime], tuple[Outcome, dict[int, int]]]
_Known: TypeAlias = dict[int, dict[str, Any]]


async def standing_questions(
    session: AsyncSession, seen: Mapping[int, set[int]], bounds: dict[int, Bounds], window: timedelta, look: Look
) -> list[tuple[int, Changes]]:
    """For each item that a camera asked about or read (there), what its open questions should become."""
    found: list[tuple[int, Changes]] = []
    items = sorted(seen)
    for index in range(0, len(items), AT_ONCE):
        part = {item: seen[item] for item in items[index : index + AT_ONCE]}
        found += await _some(session, part, bounds, window, look)
    return found


async def pending_of(session: AsyncSession, items: Collection[int] | None = None) -> dict[_Key, int]:
    """What open doubts would change of the present levels: those that no count came after. None: of all items."""
    found = select(Proposal.item_id, Proposal.place_id, func.sum(Proposal.qty)).where(_IS_DOUBT)
    if items is not None:
        found = found.where(Proposal.item_id.in_(items))
    rows = await session.execute(found.where(_COUNTED_AFTER.is_(None)).group_by(Proposal.item_id, Proposal.place_id))
    return {(item, place): int(qty) for item, place, qty in rows}


async def seen_places(session: AsyncSession, items: Sequence[int]) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """The places of these items of which a camera asked, or which it read; and those where they are booked, or asked
    for, and anything was read.
    """
    seen: defaultdict[int, set[int]] = defaultdict(set)
    booked: defaultdict[int, set[int]] = defaultdict(set)
    was_read = exists(select(_O.id).where(_O.place_id == Level.place_id, _O.nature.in_(("read", "there")), SEEN))
    for index in range(0, len(items), AT_ONCE):
        part = items[index : index + AT_ONCE]
        rows = await session.execute(
            union(
                select(literal(1), _O.item_id, _O.place_id).where(_O.item_id.in_(part), SEEN),
                select(literal(2), Level.item_id, Level.place_id)
                .where(Level.item_id.in_(part), Level.place_id != NO_PLACE, Level.qty != 0)
                .where(was_read.correlate(Level)),
                select(literal(2), Proposal.item_id, Proposal.place_id).where(
                    Proposal.item_id.in_(part), Proposal.kind == "former", Proposal.state == "open"
                ),
            )
        )
        for which, item, place in rows:
            (seen if which == 1 else booked)[item].add(place)
    return seen, booked


async def _some(
    session: AsyncSession, seen: Mapping[int, set[int]], bounds: dict[int, Bounds], window: timedelta, look: Look
) -> list[tuple[int, Changes]]:
    known = await _proposals(session, seen)
    wanted = await _wanted(session, seen, known)
    outcomes = await _looked(session, wanted, bounds, window, look)
    counted = await _counted(session, wanted, known)
    questions: defaultdict[int, list[Question]] = defaultdict(list)
    for (item, place), its in sorted(wanted.items(), key=lambda found: found[0]):
        told = counted.get((item, place), _Counted(None, None, None))
        questions[item] += stand(_standing(item, place, its, outcomes, known[item], told), window)
    return [(item, _changes(questions[item], known[item])) for item in sorted(seen)]


async def _proposals(session: AsyncSession, items: Collection[int]) -> _Known:
    known: _Known = {item: {} for item in items}
    for p in await session.execute(
        _OPEN.where(Proposal.item_id.in_(items), Proposal.kind.in_(("ask", "read", "doubt", "ecart"))).where(
            (Proposal.state == "open") | Proposal.kind.in_(("ask", "read")) | (Proposal.state == "refused")
        )
    ):
        known[p.item_id][p.key] = p
    return known


async def _wanted(session: AsyncSession, seen: Mapping[int, set[int]], known: _Known) -> dict[_Key, _Place]:
    wanted: defaultdict[_Key, _Place] = defaultdict(_Place)
    decided = {p.observation_id for its in known.values() for p in its.values() if p.state in _DECIDED}
    asks: Any = await session.execute(select(*_COLUMNS).where(_O.item_id.in_(seen), _O.nature == "ask", SEEN))
    for row in asks:
        if row.id not in decided:
            wanted[row.item_id, row.place_id].asks.append(Obs(*row[1:]))
    places = {place for its in seen.values() for place in its} - {NO_PLACE}
    for row in await newest_readings(session, places):
        if row.item_id in seen and row.id not in decided:
            wanted[row.item_id, row.place_id].reading = Obs(*row[1:])
    return wanted


async def newest_readings(session: AsyncSession, places: Collection[int]) -> list[Any]:
    """Of each place, whatever item was read there; of two of one instant the order of arrival says nothing."""
    if not places:
        return []
    is_reading = (_O.place_id.in_(places), _O.nature.in_(("read", "there")), SEEN)
    rows = await session.execute(select(_O.place_id, func.max(_O.at)).where(*is_reading).group_by(_O.place_id))
    last = {place: at for place, at in rows}  # noqa: C416 -- dict() of rows has no type
    found: Any = await session.execute(
        select(*_COLUMNS)
        .where(*is_reading, _O.at.in_(set(last.values())))
        .order_by(_O.channel.desc(), _O.item_id.desc(), _O.qty.desc(), _O.id.desc())
    )
    newest = {row.place_id: row for row in found if row.at == last[row.place_id]}
    return list(newest.values())


async def _looked(
    session: AsyncSession,
    wanted: Mapping[_Key, _Place],
    bounds: dict[int, Bounds],
    window: timedelta,
    look: Look,
) -> _Seen:
    """What matching says around each ask and reading: one chain of each item in a round."""
    todo: defaultdict[int, list[datetime]] = defaultdict(list)
    for (item, _), its in wanted.items():
        todo[item] += [o.at for o in its.looked]
    outcomes: _Seen = {}
    while todo:
        spans = [Span(item, min(times), min(times)) for item, times in todo.items()]
        for chain in await chains(session, spans, bounds, window):
            found = look(chain)
            times = todo.pop(chain.item)
            outcomes |= {(chain.item, at): found for at in times if chain.first <= at <= chain.last}
            rest = [at for at in times if not chain.first <= at <= chain.last]
            if rest:
                todo[chain.item] = rest
    return outcomes


def _standing(
    item: int, place: int, its: _Place, outcomes: _Seen, known: Mapping[str, Any], counted: _Counted
) -> Standing:
    reading = its.reading
    level = pending = 0
    adjustments: tuple[Adjustment, ...] = ()
    events: dict[tuple[object, ...], Event] = {}
    for obs in its.looked:
        outcome, base = outcomes[item, obs.at]
        events |= {e.order: e for e in outcome.events}
        if obs is reading:
            adjustments = outcome.adjustments
            level = level_at(place, obs.at, base.get(place, 0), outcome.events, adjustments)
    if reading is not None:
        pending = sum(
            p.qty
            for p in known.values()
            if p.kind == "doubt" and p.state == "open" and p.place_id == place and p.at <= reading.at
            if p.counted_at is None or p.counted_at > reading.at
        )
    return Standing(place, its.asks, reading, level, pending, list(events.values()), adjustments, *counted)


async def _counted(session: AsyncSession, wanted: Mapping[_Key, _Place], known: _Known) -> dict[_Key, _Counted]:
    """The last count by a person, by a trusted camera with its observation, and by a reading."""
    if not wanted:
        return {}
    items, places = {item for item, _ in wanted}, {place for _, place in wanted}
    since = min(o.at for its in wanted.values() for o in its.looked)
    refused = {
        p.observation_id for its in known.values() for p in its.values() if p.kind == "ecart" and p.state == "refused"
    }
    contested = select(Proposal.observation_id).where(Proposal.item_id.in_(items), Proposal.kind == "contest")
    counts = (_O.nature == "count") | (
        (_O.nature == "move") & _O.review.is_(False) & (_O.count_before.is_not(None) | _O.count_after.is_not(None))
    )
    rows = await session.execute(
        select(_O.item_id, _O.place_id, _O.nature, _O.source, func.max(_O.at))
        .where(_O.item_id.in_(items), _O.at >= since, _O.place_id.in_(places), _O.id.not_in(refused))
        .where(counts | _O.nature.in_(("read", "there")), _O.id.not_in(contested))
        .group_by(_O.item_id, _O.place_id, _O.nature, _O.source)
    )
    found: defaultdict[_Key, _Counted] = defaultdict(lambda: _Counted(None, None, None))
    for item, place, nature, source, at in rows:
        name = "read" if nature in {"read", "there"} else "by_camera" if source == "camera" else "by_hand"
        told = found[item, place]
        found[item, place] = told._replace(**{name: max(getattr(told, name) or at, at)})
    return found


def _changes(questions: Sequence[Question], known: Mapping[str, Any]) -> Changes:
    changes = Changes()
    keys = {q.key for q in questions}
    for q in questions:
        p = known.get(q.key)
        if p is None:
            changes.new.append(q)
        elif p.state in _DECIDED:
            continue
        elif (p.state, p.qty, p.place_id) != ("open", q.qty, q.place):
            changes.again.append((p.id, q))
    changes.settled = [
        p.id for p in known.values() if p.kind in {"ask", "read"} and p.state == "open" and p.key not in keys
    ]
    return changes
