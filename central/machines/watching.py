"""Judges the rules of `rules.watch` over what is stored, and lets the alerts follow.

Always from the stored facts in event time, so a fact that comes late changes only what it should: a stop that is long
over raises nothing, and the order of arrival makes no difference. Consumers judge what a fact can change at once; the
sweep judges what time alone brings.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from central.alerts import service as alerts
from central.alerts.service import Cause
from central.core.uow import UnitOfWork
from central.machines import drifting
from central.machines.models import Machine, MachineCycle, MachineSignal, MachineStateEvent, MachineTile
from central.machines.passing import still_since
from central.machines.rules import StateEvent, intervals, watch
from central.machines.rules.watch import RuleName, Setting
from central.machines.service import calendar
from central.machines.service.silence import lost_since
from central.machines.settings import rules_of
from central.machines.wording import seconds

_KEYS: dict[RuleName, str] = {
    "unexpected_stop": "machine.stop:",
    "idle_tool": "machine.idle:",
    "cycle_drift": drifting.KEY,
    "silent": "machine.silent:",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A machine with its tile and its settings."""

    code: str
    label: str
    tile: MachineTile
    rules: dict[RuleName, Setting]
    in_maintenance: bool

    def setting(self, rule: RuleName) -> Setting | None:
        """None while the rule is off, or silenced by planned maintenance."""
        found = self.rules[rule]
        return found if found.active and not self.in_maintenance else None


async def watched(uow: UnitOfWork, codes: Collection[str] | None = None) -> list[Watched]:
    """These machines, or all that are in use."""
    query = select(Machine.code, Machine.label, MachineTile).join(MachineTile, MachineTile.machine == Machine.code)
    query = query.where(Machine.active if codes is None else Machine.code.in_(codes))
    rows = (await uow.session.execute(query.execution_options(populate_existing=True))).all()
    found = [code for code, _, _ in rows]
    settings = await rules_of(uow, found)
    closed = await calendar.in_maintenance(uow, found)
    return [Watched(code, label, tile, settings[code], code in closed) for code, label, tile in rows]


async def judge(uow: UnitOfWork, machines: Collection[Watched]) -> None:
    """What time alone brings: stops that last, tools that stand still, machines that say nothing."""
    standing = {prefix: set(await alerts.open_keys(uow, prefix)) for prefix in _KEYS.values()}
    suspects = [m for m in machines if _is_lost_for(m, uow.now)]
    staffed = await calendar.open_now(uow, [m.code for m in suspects]) if suspects else set()
    for machine in machines:
        code = machine.code
        if _may_be_stopped(machine, uow.now) or _KEYS["unexpected_stop"] + code in standing[_KEYS["unexpected_stop"]]:
            await judge_stop(uow, machine)
        if _may_be_idle(machine, uow.now) or _KEYS["idle_tool"] + code in standing[_KEYS["idle_tool"]]:
            await _judge_idle(uow, machine)
        if machine in suspects or _KEYS["silent"] + code in standing[_KEYS["silent"]]:
            await _judge_silence(uow, machine, staffed=code in staffed)
        if _KEYS["cycle_drift"] + code in standing[_KEYS["cycle_drift"]]:
            await judge_drift(uow, machine)


async def judge_again(uow: UnitOfWork, codes: Collection[str] | None = None) -> None:
    """All rules of these machines (all of them by default), as when one of their settings changed."""
    machines = await watched(uow, codes)
    await judge(uow, machines)
    for machine in machines:
        await judge_drift(uow, machine)


# Unexpected stop -------------------------------------------------------------------------------------------------


async def resumed(uow: UnitOfWork, codes: Collection[str]) -> None:
    """These machines stop no more: what stood about it ends at once. One query when nothing stood."""
    prefix = _KEYS["unexpected_stop"]
    standing = await alerts.open_among(uow, [prefix + code for code in codes])
    if standing:
        for machine in await watched(uow, [key.removeprefix(prefix) for key in standing]):
            await judge_stop(uow, machine)


def _may_be_stopped(machine: Watched, now: datetime) -> bool:
    """Whether its present stop lasts long enough to be looked at."""
    tile, bound = machine.tile, machine.rules["unexpected_stop"].duration
    return tile.state in watch.STOPS and tile.since is not None and _known_until(machine, now) - tile.since > bound


async def judge_stop(uow: UnitOfWork, machine: Watched) -> None:
    setting, stop = machine.setting("unexpected_stop"), None
    if setting is not None and machine.tile.state in watch.STOPS:
        event = MachineStateEvent
        ran = select(event.at).where(event.machine == machine.code, event.state == "running")
        begin = await uow.session.scalar(ran.order_by(event.at.desc()).limit(1))
        if begin is not None:
            found = await stops(uow, machine.code, begin, _known_until(machine, uow.now), setting.duration)
            stop = next((s for s in found if s.end is None), None)
    cause = None
    if setting is not None and stop is not None:
        how = "arrêtée en alarme" if stop.state == "alarm" else "arrêt inattendu"
        programme = f"Le programme {stop.programme}" if stop.programme else "Le programme"
        detail = f"{programme} s'est arrêté sans finir son cycle."
        cause = Cause(
            setting.level,
            f"{machine.label} : {how}",
            f"{detail} {stop.detail}".strip(),
            f"machine:{machine.code}",
            stop.begin,
        )
    await alerts.follow(uow, _KEYS["unexpected_stop"] + machine.code, cause)


async def stops(uow: UnitOfWork, code: str, begin: datetime, until: datetime, bound: timedelta) -> list[watch.Stop]:
    """Unexpected stops of the machine from `begin` (a time when its state changed) on."""
    event, cycle = MachineStateEvent, MachineCycle
    columns = (event.at, event.seq, event.fact_id, event.state, event.programme, event.tool, event.detail)
    rows = await uow.session.execute(
        select(*columns).where(event.machine == code, event.at >= begin, event.at <= uow.now)
    )
    ends = await uow.session.scalars(
        select(cycle.ended).where(cycle.machine == code, cycle.completed, cycle.ended >= begin - watch.COMPLETION_SLACK)
    )
    return watch.unexpected_stops(intervals(StateEvent(*row) for row in rows), ends, until, bound)


# Idle tool -------------------------------------------------------------------------------------------------------


def _may_be_idle(machine: Watched, now: datetime) -> bool:
    """A tool stands still no longer than its machine produces."""
    tile, bound = machine.tile, machine.rules["idle_tool"].duration
    return tile.state == "running" and tile.since is not None and _known_until(machine, now) - tile.since > bound


async def _judge_idle(uow: UnitOfWork, machine: Watched) -> None:
    setting, tile = machine.setting("idle_tool"), machine.tile
    cause = None
    if setting is not None and tile.state == "running" and tile.since is not None:
        signals = select(MachineSignal.signal, MachineSignal.at).where(MachineSignal.machine == machine.code)
        at: dict[str, datetime] = dict((await uow.session.execute(signals)).all())
        name, threshold = ("feed", watch.STILL_FEED) if "feed" in at else ("spindle_speed", watch.STILL_SPINDLE)
        if name in at:
            still = await still_since(uow.session, machine.code, name, threshold, tile.since)
            # samples may lie behind the states (they wait while facts are sent): judge no further than they reach
            until = min(_known_until(machine, uow.now), max(at.values()))
            since = watch.idle_since(tile.since, still, until, setting.duration)
            if since is not None:
                what = "l'avance est à zéro" if name == "feed" else "la broche est à l'arrêt"
                programme = f" (programme {tile.programme})" if tile.programme else ""
                cause = Cause(
                    setting.level,
                    f"{machine.label} : outil immobile",
                    f"La machine se dit en production{programme}, mais {what} depuis plus de {seconds(setting.bound)}.",
                    f"machine:{machine.code}",
                    since,
                )
    await alerts.follow(uow, _KEYS["idle_tool"] + machine.code, cause)


# Cycle drift -----------------------------------------------------------------------------------------------------


async def judge_drift(uow: UnitOfWork, machine: Watched) -> None:
    await drifting.judge(uow, machine.code, machine.label, machine.setting("cycle_drift"))


# Silence ---------------------------------------------------------------------------------------------------------


def _is_lost_for(machine: Watched, now: datetime) -> bool:
    since = lost_since(machine.tile, now, machine.rules["silent"].duration)
    return since is not None and machine.tile.heard_at is not None


async def _judge_silence(uow: UnitOfWork, machine: Watched, *, staffed: bool) -> None:
    """Silence matters when somebody works there, or when the machine was left producing."""
    setting, tile = machine.setting("silent"), machine.tile
    cause = None
    since = None if setting is None else lost_since(tile, uow.now, setting.duration)
    if setting is not None and since is not None:
        last = await _last_known(uow, machine.code)
        if last != "off" and (staffed or last == "running"):
            advice = tile.source_message or "Vérifiez que sa carte est alimentée et que le réseau arrive jusqu'à elle."
            cause = Cause(
                setting.level,
                f"{machine.label} : sans nouvelles depuis plus de {seconds(setting.bound)}",
                advice,
                f"machine:{machine.code}",
                since,
            )
    await alerts.follow(uow, _KEYS["silent"] + machine.code, cause)


async def _last_known(uow: UnitOfWork, code: str) -> str | None:
    event = MachineStateEvent
    found: str | None = await uow.session.scalar(
        select(event.state)
        .where(event.machine == code, event.state != "silent")
        .order_by(event.at.desc(), event.seq.desc(), event.fact_id.desc())
        .limit(1)
    )
    return found


def _known_until(machine: Watched, now: datetime) -> datetime:
    """A state is known to last until its machine was last heard."""
    heard = machine.tile.heard_at
    return now if heard is None else min(now, heard)
