"""Programmes to and from machines: asked of an agent, at least once; what it answers and what it tells unasked."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import select

from central.alerts import service as alerts
from central.audit import service as audit
from central.core.facts import Fact
from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.machines.models import MachineTile
from central.machines.service import MachineView
from central.programmes import rules, service
from central.programmes.models import CnTransfer, CnVersion
from central.programmes.rules import BadTextError
from central.programmes.service import Actor, Stored
from central.programmes.texts import Texts
from contracts import programmes as contract
from contracts import topics
from contracts.control import ReadProgramme, SendProgramme
from contracts.facts import AgentAnswered, ProgrammeTransferred

_LIFE: Final = timedelta(minutes=5)
"""The machine must have begun by then; nobody expects it to start moving later."""
_AGAIN: Final = timedelta(seconds=20)
_GRACE: Final = timedelta(seconds=30)


_STATES: Final[dict[bool | None, str]] = {True: "done", False: "broken", None: "unread"}
"""Of what was sent, by whether it was the same when read back."""


class RefusedError(ValueError):
    """Nothing was asked of the machine. The text is French."""


@dataclass(frozen=True, slots=True)
class TransferView:
    id: str
    kind: str
    programme_id: int | None
    version: int | None
    machine: str
    machine_label: str
    name: str
    person: str
    asked_at: datetime
    state: str
    detail: str
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A machine that a programme may go to. `refusal`: why not now, in French; empty when nothing is against it."""

    code: str
    label: str
    state: str
    state_label: str
    refusal: str
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a post shows of a programme's QR. `refusal`: why no version can be loaded at all."""

    id: int
    name: str
    label: str
    version: int | None
    status: str
    refusal: str
    machine: str | None
    """The one to load: the programme's own, else that of the post; null: ask."""
    choices: list[Choice]


# Asking ------------------------------------------------------------------------------------------------------------


async def scanned(uow: UnitOfWork, programme_id: int, post: str = "") -> Scanned:
    """Raises LookupError."""
    shown = await service.programme(uow, programme_id)
    known = await machines.machines(uow)
    if shown.machine is not None:
        known = [machine for machine in known if machine.code == shown.machine]
    own = [machine.code for machine in known if post and machine.post == post]
    valid = shown.valid
    status = valid.status if valid is not None else shown.newest.status if shown.newest is not None else ""
    return Scanned(
        id=shown.id,
        name=shown.name,
        label=shown.label,
        version=valid.number if valid is not None else None,
        status=status,
        refusal="" if valid is not None else _not_valid(status),
        machine=shown.machine or (own[0] if len(own) == 1 else None),
        choices=[await _choice(uow, machine, valid.reading if valid is not None else None) for machine in known],
    )


async def load(uow: UnitOfWork, programme_id: int, machine: str, *, person: str) -> str:
    """Ask for the validated version to be put into the machine; the transfer's id. Anybody at a post may.

    Raises LookupError, RefusedError. Whether the machine stands still is judged again beside it, by its agent.
    """
    shown = await service.programme(uow, programme_id)
    known = await machines.machine(uow, machine)
    if known is None:
        raise LookupError(f"Machine inconnue : {machine}")
    if shown.machine not in (None, machine):
        raise RefusedError(f"Ce programme est fait pour {shown.machine_label}, pas pour {known.label}.")
    row = await service.valid_version(uow, programme_id)
    if row is None:
        raise RefusedError(_not_valid(shown.newest.status if shown.newest is not None else ""))
    choice = await _choice(uow, known, None)
    if choice.refusal:
        raise RefusedError(choice.refusal)
    if not Texts(uow.settings).has(row.sha256):
        raise RefusedError("Le texte de cette version manque sur le disque du centre.")
    transfer = await _ask(uow, "send", machine, shown.name, person, programme_id, row.id)
    await audit.record(
        uow, who=person, what="programmes.load", subject=f"programme:{programme_id}", version=row.number,
        machine=machine, sha256=row.sha256, command=transfer.id,
    )  # fmt: skip
    await _publish(uow, transfer)
    return transfer.id


async def read_back(uow: UnitOfWork, actor: Actor, machine: str, name: str = "") -> str:
    """Ask for a programme (all of them without `name`) to be brought from the machine; the transfer's id.

    Raises NotYoursError, LookupError, RefusedError.
    """
    rules.require_change(actor.role)
    known = await machines.machine(uow, machine)
    if known is None:
        raise LookupError(f"Machine inconnue : {machine}")
    tile = await machines.tile(uow, machine)
    if tile is None or tile.silent:
        raise RefusedError(f"{known.label} est sans nouvelles : vérifier son agent et sa liaison.")
    transfer = await _ask(uow, "read", machine, name, actor.who, await service.named(uow, machine, name), None)
    await audit.record(
        uow, who=actor.who, what="programmes.read_back", subject=f"machine:{machine}", name=name, command=transfer.id
    )
    await _publish(uow, transfer)
    return transfer.id


async def _choice(uow: UnitOfWork, machine: MachineView, reading: Any) -> Choice:
    tile = await machines.tile(uow, machine.code)
    warnings = [] if reading is None else service.misfits(reading, machine)
    if tile is None or tile.heard_at is None:
        return Choice(
            machine.code, machine.label, "silent", "Non raccordée", "Cette machine n'est pas raccordée.", warnings
        )
    refusal = ""
    if tile.silent:
        refusal = "La machine est sans nouvelles : vérifier qu'elle est allumée et reliée."
    elif tile.state == "running":
        refusal = "La machine tourne. Attendre la fin du programme, puis recommencer."
    elif tile.state == "off":
        refusal = "La machine est éteinte."
    return Choice(machine.code, machine.label, tile.state, tile.state_label, refusal, warnings)


def _not_valid(status: str) -> str:
    said = {
        "draft": "La dernière version est un brouillon",
        "to_validate": "La dernière version attend sa validation",
        "obsolete": "Ce programme est obsolète",
    }.get(status, "Ce programme n'a aucun texte")
    return f"Pas validé. {said} : voir les méthodes."


async def _ask(
    uow: UnitOfWork, kind: str, machine: str, name: str, person: str, programme_id: int | None, version_id: int | None
) -> CnTransfer:
    agent = await uow.session.scalar(select(MachineTile.agent).where(MachineTile.machine == machine))
    if agent is None:
        raise RefusedError("Cette machine n'est pas raccordée : aucun agent ne parle pour elle.")
    transfer = CnTransfer(
        id=uuid.uuid4().hex, kind=kind, programme_id=programme_id, version_id=version_id, machine=machine, agent=agent,
        name=name, person=person, asked_at=uow.now, expires_at=uow.now + _LIFE, published_at=uow.now, state="asked",
        detail="",
    )  # fmt: skip
    uow.session.add(transfer)
    await uow.session.flush()
    return transfer


async def _publish(uow: UnitOfWork, transfer: CnTransfer) -> None:
    command: SendProgramme | ReadProgramme
    if transfer.kind == "send":
        version = await uow.session.get_one(CnVersion, transfer.version_id)
        command = SendProgramme(
            id=transfer.id, expires=transfer.expires_at, machine=transfer.machine, name=transfer.name,
            sha256=version.sha256, size=version.size, path=f"{contract.BLOBS_PATH}/{version.sha256}",
            person=transfer.person[:120],
        )  # fmt: skip
    else:
        command = ReadProgramme(
            id=transfer.id, expires=transfer.expires_at, machine=transfer.machine, name=transfer.name,
            path=contract.BLOBS_PATH, person=transfer.person[:120],
        )  # fmt: skip
    name = "programme-send" if transfer.kind == "send" else "programme-read"
    uow.publish(topics.command(uow.settings.site, transfer.agent, name), msgspec.json.encode(command))
    transfer.published_at = uow.now
    await uow.session.flush()
    _tell(uow, transfer)


# Sweep -------------------------------------------------------------------------------------------------------------


async def chase(uow: UnitOfWork) -> None:
    """Ask again what was not answered (an agent that was away or was killed), and give up when its time is over."""
    waiting = await uow.session.scalars(select(CnTransfer).where(CnTransfer.state == "asked"))
    for transfer in waiting.all():
        if uow.now > transfer.expires_at + _GRACE:
            transfer.state = "expired"
            transfer.detail = "Pas de réponse à temps. Si la machine finit quand même l'envoi, ce sera dit ici."
            await uow.session.flush()
            _tell(uow, transfer)
        elif uow.now < transfer.expires_at and uow.now > transfer.published_at + _AGAIN:
            await _publish(uow, transfer)


# Facts -------------------------------------------------------------------------------------------------------------


async def on_answers(uow: UnitOfWork, facts: Sequence[Fact[AgentAnswered]]) -> None:
    """``agent.answered``: closes what no ``machine.programme`` has closed with more detail."""
    for fact in facts:
        transfer = await uow.session.get(CnTransfer, fact.body.id[:32])
        if transfer is None or transfer.state not in {"asked", "expired"}:
            continue
        transfer.state = "done" if fact.body.done else "refused"
        transfer.detail, transfer.told_at = fact.body.detail, fact.at
        await uow.session.flush()
        _tell(uow, transfer)


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
    transfer = await uow.session.get(CnTransfer, (body.command or "")[:32])
    if transfer is not None and (transfer.told_at is None or transfer.told_at <= fact.at):
        transfer.state = "refused" if body.event == "refused" else _STATES[body.same]
        transfer.detail, transfer.told_at = body.detail, fact.at
        await uow.session.flush()
        _tell(uow, transfer)
    key = _half_key(body)
    if body.event == "sent" and body.same is False:
        title = f"{await _label(uow, body.machine)} : ne pas lancer « {body.name} »"
        await alerts.raise_alert(uow, key, "critical", title, body.detail, f"machine:{body.machine}", at=fact.at)
    elif body.same is not None:
        await alerts.clear_alert(uow, key, at=fact.at)
        if body.same:
            await alerts.clear_alert(uow, _changed_key(body), at=fact.at)


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
    if body.event == "changed":
        title = f"{label} : programme « {body.name} » changé à la machine"
        await alerts.raise_alert(
            uow, _changed_key(body), "medium", title, detail, f"machine:{body.machine}", at=fact.at
        )
    uow.session.add(
        CnTransfer(
            id=f"fact-{fact.id}", kind=body.event, programme_id=programme_id, version_id=version_id,
            machine=body.machine, agent=fact.agent, name=body.name, person=body.person or f"agent:{fact.agent}",
            asked_at=fact.at, expires_at=fact.at, published_at=fact.at, state="done", detail=detail, told_at=fact.at,
        )
    )  # fmt: skip
    await uow.session.flush()
    uow.tell("programmes")
    if programme_id is not None:
        uow.tell(f"programme:{programme_id}")


async def _stored(uow: UnitOfWork, body: ProgrammeTransferred) -> tuple[Stored, bytes]:
    """The text that the agent brought before it told. Raises LookupError, BadTextError."""
    assert body.sha256 is not None
    content = await Texts(uow.settings).get(body.sha256)
    await asyncio.to_thread(rules.checked_text, content)
    reading = await asyncio.to_thread(rules.read, content)
    return Stored(body.sha256, len(content), reading, body.name), content


async def _adopt(uow: UnitOfWork, body: ProgrammeTransferred, stored: Stored) -> int:
    """A programme that the centre did not know. Its name is the machine's own: it was accepted there."""
    return await service.create(
        uow, body.name, body.machine, stored.reading.title, body.person or f"machine:{body.machine}"
    )


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
        try:
            other = await Texts(uow.settings).get(row.sha256)
        except LookupError:
            continue
        if await asyncio.to_thread(contract.same, content, other, body.name):
            return row.id, f"Identique à la version {row.number} (à ce que la commande ajoute près)."
        last = last or other
    said = "Changé" if body.event == "changed" else "Lu"
    found = "" if last is None else (await asyncio.to_thread(contract.difference, last, content)).sentence()
    who = body.person or f"machine:{body.machine}"
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


def _half_key(body: ProgrammeTransferred) -> str:
    return f"programme-half:{body.machine}:{body.name}"


def _changed_key(body: ProgrammeTransferred) -> str:
    return f"programme-changed:{body.machine}:{body.name}"


async def _label(uow: UnitOfWork, code: str) -> str:
    machine = await machines.machine(uow, code)
    return machine.label if machine is not None else code


# Reading -----------------------------------------------------------------------------------------------------------


async def transfer(uow: UnitOfWork, transfer_id: str) -> TransferView | None:
    row = await uow.session.get(CnTransfer, transfer_id)
    if row is None:
        return None
    return (await _views(uow, [row]))[0]


async def transfers(uow: UnitOfWork, programme_id: int | None = None, limit: int = 20) -> list[TransferView]:
    """Newest first."""
    query = select(CnTransfer).order_by(CnTransfer.asked_at.desc(), CnTransfer.id).limit(limit)
    if programme_id is not None:
        query = query.where(CnTransfer.programme_id == programme_id)
    return await _views(uow, (await uow.session.scalars(query)).all())


async def _views(uow: UnitOfWork, rows: Sequence[CnTransfer]) -> list[TransferView]:
    labels = {machine.code: machine.label for machine in await machines.machines(uow)}
    wanted = {row.version_id for row in rows if row.version_id is not None}
    found = await uow.session.execute(select(CnVersion.id, CnVersion.number).where(CnVersion.id.in_(wanted)))
    numbers = {version_id: number for version_id, number in found}  # noqa: C416 - rows are not pairs to the checker
    return [
        TransferView(
            row.id, row.kind, row.programme_id, numbers.get(row.version_id or 0), row.machine,
            labels.get(row.machine, row.machine), row.name, row.person, row.asked_at, row.state, row.detail,
            row.told_at,
        )
        for row in rows
    ]  # fmt: skip


def _tell(uow: UnitOfWork, row: CnTransfer) -> None:
    uow.tell(f"transfer:{row.id}", state=row.state)
    uow.tell("programmes")
    if row.programme_id is not None:
        uow.tell(f"programme:{row.programme_id}")
