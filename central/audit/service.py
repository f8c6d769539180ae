"""Append-only record of what persons, devices and the system do."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, func, insert, select, text, update

from central.audit import rules
from central.audit.models import AuditEntry, AuditNote
from central.core.uow import UnitOfWork

_ERASED: Final = "(effacé)"
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Erasable:
    """A text that names, or may name, somebody: kept beside the chain, so that it can be erased."""

    text: str


@dataclass(frozen=True, slots=True)
class AuditView:
    id: int
    at: datetime
    who: str
    what: str
    subject: str
    detail: dict[str, Any]
    """With its erasable texts; « (effacé) » for those that are gone."""


@dataclass(frozen=True, slots=True)
class Search:
    """Empty fields match everything."""

    who: str = ""
    what: str = ""
    """A verb, or a feature for all of its verbs: ``racks``."""
    subject: str = ""
    """A thing, or the begin of its name: ``machine:``."""
    begin: datetime | None = None
    end: datetime | None = None
    """Up to, not with."""


def erasable(text: str) -> Erasable:
    """Wrap a free text, a name or an address for `record`."""
    return Erasable(text)


async def record(uow: UnitOfWork, *, who: str, what: str, subject: str, **detail: Any) -> int:
    """Write down that `who` did `what` to `subject`, in the same transaction as the act; the entry's number.

    `detail` must be JSON (TypeError, ValueError), apart from `Erasable` values at its first level. Persons appear as
    opaque ids only: what is written here stays.
    """
    if uow.session.get_bind().dialect.name == "postgresql":
        # Two writers (the centre and `copeau admin`) would both follow the same entry.
        await uow.session.execute(text("SELECT pg_advisory_xact_lock(hashtext('copeau.journal'))"))
    last = (
        await uow.session.execute(select(AuditEntry.id, AuditEntry.hash).order_by(AuditEntry.id.desc()).limit(1))
    ).one_or_none()
    number, before = (1, rules.GENESIS) if last is None else (last.id + 1, last.hash)
    notes = {
        name: (secrets.token_hex(16), value.text.replace("\0", "\ufffd"))
        for name, value in detail.items()
        if isinstance(value, Erasable) and value.text
    }
    said = {name: "" if isinstance(value, Erasable) else value for name, value in detail.items()}
    sealed = {name: {rules.SEALED: rules.note_hash(*note)} for name, note in notes.items()}
    entry = rules.Entry(
        number, uow.now, _cut(who, 120), _cut(what, 64), _cut(subject, 160), rules.canonical(said | sealed), ""
    )
    values = entry._asdict() | {"hash": rules.entry_hash(before, entry)}
    await uow.session.execute(insert(AuditEntry).values(values))
    if notes:
        rows = [{"entry_id": number, "name": name, "salt": salt, "text": said} for name, (salt, said) in notes.items()]
        await uow.session.execute(insert(AuditNote), rows)
    return number


async def entries(uow: UnitOfWork, *, subject: str | None = None, limit: int = 200) -> list[AuditView]:
    """Newest first."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(AuditEntry.subject == subject)
    return await _views(uow, query)


async def search(uow: UnitOfWork, wanted: Search, *, before: int | None = None, limit: int = 100) -> list[AuditView]:
    """Newest first; `before` is the number that the page before ended with."""
    query = _matching(wanted).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return await _views(uow, query)


async def count(uow: UnitOfWork, wanted: Search) -> int:
    return await uow.session.scalar(select(func.count()).select_from(_matching(wanted).subquery())) or 0


async def verbs(uow: UnitOfWork) -> list[str]:
    """Every verb that was ever written, for a list to choose from."""
    return list(await uow.session.scalars(select(AuditEntry.what).distinct().order_by(AuditEntry.what)))


async def about(uow: UnitOfWork, person: str) -> list[AuditView]:
    """What the person did, and what was done to him or her, oldest first."""
    e = AuditEntry
    named = e.detail.contains(rules.canonical(person), autoescape=True)
    query = select(e).where((e.who == person) | (e.subject == f"person:{person}") | named).order_by(e.id)
    return await _views(uow, query)


async def erase_notes(uow: UnitOfWork, entry_ids: Collection[int], *, who: str, what: str, subject: str) -> int:
    """Erase the texts of these entries and write down that it was done; how many were there. The chain holds."""
    n = AuditNote
    wanted, ids = sorted(set(entry_ids)), list[int]()
    for start in range(0, len(wanted), _AT_ONCE):
        there = (n.entry_id.in_(wanted[start : start + _AT_ONCE]), n.erased_by.is_(None))
        ids += await uow.session.scalars(select(n.entry_id).where(*there))
    if not ids:
        return 0
    act = await record(uow, who=who, what=what, subject=subject, notes=sorted(set(ids)))
    for start in range(0, len(wanted), _AT_ONCE):
        there = (n.entry_id.in_(wanted[start : start + _AT_ONCE]), n.erased_by.is_(None))
        gone = update(n).where(*there).values(text=None, salt=None, erased_by=act)
        await uow.session.execute(gone.execution_options(synchronize_session=False))
    return len(ids)


async def noted_before(uow: UnitOfWork, moment: datetime, limit: int) -> list[int]:
    """Numbers of entries older than `moment` that still hold an erasable text, oldest first."""
    e, n = AuditEntry, AuditNote
    query = select(e.id).join(n, n.entry_id == e.id).where(e.at < moment, n.erased_by.is_(None))
    return list(await uow.session.scalars(query.distinct().order_by(e.id).limit(limit)))


def _matching(wanted: Search) -> Select[AuditEntry]:
    e = AuditEntry
    query = select(e)
    if wanted.who:
        query = query.where(e.who == wanted.who)
    if wanted.what:
        whole = e.what == wanted.what
        query = query.where(
            whole if "." in wanted.what else whole | e.what.startswith(f"{wanted.what}.", autoescape=True)
        )
    if wanted.subject:
        query = query.where(e.subject.startswith(wanted.subject, autoescape=True))
    if wanted.begin is not None:
        query = query.where(e.at >= wanted.begin)
    if wanted.end is not None:
        query = query.where(e.at < wanted.end)
    return query


async def _views(uow: UnitOfWork, query: Select[AuditEntry]) -> list[AuditView]:
    rows: Sequence[AuditEntry] = list(await uow.session.scalars(query))
    found = {e.id: AuditView(e.id, e.at, e.who, e.what, e.subject, _detail(e.detail)) for e in rows}
    sealed = [row.id for row in rows if f'"{rules.SEALED}"' in row.detail]
    for start in range(0, len(sealed), _AT_ONCE):
        ids = sealed[start : start + _AT_ONCE]
        for note in await uow.session.scalars(select(AuditNote).where(AuditNote.entry_id.in_(ids))):
            found[note.entry_id].detail[note.name] = _ERASED if note.text is None else note.text
    return list(found.values())


def _detail(text: str) -> dict[str, Any]:
    """What was tampered with must not hide the page that shows it."""
    try:
        found = json.loads(text)
    except ValueError:
        return {"?": text}
    return found if isinstance(found, dict) else {"?": found}


def _cut(value: str, length: int) -> str:
    return value.replace("\0", "\ufffd")[:length]


async def hashes(uow: UnitOfWork, ids: Sequence[int]) -> dict[int, str]:
    """The hash of each of these entries, for exports."""
    if not ids:
        return {}
    e = AuditEntry
    rows = await uow.session.execute(select(e.id, e.hash).where(e.id.between(min(ids), max(ids))))
    return {row.id: row.hash for row in rows}
