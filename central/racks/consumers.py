"""What agents say of racks: modes, absolute readings, what became of commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final

from sqlalchemy import select

from central.core.database import insert_ignore
from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork
from central.people import service as people
from central.racks import commands
from central.racks.crops import Use, claim_crops
from central.racks.models import Rack, RackModeSpan
from central.racks.telling import Belief, note_believed, slots
from contracts.codes import BadCheck, parse_code
from contracts.facts import CodeScanned, RackModeChanged, RackRead

_FRESH: Final = timedelta(minutes=2)
_REPEATS: Final = 200
"""A mode is repeated at each connect: how far back its beginning is looked for."""


def register(consumers: Consumers) -> None:
    consumers.on("rack.mode", on_modes)
    consumers.on("rack.read", on_reads)
    consumers.on("agent.answered", commands.answered)
    consumers.on("code.scanned", on_scans)


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
        same = list(next(groupby(newest, key=lambda s: (s.mode, s.code)))[1])
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


async def on_scans(uow: UnitOfWork, facts: Sequence[Fact[CodeScanned]]) -> None:
    """The rack's own label (``PL:<rack>``), read at the rack: begins the *mode rangement*, or ends it.

    Only now: what was read a while ago, and arrives late, is not what somebody wants of the rack today.
    """
    fresh = [f for f in facts if f.body.action == "identify" and abs(uow.now - f.at) <= _FRESH]
    labels = {f.id: own for f in fresh if (own := _label(f.body.code)) is not None and own == f.body.post.upper()}
    for fact in sorted((f for f in fresh if f.id in labels), key=lambda f: (f.at, f.id)):
        row = await uow.session.get(Rack, fact.body.post)
        if row is None or row.agent is None:
            continue
        by = fact.body.person or await people.present_at(uow, fact.body.post, fact.at) or f"post:{fact.body.post}"
        mode = "counting" if row.mode == "restocking" else "restocking"
        await commands.ask(uow, row.code, "rack-mode", by, mode=mode)


def _label(code: str) -> str | None:
    try:
        own = parse_code(code)
    except BadCheck:
        return None
    return own.id.upper() if own is not None and own.type == "PL" else None


async def _rack(uow: UnitOfWork, code: str, agent: str) -> Rack:
    """The row of the rack; whoever speaks for it last obeys for it."""
    row = await uow.session.get(Rack, code)
    if row is None:
        row = Rack(code=code, label=code, mode="unknown", mode_code="ok", message="")
        uow.session.add(row)
    row.agent = agent
    await uow.session.flush()
    return row
