"""Rebuild what follows from the clocking events of some operations: intervals, status, conflicts, parts, charges.

Always from all stored events in event-time order, so a late fact needs no case of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import bindparam, delete, func, insert, select, update

from central.core.uow import UnitOfWork
from central.items import service as items
from central.machines import programmes
from central.machines.rules.programmes import COUNTING, Counting, Yields
from central.machines.store import insert_new
from central.stock import service as stock
from central.work import rules
from central.work.models import (
    ClockingEvent,
    ClockingInterval,
    Conflict,
    DebitCharge,
    Operation,
    PartsAssigned,
)
from central.work.reach import overreaches

AUTOMATIC = "system"
"""Who settled a conflict that a later fact explained."""


class _Fault(NamedTuple):
    """A conflict that should stand."""

    key: str
    kind: str
    operation: str
    person: str | None
    at: datetime
    message: str


@dataclass(slots=True)
class _Rebuilt:
    """What the events of one operation give."""

    replays: dict[str, rules.Replay] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    """Persons whose past was changed by a fact that came late, or by hand."""
    faults: list[_Fault] = field(default_factory=list)
    last_end_by: str | None = None


async def recompute(uow: UnitOfWork, codes: Collection[str], *, new_events: Collection[int] = ()) -> None:
    """Rebuild the operations `codes`; `new_events` are ids of events that were not there before (facts or by hand)."""
    if not codes:
        return
    session = uow.session
    operations = {o.code: o for o in await session.scalars(select(Operation).where(Operation.code.in_(codes)))}
    events: dict[str, list[ClockingEvent]] = {code: [] for code in codes}
    for event in await session.scalars(select(ClockingEvent).where(ClockingEvent.operation.in_(codes))):
        events[event.operation].append(event)
    fresh = set(new_events)
    rebuilt = {code: _rebuild(uow, code, found, fresh, known=code in operations) for code, found in events.items()}
    for overreach in await overreaches(uow, operations, events):
        event = overreach.event
        fault = _Fault(
            f"not_allowed:{event.id}", "not_allowed", event.operation, event.person, event.at, overreach.message
        )
        rebuilt[event.operation].faults.append(fault)
    touched = await _write_intervals(uow, rebuilt)
    for code, operation in operations.items():
        _write_progress(uow, operation, rebuilt[code])
        await _charge(uow, operation, rebuilt[code])
    await _write_conflicts(uow, codes, [fault for one in rebuilt.values() for fault in one.faults])
    await session.flush()
    by_machine: dict[str, list[datetime]] = {}
    for code, begin in touched.items():
        machine = operations[code].machine if code in operations else None
        if machine is not None:
            by_machine.setdefault(machine, []).append(begin)
    for machine, begins in by_machine.items():
        await assign_parts(uow, machine, min(begins))
        uow.tell(f"machine:{machine}")
    for code in codes:
        uow.tell(f"operation:{code}")
    uow.tell("work")


def _rebuild(uow: UnitOfWork, code: str, found: Sequence[ClockingEvent], fresh: set[int], *, known: bool) -> _Rebuilt:
    rebuilt = _Rebuilt()
    by_person: dict[str, list[ClockingEvent]] = {}
    for event in found:
        if event.person is None:
            message = f"Pointage de {code} au poste {event.post} : personne n'y était identifié."
            rebuilt.faults.append(_Fault(f"no_person:{event.id}", "no_person", code, None, event.at, message))
        else:
            by_person.setdefault(event.person, []).append(event)
    if not known and found:
        first = min(event.at for event in found)
        message = f"Pointage d'une opération inconnue : {code}."
        rebuilt.faults.append(_Fault(f"unknown_operation:{code}", "unknown_operation", code, None, first, message))
    same_scan = timedelta(seconds=uow.settings.same_scan_s)
    last_end: tuple[Any, ...] = ()
    for person, theirs in sorted(by_person.items()):
        replay = rules.replay([_event(e) for e in theirs], same_scan)
        rebuilt.replays[person] = replay
        for breach in replay.breaches:
            key = f"{breach.kind}:{breach.event.id}"
            rebuilt.faults.append(_Fault(key, breach.kind, code, person, breach.event.at, breach.message))
        last_sign = max(event.at for event in theirs)
        if replay.phase in {"setup", "run"} and uow.now - last_sign > rules.FORGOTTEN_AFTER:
            key = f"forgotten_open:{person}:{code}:{last_sign.isoformat()}"
            message = "Pointage ouvert depuis plus de 14 h : fin oubliée ?"
            rebuilt.faults.append(_Fault(key, "forgotten_open", code, person, last_sign, message))
        if replay.ends and last_end < (replay.ends[-1].at, person):
            last_end = (replay.ends[-1].at, person)
            rebuilt.last_end_by = person
        if _is_late(uow, theirs, fresh):
            rebuilt.late.add(person)
    return rebuilt


def _event(e: ClockingEvent) -> rules.Event:
    return rules.Event(e.id, e.at, e.action, e.post, e.seq, e.phase, e.reason, e.good, e.scrap, e.rework)


def _is_late(uow: UnitOfWork, events: Sequence[ClockingEvent], fresh: set[int]) -> bool:
    """A new event changes the past when an older one lies after it, its day is over, or somebody entered it later."""
    zone = uow.settings.zone
    newest_known = max((e.at for e in events if e.id not in fresh), default=None)
    for event in events:
        if event.id not in fresh:
            continue
        if newest_known is not None and event.at < newest_known:
            return True
        if event.at.astimezone(zone).date() < event.received_at.astimezone(zone).date():
            return True
        if event.entered_by is not None and event.at < event.received_at:
            return True
    return False


async def _write_intervals(uow: UnitOfWork, rebuilt: Mapping[str, _Rebuilt]) -> dict[str, datetime]:
    """Store the intervals that changed. Returns, for each operation changed, from when on."""
    old: dict[tuple[str, str, datetime, str], ClockingInterval] = {}
    for row in await uow.session.scalars(select(ClockingInterval).where(ClockingInterval.operation.in_(rebuilt))):
        old[row.operation, row.person, row.begin, row.phase] = row
    touched: dict[str, datetime] = {}
    added = []
    for code, one in rebuilt.items():
        for person, replay in one.replays.items():
            for interval in replay.intervals:
                stored = old.pop((code, person, interval.begin, interval.phase), None)
                values = interval._asdict()
                if stored is not None and all(getattr(stored, name) == value for name, value in values.items()):
                    continue
                touched[code] = min(interval.begin, touched.get(code, interval.begin))
                late = person in one.late and interval.end is not None
                if stored is None:
                    added.append(values | {"person": person, "operation": code, "corrected": late})
                    continue
                for name, value in values.items():
                    setattr(stored, name, value)
                stored.corrected = stored.corrected or late
    for row in old.values():
        touched[row.operation] = min(row.begin, touched.get(row.operation, row.begin))
    await uow.session.flush()
    if old:
        gone = [row.id for row in old.values()]
        await uow.session.execute(
            delete(ClockingInterval).where(ClockingInterval.id.in_(gone)).execution_options(synchronize_session="fetch")
        )
    if added:
        await uow.session.execute(insert(ClockingInterval), added)
    return touched


async def _write_conflicts(uow: UnitOfWork, codes: Collection[str], faults: Iterable[_Fault]) -> None:
    """Open what should stand, settle what a later fact explained, leave what a person settled."""
    wanted = {fault.key: fault for fault in faults}
    for row in await uow.session.scalars(select(Conflict).where(Conflict.operation.in_(codes))):
        fault = wanted.pop(row.key, None)
        if fault is None and row.settled_at is None and row.kind not in _BY_HAND_ONLY:
            row.settled_at, row.settled_by = uow.now, AUTOMATIC
        elif fault is not None and row.settled_by == AUTOMATIC:
            row.settled_at = row.settled_by = None
    if wanted:
        rows = [fault._asdict() | {"opened_at": uow.now} for fault in wanted.values()]
        await insert_new(uow.session, Conflict, rows)


_BY_HAND_ONLY = frozenset({"not_an_operation"})


def _write_progress(uow: UnitOfWork, operation: Operation, rebuilt: _Rebuilt) -> None:
    found = rules.progress(rebuilt.replays.values(), operation.quantity)
    for name, value in found._asdict().items():
        setattr(operation, name, value)
    operation.updated_at = uow.now


async def _charge(uow: UnitOfWork, operation: Operation, rebuilt: _Rebuilt) -> None:
    """What a débit has used up, less what was charged for it already: one movement, or a compensating one."""
    ends = [event for replay in rebuilt.replays.values() for event in replay.ends]
    if operation.kind != "debit" or operation.debit_item is None:
        return
    charged = (await uow.session.scalars(select(DebitCharge).where(DebitCharge.operation == operation.code))).all()
    pieces = rules.pieces_to_charge(ends, operation.debit_count) - sum(row.pieces for row in charged)
    if pieces == 0:
        return
    at = max((event.at for event in ends), default=uow.now)
    try:
        unit = (await items.require_item(uow, operation.debit_item)).unit
    except LookupError:
        message = f"Débit de {operation.code} : article {operation.debit_item} inconnu, rien n'a été sorti du stock."
        key = f"unknown_item:{operation.code}:{operation.debit_item}"
        rebuilt.faults.append(_Fault(key, "unknown_item", operation.code, rebuilt.last_end_by, at, message))
        return
    length = operation.debit_length + operation.debit_kerf + operation.debit_allowance
    quantity = rules.debit_quantity(pieces, length, unit)
    key = f"debit:{operation.code}:{len(charged)}"
    uow.session.add(DebitCharge(key=key, operation=operation.code, pieces=pieces, qty_milli=quantity, at=at))
    await uow.session.flush()
    person = rebuilt.last_end_by
    await stock.charge_operation(uow, operation.code, operation.debit_item, quantity, at, person=person, key=key)


# Parts -----------------------------------------------------------------------------------------------------------


async def assign_parts(uow: UnitOfWork, machine: str, since: datetime) -> None:
    """Give the machine's counts from `since` on to the operation that was running there then."""
    parts = PartsAssigned
    columns = (parts.fact_id, parts.at, parts.programme, parts.cycles, parts.operation, parts.parts, parts.why)
    rows = (
        await uow.session.execute(
            select(*columns, parts.source, parts.corrected).where(
                parts.machine == machine, parts.by.is_(None), parts.at >= since
            )
        )
    ).all()
    if not rows:
        return
    claims = (await Claims.load(uow, [machine], since)).of(machine)
    changed = []
    touched: set[str | None] = set()
    for fact_id, at, programme, cycles, operation, made, why, source, corrected in rows:
        claim = claims.at(at, programme, cycles, cast("Counting", source))
        if (operation, made, why) != (claim.operation, claim.parts, claim.why):
            marked = corrected or made != claim.parts
            changed.append({"key": fact_id, "corrected": marked} | claim._asdict())
            touched |= {operation, claim.operation}
    if changed:
        table = parts.__table__
        statement = update(parts).where(table.c.fact_id == bindparam("key"))
        connection = await uow.session.connection()
        names = ("operation", "parts", "why", "corrected")
        await connection.execute(statement.values({name: bindparam(name) for name in names}), changed)
        for code in touched - {None}:
            uow.tell(f"operation:{code}")


async def count_again(uow: UnitOfWork, machine: str) -> None:
    """Count all parts of the machine anew, after a setting that they are counted by was changed."""
    parts = PartsAssigned
    source = (await programmes.yields(uow, [machine]))[machine].counting
    found = await programmes.counted(uow, machine, source)
    known = set(
        await uow.session.scalars(select(parts.fact_id).where(parts.machine == machine, parts.source == source))
    )
    missing = [
        {"fact_id": one.fact_id, "machine": machine, "at": one.at, "programme": one.programme, "cycles": one.cycles}
        | {"operation": None, "parts": 0, "why": "", "source": source}
        for one in found
        if one.fact_id not in known
    ]
    await insert_new(uow.session, PartsAssigned, missing)
    for row, per_cycle in await uow.session.execute(
        select(parts, Operation.parts_per_cycle)
        .join(Operation, Operation.code == parts.operation)
        .where(parts.machine == machine, parts.by.is_not(None))
    ):
        # given by hand: it stays whose it is, but one of the two sources is counted, never both
        made = row.cycles * per_cycle if row.source == source else 0
        if row.parts != made:
            row.parts, row.corrected = made, True
            uow.tell(f"operation:{row.operation}")
    await uow.session.flush()
    first = await uow.session.scalar(select(func.min(parts.at)).where(parts.machine == machine))
    if first is not None:
        await assign_parts(uow, machine, first)
    uow.tell(f"machine:{machine}")
    uow.tell("work")


class Claim(NamedTuple):
    operation: str | None
    parts: int
    why: str


class MachineClaims:
    """Who was on one machine, and how many parts a cycle makes there."""

    def __init__(self, spans: Sequence[rules.Presence], per_cycle: Mapping[str, int], yields: Yields) -> None:
        self._spans, self._per_cycle, self.yields = spans, per_cycle, yields

    def at(self, moment: datetime, programme: str | None, cycles: int, source: Counting) -> Claim:
        if source != self.yields.counting:
            return Claim(None, 0, f"les pièces se comptent d'après {COUNTING[self.yields.counting]}")
        operation, why = rules.operation_at(self._spans, moment)
        special = self.yields.parts(programme)
        if special == 0:
            return Claim(None, 0, f"le programme {programme} ne produit pas")
        per_cycle = self._per_cycle.get(operation, 1) if operation is not None else 1
        return Claim(operation, rules.parts_made(cycles, per_cycle, special), why)


class Claims:
    """`MachineClaims` of several machines, loaded together."""

    def __init__(self, found: Mapping[str, MachineClaims]) -> None:
        self._found = found

    def of(self, machine: str) -> MachineClaims:
        return self._found[machine]

    @classmethod
    async def load(cls, uow: UnitOfWork, machines: Collection[str], since: datetime) -> Claims:
        interval = ClockingInterval
        rows = await uow.session.execute(
            select(Operation.machine, Operation.code, Operation.parts_per_cycle, interval.begin, interval.end)
            .join(interval, interval.operation == Operation.code)
            .where(Operation.machine.in_(machines), interval.end.is_(None) | (interval.end > since))
        )
        spans: dict[str, dict[str, list[rules.Interval]]] = {}
        per_cycle: dict[str, int] = {}
        for machine, code, parts_per_cycle, begin, end in rows:
            assert machine is not None, "asked by machine"
            per_cycle[code] = parts_per_cycle
            spans.setdefault(machine, {}).setdefault(code, []).append(rules.Interval(begin, end, "run", ""))
        yields = await programmes.yields(uow, machines)
        return cls(
            {
                machine: MachineClaims(
                    [p for code, found in spans.get(machine, {}).items() for p in rules.presences(code, found)],
                    per_cycle,
                    yields[machine],
                )
                for machine in machines
            }
        )
