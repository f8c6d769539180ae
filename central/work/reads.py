"""What pages and terminals ask about work. Nothing here writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Select, case, func, select

from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.machines.rules import day_span
from central.people import service as people
from central.people.models import Person
from central.work import rules
from central.work.models import (
    ClockingEvent,
    ClockingInterval,
    Conflict,
    Operation,
    PartsAssigned,
    WorkComment,
    WorkOrder,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Running:
    """Somebody who is on an operation now."""

    person: str
    person_name: str
    operation: str
    label: str
    order: str
    machine: str | None
    machine_label: str
    post: str
    phase: str
    phase_label: str
    reason: str | None
    since: datetime
    """Begin of the present phase."""
    forgotten: bool
    """It lasts longer than a shift can: an end was probably forgotten."""


@dataclass(frozen=True, slots=True)
class OperationView:
    code: str
    order: str
    sequence: int
    label: str
    machine: str | None
    machine_label: str
    kind: str
    kind_label: str
    status: str
    status_label: str
    phase: str | None
    quantity: int
    good: int
    scrap: int
    rework: int
    counted: int
    """Parts that the machine's counts gave to it."""
    setup_min: float
    run_min: float
    parts_per_cycle: int
    planned_on: date | None
    started_at: datetime | None
    ended_at: datetime | None
    debit_item: str | None
    debit_length_mm: float
    """Length + kerf + allowance of one piece."""
    debit_count: int


@dataclass(frozen=True, slots=True)
class IntervalView:
    person: str
    person_name: str
    begin: datetime
    end: datetime | None
    phase: str
    phase_label: str
    reason: str | None
    post: str
    minutes: float
    forgotten: bool
    corrected: bool


@dataclass(frozen=True, slots=True)
class ClockingView:
    at: datetime
    person: str | None
    person_name: str
    action: str
    post: str
    terminal: str
    reason: str | None
    good: int
    scrap: int
    rework: int
    comment: str
    uncertain: bool
    entered_by: str | None


@dataclass(frozen=True, slots=True)
class ConflictView:
    id: int
    kind: str
    operation: str | None
    person: str | None
    person_name: str
    at: datetime
    message: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class OperationDetail:
    operation: OperationView
    intervals: list[IntervalView]
    events: list[ClockingView]
    conflicts: list[ConflictView]
    minutes: dict[str, float]
    """Counted minutes by phase: setup, run, pause."""


@dataclass(frozen=True, slots=True)
class OrderView:
    code: str
    article: str
    label: str
    quantity: int
    due: date | None
    operations: list[OperationView]

    @property
    def done(self) -> int:
        return sum(1 for operation in self.operations if operation.status == "done")


@dataclass(frozen=True, slots=True)
class UnassignedParts:
    fact_id: int
    machine: str
    at: datetime
    programme: str | None
    cycles: int
    parts: int
    why: str


@dataclass(frozen=True, slots=True)
class PostCopy:
    """What a terminal needs to work alone. `version` is the cursor for the next `since`."""

    version: int
    whole: bool
    """True when it replaces what the terminal has; else it adds to it, by code and id."""
    operations: list[OperationView]
    persons: list[people.PersonView]
    running: list[Running]


@dataclass(frozen=True, slots=True)
class Summary:
    running: int
    paused: int
    conflicts: int
    parts_today: int
    parts_unassigned: int
    operations: dict[str, int]
    """How many in each status."""


@dataclass(frozen=True, slots=True)
class MachineParts:
    """Parts of one machine; `corrected` when some were counted again after a setting changed."""

    by_operation: dict[str, int]
    unassigned: int
    corrected: bool

    @property
    def total(self) -> int:
        return sum(self.by_operation.values()) + self.unassigned


async def running(uow: UnitOfWork, machine: str | None = None) -> list[Running]:
    """Who is on what, the longest first."""
    query = select(ClockingInterval).where(ClockingInterval.end.is_(None)).order_by(ClockingInterval.begin)
    rows = (await uow.session.scalars(query)).all()
    steps = await uow.session.scalars(select(Operation).where(Operation.code.in_({i.operation for i in rows})))
    known = {o.code: o for o in steps}
    names = await people.names(uow, {i.person for i in rows})
    labels = await _machine_labels(uow)
    found = []
    for i in rows:
        o = known.get(i.operation)
        where = o.machine if o is not None else None
        if machine is not None and where != machine:
            continue
        found.append(
            Running(
                person=i.person,
                person_name=names[i.person],
                operation=i.operation,
                label=o.label if o is not None else "opération inconnue",
                order=o.order if o is not None else "",
                machine=where,
                machine_label=labels.get(where, where) if where else "",
                post=i.post,
                phase=i.phase,
                phase_label=rules.PHASE_LABELS[i.phase],
                reason=i.reason,
                since=i.begin,
                forgotten=i.phase != "pause" and uow.now - i.begin > rules.FORGOTTEN_AFTER,
            )
        )
    return found


async def operations(
    uow: UnitOfWork, machine: str | None = None, *, statuses: Collection[str] | None = None, limit: int = 500
) -> list[OperationView]:
    """By order and sequence; of one machine, in some statuses, when asked."""
    query = select(Operation).order_by(Operation.order, Operation.sequence).limit(limit)
    if machine is not None:
        query = query.where(Operation.machine == machine)
    if statuses is not None:
        query = query.where(Operation.status.in_(statuses))
    return await _operation_views(uow, query)


async def operation(uow: UnitOfWork, code: str) -> OperationDetail | None:
    found = await _operation_views(uow, select(Operation).where(Operation.code == code))
    if not found:
        return None
    interval, event = ClockingInterval, ClockingEvent
    rows = (
        await uow.session.scalars(select(interval).where(interval.operation == code).order_by(interval.begin))
    ).all()
    events = (
        await uow.session.execute(
            select(event, WorkComment.text)
            .outerjoin(WorkComment, WorkComment.hash == event.comment_hash)
            .where(event.operation == code)
            .order_by(event.at, event.seq, event.id)
        )
    ).all()
    names = await people.names(uow, {r.person for r in rows} | {e.person for e, _ in events if e.person})
    now = uow.now
    return OperationDetail(
        operation=found[0],
        intervals=[
            IntervalView(
                person=r.person,
                person_name=names[r.person],
                begin=r.begin,
                end=r.end,
                phase=r.phase,
                phase_label=rules.PHASE_LABELS[r.phase],
                reason=r.reason,
                post=r.post,
                minutes=_interval(r).minutes(now),
                forgotten=r.forgotten,
                corrected=r.corrected,
            )
            for r in rows
        ],
        events=[
            ClockingView(
                at=e.at,
                person=e.person,
                person_name=names.get(e.person, "") if e.person else "",
                action=e.action,
                post=e.post,
                terminal=e.terminal,
                reason=e.reason,
                good=e.good,
                scrap=e.scrap,
                rework=e.rework,
                comment=comment or "",
                uncertain=e.uncertain,
                entered_by=e.entered_by,
            )
            for e, comment in events
        ],
        conflicts=await conflicts(uow, operation=code),
        minutes=rules.minutes_by_phase([_interval(r) for r in rows], now),
    )


async def orders(uow: UnitOfWork, *, limit: int = 200) -> list[OrderView]:
    """By due date, those without one last."""
    rows = (
        await uow.session.scalars(
            select(WorkOrder).order_by(WorkOrder.due.is_(None), WorkOrder.due, WorkOrder.code).limit(limit)
        )
    ).all()
    steps: dict[str, list[OperationView]] = {}
    query = select(Operation).where(Operation.order.in_([r.code for r in rows])).order_by(Operation.sequence)
    for view in await _operation_views(uow, query):
        steps.setdefault(view.order, []).append(view)
    return [OrderView(r.code, r.article, r.label, r.quantity, r.due, steps.get(r.code, [])) for r in rows]


async def conflicts(uow: UnitOfWork, *, operation: str | None = None, limit: int = 200) -> list[ConflictView]:
    """Open ones, newest first."""
    query = select(Conflict).where(Conflict.settled_at.is_(None)).order_by(Conflict.at.desc()).limit(limit)
    if operation is not None:
        query = query.where(Conflict.operation == operation)
    rows = (await uow.session.scalars(query)).all()
    names = await people.names(uow, {r.person for r in rows if r.person})
    return [
        ConflictView(
            r.id,
            r.kind,
            r.operation,
            r.person,
            names.get(r.person, "") if r.person else "",
            r.at,
            r.message,
            r.opened_at,
        )
        for r in rows
    ]


async def unassigned_parts(uow: UnitOfWork, *, limit: int = 200) -> list[UnassignedParts]:
    """Counts that wait "à affecter", newest first."""
    p = PartsAssigned
    rows = await uow.session.scalars(
        select(p).where(p.operation.is_(None), p.parts > 0).order_by(p.at.desc()).limit(limit)
    )
    return [UnassignedParts(r.fact_id, r.machine, r.at, r.programme, r.cycles, r.parts, r.why) for r in rows]


async def post_copy(uow: UnitOfWork, since: int | None = None, *, post: str | None = None) -> PostCopy:
    """Operations of the machines at `post` (all when none stands there) and the badges, changed since the cursor.

    Times may be equal at the cursor, so its own rows come again: adding a row twice is harmless.
    """
    changed_since = None if since is None else _EPOCH + timedelta(microseconds=since)
    here = [m.code for m in await machines.machines(uow) if post is not None and m.post == post]
    query = select(Operation).order_by(Operation.order, Operation.sequence)
    if here:
        query = query.where(Operation.machine.in_(here) | Operation.machine.is_(None))
    # a whole copy needs no finished work; a later one must say what was finished
    if changed_since is None:
        query = query.where(Operation.status != "done")
        persons = await people.persons(uow)
    else:
        query = query.where(Operation.updated_at >= changed_since)
        persons = await people.changed_since(uow, changed_since)
    stamps = [
        await uow.session.scalar(select(func.max(Operation.updated_at))),
        await uow.session.scalar(select(func.max(Person.updated_at))),
    ]
    newest = max((stamp for stamp in stamps if stamp is not None), default=_EPOCH)
    on_machines = [r for r in await running(uow) if not here or r.machine in here or r.machine is None]
    return PostCopy(
        version=max((newest - _EPOCH) // timedelta(microseconds=1), since or 0),
        whole=changed_since is None,
        operations=await _operation_views(uow, query),
        persons=persons,
        running=on_machines,
    )


async def summary(uow: UnitOfWork) -> Summary:
    session = uow.session
    interval, p = ClockingInterval, PartsAssigned
    open_phases = await session.execute(
        select(interval.phase, func.count()).where(interval.end.is_(None)).group_by(interval.phase)
    )
    phases = dict(open_phases.all())
    found = await session.execute(select(Operation.status, func.count()).group_by(Operation.status))
    statuses = dict(found.all())
    today = day_span(uow.now.astimezone(uow.settings.zone).date(), uow.settings.zone)
    made = await session.scalar(select(func.sum(p.parts)).where(p.at >= today.begin, p.at < today.end))
    waiting = await session.scalar(select(func.sum(p.parts)).where(p.operation.is_(None), p.parts > 0))
    open_conflicts = await session.scalar(select(func.count()).where(Conflict.settled_at.is_(None)))
    return Summary(
        running=phases.get("setup", 0) + phases.get("run", 0),
        paused=phases.get("pause", 0),
        conflicts=open_conflicts or 0,
        parts_today=int(made or 0),
        parts_unassigned=int(waiting or 0),
        operations=statuses,
    )


async def counted(uow: UnitOfWork, codes: Iterable[str]) -> dict[str, int]:
    """Parts that the machines' counts gave to each operation."""
    p = PartsAssigned
    rows = await uow.session.execute(
        select(p.operation, func.sum(p.parts)).where(p.operation.in_(list(codes))).group_by(p.operation)
    )
    return {code: int(total) for code, total in rows if code is not None}


async def parts_of(uow: UnitOfWork, machine: str, begin: datetime, end: datetime) -> MachineParts:
    """Parts that the machine made in [begin, end)."""
    p = PartsAssigned
    rows = await uow.session.execute(
        select(p.operation, func.sum(p.parts), func.max(case((p.corrected, 1), else_=0)))
        .where(p.machine == machine, p.at >= begin, p.at < end, p.parts > 0)
        .group_by(p.operation)
        .order_by(p.operation)
    )
    found = [(operation, int(parts), bool(corrected)) for operation, parts, corrected in rows]
    return MachineParts(
        by_operation={operation: parts for operation, parts, _ in found if operation is not None},
        unassigned=sum(parts for operation, parts, _ in found if operation is None),
        corrected=any(corrected for _, _, corrected in found),
    )


async def _operation_views(uow: UnitOfWork, query: Select[Operation]) -> list[OperationView]:
    rows = (await uow.session.scalars(query)).all()
    made = await counted(uow, [o.code for o in rows])
    labels = await _machine_labels(uow)
    return [
        OperationView(
            code=o.code,
            order=o.order,
            sequence=o.sequence,
            label=o.label,
            machine=o.machine,
            machine_label=labels.get(o.machine, o.machine) if o.machine else "",
            kind=o.kind,
            kind_label=rules.KIND_LABELS[o.kind],
            status=o.status,
            status_label=rules.STATUS_LABELS[o.status],
            phase=o.phase,
            quantity=o.quantity,
            good=o.good,
            scrap=o.scrap,
            rework=o.rework,
            counted=made.get(o.code, 0),
            setup_min=o.setup_min,
            run_min=o.run_min,
            parts_per_cycle=o.parts_per_cycle,
            planned_on=o.planned_on,
            started_at=o.started_at,
            ended_at=o.ended_at,
            debit_item=o.debit_item,
            debit_length_mm=(o.debit_length + o.debit_kerf + o.debit_allowance) / 1000,
            debit_count=o.debit_count,
        )
        for o in rows
    ]


async def _machine_labels(uow: UnitOfWork) -> dict[str, str]:
    return {m.code: m.label for m in await machines.machines(uow)}


def _interval(r: ClockingInterval) -> rules.Interval:
    return rules.Interval(r.begin, r.end, _PHASES[r.phase], r.post, r.reason, r.forgotten)


_PHASES: dict[str, rules.Phase] = {"setup": "setup", "run": "run", "pause": "pause"}
