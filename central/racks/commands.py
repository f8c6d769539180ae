"""What is asked of a rack's agent: at least once, until it answers or its time is over."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import select

from central.audit import service as audit
from central.core.facts import Fact
from central.core.uow import UnitOfWork
from central.racks.models import Rack, RackCommand
from contracts import topics
from contracts.control import PART_COMMANDS
from contracts.facts import AgentAnswered

_LIFE: Final[dict[str, timedelta]] = {
    "rack-mode": timedelta(minutes=5),
    "rack-count": timedelta(minutes=10),
    "rack-teach": timedelta(days=1),
    "rack-picture": timedelta(minutes=1),
    "rack-moved": timedelta(minutes=10),
    "rack-model": timedelta(days=1),
}
"""A wish that comes later than that would be wrong by then: the next absolute reading tells what is."""
_AGAIN: Final = timedelta(seconds=20)
_GRACE: Final = timedelta(seconds=30)


class RefusedError(ValueError):
    """Nothing was asked of the rack. The text is French."""


async def ask(uow: UnitOfWork, rack: str, name: str, by: str, **body: Any) -> str:
    """Send the command `name` with these fields; its id. Raises LookupError, RefusedError."""
    known = await uow.session.get(Rack, rack)
    if known is None:
        raise LookupError(f"Rack inconnu : {rack}")
    if known.agent is None:
        raise RefusedError(f"Le rack {rack} n'est pas raccordé : aucun agent ne parle pour lui.")
    row = RackCommand(
        id=uuid.uuid4().hex, rack=rack, agent=known.agent, name=name, body=body, person=by[:120], asked_at=uow.now,
        expires_at=uow.now + _LIFE[name], published_at=uow.now, state="asked", detail="",
    )  # fmt: skip
    uow.session.add(row)
    if name == "rack-count":
        await _forget_older(uow, row)
    if name != "rack-picture":
        await audit.record(uow, who=by, what=f"racks.{name}", subject=f"rack:{rack}", command=row.id, **body)
    _publish(uow, row)
    await uow.session.flush()
    return row.id


async def _forget_older(uow: UnitOfWork, new: RackCommand) -> None:
    """What was said of a place before must not be sent again after what is said now."""
    c = RackCommand
    for row in await uow.session.scalars(
        select(c).where(c.rack == new.rack, c.name == new.name, c.state == "asked", c.id != new.id)
    ):
        if row.body.get("slot") == new.body["slot"]:
            row.state, row.detail = "expired", "Remplacée par une demande plus récente."


def _publish(uow: UnitOfWork, row: RackCommand) -> None:
    kind: Any = PART_COMMANDS[row.name]
    command = kind(id=row.id, expires=row.expires_at, rack=row.rack, person=row.person, **row.body)
    uow.publish(topics.command(uow.settings.site, row.agent, row.name), msgspec.json.encode(command))
    row.published_at = uow.now
    tell(uow, row)


async def answered(uow: UnitOfWork, facts: Sequence[Fact[AgentAnswered]]) -> None:
    """``agent.answered``: what became of it. An answer after the end of its time is still one."""
    for fact in facts:
        row = await uow.session.get(RackCommand, fact.body.id[:32])
        if row is None or row.told_at is not None:
            continue
        row.state = "done" if fact.body.done else "refused"
        row.detail, row.told_at = fact.body.detail, fact.at
        await uow.session.flush()
        tell(uow, row)


async def chase(uow: UnitOfWork) -> None:
    """Sweep: ask again what was not answered; give up when its time is over."""
    waiting = await uow.session.scalars(select(RackCommand).where(RackCommand.state == "asked"))
    for row in waiting.all():
        if uow.now > row.expires_at + _GRACE:
            row.state, row.detail = "expired", "Pas de réponse à temps : vérifier l'agent du rack, puis recommencer."
            tell(uow, row)
        elif uow.now < row.expires_at and uow.now > row.published_at + _AGAIN:
            _publish(uow, row)
    await uow.session.flush()


def tell(uow: UnitOfWork, row: RackCommand) -> None:
    uow.tell(f"command:{row.id}", state=row.state)
    uow.tell(f"rack:{row.rack}")
