"""What pages ask about machines, and the few things that are told about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update

from central.core.bulk import among
from central.core.uow import UnitOfWork
from central.machines import rules, sample_store
from central.machines.models import (
    CalendarException,
    Machine,
    MachineAlarmEvent,
    MachineCount,
    MachineSignal,
    MachineStateEvent,
    MachineTile,
    MaintenanceWindow,
)
from central.machines.rules import SHOP_WEEK, STATE_LABELS, Bucket, Calendar, Span, StateEvent, StateInterval
from central.machines.store import insert_new

_LOST = frozenset({"lost", "error"})


@dataclass(frozen=True, slots=True)
class MachineView:
    code: str
    label: str
    kind: str
    controller: str
    post: str | None
    declared: bool
    """False for a machine that spoke before anybody described it."""


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


async def add_machine(
    uow: UnitOfWork,
    code: str,
    label: str = "",
    *,
    kind: str = "",
    controller: str = "",
    post: str | None = None,
    weekly: Sequence[Sequence[Sequence[str]]] = SHOP_WEEK,
) -> MachineView:
    """Describe a machine, also one that already spoke. Raises ValueError on bad opening hours."""
    Calendar.from_json(weekly)
    machine = await uow.session.get(Machine, code)
    if machine is None:
        machine = Machine(code=code, active=True)
        uow.session.add(machine)
    machine.label, machine.kind, machine.controller, machine.post = label or code, kind, controller, post
    machine.weekly = [[list(pair) for pair in day] for day in weekly]
    machine.declared = True
    await uow.session.flush()
    await insert_new(uow.session, MachineTile, [_new_tile(code)])
    uow.tell("machines")
    return _view(machine)


async def ensure(uow: UnitOfWork, codes: Collection[str]) -> None:
    """A machine that speaks exists, described or not."""
    missing = set(codes) - set(
        await uow.session.scalars(select(MachineTile.machine).where(among(uow.session, MachineTile.machine, codes)))
    )
    if not missing:
        return
    known = set(await uow.session.scalars(select(Machine.code).where(Machine.code.in_(missing))))
    rows = [
        {"code": c, "label": c, "kind": "", "controller": "", "weekly": SHOP_WEEK, "declared": False, "active": True}
        for c in sorted(missing - known)
    ]
    await insert_new(uow.session, Machine, rows)
    await insert_new(uow.session, MachineTile, [_new_tile(code) for code in sorted(missing)])
    uow.tell("machines")


async def machines(uow: UnitOfWork) -> list[MachineView]:
    found = await uow.session.scalars(select(Machine).where(Machine.active).order_by(Machine.label))
    return [_view(machine) for machine in found]


async def machine(uow: UnitOfWork, code: str) -> MachineView | None:
    found = await uow.session.get(Machine, code)
    return None if found is None else _view(found)


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
    since = _silent_from(row) if row is not None else None
    if found and row is not None and since is not None and is_silent(row, uow) and row.state != "silent":
        last = found[-1]
        since = max(since, last.begin)
        found[-1:] = [
            StateInterval(last.begin, since, last.state, last.programme, last.tool, last.detail),
            StateInterval(since, None, "silent", detail=row.source_message),
        ]
    shown = rules.clip(found, begin, end)
    return Timeline(code, begin, end, shown, rules.minutes_by_state(shown, end))


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
    """Cycles counted by the controllers in [begin, end), by machine."""
    count = MachineCount
    rows = await uow.session.execute(
        select(count.machine, func.sum(count.delta)).where(count.at >= begin, count.at < end).group_by(count.machine)
    )
    return {code: int(total) for code, total in rows}


# Silence ---------------------------------------------------------------------------------------------------------


async def mark_silent(uow: UnitOfWork, machine_codes: Collection[str], at: datetime) -> None:
    """Nothing is known of these machines any more (their agent is gone). The next fact, or `heard`, ends it."""
    if not machine_codes:
        return
    changed = await uow.session.scalars(
        update(MachineTile)
        .where(MachineTile.machine.in_(set(machine_codes)), MachineTile.silent_since.is_(None))
        .values(silent_since=at)
        .returning(MachineTile.machine)
    )
    _tell(uow, changed.all())


async def agent_lost(uow: UnitOfWork, agent: str, at: datetime) -> None:
    """`mark_silent` for the machines that `agent` last spoke for."""
    codes = await uow.session.scalars(select(MachineTile.machine).where(MachineTile.agent == agent))
    await mark_silent(uow, codes.all(), at)


async def agent_heard(uow: UnitOfWork, agent: str, at: datetime) -> None:
    """The agent is there: its machines were heard, also those that have nothing to say."""
    silent = await uow.session.scalars(
        select(MachineTile.machine).where(MachineTile.agent == agent, MachineTile.silent_since.is_not(None))
    )
    _tell(uow, silent.all())
    await uow.session.execute(
        update(MachineTile).where(MachineTile.agent == agent).values(heard_at=at, silent_since=None)
    )


def is_silent(row: MachineTile, uow: UnitOfWork) -> bool:
    stale = uow.now - timedelta(seconds=uow.settings.stale_after_s)
    return (
        row.state == "silent"
        or row.silent_since is not None
        or row.source_status in _LOST
        or row.heard_at is None
        or row.heard_at < stale
    )


def _silent_from(row: MachineTile) -> datetime | None:
    """Since when nothing is known: the loss that its agent reported, else when it was last heard."""
    return row.source_at if row.source_status in _LOST else row.heard_at or row.silent_since


# Calendar --------------------------------------------------------------------------------------------------------


async def capacities(uow: UnitOfWork, codes: Collection[str], days: Sequence[date]) -> dict[str, dict[date, float]]:
    """Minutes that each machine can work on each day: opening hours less planned maintenance. Unknown machines: 0."""
    zone = uow.settings.zone
    found = {code: dict.fromkeys(days, 0.0) for code in codes}
    if not codes or not days:
        return found
    exceptions: dict[str | None, dict[date, Any]] = {}
    query = select(CalendarException).where(
        CalendarException.day.in_(days),
        CalendarException.machine.in_(codes) | CalendarException.machine.is_(None),
    )
    for one in await uow.session.scalars(query):
        exceptions.setdefault(one.machine, {})[one.day] = one.hours
    closed = await _maintenance(uow, codes, min(days), max(days), zone)
    for code, weekly in await uow.session.execute(select(Machine.code, Machine.weekly).where(Machine.code.in_(codes))):
        # the machine's own exception goes before the shop's
        calendar = Calendar.from_json(weekly, exceptions.get(None, {}) | exceptions.get(code, {}))
        found[code] = {day: calendar.capacity_minutes(day, zone, closed.get(code, ())) for day in days}
    return found


async def add_exception(
    uow: UnitOfWork, day: date, hours: Sequence[Sequence[str]], *, machine: str | None = None, reason: str = ""
) -> None:
    """Other hours on `day` (none: closed), for one machine or for the whole shop."""
    rules.hours_from_json(hours)
    uow.session.add(CalendarException(machine=machine, day=day, hours=[list(h) for h in hours], reason=reason))
    await uow.session.flush()


async def add_maintenance(uow: UnitOfWork, code: str, begin: datetime, end: datetime, reason: str = "") -> None:
    if end <= begin:
        raise ValueError("La maintenance se termine avant de commencer.")
    uow.session.add(MaintenanceWindow(machine=code, begin=begin, end=end, reason=reason))
    await uow.session.flush()


async def _maintenance(
    uow: UnitOfWork, codes: Collection[str], first: date, last: date, zone: ZoneInfo
) -> dict[str, list[Span]]:
    begin = rules.day_span(first, zone).begin
    end = rules.day_span(last + timedelta(days=1), zone).end
    window = MaintenanceWindow
    rows = await uow.session.execute(
        select(window.machine, window.begin, window.end).where(
            window.machine.in_(codes), window.begin < end, window.end > begin
        )
    )
    found: dict[str, list[Span]] = {}
    for code, b, e in rows:
        found.setdefault(code, []).append(Span(b, e))
    return found


def _tell(uow: UnitOfWork, codes: Sequence[str]) -> None:
    for code in codes:
        uow.tell(f"machine:{code}")
    if codes:
        uow.tell("machines")


def _new_tile(code: str) -> dict[str, Any]:
    return {"machine": code, "state": "silent", "state_seq": 0, "state_fact": 0, "detail": "", "uncertain": False} | {
        "source_status": "ok",
        "source_message": "",
    }


def _view(m: Machine) -> MachineView:
    return MachineView(m.code, m.label, m.kind, m.controller, m.post, m.declared)


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
        since=_silent_from(t) if silent and t.state != "silent" else t.since,
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
