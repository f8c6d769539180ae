"""Use cases of work: describe orders and operations, clock on a page, settle conflicts, assign parts.

What pages read is in :mod:`central.work.reads` and :mod:`central.work.load`, offered here too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import update

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.machines import programmes
from central.machines import service as machines
from central.machines.rules.programmes import Programme
from central.machines.store import insert_new
from central.work import charging
from central.work.charging import ToCharge, charge_to, plan_items, planned_items, to_charge
from central.work.load import Load, LoadLine, loads, machine_load, week_load
from central.work.models import (
    ClockingEvent,
    Conflict,
    Operation,
    PartsAssigned,
    WorkComment,
    WorkOrder,
)
from central.work.reads import (
    ClockingView,
    ConflictView,
    IntervalView,
    MachineParts,
    OperationDetail,
    OperationView,
    OrderView,
    PostCopy,
    Running,
    Summary,
    UnassignedParts,
    conflicts,
    operation,
    operations,
    orders,
    parts_of,
    post_copy,
    running,
    summary,
    unassigned_parts,
)
from central.work.recompute import count_again, recompute
from central.work.sectors import SECTORS, OrderRow, Sector, any_marked, find_orders, set_sector
from contracts.facts import ClockingAction

__all__ = [
    "SECTORS",
    "ClockingView",
    "ConflictView",
    "Debit",
    "IntervalView",
    "Load",
    "LoadLine",
    "MachineParts",
    "OperationDetail",
    "OperationView",
    "OrderRow",
    "OrderView",
    "PostCopy",
    "Running",
    "Sector",
    "Summary",
    "ToCharge",
    "UnassignedParts",
    "add_operation",
    "add_order",
    "any_marked",
    "assign_parts",
    "charge_to",
    "clock",
    "conflicts",
    "find_orders",
    "forget_programme",
    "loads",
    "machine_load",
    "operation",
    "operations",
    "orders",
    "parts_of",
    "plan_items",
    "planned_items",
    "post_copy",
    "running",
    "set_counting",
    "set_programme",
    "set_programme_yield",
    "set_sector",
    "settle_conflict",
    "summary",
    "to_charge",
    "unassigned_parts",
    "week_load",
]


@dataclass(frozen=True, slots=True)
class Debit:
    """Material of a débit operation: (length + kerf + allowance) × count, lengths in mm."""

    item: str
    length_mm: float
    count: int
    kerf_mm: float = 0.0
    allowance_mm: float = 0.0


async def add_order(
    uow: UnitOfWork, code: str, *, quantity: int, article: str = "", label: str = "", due: date | None = None,
    sector: Sector = "civil", by: str = "system",
) -> None:  # fmt: skip
    """A new OF. Raises ValueError when the code exists or the quantity is not positive."""
    if quantity < 1:
        raise ValueError(f"{code} : la quantité doit être au moins 1.")
    if await uow.session.get(WorkOrder, code) is not None:
        raise ValueError(f"L'OF {code} existe déjà.")
    uow.session.add(WorkOrder(code=code, article=article, label=label, quantity=quantity, due=due, created_at=uow.now))
    await uow.session.flush()
    await set_sector(uow, code, sector, by=by)
    uow.tell("work")


async def add_operation(
    uow: UnitOfWork,
    order: str,
    sequence: int,
    label: str,
    *,
    machine: str | None = None,
    code: str | None = None,
    kind: Literal["normal", "debit", "external"] = "normal",
    quantity: int | None = None,
    setup_min: float = 0.0,
    run_min: float = 0.0,
    parts_per_cycle: int = 1,
    planned_on: date | None = None,
    printed_code: str | None = None,
    debit: Debit | None = None,
) -> str:
    """A step of the order's gamme; returns its code (``OF118-20`` unless given). What was clocked on it before it was
    known is applied. Raises LookupError for an unknown order, ValueError for a code that exists or bad figures.
    """
    found = await uow.session.get(WorkOrder, order)
    if found is None:
        raise LookupError(f"OF inconnu : {order}")
    code = (code or f"{order}-{sequence}").strip().upper()
    if await uow.session.get(Operation, code) is not None:
        raise ValueError(f"L'opération {code} existe déjà.")
    if kind == "debit" and debit is None:
        raise ValueError(f"{code} : une opération de débit demande sa matière (article, longueur, nombre).")
    if parts_per_cycle < 1 or setup_min < 0 or run_min < 0:
        raise ValueError(f"{code} : temps ou pièces par cycle négatifs.")
    row = Operation(
        code=code,
        printed_code=printed_code.strip().upper() if printed_code else None,
        order=order,
        sequence=sequence,
        label=label,
        machine=machine,
        kind=kind,
        quantity=found.quantity if quantity is None else quantity,
        setup_min=setup_min,
        run_min=run_min,
        parts_per_cycle=parts_per_cycle,
        planned_on=planned_on,
        updated_at=uow.now,
    )
    if debit is not None:
        row.debit_item, row.debit_count = debit.item, debit.count
        row.debit_length = round(debit.length_mm * 1000)
        row.debit_kerf, row.debit_allowance = round(debit.kerf_mm * 1000), round(debit.allowance_mm * 1000)
    uow.session.add(row)
    await uow.session.flush()
    if row.printed_code:
        await uow.session.execute(
            update(ClockingEvent).where(ClockingEvent.operation == row.printed_code).values(operation=code)
        )
        # The conflict "unknown operation" of the printed code has no events any more
        await recompute(uow, {row.printed_code})
    await recompute(uow, {code})
    return code


async def clock(
    uow: UnitOfWork,
    *,
    by: str,
    action: ClockingAction,
    operation: str,
    person: str,
    post: str = "bureau",
    at: datetime | None = None,
    phase: Literal["setup", "run"] | None = None,
    reason: str | None = None,
    good: int = 0,
    scrap: int = 0,
    rework: int = 0,
    comment: str = "",
) -> None:
    """A clocking entered on a page, now or (a forgotten one) at an earlier time. Raises LookupError, ValueError."""
    if await uow.session.get(Operation, operation) is None:
        raise LookupError(f"Opération inconnue : {operation}")
    moment = at or uow.now
    if moment > uow.now:
        raise ValueError("Un pointage ne peut pas être dans le futur.")
    digest = hashlib.sha256(comment.encode()).hexdigest() if comment else None
    if digest is not None:
        await insert_new(uow.session, WorkComment, [{"hash": digest, "text": comment}])
    event = ClockingEvent(
        operation=operation,
        person=person,
        person_given=True,
        post=post,
        at=moment,
        received_at=uow.now,
        action=action,
        terminal="pc",
        phase=phase,
        reason=reason,
        good=good,
        scrap=scrap,
        rework=rework,
        comment_hash=digest,
        entered_by=by,
    )
    uow.session.add(event)
    await uow.session.flush()
    await audit.record(
        uow,
        who=by,
        what="work.clock",
        subject=f"operation:{operation}",
        action=action,
        person=person,
        at=moment.isoformat(),
        good=good,
        scrap=scrap,
        rework=rework,
    )
    await recompute(uow, {operation}, new_events=[event.id])
    await charging.rejudge(uow, moment, uow.now)


async def settle_conflict(uow: UnitOfWork, conflict_id: int, by: str) -> None:
    """A person has dealt with it. Raises LookupError."""
    conflict = await uow.session.get(Conflict, conflict_id)
    if conflict is None:
        raise LookupError(f"Conflit inconnu : {conflict_id}")
    if conflict.settled_at is None:
        conflict.settled_at, conflict.settled_by = uow.now, by
        await uow.session.flush()
        await audit.record(
            uow, who=by, what="work.settle_conflict", subject=f"conflict:{conflict_id}", key=conflict.key
        )
    uow.tell("work")


async def assign_parts(uow: UnitOfWork, fact_id: int, operation: str, by: str) -> None:
    """Give counted parts that wait "à affecter" to an operation. Raises LookupError."""
    row = await uow.session.get(PartsAssigned, fact_id)
    target = await uow.session.get(Operation, operation)
    if row is None or target is None:
        raise LookupError(f"Comptage ou opération inconnus : {fact_id}, {operation}")
    row.operation, row.parts = operation, row.cycles * target.parts_per_cycle
    row.by, row.why = by, "affecté à la main"
    await uow.session.flush()
    await audit.record(
        uow, who=by, what="work.assign_parts", subject=f"operation:{operation}", fact=fact_id, parts=row.parts
    )
    uow.tell(f"operation:{operation}")
    uow.tell("work")


async def set_programme(uow: UnitOfWork, setting: Programme, *, by: str) -> None:
    """What a cycle of these programmes makes; counts already received are counted again. Raises ValueError."""
    await programmes.set_programme(uow, setting, by=by)
    await _count_again(uow, setting.machine)


async def forget_programme(uow: UnitOfWork, machine: str, pattern: str, *, by: str) -> None:
    """Raises LookupError."""
    await programmes.forget_programme(uow, machine, pattern, by=by)
    await _count_again(uow, machine)


async def set_counting(uow: UnitOfWork, machine: str, counting: str, *, by: str) -> None:
    """Count the machine's parts by its ``counter`` or by completed ``cycles``, the past too. Raises LookupError,
    ValueError.
    """
    await programmes.set_counting(uow, machine, counting, by=by)
    await _count_again(uow, machine)


async def set_programme_yield(uow: UnitOfWork, machine: str, programme: str, parts_per_cycle: int, *, by: str) -> None:
    """Parts that a cycle of `programme` makes (0: warm-up, probing)."""
    if parts_per_cycle < 0:
        raise ValueError("Les pièces par cycle ne peuvent pas être négatives.")
    await set_programme(uow, Programme(machine, programme, parts_per_cycle > 0, parts_per_cycle or None), by=by)


async def _count_again(uow: UnitOfWork, machine: str) -> None:
    """`machine` empty is all of them."""
    for code in [machine] if machine else [m.code for m in await machines.machines(uow)]:
        await count_again(uow, code)
