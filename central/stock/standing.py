"""The questions that stay open about places under a camera, from all that is known of each (`rules.reading`).

Nothing is loaded for items that no camera ever asked about or read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.stock.loading import Bounds, Chain, Span, chains
from central.stock.models import NO_PLACE, SEEN, Observation, Proposal
from central.stock.rules import Event, Outcome, Question, Standing, stand
from central.stock.rules.reading import level_at
from central.stock.rules.sayings import Obs

_AT_ONCE = 500
_DECIDED = frozenset({"confirmed", "corrected", "refused"})

_O = Observation
_COLUMNS = (
    _O.item_id, _O.id, _O.at, _O.qty, _O.channel, _O.source, _O.nature, _O.place_id, _O.operation, _O.person, _O.post,
    _O.review, _O.count_before, _O.count_after, _O.uncertain, _O.reason,
)  # fmt: skip
_OPEN = select(Proposal.id, Proposal.key, Proposal.kind, Proposal.state, Proposal.item_id, Proposal.place_id,
               Proposal.qty, Proposal.at, Proposal.observation_id)  # fmt: skip

Look = Callable[[Chain], tuple[Outcome, dict[int, int]]]


@dataclass(slots=True)
class Changes:
    """What the proposals of one item need."""

    new: list[Question] = field(default_factory=list)
    again: list[tuple[int, Question]] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Place:
    asks: list[Obs] = field(default_factory=list)
    reading: Obs | None = None


async def standing_questions(
    session: AsyncSession, items: Sequence[int], bounds: dict[int, Bounds], window: timedelta, look: Look
) -> list[tuple[int, Changes]]:
    """For each item that a camera asked about or read, what its open questions should become."""
    found: list[tuple[int, Changes]] = []
    for index in range(0, len(items), _AT_ONCE):
        part = items[index : index + _AT_ONCE]
        seen = await _seen(session, part)
        if seen:
            for item, places in sorted(seen.items()):
                found.append((item, await _item(session, item, places, bounds, window, look)))
    return found


async def _seen(session: AsyncSession, items: Sequence[int]) -> dict[int, set[int]]:
    """The places of these items of which a camera asked, or which it read."""
    rows = await session.execute(select(_O.item_id, _O.place_id).where(_O.item_id.in_(items), SEEN).distinct())
    seen: defaultdict[int, set[int]] = defaultdict(set)
    for item, place in rows:
        seen[item].add(place)
    return seen


async def _item(
    session: AsyncSession, item: int, places: set[int], bounds: dict[int, Bounds], window: timedelta, look: Look
) -> Changes:
    known = {
        p.key: p
        for p in await session.execute(
            _OPEN.where(Proposal.item_id == item, Proposal.kind.in_(("ask", "read", "doubt", "ecart")))
            .where((Proposal.state == "open") | Proposal.kind.in_(("ask", "read")) | (Proposal.state == "refused"))
        )
    }  # fmt: skip
    wanted = await _wanted(session, item, places, known)
    times = sorted({o.at for p in wanted.values() for o in [*p.asks, *([p.reading] if p.reading else [])]})
    by_time: dict[datetime, tuple[Outcome, dict[int, int]]] = {}
    chain: Chain | None = None
    for at in times:
        if chain is None or not chain.first <= at <= chain.last:
            chain = (await chains(session, [Span(item, at, at)], bounds, window))[0]
            found = look(chain)
        by_time[at] = found
    questions: list[Question] = []
    for place, its in sorted(wanted.items()):
        if its.asks or its.reading:
            questions += stand(await _standing(session, item, place, its, by_time, known), window)
    return _changes(questions, known)


async def _wanted(session: AsyncSession, item: int, places: set[int], known: Mapping[str, Any]) -> dict[int, _Place]:
    """The undecided asks and the newest reading of each place."""
    wanted: defaultdict[int, _Place] = defaultdict(_Place)
    decided = select(Proposal.observation_id).where(
        Proposal.item_id == item, Proposal.kind == "ask", Proposal.state.in_(_DECIDED)
    )
    asks: Any = await session.execute(
        select(*_COLUMNS).where(_O.item_id == item, _O.nature == "ask", _O.id.not_in(decided), SEEN)
    )
    for row in asks:
        wanted[row.place_id].asks.append(Obs(*row[1:]))
    for place in sorted(places - {NO_PLACE}):
        newest = await _newest_reading(session, place)
        if newest is None or newest[0] != item:
            continue
        obs = Obs(*newest[1:])
        proposal = known.get(f"ecart:{obs.id}")
        if proposal is None or proposal.state not in _DECIDED:
            wanted[place].reading = obs
    return wanted


async def _newest_reading(session: AsyncSession, place: int) -> Any:
    """Of the place, whatever item was read there; of two of one instant the order of arrival says nothing."""
    return (
        await session.execute(
            select(*_COLUMNS)
            .where(_O.place_id == place, _O.nature.in_(("read", "there")), SEEN)
            .order_by(_O.at.desc(), _O.channel, _O.item_id, _O.qty, _O.id)
            .limit(1)
        )
    ).first()


async def _standing(
    session: AsyncSession,
    item: int,
    place: int,
    its: _Place,
    by_time: Mapping[datetime, tuple[Outcome, dict[int, int]]],
    known: Mapping[str, Any],
) -> Standing:
    reading = its.reading
    level = pending = 0
    adjustments: tuple[Any, ...] = ()
    events: dict[tuple[object, ...], Event] = {}
    for obs in [*its.asks, *([reading] if reading else [])]:
        outcome, base = by_time[obs.at]
        events |= {e.order: e for e in outcome.events}
        if obs is reading:
            adjustments = outcome.adjustments
            level = level_at(place, obs.at, base.get(place, 0), outcome.events, adjustments)
    if reading is not None:
        pending = sum(
            p.qty
            for p in known.values()
            if p.kind == "doubt" and p.state == "open" and p.place_id == place and p.at <= reading.at
        )
    refused = {p.observation_id for p in known.values() if p.kind == "ecart" and p.state == "refused"}
    first = min(o.at for o in [*its.asks, *([reading] if reading else [])])
    by_hand, by_camera, read = await _counted(session, item, place, first, refused)
    return Standing(
        place, its.asks, reading, level, pending, list(events.values()), adjustments, by_hand, by_camera, read
    )


async def _counted(
    session: AsyncSession, item: int, place: int, since: datetime, refused: set[int]
) -> tuple[datetime | None, datetime | None, datetime | None]:
    """The last count by a person, by a trusted camera with its observation, and by a reading, from `since` on."""
    contested = select(Proposal.observation_id).where(Proposal.item_id == item, Proposal.kind == "contest")
    counts = (_O.nature == "count") | (
        (_O.nature == "move") & _O.review.is_(False) & (_O.count_before.is_not(None) | _O.count_after.is_not(None))
    )
    rows = await session.execute(
        select(_O.nature, _O.source, func.max(_O.at))
        .where(_O.item_id == item, _O.at >= since, _O.place_id == place, _O.id.not_in(refused))
        .where(counts | _O.nature.in_(("read", "there")), _O.id.not_in(contested))
        .group_by(_O.nature, _O.source)
    )
    by_hand: datetime | None = None
    by_camera: datetime | None = None
    read: datetime | None = None
    for nature, source, at in rows:
        if nature in {"read", "there"}:
            read = max(read or at, at)
        elif source == "camera":
            by_camera = max(by_camera or at, at)
        else:
            by_hand = max(by_hand or at, at)
    return by_hand, by_camera, read


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
