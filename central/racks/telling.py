"""The number that a camera goes by in each place, and telling it another."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from central.core.uow import UnitOfWork
from central.racks import commands
from central.racks.models import Rack, RackSlot
from central.racks.rules import rack_of, slot_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Belief:
    """After a session the camera counted `count` pieces at `place`."""

    place: str
    count: int
    at: datetime


async def slots(uow: UnitOfWork, places: Collection[str], rack: str | None = None) -> dict[str, RackSlot]:
    """Rows of these places; made where there are none. `rack`: whose they are, else by their code."""
    wanted = sorted(set(places))
    known = {row.place: row for row in await uow.session.scalars(select(RackSlot).where(RackSlot.place.in_(wanted)))}
    for place in wanted:
        if place not in known:
            known[place] = RackSlot(
                place=place, rack=rack or rack_of(place), state="unknown", confidence=1.0, read_id=0
            )
            uow.session.add(known[place])
    await uow.session.flush()
    return known


async def note_believed(uow: UnitOfWork, beliefs: Sequence[Belief]) -> None:
    """What cameras counted; the newest in event time stands. Only of racks that are known."""
    codes = {rack_of(b.place) for b in beliefs}
    racks = set(await uow.session.scalars(select(Rack.code).where(Rack.code.in_(codes)))) if codes else set()
    beliefs = [b for b in beliefs if rack_of(b.place) in racks]
    if not beliefs:
        return
    rows = await slots(uow, [b.place for b in beliefs])
    for belief in sorted(beliefs, key=lambda b: b.at):
        row = rows[belief.place]
        if row.believed_at is None or row.believed_at <= belief.at:
            row.believed, row.believed_at = belief.count, belief.at
    await uow.session.flush()


async def believed(uow: UnitOfWork, places: Collection[str]) -> Mapping[str, int | None]:
    rows = await uow.session.execute(select(RackSlot.place, RackSlot.believed).where(RackSlot.place.in_(set(places))))
    return {place: count for place, count in rows}  # noqa: C416 -- dict() of rows has no type


async def tell_count(uow: UnitOfWork, place: str, count: int, *, by: str) -> str | None:
    """A person knows that `count` pieces lie at `place`: the camera goes on from there. The command's id.

    None when no agent speaks for that rack: nothing can be told, and the next reading will be compared.
    """
    row = (await uow.session.scalars(select(RackSlot).where(RackSlot.place == place))).first()
    code = row.rack if row is not None else rack_of(place)
    known = await uow.session.get(Rack, code)
    if known is None or known.agent is None:
        log.info("%s: no agent to be told that %d lie there", place, count)
        return None
    row = row or (await slots(uow, [place], code))[place]
    row.believed, row.believed_at = max(count, 0), uow.now
    return await commands.ask(uow, code, "rack-count", by, slot=slot_of(place), count=max(count, 0))
