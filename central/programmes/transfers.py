"""Programmes to and from machines: asked of an agent, at least once; what it answers and what it tells unasked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import select

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.machines.models import MachineTile
from central.machines.service import MachineView, Tile
from central.programmes import rules, service
from central.programmes.models import CnTransfer, CnVersion
from central.programmes.service import Actor
from central.programmes.texts import Texts
from contracts import programmes as contract
from contracts import topics
from contracts.control import ReadProgramme, SendProgramme

_LIFE: Final = timedelta(minutes=5)
"""The machine must have begun by then; nobody expects it to start moving later."""
_AGAIN: Final = timedelta(seconds=20)
_GRACE: Final = timedelta(seconds=30)


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
    tiles = {tile.code: tile for tile in await machines.tiles(uow)}
    reading = valid.reading if valid is not None else None
    status = valid.status if valid is not None else shown.newest.status if shown.newest is not None else ""
    return Scanned(
        id=shown.id,
        name=shown.name,
        label=shown.label,
        version=valid.number if valid is not None else None,
        status=status,
        refusal="" if valid is not None else _not_valid(status),
        machine=shown.machine or (own[0] if len(own) == 1 else None),
        choices=[_choice(machine, tiles.get(machine.code), reading) for machine in known],
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
    choice = _choice(known, await machines.tile(uow, machine), None)
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


def _choice(machine: MachineView, tile: Tile | None, reading: Any) -> Choice:
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
    tell(uow, transfer)


# Sweep -------------------------------------------------------------------------------------------------------------


async def chase(uow: UnitOfWork) -> None:
    """Ask again what was not answered (an agent that was away or was killed), and give up when its time is over."""
    waiting = await uow.session.scalars(select(CnTransfer).where(CnTransfer.state == "asked"))
    for transfer in waiting.all():
        if uow.now > transfer.expires_at + _GRACE:
            transfer.state = "expired"
            transfer.detail = "Pas de réponse à temps. Si la machine finit quand même l'envoi, ce sera dit ici."
            await uow.session.flush()
            tell(uow, transfer)
        elif uow.now < transfer.expires_at and uow.now > transfer.published_at + _AGAIN:
            await _publish(uow, transfer)


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


def tell(uow: UnitOfWork, row: CnTransfer) -> None:
    uow.tell(f"transfer:{row.id}", state=row.state)
    uow.tell("programmes")
    if row.programme_id is not None:
        uow.tell(f"programme:{row.programme_id}")
