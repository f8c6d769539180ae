"""Who took what, and for what: the links that `central.work` joins, beside the observations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.stock.models import Charge, Observation, Proposal, Sight


@dataclass(frozen=True, slots=True)
class Taken:
    """What a camera saw being taken at a rack (an ask included), with the link as it is."""

    observation: int
    rack: str
    item: str
    label: str
    unit: str
    qty: int
    """Thousandths, negative; 0 of an ask without a guess."""
    place: str
    at: datetime
    person: str | None
    """As the saying itself knew."""
    operation: str | None
    how: str | None
    """Of the link there is; None when there is none."""
    charged_person: str | None
    charged_operation: str | None
    likely: tuple[str, ...]
    during_absence: bool = False
    """Found by comparing: `at` is not when it was taken."""


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """`how`: ``badge`` (the person's running operation), ``planned`` (the running one that plans the item),
    ``hand``, or ``none`` (à imputer).
    """

    observation: int
    person: str | None
    operation: str | None
    how: str
    likely: tuple[str, ...] = ()


async def taken(uow: UnitOfWork, racks: Collection[str], since: datetime, until: datetime) -> list[Taken]:
    """What cameras of these racks saw being taken in [since, until], in event time."""
    if not racks:
        return []
    return await _taken(uow, [Sight.rack.in_(racks), Sight.at.between(since, until)])


async def uncharged(uow: UnitOfWork, limit: int = 200) -> list[Taken]:
    """What waits "à imputer", the newest first: taken, for nobody knows what. What a person said was nothing is not."""
    nothing = select(Proposal.observation_id).where(
        Proposal.observation_id == Observation.id,
        Proposal.item_id == Observation.item_id,
        Proposal.kind.in_(("doubt", "ask")),
        (Proposal.state == "refused") | (Proposal.decided_qty == 0),
    )
    found = await _taken(uow, [Charge.how == "none", ~nothing.exists()], limit)
    return found[::-1]


async def find_taken(uow: UnitOfWork, observation: int) -> Taken | None:
    return next(iter(await _taken(uow, [Observation.id == observation])), None)


async def _taken(uow: UnitOfWork, where: Sequence[object], limit: int | None = None) -> list[Taken]:
    o = Observation
    statement = (
        select(o, Sight.rack, Item.code, Item.label, Item.unit, Place.code, Charge)
        .join(Sight, Sight.observation_id == o.id)
        .join(Item, Item.id == o.item_id)
        .join(Place, Place.id == o.place_id)
        .outerjoin(Charge, Charge.observation_id == o.id)
        .where(o.source == "camera", (o.nature == "ask") | ((o.nature == "move") & (o.qty < 0)))
        .where(*where)  # type: ignore[arg-type]  # column expressions
    )
    if limit is not None:
        statement = statement.order_by(o.at.desc(), o.id.desc()).limit(limit)
    rows: list[Any] = list(await uow.session.execute(statement))
    found = [
        Taken(
            seen.id, rack, item, label, unit, seen.qty, place, seen.at, seen.person, seen.operation,
            link.how if link else None, link.person if link else None, link.operation if link else None,
            tuple(link.likely) if link else (), seen.during_absence,
        )
        for seen, rack, item, label, unit, place, link in rows
    ]  # fmt: skip
    return sorted(found, key=lambda t: (t.at, t.observation))


async def charge(uow: UnitOfWork, rows: Sequence[ChargeRow], by: str | None = None) -> None:
    """Write these links. What a person said stays, unless a person says otherwise (`by`)."""
    known = {
        link.observation_id: link
        for link in await uow.session.scalars(
            select(Charge).where(Charge.observation_id.in_([row.observation for row in rows]))
        )
    }
    for row in rows:
        link = known.get(row.observation)
        if link is None:
            link = Charge(observation_id=row.observation)
            uow.session.add(link)
        elif link.how == "hand" and by is None:
            continue
        link.person, link.operation, link.how, link.likely = row.person, row.operation, row.how, list(row.likely)
        link.by, link.decided_at = by, uow.now if by is not None else None
    await uow.session.flush()
    if rows:
        uow.tell("charges")
        uow.tell("stock")
