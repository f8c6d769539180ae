"""Programmes and their versions: what enters, what becomes valid, what pages show. Transfers are in `transfers`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from sqlalchemy import func, or_, select, update

from central.audit import service as audit
from central.core.settings import Settings
from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.machines.service import MachineView
from central.programmes import rules, standing
from central.programmes.models import CnProgramme, CnVersion
from central.programmes.rules import Act, Reading, Role, Status
from central.programmes.texts import Texts
from contracts import programmes as contract
from contracts.codes import format_code
from contracts.programmes import Difference


class Actor(NamedTuple):
    """Who acts, and as what; the role is judged here all the same (`central.programmes.actors`)."""

    who: str
    role: Role


class Stored(NamedTuple):
    """A text that was checked, read and put on disk; no row names it yet."""

    sha256: str
    size: int
    reading: Reading
    file_name: str = ""


@dataclass(frozen=True, slots=True)
class VersionView:
    id: int
    programme_id: int
    number: int
    sha256: str
    size: int
    status: Status
    origin: str
    file_name: str
    comment: str
    created_at: datetime
    created_by: str
    decided_at: datetime | None
    decided_by: str | None
    reading: Reading
    warnings: list[str]
    acts: list[Act] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ProgrammeView:
    id: int
    code: str
    """What its QR says, ``PROG:12:C``; it always means the validated version."""
    name: str
    label: str
    machine: str | None
    machine_label: str
    changed_at: datetime
    valid: VersionView | None
    newest: VersionView | None
    versions: int


async def store(settings: Settings, content: bytes, file_name: str = "") -> Stored:
    """Check, read and keep a text, before any transaction. Raises BadTextError, OSError."""
    content = await asyncio.to_thread(rules.checked_text, content)
    reading = await asyncio.to_thread(rules.read, content)
    digest = await Texts(settings).put(content)
    return Stored(digest, len(content), reading, PurePosixPath(file_name.replace("\\", "/")).name[:255])


def proposed_name(stored: Stored) -> str:
    """The name at the machine: the text's own O number, else its file's name where a controller takes it."""
    if stored.reading.number:
        return stored.reading.number
    try:
        return contract.check_name(stored.file_name.replace(" ", "_"))
    except contract.BadNameError:
        return ""


async def add_programme(
    uow: UnitOfWork, actor: Actor, stored: Stored, *, name: str = "", label: str = "", machine: str | None = None,
    comment: str = "",
) -> int:  # fmt: skip
    """A new programme with its first version, a draft; its id. Raises NotYoursError, ValueError, LookupError."""
    rules.require_change(actor.role)
    machine = machine or None
    name = contract.check_name(name.strip() or proposed_name(stored))
    if machine is not None and await machines.machine(uow, machine) is None:
        raise LookupError(f"Machine inconnue : {machine}")
    twin = await named(uow, machine, name)
    if twin is not None:
        raise ValueError(
            f"« {name} » existe déjà pour cette machine (programme n° {twin}) : y ajouter une version, ou le renommer."
        )
    programme_id = await create(uow, name, machine, label.strip()[:200] or stored.reading.title, actor.who)
    await _add(uow, programme_id, stored, actor.who, origin="upload", comment=comment)
    await audit.record(
        uow, who=actor.who, what="programmes.add", subject=f"programme:{programme_id}", name=name, machine=machine,
        sha256=stored.sha256, role=actor.role,
    )  # fmt: skip
    return programme_id


async def create(uow: UnitOfWork, name: str, machine: str | None, label: str, who: str) -> int:
    """A programme without version yet; its id."""
    row = CnProgramme(
        name=name, machine=machine, label=label, created_at=uow.now, created_by=who, changed_at=uow.now
    )  # fmt: skip
    uow.session.add(row)
    await uow.session.flush()
    return row.id


async def add_version(uow: UnitOfWork, actor: Actor, programme_id: int, stored: Stored, *, comment: str = "") -> int:
    """A new draft; its number. Raises NotYoursError, LookupError, ValueError when the newest version is that text."""
    rules.require_change(actor.role)
    await _programme(uow, programme_id)
    newest = await newest_version(uow, programme_id)
    if newest is not None and newest.sha256 == stored.sha256:
        raise ValueError(f"Ce texte est déjà la version {newest.number}, octet pour octet.")
    number = await _add(uow, programme_id, stored, actor.who, origin="upload", comment=comment)
    await audit.record(
        uow, who=actor.who, what="programmes.version", subject=f"programme:{programme_id}", version=number,
        sha256=stored.sha256, role=actor.role,
    )  # fmt: skip
    return number


async def add_from_machine(uow: UnitOfWork, programme_id: int, stored: Stored, who: str, comment: str) -> int:
    """What came back from a machine is a draft; its number. No right is asked: it has already happened."""
    number = await _add(uow, programme_id, stored, who, origin="machine", comment=comment)
    await audit.record(
        uow, who=who, what="programmes.from_machine", subject=f"programme:{programme_id}", version=number,
        sha256=stored.sha256,
    )  # fmt: skip
    return number


async def act(
    uow: UnitOfWork, actor: Actor, version_id: int, what: Act, comment: str = "", *, programme_id: int | None = None
) -> int:
    """Submit, validate, send back or withdraw a version; its programme's id.

    A version that becomes valid makes the former one obsolete. With `programme_id` it must be one of that programme.
    Raises NotYoursError, LookupError, ValueError.
    """
    row = await uow.session.get(CnVersion, version_id)
    if row is None or programme_id not in (None, row.programme_id):
        raise LookupError("Cette version n'existe pas.")
    after = rules.judged(_status(row), what, actor.role)
    if after == "validated":
        if not Texts(uow.settings).has(row.sha256):
            raise LookupError("Le texte de cette version manque sur le disque du centre : elle ne peut être validée.")
        await uow.session.execute(
            update(CnVersion)
            .where(CnVersion.programme_id == row.programme_id, CnVersion.status == "validated")
            .values(status="obsolete", decided_at=uow.now, decided_by=actor.who)
        )
    row.status, row.decided_at, row.decided_by = after, uow.now, actor.who
    await uow.session.flush()
    await audit.record(
        uow, who=actor.who, what=f"programmes.{what}", subject=f"programme:{row.programme_id}", version=row.number,
        sha256=row.sha256, role=actor.role, comment=audit.erasable(comment[:500]),
    )  # fmt: skip
    await touched(uow, row.programme_id)
    await standing.judge_versions(uow, row.programme_id)
    return row.programme_id


async def describe(
    uow: UnitOfWork, actor: Actor, programme_id: int, *, name: str, label: str, machine: str | None
) -> None:
    """Raises NotYoursError, LookupError, ValueError."""
    rules.require_change(actor.role)
    row = await _programme(uow, programme_id)
    name, machine = contract.check_name(name.strip()), machine or None
    if machine is not None and await machines.machine(uow, machine) is None:
        raise LookupError(f"Machine inconnue : {machine}")
    twin = await named(uow, machine, name)
    if twin not in (None, programme_id):
        raise ValueError(f"« {name} » existe déjà pour cette machine (programme n° {twin}).")
    before = {"name": row.name, "label": row.label, "machine": row.machine}
    row.name, row.label, row.machine = name, label.strip()[:200], machine
    await uow.session.flush()
    await audit.record(
        uow, who=actor.who, what="programmes.describe", subject=f"programme:{programme_id}", before=before, name=name,
        label=row.label, machine=machine, role=actor.role,
    )  # fmt: skip
    await touched(uow, programme_id)


# Reading -----------------------------------------------------------------------------------------------------------


async def programmes(
    uow: UnitOfWork, query: str = "", machine: str = "", role: Role = "operateur", limit: int = 300
) -> list[ProgrammeView]:
    """Newest change first; `query` is looked for in names and labels."""
    wanted = select(CnProgramme).order_by(CnProgramme.changed_at.desc(), CnProgramme.id.desc()).limit(limit)
    if query.strip():
        like = f"%{query.strip().lower()}%"
        wanted = wanted.where(or_(func.lower(CnProgramme.name).like(like), func.lower(CnProgramme.label).like(like)))
    if machine:
        wanted = wanted.where(CnProgramme.machine == machine)
    return await _views(uow, (await uow.session.scalars(wanted)).all(), role)


async def programme(uow: UnitOfWork, programme_id: int, role: Role = "operateur") -> ProgrammeView:
    """Raises LookupError."""
    (view,) = await _views(uow, [await _programme(uow, programme_id)], role)
    return view


async def versions(uow: UnitOfWork, programme_id: int, role: Role = "operateur") -> list[VersionView]:
    """Newest first, with what `role` may do with each. Raises LookupError."""
    row = await _programme(uow, programme_id)
    known = await _machines(uow)
    rows = await uow.session.scalars(
        select(CnVersion).where(CnVersion.programme_id == programme_id).order_by(CnVersion.number.desc())
    )
    return [_version_view(version, known.get(row.machine or ""), role) for version in rows]


async def version(uow: UnitOfWork, programme_id: int, number: int, role: Role = "operateur") -> VersionView:
    """Raises LookupError."""
    found = next((one for one in await versions(uow, programme_id, role) if one.number == number), None)
    if found is None:
        raise LookupError(f"Le programme n° {programme_id} n'a pas de version {number}.")
    return found


async def valid_version(uow: UnitOfWork, programme_id: int) -> CnVersion | None:
    return await uow.session.scalar(
        select(CnVersion).where(CnVersion.programme_id == programme_id, CnVersion.status == "validated")
    )


async def newest_version(uow: UnitOfWork, programme_id: int) -> CnVersion | None:
    return await uow.session.scalar(
        select(CnVersion).where(CnVersion.programme_id == programme_id).order_by(CnVersion.number.desc()).limit(1)
    )


async def named(uow: UnitOfWork, machine: str | None, name: str) -> int | None:
    """Id of the programme of that name for that machine."""
    return await uow.session.scalar(
        select(CnProgramme.id).where(CnProgramme.machine.is_not_distinct_from(machine), CnProgramme.name == name)
    )


async def compared(settings: Settings, old: VersionView, new: VersionView) -> Difference:
    """Raises LookupError when a text is missing."""
    texts = Texts(settings)
    one, other = await texts.get(old.sha256), await texts.get(new.sha256)
    return await asyncio.to_thread(contract.difference, one, other)


def misfits(reading: Any, machine: MachineView | None) -> list[str]:
    """What does not fit between a stored reading and a machine."""
    shown = reading_of(reading) if isinstance(reading, dict) else reading
    if machine is None:
        return rules.warnings(shown, machine="", label="", controller="")
    return rules.warnings(shown, machine=machine.code, label=machine.label, controller=machine.controller)


def reading_of(stored: dict[str, Any]) -> Reading:
    """A reading as its row holds it: JSON knows no tuples."""
    return Reading(**stored | {"listed": tuple(stored["listed"]), "called": tuple(stored["called"])})


async def touched(uow: UnitOfWork, programme_id: int) -> None:
    """Something of it changed: pages are told."""
    await uow.session.execute(update(CnProgramme).where(CnProgramme.id == programme_id).values(changed_at=uow.now))
    uow.tell("programmes")
    uow.tell(f"programme:{programme_id}")


async def forget_orphans(uow: UnitOfWork) -> None:
    """Sweep: texts that were brought and never named by a version, a month later: a fact may wait that long."""
    known = set(await uow.session.scalars(select(CnVersion.sha256).distinct()))
    orphans = await asyncio.to_thread(Texts(uow.settings).orphans, known, uow.now, timedelta(days=30))
    for file in orphans:
        file.unlink(missing_ok=True)


async def _add(uow: UnitOfWork, programme_id: int, stored: Stored, who: str, *, origin: str, comment: str) -> int:
    last = await uow.session.scalar(select(func.max(CnVersion.number)).where(CnVersion.programme_id == programme_id))
    row = CnVersion(
        programme_id=programme_id, number=(last or 0) + 1, sha256=stored.sha256, size=stored.size, status="draft",
        origin=origin, file_name=stored.file_name, comment=comment.strip()[:500], reading=stored.reading._asdict(),
        created_at=uow.now, created_by=who,
    )  # fmt: skip
    uow.session.add(row)
    await uow.session.flush()
    await touched(uow, programme_id)
    return row.number


async def _programme(uow: UnitOfWork, programme_id: int) -> CnProgramme:
    row = await uow.session.get(CnProgramme, programme_id)
    if row is None:
        raise LookupError(f"Aucun programme ne porte le numéro {programme_id}.")
    return row


async def _machines(uow: UnitOfWork) -> dict[str, MachineView]:
    return {machine.code: machine for machine in await machines.machines(uow)}


async def _views(uow: UnitOfWork, rows: Sequence[CnProgramme], role: Role) -> list[ProgrammeView]:
    known = await _machines(uow)
    found: dict[int, list[CnVersion]] = {row.id: [] for row in rows}
    query = select(CnVersion).where(CnVersion.programme_id.in_(found)).order_by(CnVersion.number)
    for version in await uow.session.scalars(query):
        found[version.programme_id].append(version)
    views = []
    for row in rows:
        machine = known.get(row.machine or "")
        own = [_version_view(version, machine, role) for version in found[row.id]]
        views.append(
            ProgrammeView(
                id=row.id,
                code=format_code("PROG", str(row.id)),
                name=row.name,
                label=row.label,
                machine=row.machine,
                machine_label=machine.label if machine is not None else row.machine or "",
                changed_at=row.changed_at,
                valid=next((version for version in own if version.status == "validated"), None),
                newest=own[-1] if own else None,
                versions=len(own),
            )
        )
    return views


def _version_view(row: CnVersion, machine: MachineView | None, role: Role) -> VersionView:
    reading = reading_of(row.reading)
    status = _status(row)
    return VersionView(
        row.id, row.programme_id, row.number, row.sha256, row.size, status, row.origin, row.file_name, row.comment,
        row.created_at, row.created_by, row.decided_at, row.decided_by, reading, misfits(reading, machine),
        rules.acts_of(status, role),
    )  # fmt: skip


def _status(row: CnVersion) -> Status:
    status: Status = row.status  # type: ignore[assignment]  # only `act` and `_add` write it
    return status
