"""Who took what, and for what: the links that `central.work` joins, beside the observations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import aliased

from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.stock.models import Charge, Link, Movement, Observation, Proposal, Sight

_DECIDED = aliased(Proposal)
"""What a person said of the camera's doubt or question."""
_TELLS = aliased(Link)
_WORD = aliased(Observation)
_TOLD = (
    select(_WORD.id)
    .join(_TELLS, _TELLS.observation_id == _WORD.id)
    .join(Link, Link.event == _TELLS.event)
    .where(
        Link.observation_id == Observation.id,
        _WORD.operation.is_not(None),
        select(func.sum(Movement.qty)).where(Movement.event == Link.event).correlate(Link).scalar_subquery() != 0,
    )
    .correlate(Observation)
)
"""Another saying of the same event, that still stands, names its operation."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a camera saw being taken at a rack (an ask included; what went to another place is not taken), with the link
    as it is.
    """

    observation: int
    rack: str
    item: str
    label: str
    unit: str
    qty: int
    """Thousandths, negative; as a person decided, else as the camera said; 0 of an ask without a guess."""
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
    """What waits "à imputer", oldest first: taken for sure, for nobody knows what.

    What is still in question is not, nor what somebody's own word named.
    """
    asked = select(Proposal.id).where(
        Proposal.item_id == Observation.item_id,
        (Proposal.observation_id == Observation.id) | (Proposal.other_id == Observation.id),
        Proposal.state == "open",
    )
    taken = or_(
        and_(_DECIDED.id.is_(None), Observation.nature == "move"),
        and_(_DECIDED.state != "refused", _DECIDED.decided_qty < 0),
    )
    return await _taken(uow, [Charge.how == "none", taken, ~asked.exists(), ~_TOLD.exists()], limit)


async def find_taken(uow: UnitOfWork, observation: int) -> Taken | None:
    return next(iter(await _taken(uow, [Observation.id == observation])), None)


async def _taken(uow: UnitOfWork, where: Sequence[object], limit: int | None = None) -> list[Taken]:
    o = Observation
    statement = (
        select(o, Sight.rack, Item.code, Item.label, Item.unit, Place.code, Charge, _DECIDED.decided_qty)
        .join(Sight, Sight.observation_id == o.id)
        .join(Item, Item.id == o.item_id)
        .join(Place, Place.id == o.place_id)
        .outerjoin(Charge, Charge.observation_id == o.id)
        .outerjoin(
            _DECIDED,
            (_DECIDED.item_id == o.item_id)
            & (_DECIDED.observation_id == o.id)
            & _DECIDED.kind.in_(("doubt", "ask"))
            & _DECIDED.state.in_(("confirmed", "corrected", "refused")),
        )
        .where(o.source == "camera", (o.nature == "ask") | ((o.nature == "move") & (o.qty < 0)))
        .where(Sight.transfer.is_(None) | Sight.misplaced)
        .where(*where)  # type: ignore[arg-type]  # column expressions
    )
    if limit is not None:
        statement = statement.order_by(o.at.desc(), o.id.desc()).limit(limit)
    rows: list[Any] = list(await uow.session.execute(statement))
    found = [
        Taken(
            seen.id, rack, item, label, unit, seen.qty if decided is None else decided, place, seen.at, seen.person,
            seen.operation,
            link.how if link else None, link.person if link else None, link.operation if link else None,
            tuple(link.likely) if link else (), seen.during_absence,
        )
        for seen, rack, item, label, unit, place, link, decided in rows
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
