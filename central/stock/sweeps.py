"""What of the stock comes back by itself: readings that say nothing that the next one does not say are dropped."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final, TypeVar

from sqlalchemy import Over, delete, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from central.core.sweeps import Sweeps
from central.core.uow import UnitOfWork
from central.stock.models import SEEN, Comment, Link, Observation, Proposal, Sight

T = TypeVar("T")

log = logging.getLogger(__name__)

KEPT_FOR: Final = timedelta(days=2)
"""Readings younger than that stay: what happened before them may still arrive."""
_AT_ONCE: Final = 500
_MOST: Final = 20_000
"""In one turn, so that the one writer waits for none of it long."""


def register(sweeps: Sweeps) -> None:
    sweeps.every(3600.0, "stock.thin_readings", thin_readings)


async def thin_readings(uow: UnitOfWork) -> None:
    """Drop readings of a place that the next one there repeats, word for word.

    Kept: the newest of each place, the last before anything else was read there, and whatever a question, a movement or
    a picture hangs on. No number follows from the others: a reading moves nothing, and only the newest is compared.
    """
    o = Observation

    def following(column: InstrumentedAttribute[T]) -> Over[T]:
        return func.lead(column).over(partition_by=o.place_id, order_by=(o.at, o.id))

    reading = (SEEN, o.nature.in_(("read", "there")))
    runs = (
        select(
            o.id, o.at, o.recorded_at, o.item_id, o.nature, o.qty,
            following(o.at).label("next_at"),
            following(o.item_id).label("next_item"),
            following(o.nature).label("next_nature"),
            following(o.qty).label("next_qty"),
        )
        .where(*reading)
        .subquery()
    )  # fmt: skip
    r, before = runs.c, uow.now - KEPT_FOR
    hangs = or_(
        exists().where(or_(Proposal.observation_id == r.id, Proposal.other_id == r.id)),
        *(exists().where(table.observation_id == r.id) for table in (Link, Sight, Comment)),
    )
    found = await uow.session.scalars(
        select(r.id)
        .where(r.next_at > r.at, r.next_item == r.item_id, r.next_nature == r.nature, r.next_qty == r.qty)
        .where(r.at < before, r.recorded_at < before, ~hangs)
        .order_by(r.id)
        .limit(_MOST)
    )
    dropped = list(found)
    for index in range(0, len(dropped), _AT_ONCE):
        await uow.session.execute(delete(o).where(o.id.in_(dropped[index : index + _AT_ONCE])))
    if dropped:
        log.info("%d readings that the next one repeats were dropped", len(dropped))
