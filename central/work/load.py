"""Charge machine: work that remains against what the machine can do, with the reason of each figure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, select

from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.machines.rules import Span, day_span, union
from central.work import rules
from central.work.models import ClockingInterval, Operation, PartsAssigned


@dataclass(frozen=True, slots=True)
class LoadLine:
    """One placement and why it weighs what it does."""

    operation: str | None
    """None for the line of what was worked already."""
    label: str
    minutes: float
    why: str


@dataclass(frozen=True, slots=True)
class Load:
    """`first` to `last` included. Minutes."""

    machine: str
    first: date
    last: date
    capacity_min: float
    done_min: float
    """Worked already in these days (réglage and série clocked; two operators on one machine count once)."""
    remaining_min: float
    lines: list[LoadLine]

    @property
    def load_min(self) -> float:
        return self.done_min + self.remaining_min

    @property
    def ratio(self) -> float | None:
        """Load / capacity; None when the machine is closed."""
        return self.load_min / self.capacity_min if self.capacity_min > 0 else None

    @property
    def over(self) -> bool:
        return rules.overloaded(self.load_min, self.capacity_min)


async def machine_load(uow: UnitOfWork, machine: str, day: date | None = None) -> Load:
    """One day; today carries what was planned before, or for no day, and is not done."""
    day = day or uow.now.astimezone(uow.settings.zone).date()
    return (await loads(uow, day, day, [machine]))[machine]


async def week_load(uow: UnitOfWork, machine: str, day: date | None = None) -> Load:
    """The week of `day`, Monday to Sunday."""
    day = day or uow.now.astimezone(uow.settings.zone).date()
    monday = day - timedelta(days=day.weekday())
    return (await loads(uow, monday, monday + timedelta(days=6), [machine]))[machine]


async def loads(uow: UnitOfWork, first: date, last: date, codes: Collection[str] | None = None) -> dict[str, Load]:
    """Load of several machines (all by default) over the days `first` to `last`."""
    if codes is None:
        codes = [m.code for m in await machines.machines(uow)]
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    capacity = await machines.capacities(uow, codes, days)
    done = await _worked(uow, codes, first, last)
    lines = await _remaining(uow, codes, first, last)
    found = {}
    for code in codes:
        worked = done.get(code, 0.0)
        already = [LoadLine(None, "Déjà pointé", worked, "réglage et série pointés")] if worked > 0 else []
        left = lines.get(code, [])
        remaining = sum(line.minutes for line in left)
        total = sum(capacity[code].values())
        found[code] = Load(code, first, last, total, worked, remaining, already + left)
    return found


async def _worked(uow: UnitOfWork, codes: Collection[str], first: date, last: date) -> dict[str, float]:
    begin = day_span(first, uow.settings.zone).begin
    end = min(day_span(last, uow.settings.zone).end, uow.now)
    if end <= begin:
        return {}
    interval = ClockingInterval
    rows = await uow.session.execute(
        select(Operation.machine, interval.begin, interval.end)
        .join(Operation, Operation.code == interval.operation)
        .where(
            Operation.machine.in_(codes),
            interval.phase != "pause",
            interval.forgotten.is_(False),
            interval.begin < end,
            interval.end.is_(None) | (interval.end > begin),
        )
    )
    spans: dict[str, list[Span]] = {}
    for machine, since, until in rows:
        if machine is not None:
            spans.setdefault(machine, []).append(Span(max(since, begin), min(until or end, end)))
    return {machine: sum(s.minutes() for s in union(found)) for machine, found in spans.items()}


async def _remaining(uow: UnitOfWork, codes: Collection[str], first: date, last: date) -> dict[str, list[LoadLine]]:
    today = uow.now.astimezone(uow.settings.zone).date()
    if last < today:
        return {}
    planned: ColumnElement[bool] = Operation.planned_on.between(first, last)
    if first <= today:
        # what nobody placed, and what should be done already, weighs on the present
        planned = planned | Operation.planned_on.is_(None) | (Operation.planned_on < first)
    query = (
        select(Operation)
        .where(Operation.machine.in_(codes), Operation.status != "done", Operation.kind != "external", planned)
        .order_by(Operation.planned_on, Operation.order, Operation.sequence)
    )
    operations = (await uow.session.scalars(query)).all()
    clocked = await _clocked(uow, operations)
    counts = await _counts(uow, operations)
    lines: dict[str, list[LoadLine]] = {}
    for o in operations:
        spent = rules.minutes_by_phase(clocked.get(o.code, []), uow.now)
        made = counts.get(o.code, [])
        need = rules.Need(
            quantity=o.quantity,
            done=max(o.good, sum(parts for _, parts in made) - o.scrap),
            setup_min=o.setup_min,
            run_min=o.run_min,
            setup_spent=spent["setup"],
            in_run=spent["run"] > 0 or o.phase == "run",
            measure=rules.measured_cycle(made) or rules.clocked_cycle(spent["run"], o.good),
        )
        left = rules.remaining(need)
        if o.machine is not None and left.minutes > 0:
            lines.setdefault(o.machine, []).append(LoadLine(o.code, o.label, left.minutes, left.why))
    return lines


async def _clocked(uow: UnitOfWork, operations: Sequence[Operation]) -> dict[str, list[rules.Interval]]:
    interval = ClockingInterval
    rows = await uow.session.execute(
        select(interval.operation, interval.begin, interval.end, interval.phase, interval.forgotten).where(
            interval.operation.in_([o.code for o in operations])
        )
    )
    found: dict[str, list[rules.Interval]] = {}
    for code, begin, end, phase, forgotten in rows:
        one = rules.Interval(begin, end, phase, "", None, forgotten)  # type: ignore[arg-type]  # one of the three phases
        found.setdefault(code, []).append(one)
    return found


async def _counts(uow: UnitOfWork, operations: Sequence[Operation]) -> dict[str, list[tuple[datetime, int]]]:
    p = PartsAssigned
    rows = await uow.session.execute(
        select(p.operation, p.at, p.parts).where(p.operation.in_([o.code for o in operations]), p.parts > 0)
    )
    found: dict[str, list[tuple[datetime, int]]] = {}
    for code, at, parts in rows:
        if code is not None:
            found.setdefault(code, []).append((at, parts))
    return found
