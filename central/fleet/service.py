"""Agents and sources: noted as they speak, read by pages, told when they fall silent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from central.alerts import service as alerts
from central.alerts.rules import Level
from central.core.database import is_outage
from central.core.facts import Fact
from central.core.uow import UnitOfWork
from central.fleet.models import FleetAgent, FleetSource
from central.machines import service as machines
from contracts.control import AgentState
from contracts.facts import SourceStatus

log = logging.getLogger(__name__)

_LEVELS: dict[str, Level] = {
    "covered": "medium", "dark": "medium", "dirty": "medium", "frozen": "high", "moved": "high", "full": "critical",
}  # fmt: skip
_TROUBLES = {
    "lost": "liaison perdue",
    "covered": "caméra masquée",
    "moved": "caméra déplacée",
    "full": "mémoire pleine",
    "error": "en erreur",
    "dark": "trop sombre",
    "frozen": "image figée",
    "dirty": "objectif sale",
}
_DISK_ALERT = 0.8


@dataclass(frozen=True, slots=True)
class AgentView:
    agent: str
    online: bool
    since: datetime
    heard_at: datetime
    version: str
    off_ms: int | None
    facts_pending: int
    samples_pending: int
    disk_used: float | None
    disk_free: int | None
    cert_until: datetime | None
    parts: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SourceView:
    agent: str
    source: str
    status: str
    code: str
    message: str
    machine: str | None
    rack: str | None
    at: datetime


class Notebook:
    """States that arrived since the last sweep: heartbeats of fifty agents are one transaction a second."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[AgentState, bool]] = {}

    def note(self, state: AgentState, *, retained: bool) -> None:
        self._states[state.agent] = (state, retained)

    async def write(self, uow: UnitOfWork) -> None:
        """Sweep: put down what was noted; kept for the next turn when the database refuses."""
        noted = dict(self._states)
        for state, retained in noted.values():
            try:
                async with uow.savepoint():
                    await record(uow, state, retained=retained)
            except (DBAPIError, OverflowError) as error:
                if is_outage(error):
                    raise
                log.warning("state of %s cannot be kept and is dropped: %s", state.agent, error)
        for agent, entry in noted.items():
            if self._states.get(agent) is entry:
                del self._states[agent]


async def record(uow: UnitOfWork, state: AgentState, *, retained: bool = False) -> None:
    """What an agent says about itself. A retained state is old: it creates the agent, but is no sign of life."""
    agent = await uow.session.get(FleetAgent, state.agent)
    now = uow.now
    if agent is None:
        agent = FleetAgent(agent=state.agent, online=state.online, since=now, heard_at=now, parts=[], version="")
        agent.facts_pending = agent.samples_pending = 0
        uow.session.add(agent)
        changed = True
    else:
        changed = agent.online != state.online and not (retained and state.online)
    if changed:
        agent.online, agent.since = state.online, now
        await _say_presence(uow, state.agent, online=state.online)
    agent.boot = state.boot
    if state.online:
        parts = msgspec.to_builtins(state.parts)
        changed = changed or parts != agent.parts
        if not retained:
            agent.heard_at = now
            await machines.agent_heard(uow, state.agent, now)
        agent.version = state.version
        agent.off_ms = state.off
        agent.facts_pending = state.facts.pending if state.facts else 0
        agent.samples_pending = state.samples.pending if state.samples else 0
        agent.disk_used = state.disk_used
        agent.disk_free, agent.cert_until = state.disk_free, state.cert_until
        agent.parts = parts
        await _watch_disk(uow, state)
    elif changed:
        await machines.agent_lost(uow, state.agent, now)
    await uow.session.flush()
    uow.tell(f"agent:{state.agent}", online=agent.online)
    if changed:
        uow.tell("agents")


async def mark_silent(uow: UnitOfWork) -> None:
    """Sweep: agents that were not heard for `stale_after_s` are no longer shown as there."""
    limit = uow.now - timedelta(seconds=uow.settings.stale_after_s)
    silent = select(FleetAgent).where(FleetAgent.online.is_(True), FleetAgent.heard_at < limit)
    for agent in await uow.session.scalars(silent):
        agent.online, agent.since = False, uow.now
        await _say_presence(uow, agent.agent, online=False)
        await machines.agent_lost(uow, agent.agent, uow.now)
        uow.tell("agents")
        uow.tell(f"agent:{agent.agent}", online=False)


async def agents(uow: UnitOfWork) -> list[AgentView]:
    """All agents ever heard, by name."""
    return [
        AgentView(
            agent=a.agent,
            online=a.online,
            since=a.since,
            heard_at=a.heard_at,
            version=a.version,
            off_ms=a.off_ms,
            facts_pending=a.facts_pending,
            samples_pending=a.samples_pending,
            disk_used=a.disk_used,
            disk_free=a.disk_free,
            cert_until=a.cert_until,
            parts=a.parts,
        )
        for a in await uow.session.scalars(select(FleetAgent).order_by(FleetAgent.agent))
    ]


async def sources(uow: UnitOfWork, *, problems_only: bool = True) -> list[SourceView]:
    """The last status of each source; by default only those that are not well, newest first."""
    query = select(FleetSource).order_by(FleetSource.at.desc())
    if problems_only:
        query = query.where(FleetSource.status != "ok")
    return [
        SourceView(s.agent, s.source, s.status, s.code, s.message, s.machine, s.rack, s.at)
        for s in await uow.session.scalars(query)
    ]


async def note_sources(uow: UnitOfWork, facts: Sequence[Fact[SourceStatus]]) -> None:
    """``source.status``: the newest wins, whatever the order of arrival; trouble is an alert until it is over."""
    for fact in sorted(facts, key=lambda f: (f.at, f.seq)):
        body = fact.body
        known = await uow.session.get(FleetSource, (fact.agent, body.source))
        if known is not None and not _newer(fact, known):
            continue
        if known is None:
            known = FleetSource(agent=fact.agent, source=body.source)
            uow.session.add(known)
        known.status, known.code, known.message = body.status, body.code, body.message
        known.machine, known.rack = body.machine, body.rack
        known.at, known.boot, known.seq = fact.at, fact.boot, fact.seq
        await uow.session.flush()
        key = f"source:{fact.agent}:{body.source}"
        if body.status == "ok":
            await alerts.clear_alert(uow, key, at=fact.at)
        else:
            machine = None if body.machine is None else await machines.machine(uow, body.machine)
            label = machine.label if machine is not None and body.source == body.machine else body.source
            title = f"{label} : {_TROUBLES.get(body.status, body.status)}"
            detail = body.message or f"L'agent {fact.agent} ne dit pas pourquoi (code {body.code})."
            level = _LEVELS.get(body.status, "high")
            await alerts.raise_alert(uow, key, level, title, detail, body.machine or body.rack, at=fact.at)
        uow.tell("sources")
        uow.tell("agents")


def _newer(fact: Fact[SourceStatus], known: FleetSource) -> bool:
    return fact.seq > known.seq if fact.boot == known.boot else fact.at >= known.at


async def _say_presence(uow: UnitOfWork, agent: str, *, online: bool) -> None:
    key = f"agent-silent:{agent}"
    if online:
        await alerts.clear_alert(uow, key)
    else:
        await alerts.raise_alert(
            uow,
            key,
            "high",
            f"Agent {agent} : sans nouvelles",
            "Vérifier son alimentation et son réseau. Ce qu'il enregistre en attendant arrivera à son retour.",
            f"agent:{agent}",
        )


async def _watch_disk(uow: UnitOfWork, state: AgentState) -> None:
    key = f"agent-disk:{state.agent}"
    if state.disk_used is not None and state.disk_used >= _DISK_ALERT:
        await alerts.raise_alert(
            uow,
            key,
            "high",
            f"Agent {state.agent} : mémoire pleine à {state.disk_used:.0%}",
            "Le centre ne reçoit plus assez vite, ou le disque est trop petit.",
            f"agent:{state.agent}",
        )
    elif state.disk_used is not None:
        await alerts.clear_alert(uow, key)
