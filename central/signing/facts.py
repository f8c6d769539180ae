"""What the books say of operations, as JSON: what a signature is put under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from central.audit.rules import canonical
from central.core.uow import UnitOfWork
from central.programmes.history import Asked, versions_at
from central.signing.rules import Facts, moment, order_of
from central.work.models import ClockingEvent, ClockingInterval, Operation, PartsAssigned, WorkOrder


async def facts_of(uow: UnitOfWork, codes: Collection[str]) -> dict[str, Facts]:
    """By operation; those that nobody described are missing. Times are UTC, quantities pieces."""
    o, w = Operation, WorkOrder
    rows = (await uow.session.execute(select(o, w).join(w, w.code == o.order).where(o.code.in_(codes)))).all()
    work, declared = await _work(uow, codes), await _declared(uow, codes)
    made, programmes = await _made(uow, codes)
    return {
        step.code: {
            "order": {
                "code": order.code, "article": order.article, "label": order.label, "quantity": order.quantity,
            },
            "operation": {
                "code": step.code, "sequence": step.sequence, "label": step.label, "kind": step.kind,
                "machine": step.machine, "quantity": step.quantity,
            },
            "result": {
                "status": step.status, "good": step.good, "scrap": step.scrap, "rework": step.rework,
                "counted": made.get(step.code, 0), "started": _said(step.started_at), "ended": _said(step.ended_at),
            },
            "work": sorted(work[step.code], key=order_of),
            "declared": sorted(declared[step.code], key=order_of),
            "programmes": sorted(programmes[step.code], key=canonical),
        }
        for step, order in rows
    }  # fmt: skip


async def _work(uow: UnitOfWork, codes: Collection[str]) -> defaultdict[str, list[Facts]]:
    """Who was on it, in which phase, from when to when."""
    found: defaultdict[str, list[Facts]] = defaultdict(list)
    i = ClockingInterval
    for row in await uow.session.scalars(select(i).where(i.operation.in_(codes))):
        said = {"person": row.person, "phase": row.phase, "begin": _said(row.begin), "end": _said(row.end)}
        found[row.operation].append(said | {"post": row.post, "forgotten": row.forgotten})
    return found


async def _declared(uow: UnitOfWork, codes: Collection[str]) -> defaultdict[str, list[Facts]]:
    """Pieces as they were told, by whom and when."""
    found: defaultdict[str, list[Facts]] = defaultdict(list)
    e = ClockingEvent
    told = e.operation.in_(codes) & ((e.good > 0) | (e.scrap > 0) | (e.rework > 0))
    for row in await uow.session.scalars(select(e).where(told)):
        said = {"person": row.person, "at": _said(row.at), "uncertain": row.uncertain}
        found[row.operation].append(said | {"good": row.good, "scrap": row.scrap, "rework": row.rework})
    return found


async def _made(uow: UnitOfWork, codes: Collection[str]) -> tuple[dict[str, int], defaultdict[str, list[Facts]]]:
    """Parts that machines counted, and the programmes that made them, with the version that lay there if known."""
    p = PartsAssigned
    rows = (
        await uow.session.execute(
            select(p.operation, p.machine, p.programme, func.sum(p.parts), func.max(p.at))
            .where(p.operation.in_(codes), p.parts > 0)
            .group_by(p.operation, p.machine, p.programme)
        )
    ).all()
    asked = [Asked(machine, name, at) for _, machine, name, _, at in rows if name]
    known = await versions_at(uow, asked)
    counted: dict[str, int] = {}
    programmes: defaultdict[str, list[Facts]] = defaultdict(list)
    for operation, machine, name, parts, at in rows:
        code: str = operation or ""
        counted[code] = counted.get(code, 0) + int(parts)
        if name:
            lying: Any = known.get(Asked(machine, name, at))
            said = {"machine": machine, "name": name, "parts": int(parts)}
            version = lying._asdict() if lying is not None else {"programme": None, "version": None, "sha256": None}
            programmes[code].append(said | version)
    return counted, programmes


def _said(at: datetime | None) -> str | None:
    return None if at is None else moment(at)
