"""Machine facts → states, tiles, alarms, cycles, counts, samples, and the alerts that follow from them.

A batch costs a few statements, whatever the number of facts: 95 % of what the centre receives passes here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import func, select, update

from central.alerts import service as alerts
from central.alerts.service import Cause
from central.core.bulk import among, write_rows
from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork
from central.machines import guard, passing, sample_store, service, watching
from central.machines.models import (
    Machine,
    MachineAlarmEvent,
    MachineCount,
    MachineCycle,
    MachineStateEvent,
    MachineTile,
)
from central.machines.rules import watch
from central.machines.rules.guard import is_about_guard
from central.machines.sample_store import Arrived
from central.machines.store import insert_new, table_of, upsert
from contracts import topics
from contracts.envelope import is_name
from contracts.facts import (
    CycleEnded,
    MachineAlarm,
    MachineBlock,
    MachineSamples,
    MachineStateChanged,
    PartsCounted,
    SourceStatus,
)

_TILE = table_of(MachineTile)
_SHOWN = ("state", "since", "programme", "silent_since")
_HEARD_EVERY = timedelta(seconds=1)
"""A machine that goes on speaking is noted as heard this often: less would not be seen, more is a write each time."""
_NEVER = (None, None, None)
_NEWEST_HEARD = """(machine) DO UPDATE
    SET agent = excluded.agent, heard_at = excluded.heard_at, silent_since = excluded.silent_since
    WHERE machine_tile.heard_at IS NULL OR machine_tile.heard_at <= excluded.heard_at"""


def register(consumers: Consumers) -> None:
    consumers.on("machine.state", on_states)
    consumers.on("machine.samples", on_samples)
    consumers.on("machine.block", on_blocks)
    consumers.on("machine.parts", on_parts)
    consumers.on("machine.cycle", on_cycles)
    consumers.on("machine.alarm", on_alarms)
    consumers.on("machine.guard", guard.on_trips)
    consumers.on("machine.guard_rearmed", guard.on_rearmed)
    consumers.on("source.status", on_source_status)
    consumers.on("agent.answered", guard.on_answers)


async def on_states(uow: UnitOfWork, facts: Sequence[Fact[MachineStateChanged]]) -> None:
    """Keep every event; move each machine's tile to its newest one."""
    by_machine: dict[str, list[Fact[MachineStateChanged]]] = {}
    for fact in facts:
        by_machine.setdefault(fact.body.machine, []).append(fact)
    rows = [
        {
            "fact_id": f.id,
            "machine": f.body.machine,
            "at": f.at,
            "seq": f.seq,
            "state": f.body.state,
            "execution": f.body.execution,
            "programme": f.body.programme,
            "tool": f.body.tool,
            "detail": f.body.detail,
        }
        for f in facts
    ]
    await insert_new(uow.session, MachineStateEvent, rows)
    query = select(_TILE).where(among(uow.session, _TILE.c.machine, by_machine))
    tiles = (await uow.session.execute(query)).all()
    if len(tiles) < len(by_machine):
        await service.ensure(uow, by_machine.keys())
        tiles = (await uow.session.execute(query)).all()
    moved: list[dict[str, Any]] = []
    resumed: list[str] = []
    for tile in [found._asdict() for found in tiles]:
        arrived = sorted(by_machine[tile["machine"]], key=_event_order)
        row, late = _moved(tile, arrived)
        if late:
            row["since"] = await _since(uow, row["machine"], row["state"]) or row["since"]
        moved.append(row)
        if tile["state"] in watch.STOPS and row["state"] not in watch.STOPS:
            resumed.append(row["machine"])
        if any(row[name] != tile[name] for name in _SHOWN):
            _tell_tile(uow, row)
    await upsert(uow.session, MachineTile, moved)
    if resumed:
        await watching.resumed(uow, resumed)


async def on_samples(uow: UnitOfWork, facts: Sequence[Fact[MachineSamples]]) -> None:
    arrived = [
        Arrived(fact.id, b.machine, b.signal, b.unit, fact.corrected(b.t0), b.dt, b.v)
        for fact in facts
        for b in (fact.body,)
    ]
    await _store(uow, facts, arrived)


async def on_blocks(uow: UnitOfWork, facts: Sequence[Fact[MachineBlock]]) -> None:
    arrived = [
        Arrived(fact.id, fact.body.machine, s.signal, s.unit, fact.corrected(fact.body.t0), s.dt, s.v)
        for fact in facts
        for s in fact.body.series
    ]
    await _store(uow, facts, arrived)


async def _store(uow: UnitOfWork, facts: Sequence[Fact[Any]], arrived: Sequence[Arrived]) -> None:
    await _heard(uow, facts)
    await sample_store.write(uow.session, arrived)
    await passing.on_values(uow, arrived)
    for code in {fact.body.machine for fact in facts}:
        uow.tell(f"samples:{code}")


async def on_parts(uow: UnitOfWork, facts: Sequence[Fact[PartsCounted]]) -> None:
    await _heard(uow, facts)
    rows = [{"fact_id": f.id, "at": f.at} | msgspec.structs.asdict(f.body) for f in facts]
    await insert_new(uow.session, MachineCount, rows)
    _tell_machines(uow, facts)


async def on_cycles(uow: UnitOfWork, facts: Sequence[Fact[CycleEnded]]) -> None:
    await _heard(uow, facts)
    rows = [
        {
            "fact_id": f.id,
            "machine": f.body.machine,
            "began": f.corrected(f.body.began),
            "ended": f.at,
            "programme": f.body.programme,
            "completed": f.body.completed,
            "uncertain": f.body.uncertain,
        }
        for f in facts
    ]
    await insert_new(uow.session, MachineCycle, rows)
    for machine in await watching.watched(uow, {f.body.machine for f in facts}):
        await watching.judge_drift(uow, machine)
    _tell_machines(uow, facts)


async def on_alarms(uow: UnitOfWork, facts: Sequence[Fact[MachineAlarm]]) -> None:
    """Keep every event; an alert stands while the newest event in event time says that the alarm is active."""
    await _heard(uow, facts)
    rows = [{"fact_id": f.id, "at": f.at} | msgspec.structs.asdict(f.body) for f in facts]
    await insert_new(uow.session, MachineAlarmEvent, rows)
    for machine, code in sorted({(f.body.machine, f.body.code) for f in facts}):
        await alerts.follow(uow, f"machine.alarm:{machine}:{code}", await _alarm_cause(uow, machine, code))
    _tell_machines(uow, facts)


async def _alarm_cause(uow: UnitOfWork, machine: str, code: str) -> Cause | None:
    event = MachineAlarmEvent
    same = (event.machine == machine, event.code == code)
    ended = await uow.session.scalar(select(func.max(event.at)).where(*same, event.active.is_(False)))
    query = select(event).where(*same, event.active).order_by(event.at, event.fact_id)
    standing = (await uow.session.scalars(query if ended is None else query.where(event.at > ended))).all()
    if not standing:
        return None
    newest = standing[-1]
    label = await uow.session.scalar(select(Machine.label).where(Machine.code == machine)) or machine
    is_fault = newest.severity == "fault"
    title = f"{label} : alarme {code}" if is_fault else f"{label} : avertissement {code}"
    return Cause("high" if is_fault else "medium", title, newest.text, f"machine:{machine}", standing[0].at, newest.at)


async def on_source_status(uow: UnitOfWork, facts: Sequence[Fact[SourceStatus]]) -> None:
    """A controller that was lost makes its machine silent, with the sentence of its agent."""
    about = sorted((f for f in facts if _is_about_machine(f.body)), key=_event_order)
    await service.ensure(uow, {f.body.machine for f in about if f.body.machine})
    for fact in about:
        body = fact.body
        message = "" if body.status == "ok" else body.message
        await uow.session.execute(
            update(MachineTile)
            .where(
                MachineTile.machine == body.machine,
                MachineTile.source_at.is_(None) | (MachineTile.source_at <= fact.at),
            )
            .values(source_status=body.status, source_message=message, source_at=fact.at)
        )
        uow.tell(f"machine:{body.machine}")
        uow.tell("machines")


def _is_about_machine(body: SourceStatus) -> bool:
    return body.machine is not None and not is_about_guard(body.source, body.code, body.machine)


def _event_order(fact: Fact[Any]) -> tuple[datetime, int, int]:
    return fact.at, fact.seq, fact.id


def _moved(tile: Mapping[str, Any], arrived: Sequence[Fact[MachineStateChanged]]) -> tuple[dict[str, Any], bool]:
    """The tile after these events (in event order), and whether one of them lies before what the tile shows."""
    row = dict(tile)
    late = False
    shown = None if row["state_at"] is None else (row["state_at"], row["state_seq"], row["state_fact"])
    for fact in arrived:
        body = fact.body
        if shown is not None and _event_order(fact) < shown:
            late = True
            continue
        if row["state"] != body.state or row["since"] is None:
            row |= {"state": body.state, "since": fact.at}
        row |= {
            "state_at": fact.at,
            "state_seq": fact.seq,
            "state_fact": fact.id,
            "execution": body.execution,
            "programme": body.programme,
            "tool": body.tool,
            "detail": body.detail,
            "uncertain": fact.uncertain,
            "agent": fact.agent,
        }
    heard = max(fact.received_at for fact in arrived)
    if row["heard_at"] is None or heard >= row["heard_at"]:
        row |= {"heard_at": heard, "silent_since": None}
    return row, late


async def _since(uow: UnitOfWork, machine: str, state: str) -> datetime | None:
    """When the present run of `state` began, asked of the events: needed only after a late one."""
    event = MachineStateEvent
    last_other = select(func.max(event.at)).where(event.machine == machine, event.state != state).scalar_subquery()
    found: datetime | None = await uow.session.scalar(
        select(func.min(event.at)).where(
            event.machine == machine, event.state == state, (event.at > last_other) | last_other.is_(None)
        )
    )
    return found


async def _heard(uow: UnitOfWork, facts: Iterable[Fact[Any]]) -> None:
    """Any fact about a machine says that it is there."""
    heard: dict[str, tuple[datetime, str]] = {}
    for fact in facts:
        code = fact.body.machine
        if code not in heard or heard[code][0] < fact.received_at:
            heard[code] = (fact.received_at, fact.agent)
    query = select(_TILE.c.machine, _TILE.c.heard_at, _TILE.c.silent_since, _TILE.c.agent).where(
        among(uow.session, _TILE.c.machine, heard)
    )
    known = {code: told for code, *told in await uow.session.execute(query)}
    if len(known) < len(heard):
        await service.ensure(uow, heard.keys())
    news = []
    for code, (at, agent) in heard.items():
        before, silent, by = known.get(code, _NEVER)
        if before is None or silent is not None or by != agent or at - before >= _HEARD_EVERY:
            news.append((code, agent, at, None))
    await write_rows(uow.session, _TILE, ("machine", "agent", "heard_at", "silent_since"), news, _NEWEST_HEARD)


def _tell_machines(uow: UnitOfWork, facts: Iterable[Fact[Any]]) -> None:
    for code in {fact.body.machine for fact in facts}:
        uow.tell(f"machine:{code}")


def _tell_tile(uow: UnitOfWork, row: dict[str, Any]) -> None:
    code, since = row["machine"], row["since"]
    shown = {"state": row["state"], "since": since.isoformat() if since else None, "programme": row["programme"]}
    uow.tell(f"machine:{code}", **shown)
    uow.tell("machines")
    if is_name(code):
        payload = msgspec.json.encode({"machine": code, **shown, "tool": row["tool"]})
        uow.publish(topics.machine_state(uow.settings.site, code), payload, retain=True)
