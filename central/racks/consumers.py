"""What agents say of racks: modes, absolute readings, what became of commands."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from sqlalchemy import select

from central.core.database import insert_ignore
from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork
from central.racks import commands
from central.racks.crops import Use, claim_crops
from central.racks.models import Rack, RackModeSpan
from central.racks.telling import Belief, note_believed, slots
from contracts.facts import RackModeChanged, RackRead

_REPEATS: Final = 200
"""A mode is repeated at each connect: how far back its beginning is looked for."""


def register(consumers: Consumers) -> None:
    consumers.on("rack.mode", on_modes)
    consumers.on("rack.read", on_reads)
    consumers.on("agent.answered", commands.answered)


async def on_modes(uow: UnitOfWork, facts: Sequence[Fact[RackModeChanged]]) -> None:
    """``rack.mode``: every change is kept; the newest in event time is how the rack is now."""
    rows = [
        {
            "fact_id": fact.id,
            "rack": fact.body.rack,
            "at": fact.at,
            "boot": fact.boot,
            "seq": fact.seq,
            "mode": fact.body.mode,
            "code": fact.body.code,
            "message": fact.body.message,
            "person": fact.body.person,
            "crops": fact.body.crops,
            "repeated": fact.body.repeated,
        }
        for fact in facts
    ]
    await uow.session.execute(insert_ignore(uow.session, RackModeSpan.__table__, rows))  # type: ignore[arg-type]  # __table__ is typed FromClause
    await claim_crops(uow, [Use(c, f.body.rack, doubtful=True, at=f.at) for f in facts if (c := f.body.crops)])
    for code in sorted({fact.body.rack for fact in facts}):
        row = await _rack(uow, code, next(fact.agent for fact in facts if fact.body.rack == code))
        span = RackModeSpan
        newest = (
            await uow.session.scalars(
                select(span)
                .where(span.rack == code)
                .order_by(span.at.desc(), span.seq.desc(), span.fact_id.desc())
                .limit(_REPEATS)
            )
        ).all()
        last = newest[0]
        same = list(takewhile(lambda s, of=last: (s.mode, s.code) == (of.mode, of.code), newest))  # type: ignore[misc]  # a default binds the loop's value
        row.mode, row.mode_code, row.message, row.since = last.mode, last.code, last.message, same[-1].at
        row.person = next((s.person for s in same if s.person), None)
        row.crops = next((s.crops for s in same if s.crops), None)
        await uow.session.flush()
        uow.tell(f"rack:{code}", mode=row.mode, code=row.mode_code)
    uow.tell("racks")


async def on_reads(uow: UnitOfWork, facts: Sequence[Fact[RackRead]]) -> None:
    """``rack.read``: the newest reading of each place in event time stands."""
    beliefs: list[Belief] = []
    for fact in sorted(facts, key=lambda f: (f.at, f.id)):
        body = fact.body
        row = await _rack(uow, body.rack, fact.agent)
        if row.read_at is None or row.read_at <= fact.at:
            row.read_at = fact.at
            row.model = body.model or row.model
        known = await slots(uow, [slot.place for slot in body.slots], body.rack)
        for slot in body.slots:
            place = known[slot.place]
            if place.read_at is not None and (place.read_at, place.read_id) > (fact.at, fact.id):
                continue
            place.rack, place.read_at, place.read_id = body.rack, fact.at, fact.id
            place.item = slot.item or place.item
            place.count, place.present, place.state = slot.count, slot.present, slot.state
            place.state_since = None if slot.since is None else fact.corrected(slot.since)
            place.confidence = slot.confidence
            if slot.count is not None:
                beliefs.append(Belief(slot.place, slot.count, fact.at))
        await uow.session.flush()
        uow.tell(f"rack:{body.rack}", read=body.why)
    await note_believed(uow, beliefs)
    uow.tell("racks")


async def _rack(uow: UnitOfWork, code: str, agent: str) -> Rack:
    """The row of the rack; whoever speaks for it last obeys for it."""
    row = await uow.session.get(Rack, code)
    if row is None:
        row = Rack(code=code, label=code, mode="unknown", mode_code="ok", message="")
        uow.session.add(row)
    row.agent = agent
    await uow.session.flush()
    return row
