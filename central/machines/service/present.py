"""What machines are doing, and did: tiles, timelines, samples, alarms, cycles."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select

from central.core.uow import UnitOfWork
from central.machines import rules, sample_store
from central.machines.models import (
    Machine,
    MachineAlarmEvent,
    MachineCount,
    MachineCycle,
    MachineSignal,
    MachineStateEvent,
    MachineTile,
)
from central.machines.rules import STATE_LABELS, Bucket, StateEvent, StateInterval, watch
from central.machines.service.silence import is_silent, silent_from
from central.machines.settings import rules_of


@dataclass(frozen=True, slots=True)
class SignalView:
    signal: str
    unit: str
    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class AlarmView:
    code: str
    text: str
    severity: str
    since: datetime


@dataclass(frozen=True, slots=True)
class CycleView:
    began: datetime
    ended: datetime
    programme: str | None
    completed: bool
    uncertain: bool
    """Contact was lost in between: its length is not a cycle time."""

    @property
    def seconds(self) -> float:
        return (self.ended - self.began).total_seconds()


@dataclass(frozen=True, slots=True)
class Tile:
    """The present of a machine, as shown. `state` is ``silent`` when nothing is known *now*; `last_state` stays."""

    code: str
    label: str
    kind: str
    declared: bool
    state: str
    state_label: str
    since: datetime | None
    last_state: str
    programme: str | None
    tool: str | None
    detail: str
    heard_at: datetime | None
    silent: bool
    source_message: str
    """Why it is silent, in French, when the source said it."""
    uncertain: bool
    """The clock of the source was never compared with ours: "heure incertaine"."""
    alarms: tuple[AlarmView, ...] = ()
    signals: tuple[SignalView, ...] = ()
    cycles_today: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    machine: str
    begin: datetime
    end: datetime
    intervals: list[StateInterval]
    minutes: dict[str, float] = field(default_factory=dict)
    """Minutes by state."""


@dataclass(frozen=True, slots=True)
class Series:
    machine: str
    signal: str
    unit: str
    begin: datetime
    end: datetime
    source: str
    """``raw``, ``minute`` or ``hour``: what the points were drawn from."""
    points: list[Bucket]


async def tiles(uow: UnitOfWork) -> list[Tile]:
    """All machines, by label."""
    rows = (
        await uow.session.execute(
            select(Machine, MachineTile)
            .join(MachineTile, MachineTile.machine == Machine.code)
            .where(Machine.active)
            .order_by(Machine.label)
        )
    ).all()
    alarms = await active_alarms(uow)
    signals: dict[str, list[SignalView]] = {}
    for s in await uow.session.scalars(select(MachineSignal).order_by(MachineSignal.signal)):
        signals.setdefault(s.machine, []).append(SignalView(s.signal, s.unit, s.value, s.at))
    today = rules.day_span(uow.now.astimezone(uow.settings.zone).date(), uow.settings.zone)
    counts = await cycles(uow, today.begin, today.end)
    return [
        _tile(m, t, uow, tuple(alarms.get(m.code, ())), tuple(signals.get(m.code, ())), counts.get(m.code, 0))
        for m, t in rows
    ]


async def tile(uow: UnitOfWork, code: str) -> Tile | None:
    return next((t for t in await tiles(uow) if t.code == code), None)


async def timeline(uow: UnitOfWork, code: str, begin: datetime, end: datetime) -> Timeline:
    """States of the machine in [begin, end), cut at the present; one silent now is so since last heard."""
    end = min(end, uow.now)
    if end <= begin:
        return Timeline(code, begin, begin, [])
    event = MachineStateEvent
    columns = (event.at, event.seq, event.fact_id, event.state, event.programme, event.tool, event.detail)
    before = (
        select(*columns)
        .where(event.machine == code, event.at <= begin)
        .order_by(event.at.desc(), event.seq.desc(), event.fact_id.desc())
        .limit(1)
    )
    within = select(*columns).where(event.machine == code, event.at > begin, event.at < end)
    events = [StateEvent(*row) for query in (before, within) for row in await uow.session.execute(query)]
    found = rules.intervals(events)
    row = await uow.session.get(MachineTile, code)
    since = silent_from(row) if row is not None else None
    if found and row is not None and since is not None and is_silent(row, uow) and row.state != "silent":
        last = found[-1]
        since = max(since, last.begin)
        found[-1:] = [
            StateInterval(last.begin, since, last.state, last.programme, last.tool, last.detail),
            StateInterval(since, None, "silent", detail=row.source_message),
        ]
    shown = rules.clip(found, begin, end)
    return Timeline(code, begin, end, shown, rules.minutes_by_state(shown, end))


async def unexpected_stops(uow: UnitOfWork, code: str, begin: datetime, end: datetime) -> list[watch.Stop]:
    """Stops of [begin, end) that nothing completed and that last longer than the machine's bound, in time order."""
    bound = (await rules_of(uow, [code]))[code]["unexpected_stop"].duration
    found = await timeline(uow, code, begin, end)
    cycle = MachineCycle
    ends = await uow.session.scalars(
        select(cycle.ended).where(cycle.machine == code, cycle.completed, cycle.ended >= begin, cycle.ended < end)
    )
    stops = watch.unexpected_stops(found.intervals, ends, found.end, bound)
    if stops and found.end < end and stops[-1].end == found.end:  # cut at the present: it lasts
        stops[-1] = stops[-1]._replace(end=None)
    return stops


async def samples(uow: UnitOfWork, code: str, signal: str, begin: datetime, end: datetime, points: int = 600) -> Series:
    """At most `points` points of a signal, from raw values, minutes or hours, whichever suffices."""
    unit = await uow.session.scalar(
        select(MachineSignal.unit).where(MachineSignal.machine == code, MachineSignal.signal == signal)
    )
    source, found = await sample_store.read(uow.session, code, signal, begin, end, points)
    return Series(code, signal, unit or "", begin, end, source, found)


async def active_alarms(uow: UnitOfWork, code: str | None = None) -> dict[str, list[AlarmView]]:
    """Alarms whose newest event in event time says "active", by machine."""
    event = MachineAlarmEvent
    newest = select(event.machine, event.code, func.max(event.at).label("at")).group_by(event.machine, event.code)
    if code is not None:
        newest = newest.where(event.machine == code)
    last = newest.subquery()
    query = (
        select(event)
        .join(last, (event.machine == last.c.machine) & (event.code == last.c.code) & (event.at == last.c.at))
        .order_by(event.at, event.fact_id)
    )
    current: dict[tuple[str, str], MachineAlarmEvent] = {}
    for one in await uow.session.scalars(query):
        current[one.machine, one.code] = one
    found: dict[str, list[AlarmView]] = {}
    for one in current.values():
        if one.active:
            found.setdefault(one.machine, []).append(AlarmView(one.code, one.text, one.severity, one.at))
    return found


async def cycles(uow: UnitOfWork, begin: datetime, end: datetime) -> dict[str, int]:
    """Cycles in [begin, end) by machine: those that its controller counted, or, where parts are counted by cycles,
    those that were completed.
    """
    count, cycle = MachineCount, MachineCycle
    by_counter = (
        select(count.machine, func.sum(count.delta)).where(count.at >= begin, count.at < end).group_by(count.machine)
    )
    by_cycles = (
        select(cycle.machine, func.count())
        .join(Machine, Machine.code == cycle.machine)
        .where(Machine.counting == "cycles", cycle.completed, cycle.ended >= begin, cycle.ended < end)
        .group_by(cycle.machine)
    )
    found = {code: int(total) for code, total in await uow.session.execute(by_counter)}
    counted_by_cycles = await uow.session.scalars(select(Machine.code).where(Machine.counting == "cycles"))
    found |= dict.fromkeys(counted_by_cycles, 0)
    return found | {code: int(total) for code, total in await uow.session.execute(by_cycles)}


async def last_cycles(uow: UnitOfWork, code: str, limit: int = 12) -> list[CycleView]:
    """Newest first, broken off ones too."""
    cycle = MachineCycle
    rows = await uow.session.execute(
        select(cycle.began, cycle.ended, cycle.programme, cycle.completed, cycle.uncertain)
        .where(cycle.machine == code)
        .order_by(cycle.ended.desc(), cycle.fact_id.desc())
        .limit(limit)
    )
    return [CycleView(*row) for row in rows]


def _tile(
    m: Machine,
    t: MachineTile,
    uow: UnitOfWork,
    alarms: tuple[AlarmView, ...],
    signals: tuple[SignalView, ...],
    cycles_today: int,
) -> Tile:
    silent = is_silent(t, uow)
    state = "silent" if silent else t.state
    return Tile(
        code=m.code,
        label=m.label,
        kind=m.kind,
        declared=m.declared,
        state=state,
        state_label=STATE_LABELS[state],
        since=silent_from(t) if silent and t.state != "silent" else t.since,
        last_state=t.state,
        programme=t.programme,
        tool=t.tool,
        detail=t.detail,
        heard_at=t.heard_at,
        silent=silent,
        source_message=t.source_message,
        uncertain=t.uncertain,
        alarms=alarms,
        signals=signals,
        cycles_today=cycles_today,
    )
