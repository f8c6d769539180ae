"""What stays booked of an item in a place where a camera reads another one since: it is asked (`rules.reading`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from central.stock.models import NO_PLACE, SEEN, Level, Observation, Proposal
from central.stock.rules import Former, Question, ask_where
from central.stock.standing import AT_ONCE, Changes, newest_readings, pending_of

_Key: TypeAlias = tuple[int, int]
"""Item, place."""
_O, _OWN = aliased(Observation), aliased(Observation)
_LAST_OWN = (
    select(func.max(_OWN.at))
    .where(_OWN.item_id == Level.item_id, _OWN.place_id == Level.place_id, _OWN.nature.in_(("read", "there")), SEEN)
    .correlate(Level)
    .scalar_subquery()
)
_FIRST_OTHER = (
    select(_O.id)
    .where(_O.place_id == Level.place_id, _O.item_id != Level.item_id, _O.nature.in_(("read", "there")), SEEN)
    .where(or_(_LAST_OWN.is_(None), _O.at > _LAST_OWN))
    .order_by(_O.at, _O.channel, _O.item_id, _O.qty, _O.id)
    .limit(1)
    .correlate(Level)
    .scalar_subquery()
)


async def others_booked(session: AsyncSession, read: Mapping[int, int]) -> set[int]:
    """Of these places (→ item read there), the other items that are booked, or that a camera's question is about."""
    booked = select(Level.item_id, Level.place_id).where(Level.place_id.in_(read), Level.qty != 0)
    asked = select(Proposal.item_id, Proposal.place_id).where(
        Proposal.kind.in_(("read", "former")), Proposal.state == "open", Proposal.place_id.in_(read)
    )
    return {item for item, place in await session.execute(booked.union(asked)) if read[place] != item}


async def former_questions(session: AsyncSession, places: Mapping[int, Collection[int]]) -> list[tuple[int, Changes]]:
    """`places`: of each item, those where it is booked or asked for. What the questions about them should become."""
    found: list[tuple[int, Changes]] = []
    items = sorted(places)
    for index in range(0, len(items), AT_ONCE):
        part = {item: set(places[item]) - {NO_PLACE} for item in items[index : index + AT_ONCE]}
        newest = {row.place_id: row for row in await newest_readings(session, set().union(*part.values()))}
        seen = {item for item, its in part.items() if its & newest.keys()}
        if seen:
            others = [(i, p) for i in seen for p in part[i] if p in newest and newest[p].item_id != i]
            first = {place: (row.id, row.at) for place, row in newest.items()}
            found += await _some(session, seen, others, first)
    return found


async def owners(session: AsyncSession, places: Collection[int]) -> dict[int, int]:
    """Of each place, the item that was read there last."""
    return {row.place_id: row.item_id for row in await newest_readings(session, places)}


async def _some(
    session: AsyncSession,
    items: Collection[int],
    others: Sequence[_Key],
    newest: Mapping[int, tuple[int, datetime]],
) -> list[tuple[int, Changes]]:
    p = Proposal
    known: defaultdict[int, dict[str, tuple[int, str, int]]] = defaultdict(dict)
    for item, key, number, state, qty in await session.execute(
        select(p.item_id, p.key, p.id, p.state, p.qty).where(p.item_id.in_(items), p.kind == "former")
    ):
        known[item][key] = (number, state, qty)
    questions: defaultdict[int, list[Question]] = defaultdict(list)
    for former in await _formers(session, others, newest):
        question = ask_where(former)
        if question is not None:
            questions[former.item].append(question)
    return [(item, _changes(questions[item], known[item])) for item in sorted(known.keys() | questions.keys())]


async def _formers(
    session: AsyncSession, others: Sequence[_Key], newest: Mapping[int, tuple[int, datetime]]
) -> list[Former]:
    rows = await session.execute(
        select(Level.item_id, Level.place_id, Level.qty, _FIRST_OTHER)
        .where(tuple_(Level.item_id, Level.place_id).in_(others), Level.qty != 0)
        .order_by(Level.item_id, Level.place_id)
    )
    booked = [(item, place, qty, first) for item, place, qty, first in rows] if others else []
    if not booked:
        return []
    items = {item for item, *_ in booked}
    firsts = await session.execute(
        select(Observation.id, Observation.at).where(Observation.id.in_([first for *_, first in booked]))
    )
    times = {number: at for number, at in firsts}  # noqa: C416 -- dict() of rows has no type
    asks = await session.execute(
        select(Proposal.item_id, Proposal.place_id).where(
            Proposal.item_id.in_(items), Proposal.kind == "ask", Proposal.state == "open"
        )
    )
    asked = {(item, place) for item, place in asks}
    pending = await pending_of(session, items)
    counts = await _counts(session, items, {place for _, place, *_ in booked})
    found = []
    for item, place, level, first in booked:
        # Read at one instant with the other: that reading itself is the first.
        number, since = (first, times[first]) if first is not None else newest[place]
        key = (item, place)
        found.append(Former(item, place, number, since, level, pending.get(key, 0), key in asked, counts[key]))
    return found


async def _counts(
    session: AsyncSession, items: Collection[int], places: Collection[int]
) -> defaultdict[_Key, list[tuple[datetime, int]]]:
    """What persons counted, as it stands after what was decided about it."""
    o, p = Observation, Proposal
    rows = await session.execute(
        select(o.item_id, o.place_id, o.at, o.qty, p.state, p.decided_qty)
        .outerjoin(
            p,
            (p.item_id == o.item_id)
            & (p.observation_id == o.id)
            & (p.kind == "ecart")
            & p.state.in_(("corrected", "refused")),
        )
        .where(o.item_id.in_(items), o.place_id.in_(places), o.nature == "count", o.source != "camera")
        .order_by(o.at, o.qty, o.id)
    )
    found: defaultdict[_Key, list[tuple[datetime, int]]] = defaultdict(list)
    for item, place, at, qty, state, decided in rows:
        if state != "refused":
            found[item, place].append((at, qty if decided is None else decided))
    return found


def _changes(questions: Sequence[Question], known: Mapping[str, tuple[int, str, int]]) -> Changes:
    changes = Changes()
    for q in questions:
        if q.key not in known:
            changes.new.append(q)
        elif known[q.key][1:] != ("open", q.qty):
            changes.again.append((known[q.key][0], q))
    keys = {q.key for q in questions}
    changes.settled = [number for key, (number, state, _) in known.items() if state == "open" and key not in keys]
    return changes
