"""Labels: what became of each saying of a camera. From them follow trust, models and fine-tuning."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from sqlalchemy import select

from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.racks import service as racks
from central.stock.cameras import Racks
from central.stock.models import Link, Observation, Proposal, Sight
from central.stock.rules.sayings import doubt_key

_KINDS: dict[str, Literal["doubt", "ask", "read"]] = {"doubt": "doubt", "ask": "ask", "read": "read"}


async def label(
    uow: UnitOfWork,
    proposal: Proposal,
    obs: Observation,
    sight: Sight | None,
    *,
    right: bool,
    truth: int | None,
    by: str,
) -> None:
    place = await uow.session.get(Place, obs.place_id)
    item = await uow.session.get_one(Item, obs.item_id)
    if place is None:
        return
    kind = _KINDS[proposal.kind]
    klass = (await Racks.load(uow, [place.code])).klass(place.code, item)
    await racks.note(
        uow,
        racks.Outcome(
            key=proposal.key, rack=racks.rack_of(place.code), place=place.code, klass=klass, item=item.code,
            model=obs.model, crops=sight.crops if sight else None, kind=kind,
            sure=kind == "doubt" and (not obs.review or (sight is not None and sight.blank and not sight.misplaced)),
            right=right, said=obs.qty if kind != "ask" or obs.qty else None, truth=truth, reason=obs.reason, at=obs.at,
            decided_by=by,
        ),
    )  # fmt: skip


async def note_joined(uow: UnitOfWork, observations: Collection[int]) -> None:
    """Doubts of a rack that is not trusted yet, which a person's own word confirmed: as good as a tap."""
    for number in observations:
        obs = await uow.session.get(Observation, number)
        sight = await uow.session.get(Sight, number)
        if obs is None or sight is None or not sight.blank:
            continue
        asked = await uow.session.scalar(select(Proposal.state).where(Proposal.key == doubt_key(number)))
        if asked not in {None, "settled"}:
            # A part of it is still in question, or a person has decided.
            continue
        mine = select(Link.event).where(Link.observation_id == number)
        others = await uow.session.scalar(
            select(Observation.id)
            .join(Link, Link.observation_id == Observation.id)
            .where(Link.event.in_(mine), Observation.source.in_(("scan", "manual")))
            .limit(1)
        )
        if others is None:
            continue
        settled = Proposal(
            key=doubt_key(number), kind="doubt", state="settled", item_id=obs.item_id, place_id=obs.place_id, at=obs.at,
            qty=obs.qty, observation_id=number,
        )  # fmt: skip
        await label(uow, settled, obs, sight, right=True, truth=obs.qty, by="scan")
