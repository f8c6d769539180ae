"""Facts about programmes: outcomes of sendings, answers of agents, texts that came from a machine as new drafts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select

from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.programmes import rules, service, standing, transfers
from central.programmes.models import CnTransfer
from central.programmes.rules import BadTextError
from central.programmes.service import Stored
from central.programmes.texts import Texts
from contracts import programmes as contract
from contracts.facts import AgentAnswered, ProgrammeTransferred

_LONG: Final = 1_000_000
"""Bytes. Of a longer text only so much is read, and nothing compared, in the transaction that other facts wait for."""
_STATES: Final[dict[bool | None, str]] = {True: "done", False: "broken", None: "unread"}
"""Of what was sent, by whether it was the same when read back."""


def register(consumers: Consumers) -> None:
    consumers.on("machine.programme", on_programmes)
    consumers.on("agent.answered", on_answers)


async def on_answers(uow: UnitOfWork, facts: Sequence[Fact[AgentAnswered]]) -> None:
    """``agent.answered``: closes what no ``machine.programme`` has closed with more detail, whichever came first."""
    for fact in facts:
        transfer = await uow.session.get(CnTransfer, fact.body.id[:32])
        if transfer is None or transfer.told_at is not None or transfer.state not in {"asked", "expired"}:
            continue
        done = "unread" if transfer.kind == "send" else "done"  # that it was read back is another fact's to say
        transfer.state = done if fact.body.done else "refused"
        transfer.detail = fact.body.detail
        await uow.session.flush()
        transfers.tell(uow, transfer)


async def on_programmes(uow: UnitOfWork, facts: Sequence[Fact[ProgrammeTransferred]]) -> None:
    """``machine.programme``: outcomes of sendings; texts that came from a machine become drafts."""
    for fact in sorted(facts, key=lambda f: (f.at, f.seq)):
        await machines.ensure(uow, [fact.body.machine])
        if fact.body.event in {"sent", "refused"}:
            await _note_outcome(uow, fact)
        else:
            await _take_text(uow, fact)


async def _note_outcome(uow: UnitOfWork, fact: Fact[ProgrammeTransferred]) -> None:
    body = fact.body
    key = (body.command or f"fact-{fact.id}")[:32]
    transfer = await uow.session.get(CnTransfer, key)
    if transfer is None:  # asked of a centre that was restored since, or by nobody
        programme = await service.named(uow, body.machine, body.name)
        transfer = CnTransfer(
            id=key, kind="send", programme_id=programme, machine=body.machine, agent=fact.agent, name=body.name,
            person=body.person or f"agent:{fact.agent}", asked_at=fact.at, expires_at=fact.at, published_at=fact.at,
        )  # fmt: skip
        uow.session.add(transfer)
    if transfer.told_at is None or transfer.told_at <= fact.at:
        transfer.state = "refused" if body.event == "refused" else _STATES[body.same]
        transfer.detail, transfer.told_at = body.detail, fact.at
    if body.same is not None and (transfer.whole_at is None or transfer.whole_at <= fact.at):
        # refused and not the same: the former text is back
        transfer.whole, transfer.whole_at = body.same or body.event == "refused", fact.at
    await uow.session.flush()
    transfers.tell(uow, transfer)
    await standing.judge(uow, body.machine, body.name)


async def _take_text(uow: UnitOfWork, fact: Fact[ProgrammeTransferred]) -> None:
    body = fact.body
    programme_id = await _programme_of(uow, body.machine, body.name)
    label = await _label(uow, body.machine)
    detail = body.detail
    version_id: int | None = None
    if body.sha256 is not None:
        try:
            stored, content = await _stored(uow, body)
        except (LookupError, BadTextError) as error:
            detail = f"{detail} Le texte n'a pas pu être repris : {error}".strip()
        else:
            if programme_id is None:
                programme_id = await _adopt(uow, body, stored)
            version_id, detail = await _draft(uow, fact, programme_id, stored, content, label)
    uow.session.add(
        CnTransfer(
            id=f"fact-{fact.id}", kind=body.event, programme_id=programme_id, version_id=version_id,
            machine=body.machine, agent=fact.agent, name=body.name, person=body.person or f"agent:{fact.agent}",
            asked_at=fact.at, expires_at=fact.at, published_at=fact.at, state="done", detail=detail, told_at=fact.at,
        )
    )  # fmt: skip
    await uow.session.flush()
    if body.event == "changed":
        await standing.judge(uow, body.machine, body.name)
    uow.tell("programmes")
    if programme_id is not None:
        uow.tell(f"programme:{programme_id}")


async def _stored(uow: UnitOfWork, body: ProgrammeTransferred) -> tuple[Stored, bytes]:
    """The text that the agent brought before it told. Raises LookupError, BadTextError."""
    assert body.sha256 is not None
    content = await Texts(uow.settings).get(body.sha256)
    await asyncio.to_thread(rules.checked_text, content)
    reading = await asyncio.to_thread(rules.read, content[:_LONG])
    reading = reading._replace(lines=content.rstrip().count(b"\n") + 1)
    return Stored(body.sha256, len(content), reading, body.name), content


async def _adopt(uow: UnitOfWork, body: ProgrammeTransferred, stored: Stored) -> int:
    """A programme that the centre did not know. Its name is the machine's own: it was accepted there."""
    return await service.create(uow, body.name, body.machine, stored.reading.title, _who(body))


async def _draft(
    uow: UnitOfWork, fact: Fact[ProgrammeTransferred], programme_id: int, stored: Stored, content: bytes, label: str
) -> tuple[int | None, str]:
    """A new draft, unless a version that counts says the same; the version and what to say of it."""
    body = fact.body
    last: bytes | None = None
    for row in (await service.valid_version(uow, programme_id), await service.newest_version(uow, programme_id)):
        if row is None:
            continue
        if row.sha256 == stored.sha256:
            return row.id, f"Identique à la version {row.number}."
        if max(stored.size, row.size) > _LONG:
            continue
        try:
            other = await Texts(uow.settings).get(row.sha256)
        except LookupError:
            continue
        if await asyncio.to_thread(contract.same, content, other, body.name):
            return row.id, f"Identique à la version {row.number} (à ce que la commande ajoute près)."
        last = last or other
    said = "Changé" if body.event == "changed" else "Lu"
    found = "" if last is None else (await asyncio.to_thread(contract.difference, last, content)).sentence()
    who = _who(body)
    number = await service.add_from_machine(
        uow, programme_id, stored, who, f"{said} à la machine {label}. {found}".strip()
    )
    row = await service.newest_version(uow, programme_id)
    assert row is not None
    return row.id, f"Nouveau brouillon : version {number}. {found}".strip()


async def _programme_of(uow: UnitOfWork, machine: str, name: str) -> int | None:
    """What was last loaded there under that name, else the programme of that name."""
    sent = await uow.session.scalar(
        select(CnTransfer.programme_id)
        .where(
            CnTransfer.machine == machine,
            CnTransfer.name == name,
            CnTransfer.kind == "send",
            CnTransfer.state == "done",
        )
        .order_by(CnTransfer.asked_at.desc())
        .limit(1)
    )
    return sent or await service.named(uow, machine, name)


def _who(body: ProgrammeTransferred) -> str:
    return body.person or f"machine:{body.machine}"[:120]


async def _label(uow: UnitOfWork, code: str) -> str:
    machine = await machines.machine(uow, code)
    return machine.label if machine is not None else code
