"""What the pages of racks ask of the stock. Reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import exists, func, select
from sqlalchemy.orm import aliased

from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.racks.crops import held
from central.racks.service import rack_of
from central.stock.models import Charge, Level, Observation, Proposal, Sight
from central.stock.reads import DECIDED, UNDO_FOR
from central.stock.schemas import DifferenceView, LastBelief, PlaceStock, ReceiptView, ToCount

_RECEIPTS: Final = timedelta(days=14)
"""A receipt is put away within that time."""
_WHY: Final = {
    "ask": "question « combien ? » sans réponse",
    "doubt": "mouvement jamais confirmé",
    "read": "écart de lecture jamais réglé",
    "ecart": "écart de comptage jamais réglé",
    "former": "ancien article de l'emplacement jamais retrouvé",
}


async def rack_places(uow: UnitOfWork, rack: str) -> dict[str, PlaceStock]:
    """What the ledger says of each place of the rack that it knows; of several items the one that lives there."""
    rows = await uow.session.execute(
        select(Place.id, Place.code, Item, Level.qty, Level.pending)
        .join(Level, Level.place_id == Place.id)
        .join(Item, Item.id == Level.item_id)
        .where(Place.code.startswith(f"{rack}/", autoescape=True))
        .order_by(Place.code, (Item.place_id == Place.id), Level.qty)
    )
    waiting = await uow.session.execute(
        select(Place.code, func.count())
        .join(Proposal, Proposal.place_id == Place.id)
        .where(Place.code.startswith(f"{rack}/", autoescape=True), Proposal.state == "open")
        .group_by(Place.code)
    )
    questions = {place: n for place, n in waiting}  # noqa: C416 -- dict() of rows has no type
    return {
        place: PlaceStock(place, item.code, item.label, item.unit, qty, pending, questions.get(place, 0))
        for _, place, item, qty, pending in rows
    }


async def differences(uow: UnitOfWork, rack: str) -> list[DifferenceView]:
    """Where the rack's last readings and the ledger differ, by place; each with the receipt that it may be."""
    o = Observation
    rows = list(
        await uow.session.execute(
            select(Proposal, o, Item, Place.code)
            .join(o, o.id == Proposal.observation_id)
            .join(Item, Item.id == Proposal.item_id)
            .join(Place, Place.id == Proposal.place_id)
            .where(Proposal.state == "open", Proposal.kind == "read")
            .where(Place.code.startswith(f"{rack}/", autoescape=True))
            .order_by(Place.code)
        )
    )
    receipts = await _receipts(uow, {item.id: seen.at for _, seen, item, _ in rows})
    found: list[DifferenceView] = []
    for proposal, seen, item, place in rows:
        receipt = next(
            (r for r in receipts[item.id] if r.place != place and r.qty == proposal.qty and r.at <= seen.at), None
        )
        if receipt is not None:
            # What came in once is put away once.
            receipts[item.id].remove(receipt)
        found.append(
            DifferenceView(
                proposal.id, rack, place, item.code, item.label, item.unit, seen.qty - proposal.qty, seen.qty,
                proposal.qty, proposal.at, proposal.created_at, receipt,
            )
        )  # fmt: skip
    return found


async def _receipts(uow: UnitOfWork, items: dict[int, datetime]) -> dict[int, list[ReceiptView]]:
    """Lately received, and still where they were booked; the newest first."""
    found: defaultdict[int, list[ReceiptView]] = defaultdict(list)
    if not items:
        return found
    o = Observation
    rows = await uow.session.execute(
        select(o.item_id, Place.code, o.qty, o.at, Level.qty)
        .join(Place, Place.id == o.place_id)
        .join(Level, (Level.item_id == o.item_id) & (Level.place_id == o.place_id))
        .where(o.item_id.in_(items), o.nature == "receipt", o.qty > 0, Level.qty >= o.qty)
        .where(o.at >= min(items.values()) - _RECEIPTS)
        .order_by(o.at.desc())
    )
    there: dict[tuple[int, str], int] = {}
    for item, place, qty, at, level in rows:
        left = there.setdefault((item, place), level)
        if left >= qty:
            there[item, place] = left - qty
            found[item].append(ReceiptView(place, qty, at))
    return found


async def last_beliefs(
    uow: UnitOfWork, rack: str | None = None, person: str | None = None, limit: int = 5
) -> list[LastBelief]:
    """What cameras lately believed, the newest known first; of a rack, or of what a person took."""
    o, doubt, contest = Observation, aliased(Proposal), aliased(Proposal)
    statement: Any = (
        select(o, Sight, Charge, Item, Place.code, doubt, contest.id)
        .join(Sight, Sight.observation_id == o.id)
        .join(Item, Item.id == o.item_id)
        .join(Place, Place.id == o.place_id)
        .outerjoin(Charge, Charge.observation_id == o.id)
        .outerjoin(
            doubt,
            (doubt.item_id == o.item_id) & (doubt.observation_id == o.id) & doubt.kind.in_(("doubt", "ask")),
        )
        .outerjoin(
            contest,
            (contest.item_id == o.item_id) & (contest.observation_id == o.id) & (contest.kind == "contest"),
        )
        .where(o.nature.in_(("move", "ask")))
        .order_by(Sight.at.desc(), o.id.desc())
        .limit(limit)
    )
    if rack is not None:
        statement = statement.where(Sight.rack == rack)
    if person is not None:
        statement = statement.where((o.person == person) | (Charge.person == person))
    rows: list[Any] = list(await uow.session.execute(statement))
    shown = await held(uow, [sight.crops for _, sight, *_ in rows if sight.crops])
    return [_belief(uow, shown, *row) for row in rows]


def _belief(
    uow: UnitOfWork,
    shown: set[str],
    o: Observation,
    sight: Sight,
    charge: Charge | None,
    item: Item,
    place: str,
    question: Proposal | None,
    contested: int | None,
) -> LastBelief:
    if question is not None and question.state != "open":
        state = question.state
    elif contested is not None:
        state = "contested"
    elif o.nature == "ask":
        state = "ask"
    else:
        state = "doubt" if o.review else "automatic"
    decided = question.decided_qty if question is not None and question.state in DECIDED else None
    until = o.recorded_at + UNDO_FOR
    can = state == "automatic" and uow.now <= until
    return LastBelief(
        key=f"obs:{o.id}",
        observation=o.id,
        proposal=question.id if question is not None else None,
        rack=sight.rack,
        place=place,
        item=item.code,
        label=item.label,
        unit=item.unit,
        qty=o.qty if decided is None else decided,
        at=o.at,
        recorded_at=o.recorded_at,
        confidence=o.confidence,
        state=state,
        crops=sight.crops if sight.crops in shown else None,
        person=o.person or (charge.person if charge else None),
        operation=o.operation or (charge.operation if charge else None),
        contest_until=until if can else None,
        why=sight.why,
        reason=o.reason,
        to_place=None if sight.misplaced else sight.transfer,
    )


async def to_count(uow: UnitOfWork) -> list[ToCount]:
    """The next cycle count: places of which a question was not answered for a day, the oldest first; until somebody
    counted there. The question itself stays.
    """
    limit = uow.now - timedelta(hours=uow.settings.racks_count_after_h)
    o = Observation
    said = aliased(Proposal)
    refused = exists(
        select(said.id)
        .where(said.item_id == o.item_id, said.observation_id == o.id, said.kind == "ecart", said.state == "refused")
        .correlate(o)
    )
    counted = exists(
        select(o.id)
        .where(o.item_id == Proposal.item_id, o.place_id == Proposal.place_id, o.at > Proposal.at)
        .where(o.nature == "count", o.source != "camera", ~refused)
        .correlate(Proposal)
    )
    rows = await uow.session.execute(
        select(Proposal.kind, Proposal.created_at, Item, Place.code, Level.qty, Level.pending)
        .join(Item, Item.id == Proposal.item_id)
        .join(Place, Place.id == Proposal.place_id)
        .outerjoin(Level, (Level.item_id == Proposal.item_id) & (Level.place_id == Proposal.place_id))
        .where(Proposal.state == "open", Proposal.kind.in_(_WHY), Proposal.created_at <= limit, ~counted)
        .order_by(Proposal.created_at, Proposal.id)
    )
    found: dict[tuple[str, str], ToCount] = {}
    kinds: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for kind, since, item, place, qty, pending in rows:
        key = (place, item.code)
        kinds[key][kind] += 1
        why = ", ".join(_WHY[k] for k in kinds[key])
        oldest = found[key].since if key in found else since
        found[key] = ToCount(place, item.code, item.label, item.unit, qty or 0, pending or 0, oldest, why)
    return list(found.values())


async def rack_ecarts(uow: UnitOfWork) -> dict[str, int]:
    """Open differences of each rack."""
    rows = await uow.session.scalars(
        select(Place.code).join(Proposal, Proposal.place_id == Place.id).where(
            Proposal.state == "open", Proposal.kind == "read"
        )
    )  # fmt: skip
    return dict(Counter(rack_of(place) for place in rows))
