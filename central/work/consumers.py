"""Clockings, scans and machine counts → events of work, then the projections of the operations that they touch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from central.alerts import service as alerts
from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork
from central.machines import programmes
from central.machines.rules.programmes import Counting
from central.machines.store import insert_new
from central.people import service as people
from central.work import charging
from central.work.models import ClockingEvent, Conflict, Operation, PartsAssigned, WorkComment
from central.work.recompute import Claims, recompute
from contracts.codes import BadCheck, parse_code
from contracts.facts import CodeScanned, CycleEnded, PartsCounted, WorkClocked


def register(consumers: Consumers) -> None:
    consumers.on("work.clocked", on_clocked)
    consumers.on("code.scanned", on_scanned)
    consumers.on("machine.parts", on_parts)
    consumers.on("machine.cycle", on_cycles)
    consumers.on("stock.observed", charging.on_observed)
    consumers.on("stock.asked", charging.on_asked)
    consumers.on("code.scanned", charging.on_badges)


def operation_in(text: str) -> str:
    """The operation code in a text: our own printed form, or as it stands. Raises `BadCheck` when misread."""
    own = parse_code(text)
    return own.id if own is not None and own.type == "OP" else text.strip().upper()


async def on_clocked(uow: UnitOfWork, facts: Sequence[Fact[WorkClocked]]) -> None:
    badges = {fact.id: people.badge_in(fact.body.person) for fact in facts}
    holders = await people.by_badge(uow, {badge for badge in badges.values() if badge})
    rows = []
    for fact in facts:
        body, badge = fact.body, badges[fact.id]
        rows.append(
            _row(fact, body.operation)
            | {
                "person": holders.get(badge) if badge else body.person,
                "person_given": True,
                "post": body.post,
                "action": body.action,
                "terminal": body.terminal,
                "phase": body.phase,
                "reason": body.reason,
                "good": body.good,
                "scrap": body.scrap,
                "rework": body.rework,
                "tool_change": body.tool_change,
                "comment_hash": _hash(body.comment),
            }
        )
    comments = [{"hash": _hash(f.body.comment), "text": f.body.comment} for f in facts if f.body.comment]
    await insert_new(uow.session, WorkComment, comments)
    await _apply(uow, rows)
    for fact in facts:
        if fact.body.tool_change:
            code = fact.body.operation
            title = f"{code} : modification d'outils signalée"
            await alerts.raise_alert(
                uow, f"work.tool_change:{code}", "medium", title, fact.body.comment, f"operation:{code}", at=fact.at
            )


async def on_scanned(uow: UnitOfWork, facts: Sequence[Fact[CodeScanned]]) -> None:
    """A toggle starts or ends the operation read; a badge that comes late names the person of earlier toggles."""
    badge_scans = [fact for fact in facts if people.badge_in(fact.body.code)]
    if badge_scans:
        await _name_persons(uow, badge_scans)
    badges = {fact.id for fact in badge_scans}
    toggles: list[Fact[CodeScanned]] = []
    for fact in facts:
        if fact.body.action != "toggle" or fact.id in badges:
            continue
        if _may_be_operation(fact.body.code):
            toggles.append(fact)
        else:
            await _refuse(uow, fact)
    if not toggles:
        return
    present = await people.present(uow, {(f.body.post, f.at) for f in toggles if f.body.person is None})
    rows = [
        _row(fact, fact.body.code)
        | {
            "person": fact.body.person or present.get((fact.body.post, fact.at)),
            "person_given": fact.body.person is not None,
            "post": fact.body.post,
            "action": "toggle",
            "terminal": "scanner",
            "phase": None,
            "reason": None,
            "good": 0,
            "scrap": 0,
            "rework": 0,
            "tool_change": False,
            "comment_hash": None,
        }
        for fact in toggles
    ]
    await _apply(uow, rows)


async def on_parts(uow: UnitOfWork, facts: Sequence[Fact[PartsCounted]]) -> None:
    """Cycles become parts of the operation on that machine at that time, or wait "à affecter"."""
    await _count(uow, [(fact, fact.body.delta) for fact in facts if fact.body.delta > 0], "counter")


async def on_cycles(uow: UnitOfWork, facts: Sequence[Fact[CycleEnded]]) -> None:
    """The same for machines whose parts are counted by their completed cycles."""
    codes = await programmes.counted_by_cycles(uow, {fact.body.machine for fact in facts})
    await _count(uow, [(f, 1) for f in facts if f.body.completed and f.body.machine in codes], "cycles")


async def _count(uow: UnitOfWork, counted: Sequence[tuple[Fact[Any], int]], source: Counting) -> None:
    if not counted:
        return
    claims = await Claims.load(uow, {f.body.machine for f, _ in counted}, min(f.at for f, _ in counted))
    rows = []
    for fact, cycles in counted:
        machine, programme = fact.body.machine, fact.body.programme
        if claims.of(machine).yields.counting != source:
            continue
        claim = claims.of(machine).at(fact.at, programme, cycles, source)
        rows.append(
            {"fact_id": fact.id, "machine": machine, "at": fact.at, "programme": programme, "cycles": cycles}
            | {"source": source}
            | claim._asdict()
        )
        if claim.operation is not None:
            uow.tell(f"operation:{claim.operation}")
    if rows:
        await insert_new(uow.session, PartsAssigned, rows)
        uow.tell("work")


def _row(fact: Fact[Any], operation: str) -> dict[str, Any]:
    try:
        code = operation_in(operation)
    except BadCheck:
        code = operation.strip().upper()
    return {
        "fact_id": fact.id,
        "operation": code,
        "at": fact.at,
        "seq": fact.seq,
        "received_at": fact.received_at,
        "uncertain": fact.uncertain,
    }


async def _apply(uow: UnitOfWork, rows: Sequence[dict[str, Any]]) -> None:
    """Store the events that are new, then rebuild their operations."""
    printed = await _printed(uow, {row["operation"] for row in rows})
    for row in rows:
        row["operation"] = printed.get(row["operation"], row["operation"])
    await insert_new(uow.session, ClockingEvent, rows)
    new = await uow.session.scalars(
        select(ClockingEvent.id).where(ClockingEvent.fact_id.in_([row["fact_id"] for row in rows]))
    )
    await recompute(uow, {row["operation"] for row in rows}, new_events=new.all())
    await charging.rejudge(uow, min(row["at"] for row in rows), uow.now)


async def _printed(uow: UnitOfWork, codes: Collection[str]) -> Mapping[str, str]:
    """Barcodes that stood on gammes before us → operation."""
    rows = await uow.session.execute(
        select(Operation.printed_code, Operation.code).where(Operation.printed_code.in_(codes))
    )
    return {printed: code for printed, code in rows if printed is not None}


def _may_be_operation(code: str) -> bool:
    try:
        own = parse_code(code)
    except BadCheck:
        return False
    return own is None or own.type == "OP"


async def _refuse(uow: UnitOfWork, fact: Fact[CodeScanned]) -> None:
    message = f"Code « {fact.body.code} » scanné pour pointer au poste {fact.body.post} : ce n'est pas une opération."
    row: dict[str, Any] = {"key": f"not_an_operation:{fact.id}", "kind": "not_an_operation", "operation": None}
    row |= {"person": fact.body.person, "at": fact.at, "message": message, "opened_at": uow.now}
    await insert_new(uow.session, Conflict, [row])
    uow.tell("work")


async def _name_persons(uow: UnitOfWork, badges: Sequence[Fact[CodeScanned]]) -> None:
    """Toggles at these posts after these badges: say again who stood there."""
    lasting = timedelta(seconds=uow.settings.operator_presence_s)
    times = [fact.at for fact in badges]
    query = select(ClockingEvent).where(
        ClockingEvent.person_given.is_(False),
        ClockingEvent.post.in_({fact.body.post for fact in badges}),
        ClockingEvent.at.between(min(times), max(times) + lasting),
    )
    events = (await uow.session.scalars(query)).all()
    present = await people.present(uow, {(e.post, e.at) for e in events})
    changed = []
    for event in events:
        person = present[event.post, event.at]
        if person != event.person:
            event.person = person
            changed.append(event)
    await uow.session.flush()
    await recompute(uow, {e.operation for e in changed}, new_events=[e.id for e in changed])
    if changed:
        await charging.rejudge(uow, min(e.at for e in changed), uow.now)


def _hash(comment: str) -> str | None:
    return hashlib.sha256(comment.encode()).hexdigest() if comment else None
