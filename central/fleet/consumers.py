"""Facts that agents state about themselves."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork
from central.fleet import enrolment, service
from contracts.facts import AgentAnswered, AgentStarted

log = logging.getLogger(__name__)


async def _started(uow: UnitOfWork, facts: Sequence[Fact[AgentStarted]]) -> None:
    for fact in facts:
        log.info(
            "agent %s started, version %s, %s", fact.agent, fact.body.version, "" if fact.body.clean else "unclean"
        )
        uow.tell(f"agent:{fact.agent}", started=True)


async def _answered(uow: UnitOfWork, facts: Sequence[Fact[AgentAnswered]]) -> None:
    for fact in facts:
        log.info("agent %s: command %s %s: %s", fact.agent, fact.body.command, fact.body.id, fact.body.detail)
        if fact.body.command == "wipe" and fact.body.done:
            with contextlib.suppress(LookupError):  # never enrolled: there is nothing to retire
                await enrolment.retire(uow, fact.agent, by=f"device:{fact.agent}")
        uow.tell(f"command:{fact.body.id}", done=fact.body.done, detail=fact.body.detail)


def register(consumers: Consumers) -> None:
    consumers.on("source.status", service.note_sources)
    consumers.on("agent.started", _started)
    consumers.on("agent.answered", _answered)
