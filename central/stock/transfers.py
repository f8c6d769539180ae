"""What went from one place to another in one go: two sayings of a camera, one thing to persons."""

from __future__ import annotations

from sqlalchemy import select

from central.core.uow import UnitOfWork
from central.items.models import Place
from central.stock.models import Observation, Sight


async def twin_of(uow: UnitOfWork, obs: Observation) -> int | None:
    """The observation of the other half; None when it is no transfer, or went to another item's place."""
    seen = await uow.session.get(Sight, obs.id)
    here = await uow.session.get(Place, obs.place_id)
    if seen is None or here is None or seen.transfer is None or seen.misplaced or obs.session is None:
        return None
    o = Observation
    return await uow.session.scalar(
        select(o.id)
        .join(Sight, Sight.observation_id == o.id)
        .join(Place, Place.id == o.place_id)
        .where(o.item_id == obs.item_id, o.session == obs.session, o.post == obs.post, o.qty == -obs.qty)
        .where(Place.code == seen.transfer, Sight.transfer == here.code, Sight.misplaced.is_(False))
        .order_by(o.id)
        .limit(1)
    )
