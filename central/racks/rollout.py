"""Models for racks: kept with their signature, sent to racks, taken back when a rack's figures fall."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import ColumnElement, func, select

from central.alerts import service as alerts
from central.audit import service as audit
from central.core.settings import Settings
from central.core.uow import UnitOfWork
from central.racks import commands, rules
from central.racks.models import RackCommand, RackModel, RackOutcome, RackRollout

log = logging.getLogger(__name__)

PATH: Final = "/api/racks/models"
MAX_MODEL: Final = 64 * 2**20
"""Bytes."""


class BadModelError(ValueError):
    """The file cannot be taken. The text is French."""


def folder(settings: Settings) -> Path:
    return settings.data_dir / "rack-models"


def file_of(settings: Settings, sha256: str) -> Path:
    return folder(settings) / sha256


async def keep_file(settings: Settings, content: bytes, signature: str) -> str:
    """Check the signature, put the file on disk; its SHA-256. Raises `BadModelError`, OSError.

    The public key of who trains is ``rack-models.pem`` beside the database (Ed25519).
    """
    if not content or len(content) > MAX_MODEL:
        raise BadModelError(f"Un modèle fait 1 octet à {MAX_MODEL // 2**20} Mo.")
    digest = hashlib.sha256(content)
    await asyncio.to_thread(_check, settings, digest.digest(), signature)
    await asyncio.to_thread(_write, file_of(settings, digest.hexdigest()), content)
    return digest.hexdigest()


def _check(settings: Settings, digest: bytes, signature: str) -> None:
    path = settings.data_dir / "rack-models.pem"
    try:
        key = load_pem_public_key(path.read_bytes())
    except FileNotFoundError as error:
        raise BadModelError(f"Aucune clé publique de modèles : déposer {path.name} près de la base.") from error
    except ValueError as error:
        raise BadModelError(f"{path.name} n'est pas une clé publique PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadModelError(f"{path.name} n'est pas une clé Ed25519.")
    try:
        key.verify(bytes.fromhex(signature), digest)
    except (InvalidSignature, ValueError) as error:
        raise BadModelError("La signature ne correspond pas à ce fichier : modèle refusé.") from error


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


async def add_model(
    uow: UnitOfWork, version: str, sha256: str, size: int, signature: str, *, by: str, note: str = ""
) -> None:
    """A file that `keep_file` took is `version` from now on. Raises ValueError for a version that is another file."""
    known = await uow.session.get(RackModel, version)
    if known is not None:
        if known.sha256 != sha256:
            raise ValueError(f"La version {version} existe déjà, avec un autre fichier.")
        return
    uow.session.add(
        RackModel(
            version=version, sha256=sha256, size=size, signature=signature, note=note[:400], added_at=uow.now,
            added_by=by,
        )
    )  # fmt: skip
    await audit.record(uow, who=by, what="racks.add_model", subject=f"model:{version}", sha256=sha256)
    await uow.session.flush()
    uow.tell("racks")


async def signature_of(uow: UnitOfWork, sha256: str) -> str | None:
    """In hexadecimal, as it was brought."""
    return await uow.session.scalar(select(RackModel.signature).where(RackModel.sha256 == sha256).limit(1))


async def roll_out(uow: UnitOfWork, rack: str, version: str, *, by: str) -> str:
    """Let the rack use that version; the command's id. Raises LookupError, RefusedError."""
    model = await uow.session.get(RackModel, version)
    if model is None:
        raise LookupError(f"Modèle inconnu : {version}")
    if not file_of(uow.settings, model.sha256).is_file():
        raise commands.RefusedError(f"Le fichier du modèle {version} manque sur le disque du centre.")
    present = await _present(uow, rack)
    sent = await commands.ask(
        uow, rack, "rack-model", by, version=version, sha256=model.sha256, size=model.size,
        path=f"{PATH}/{model.sha256}",
    )  # fmt: skip
    if present is not None:
        present.ended_at = uow.now
    uow.session.add(
        RackRollout(rack=rack, version=version, previous=present.version if present else "", at=uow.now, by=by, why="")
    )
    await uow.session.flush()
    return sent


async def roll_back(uow: UnitOfWork, rack: str, *, by: str, why: str = "") -> str:
    """Go back to the version before; the command's id. Raises LookupError, RefusedError."""
    present = await _present(uow, rack)
    if present is None:
        raise LookupError(f"Le rack {rack} n'a reçu aucun modèle d'ici.")
    before = await uow.session.get(RackModel, present.previous) if present.previous else None
    body = (
        {"version": before.version, "sha256": before.sha256, "size": before.size, "path": f"{PATH}/{before.sha256}"}
        if before is not None
        else {"version": "", "sha256": "", "size": 0, "path": ""}
    )
    sent = await commands.ask(uow, rack, "rack-model", by, **body)
    present.ended_at, present.why = uow.now, why[:400] or f"retour demandé par {by}"
    if before is not None:
        earlier = await uow.session.scalar(
            select(RackRollout)
            .where(RackRollout.rack == rack, RackRollout.version == before.version, RackRollout.id < present.id)
            .order_by(RackRollout.id.desc())
            .limit(1)
        )
        uow.session.add(
            RackRollout(
                rack=rack, version=before.version, previous=earlier.previous if earlier else "", at=uow.now, by=by,
                why="",
            )
        )  # fmt: skip
    await uow.session.flush()
    return sent


async def _present(uow: UnitOfWork, rack: str) -> RackRollout | None:
    r = RackRollout
    return (
        await uow.session.scalars(select(r).where(r.rack == rack, r.ended_at.is_(None)).order_by(r.id.desc()))
    ).first()


async def watch(uow: UnitOfWork) -> None:
    """Sweep: a model whose outcomes at a rack are worse than those of the one before goes back by itself; one that the
    agent refused was never there.

    What a rack said is of the version in service at that time. The name in its facts is the judge's own: a version with
    another detector leaves it as it was.
    """
    r = RackRollout
    for row in (await uow.session.scalars(select(r).where(r.ended_at.is_(None)))).all():
        command = await _command_of(uow, row)
        if command is not None and command.state == "refused":
            await _never_there(uow, row, command.detail)
        if command is None or command.state != "done" or command.told_at is None:
            continue
        right, wrong = await _figures(uow, row.rack, RackOutcome.at >= command.told_at)
        before = await _figures(uow, row.rack, RackOutcome.at < command.told_at)
        if not rules.fell(right, wrong, *before):
            continue
        why = f"{wrong} fausses sur {right + wrong}, contre {before[1]} sur {sum(before)} avant"
        try:
            await roll_back(uow, row.rack, by="system", why=why)
        except commands.RefusedError as error:
            log.warning("rack %s: its model cannot be taken back: %s", row.rack, error)
            continue
        await alerts.raise_alert(
            uow, f"rack-model:{row.rack}:{row.version}", "medium",
            f"Rack {row.rack} : le modèle {row.version} se trompe plus, retour au précédent", why, row.rack,
        )  # fmt: skip


async def _command_of(uow: UnitOfWork, row: RackRollout) -> RackCommand | None:
    c = RackCommand
    found = await uow.session.scalars(
        select(c).where(c.rack == row.rack, c.name == "rack-model", c.asked_at == row.at).order_by(c.id)
    )
    return next((command for command in found if command.body.get("version") == row.version), None)


async def _never_there(uow: UnitOfWork, row: RackRollout, detail: str) -> None:
    """The agent went on with what it had."""
    row.ended_at, row.why = uow.now, f"refusé par l'agent : {detail}"[:400]
    r = RackRollout
    former = await uow.session.scalar(
        select(r)
        .where(r.rack == row.rack, r.version == row.previous, r.id < row.id, r.ended_at == row.at)
        .order_by(r.id.desc())
        .limit(1)
    )
    if former is not None:
        former.ended_at = None
    await uow.session.flush()
    uow.tell(f"rack:{row.rack}")


async def _figures(uow: UnitOfWork, rack: str, when: ColumnElement[bool]) -> tuple[int, int]:
    """Right and wrong among what that rack was sure of then."""
    o = RackOutcome
    counts = await uow.session.execute(
        select(o.right, func.count()).where(o.rack == rack, o.sure, when).group_by(o.right)
    )
    found = {bool(right): n for right, n in counts}
    return found.get(True, 0), found.get(False, 0)
