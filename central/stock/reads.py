"""What pages ask of the stock. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select

from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.items.service import NotFound
from central.racks.crops import held
from central.racks.service import crops, rack_of
from central.stock.former import owners
from central.stock.models import Charge, Comment, Level, Link, Movement, Observation, Proposal, Sight
from central.stock.rules.sayings import contest_key
from central.stock.schemas import EvidenceView, ItemLevel, MovementView, PlaceLevel, ProposalView, SourceView
from central.stock.wording import question

UNDO_FOR = timedelta(minutes=10)
DECIDED = ("confirmed", "corrected", "refused")


async def levels(uow: UnitOfWork, query: str | None = None) -> list[ItemLevel]:
    """Every item with its level in all and by place, by code; `query` is a part of code or label."""
    statement = select(Item).order_by(Item.code)
    if query and query.strip():
        like = f"%{query.strip().upper()}%"
        statement = statement.where(or_(func.upper(Item.code).like(like), func.upper(Item.label).like(like)))
    return await _levels(uow, statement)


async def level(uow: UnitOfWork, item: str) -> ItemLevel:
    """Raises `NotFound`."""
    found = await _levels(uow, select(Item).where(Item.code == item.strip().upper()))
    if not found:
        raise NotFound(f"article {item} inconnu")
    return found[0]


async def _levels(uow: UnitOfWork, statement: Select[Item]) -> list[ItemLevel]:
    items = list(await uow.session.scalars(statement))
    wanted = statement.with_only_columns(Item.id).order_by(None).scalar_subquery()
    by_item: defaultdict[int, list[PlaceLevel]] = defaultdict(list)
    rows = await uow.session.execute(
        select(Level.item_id, Place.code, Level.qty, Level.pending)
        .outerjoin(Place, Place.id == Level.place_id)
        .where(Level.item_id.in_(wanted))
        .order_by(Place.code)
    )
    for item_id, place, qty, pending in rows:
        if qty or pending or place:
            by_item[item_id].append(PlaceLevel(place, qty, pending))
    waiting = await uow.session.execute(
        select(Proposal.item_id, func.count()).where(Proposal.state == "open").group_by(Proposal.item_id)
    )
    open_by_item = {item_id: count for item_id, count in waiting}  # noqa: C416 -- dict() of rows has no type
    return [
        ItemLevel(
            item=i.code,
            label=i.label,
            item_class=i.item_class,
            unit=i.unit,
            handling=i.handling,
            qty=sum(p.qty for p in by_item[i.id]),
            pending=sum(p.pending for p in by_item[i.id]),
            minimum=i.minimum,
            open_proposals=open_by_item.get(i.id, 0),
            places=tuple(by_item[i.id]),
        )
        for i in items
    ]


async def movements(uow: UnitOfWork, item: str | None = None, limit: int = 50) -> list[MovementView]:
    """The ledger's last rows, the latest event first, each with what is known of its event today."""
    statement = (
        select(Movement, Item.code, Item.label, Item.unit, Place.code)
        .join(Item, Item.id == Movement.item_id)
        .outerjoin(Place, Place.id == Movement.place_id)
        .order_by(Movement.at.desc(), Movement.id.desc())
        .limit(limit)
    )
    if item is not None:
        statement = statement.where(Item.code == item.strip().upper())
    rows = list(await uow.session.execute(statement))
    sources = await _sources_of_events(uow, {row[0].event for row in rows})
    transfers = await _transfers(uow, sources)
    return _one_line([_movement(*row, sources.get(row[0].event, ())) for row in rows], transfers)


async def _transfers(uow: UnitOfWork, sources: dict[str, tuple[SourceView, ...]]) -> dict[str, str]:
    """Events that are one side of a transfer, with the other place."""
    said = {s.observation: event for event, its in sources.items() for s in its}
    rows = await uow.session.execute(
        select(Sight.observation_id, Sight.transfer).where(
            Sight.observation_id.in_(said), Sight.transfer.is_not(None), Sight.misplaced.is_(False)
        )
    )
    return {said[observation]: place for observation, place in rows if place}


def _one_line(rows: list[MovementView], transfers: dict[str, str]) -> list[MovementView]:
    """What left one place and came to another in one go is one line, that of what left."""
    arrived: defaultdict[tuple[str, str | None, str, int], list[MovementView]] = defaultdict(list)
    for row in rows:
        if row.event in transfers and row.qty > 0 and row.kind == "return":
            arrived[row.item, row.place, transfers[row.event], row.qty].append(row)
    shown: list[MovementView] = []
    gone: set[int] = set()
    for row in rows:
        other = transfers.get(row.event)
        if other is not None and row.qty < 0 and row.kind == "pick" and row.place is not None:
            alike = [twin for twin in arrived[row.item, other, row.place, -row.qty] if twin.id not in gone]
            twin = min(alike, key=lambda twin: abs(twin.at - row.at), default=None)
            if twin is not None and abs(twin.at - row.at) <= UNDO_FOR:
                gone.add(twin.id)
                shown.append(replace(row, to_place=other))
                continue
        shown.append(row)
    return [row for row in shown if row.id not in gone]


def _movement(
    row: Movement, item: str, label: str, unit: str, place: str | None, sources: tuple[SourceView, ...]
) -> MovementView:
    # What somebody said goes before what was concluded.
    named = (*(s.operation for s in sources), *(s.charged for s in sources))
    return MovementView(
        id=row.id,
        item=item,
        label=label,
        unit=unit,
        place=place,
        qty=row.qty,
        at=row.at,
        recorded_at=row.recorded_at,
        kind=row.kind,
        operation=next((o for o in named if o), row.operation),
        person=next((s.person for s in sources if s.person), row.person),
        uncertain=row.uncertain,
        during_absence=any(s.during_absence for s in sources),
        sources=sources,
        event=row.event,
    )


async def proposals(uow: UnitOfWork, limit: int = 200, rack: str | None = None) -> list[ProposalView]:
    """The review list: what is open, then what was decided so lately that it can be undone; each the oldest last."""
    statement = (
        select(Proposal, Item.code, Item.label, Item.unit, Place.code)
        .join(Item, Item.id == Proposal.item_id)
        .outerjoin(Place, Place.id == Proposal.place_id)
        .limit(limit)
    )
    if rack is not None:
        statement = statement.where(Place.code.startswith(f"{rack}/", autoescape=True))
    is_open = statement.where(Proposal.state == "open").order_by(Proposal.at.desc(), Proposal.id.desc())
    decided = statement.where(Proposal.state.in_(DECIDED), Proposal.decided_at > uow.now - UNDO_FOR)
    # However many are open, what was just answered can be taken back.
    rows = [*await uow.session.execute(is_open)]
    rows += await uow.session.execute(decided.order_by(Proposal.decided_at.desc(), Proposal.id.desc()))
    ids = {i for row in rows for i in (row[0].observation_id, row[0].other_id) if i is not None}
    said = await _observations(uow, ids)
    denied = set(
        await uow.session.scalars(
            select(Proposal.key).where(Proposal.key.in_([contest_key(row[0].observation_id) for row in rows]))
        )
    )
    names = await _owners(uow, {row[0].place_id for row in rows if row[0].kind == "former"})
    return [_proposal(row, said, denied, names) for row in rows]


async def _owners(uow: UnitOfWork, places: set[int]) -> dict[int, str]:
    """The items that are read in these places now, by name."""
    found = await owners(uow.session, places)
    rows = await uow.session.execute(select(Item.id, Item.code).where(Item.id.in_(found.values())))
    codes = {item: code for item, code in rows}  # noqa: C416 -- as above
    return {place: codes[item] for place, item in found.items()}


async def count_open(uow: UnitOfWork) -> int:
    """Questions that wait for a person, all of them."""
    return await uow.session.scalar(select(func.count()).where(Proposal.state == "open")) or 0


async def rack_of_question(uow: UnitOfWork, proposal: int) -> str | None:
    """None of one that nobody knows, or that is about no rack."""
    place = await uow.session.scalar(
        select(Place.code).join(Proposal, Proposal.place_id == Place.id).where(Proposal.id == proposal)
    )
    return rack_of(place) if place is not None else None


def _proposal(row: Any, said: dict[int, SourceView], denied: set[str], names: dict[int, str]) -> ProposalView:
    proposal, item, label, unit, place = row
    first = said.get(proposal.observation_id)
    sources = tuple(said[i] for i in (proposal.observation_id, proposal.other_id) if i is not None and i in said)
    decided = proposal.state in DECIDED and proposal.decided_at is not None
    return ProposalView(
        id=proposal.id,
        kind=proposal.kind,
        state=proposal.state,
        item=item,
        label=label,
        unit=unit,
        place=place,
        qty=proposal.qty,
        at=proposal.at,
        question=question(proposal.kind, proposal.qty, unit, sources, names.get(proposal.place_id, "un autre article")),
        sources=sources,
        decided_by=proposal.decided_by,
        decided_at=proposal.decided_at,
        decided_qty=proposal.decided_qty,
        undo_until=proposal.decided_at + UNDO_FOR if decided else None,
        rack=rack_of(place) if place and "/" in place else None,
        guess=first.qty or None if first is not None and proposal.kind == "ask" else None,
        seen=first.qty if first is not None and proposal.kind == "read" else None,
        count_before=first.count_before if first is not None else None,
        contested=proposal.kind == "doubt" and contest_key(proposal.observation_id) in denied,
    )


async def evidence(uow: UnitOfWork, observation: int, who: str) -> EvidenceView | None:
    """The pictures of an observation, while they are kept; who looked is written down. Raises `KeyLostError`."""
    row = await uow.session.get(Sight, observation)
    found = None if row is None or row.crops is None else await crops(uow, row.crops, who)
    return None if found is None else EvidenceView(found.before, found.after)


async def _sources_of_events(uow: UnitOfWork, events: set[str]) -> dict[str, tuple[SourceView, ...]]:
    links = list(
        await uow.session.execute(select(Link.event, Link.observation_id, Link.qty).where(Link.event.in_(events)))
    )
    said = await _observations(uow, {observation for _, observation, _ in links})
    by_event: defaultdict[str, list[SourceView]] = defaultdict(list)
    for event, observation, qty in links:
        by_event[event].append(_with_qty(said[observation], qty))
    return {event: tuple(sorted(found, key=lambda s: (s.at, s.observation))) for event, found in by_event.items()}


def _with_qty(source: SourceView, qty: int) -> SourceView:
    return replace(source, qty=qty)


async def _observations(uow: UnitOfWork, ids: Iterable[int]) -> dict[int, SourceView]:
    rows: list[Any] = list(
        await uow.session.execute(
            select(Observation, Sight, Charge, Comment.text)
            .outerjoin(Sight, Sight.observation_id == Observation.id)
            .outerjoin(Charge, Charge.observation_id == Observation.id)
            .outerjoin(Comment, Comment.observation_id == Observation.id)
            .where(Observation.id.in_(set(ids)))
        )
    )
    named = [sight.crops for _, sight, _, _ in rows if sight is not None and sight.crops]
    shown = await held(uow, named) if named else set()
    return {
        o.id: SourceView(
            observation=o.id,
            source=o.source,
            qty=o.qty,
            at=o.at,
            confidence=o.confidence,
            person=o.person or (charge.person if charge is not None else None),
            operation=o.operation,
            post=o.post,
            has_evidence=sight is not None and sight.crops in shown,
            during_absence=o.during_absence,
            uncertain=o.uncertain,
            comment=comment or "",
            crops=sight.crops if sight is not None and sight.crops in shown else None,
            why=sight.why if sight is not None else "",
            reason=o.reason,
            misplaced=sight is not None and sight.misplaced,
            blank=sight is not None and sight.blank,
            charged=charge.operation if charge is not None else None,
            transfer=sight.transfer if sight is not None and not sight.misplaced else None,
            count_before=o.count_before,
        )
        for o, sight, charge, comment in rows
    }
