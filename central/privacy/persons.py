"""One person: everything that is kept of him or her (article 15), and erasing what can name him or her (article 17).

In the books a person is an opaque id. Erasing empties the one row that says whose it is, with the account, and erases
the texts that the person wrote; the books still add up, and no chain breaks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Table, delete, select, update

from central.audit import service as audit
from central.core.tables import Cell
from central.core.tables import Table as Sheet
from central.core.types import Base, UtcDateTime
from central.core.uow import UnitOfWork
from central.inbox.models import Quarantined, StoredFact
from central.people import service as people
from central.people.account_models import Account
from central.people.models import BadgeScan, Person
from central.stock.models import Comment, Observation
from central.work.models import ClockingEvent, WorkComment

_AT_ONCE: Final = 500


class Column(NamedTuple):
    """Holds ids of persons."""

    table: str
    name: str


PERSON_COLUMNS: Final = tuple(
    Column(*said.split("."))
    for said in (
        "account.person", "account_exception.person", "account_link.person", "account_machine.person",
        "account_operation.by", "account_operation.person", "account_role.person", "account_session.person",
        "alert.acknowledged_by", "automation_setting.by", "badge_scan.person", "clocking_event.entered_by",
        "clocking_event.person", "clocking_interval.person", "cn_programme.created_by", "cn_transfer.person",
        "cn_version.created_by", "cn_version.decided_by", "machine_command.person", "machine_guard_rearm.person",
        "parts_assigned.by", "passkey.person", "post_session.person", "rack.person", "rack_command.person",
        "rack_description.by", "rack_mode.person", "rack_model.added_by", "rack_outcome.decided_by",
        "rack_rollout.by", "recovery_code.person", "sign_in.person", "signature.person", "stock_charges.by",
        "stock_charges.person", "stock_movements.person", "stock_observations.person", "stock_proposals.decided_by",
        "work_conflict.person", "work_conflict.settled_by",
    )
)  # fmt: skip
"""Every column that holds the id of a person; a test compares it with the models."""
_SECRET: Final = frozenset(
    {
        "account.password", "account.pin", "account.totp", "account_link.hash", "account_session.id", "passkey.id",
        "passkey.public_key", "recovery_code.hash",
    }
)  # fmt: skip
"""What proves who one is belongs to no copy."""
_ERASED_BADGE: Final = "PE:EFFACE"


async def export(uow: UnitOfWork, person: str) -> dict[str, list[dict[str, Any]]]:
    """Table → rows, as JSON values, times in UTC. Raises LookupError when there is no such person."""
    known = await uow.session.get(Person, person)
    if known is None:
        raise LookupError(f"Personne inconnue : {person}")
    found: dict[str, list[dict[str, Any]]] = {"person": [_row(Base.metadata.tables["person"], known.__dict__)]}
    for name in dict.fromkeys(column.table for column in PERSON_COLUMNS):
        table = Base.metadata.tables[name]
        mine = [table.c[column.name] == person for column in PERSON_COLUMNS if column.table == name]
        which = mine[0]
        for other in mine[1:]:
            which |= other
        rows = (await uow.session.execute(select(table).where(which))).mappings()
        if kept := [_row(table, row) for row in rows]:
            found[name] = kept
    found |= await _texts(uow, person)
    if acts := await audit.about(uow, person):
        found["audit_entry"] = [
            {"id": e.id, "at": _json(e.at), "who": e.who, "what": e.what, "subject": e.subject, "detail": e.detail}
            for e in acts
        ]
    if facts := await _facts_of(uow, person, known.badge):
        found["facts"] = [{"id": number, "body": json.loads(body)} for number, body in facts]
    return found


def sheets(found: dict[str, list[dict[str, Any]]]) -> Iterable[Sheet]:
    """The same as a workbook, one sheet for each table."""
    for name, rows in found.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        yield Sheet(name, columns, [[_cell(row.get(column)) for column in columns] for row in rows])


async def erase(uow: UnitOfWork, person: str, *, by: str, why: str = "asked") -> dict[str, int]:
    """Forget who `person` is, and what he or she typed; how many of what. The act is an entry of the journal.

    Clockings and movements stay under the opaque id, which nothing resolves any more. Raises LookupError; ValueError
    for the owner, without whom nobody grants rights.
    """
    known = await uow.session.get(Person, person)
    if known is None:
        raise LookupError(f"Personne inconnue : {person}")
    if await uow.session.scalar(select(Account.owner).where(Account.person == person)):
        raise ValueError("Le propriétaire ne peut pas être effacé : donner d'abord ce rôle à un autre.")
    gone = {
        "facts": await _erase_in_facts(uow, await _facts_of(uow, person, known.badge)),
        "badge_scans": await _forget_badges(uow, person),
        "comments": await _forget_comments(uow, person),
        "quarantine": await _forget_quarantined(uow, person),
    }
    await people.erase(uow, person)
    acts = [entry.id for entry in await audit.about(uow, person)]
    subject = f"person:{person}"
    gone["journal_texts"] = await audit.erase_notes(uow, acts, who=by, what="audit.erase", subject=subject)
    await audit.record(uow, who=by, what="privacy.erase", subject=subject, why=why, **gone)
    uow.tell("privacy")
    return gone


async def _texts(uow: UnitOfWork, person: str) -> dict[str, list[dict[str, Any]]]:
    o, c, e, w = Observation, Comment, ClockingEvent, WorkComment
    stock = await uow.session.execute(
        select(o.at, c.text).join(c, c.observation_id == o.id).where(o.person == person).order_by(o.at)
    )
    work = await uow.session.execute(
        select(e.at, w.text)
        .join(w, w.hash == e.comment_hash)
        .where(_theirs(person), w.text.is_not(None))
        .order_by(e.at)
    )
    found: dict[str, list[Any]] = {"stock_comments": list(stock), "work_comment": list(work)}
    return {name: [{"at": _json(at), "text": text} for at, text in rows] for name, rows in found.items() if rows}


async def _facts_of(uow: UnitOfWork, person: str, badge: str | None) -> list[tuple[int, str]]:
    """Facts that name the person or the badge."""
    f = StoredFact
    named = f.body.contains(json.dumps(person), autoescape=True)
    if badge is not None:
        named |= (f.kind == "code.scanned") & f.body.contains(f"PE:{badge}", autoescape=True)
    rows = await uow.session.execute(select(f.id, f.body).where(f.body.is_not(None), named).order_by(f.id))
    return [(row.id, row.body) for row in rows if row.body is not None]


async def _erase_in_facts(uow: UnitOfWork, facts: list[tuple[int, str]]) -> int:
    """Comments and badges; the hash by which a resend is known stays."""
    changed = 0
    for number, text in facts:
        body = json.loads(text)
        before = dict(body)
        if body.get("comment"):
            body["comment"] = ""
        if str(body.get("code", "")).startswith("PE:"):
            body["code"] = _ERASED_BADGE
        if body != before:
            changed += 1
            said = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
            await uow.session.execute(update(StoredFact).where(StoredFact.id == number).values(body=said))
    return changed


async def _forget_badges(uow: UnitOfWork, person: str) -> int:
    scans = update(BadgeScan).where(BadgeScan.person == person).values(badge="")
    done: Any = await uow.session.execute(scans.execution_options(synchronize_session=False))
    return int(done.rowcount)


async def _forget_comments(uow: UnitOfWork, person: str) -> int:
    o, c, e, w = Observation, Comment, ClockingEvent, WorkComment
    mine = select(o.id).where(o.person == person)
    stock: Any = await uow.session.execute(
        delete(c).where(c.observation_id.in_(mine)).execution_options(synchronize_session=False)
    )
    theirs = select(e.comment_hash).where(_theirs(person), e.comment_hash.is_not(None))
    # The same words of a colleague are the colleague's.
    others = select(e.comment_hash).where(~_theirs(person), e.comment_hash.is_not(None))
    work: Any = await uow.session.execute(
        update(w)
        .where(w.hash.in_(theirs), w.hash.not_in(others), w.text.is_not(None))
        .values(text=None)
        .execution_options(synchronize_session=False)
    )
    return int(stock.rowcount) + int(work.rowcount)


async def _forget_quarantined(uow: UnitOfWork, person: str) -> int:
    """What was refused and settled; what is open still waits for a person, and goes with its own time."""
    q, quoted = Quarantined, json.dumps(person).encode()
    settled = await uow.session.execute(select(q.id, q.payload).where(q.state != "open"))
    ids = [row.id for row in settled if quoted in row.payload]
    for start in range(0, len(ids), _AT_ONCE):
        await uow.session.execute(delete(q).where(q.id.in_(ids[start : start + _AT_ONCE])))
    return len(ids)


def _theirs(person: str) -> Any:
    e = ClockingEvent
    return ((e.person == person) | (e.entered_by == person)).is_(True)


def _row(table: Table, row: Any) -> dict[str, Any]:
    return {c.name: _json(row[c.key]) for c in table.c if f"{table.name}.{c.name}" not in _SECRET}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return f"{len(value)} octets" if isinstance(value, bytes) else value


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | int | float | bool | datetime):
        return value
    return json.dumps(value, ensure_ascii=False)


def person_like(table: Table) -> set[str]:
    """Columns of `table` whose name says that they hold a person."""
    ends = ("person", "_by", "_person")
    named = {c.name for c in table.c if (c.name in {"by", "who"} or c.name.endswith(ends))}
    return {name for name in named if not isinstance(table.c[name].type, UtcDateTime)}
