"""Signatures of finished operations of marked orders: what waits for one, and signing. Civil orders have none of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Select, exists, func, insert, select

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.people.errors import RefusedError
from central.signing import rules
from central.signing.facts import facts_of
from central.signing.models import Signature
from central.signing.rules import MEANINGS, Facts, Meaning, Standing, Statement
from central.work.models import Operation, WorkOrder
from central.work.service import SECTORS, Sector

MOST: Final = 300
"""Operations of one list."""


@dataclass(frozen=True, slots=True)
class SignatureView:
    id: int
    line: int
    """Of the journal."""
    at: datetime
    person: str
    meaning: Meaning
    says: str
    text: str
    hash: str
    agrees: bool
    """The books still say what was signed."""
    whole: bool
    """The stored text still has its hash."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """An operation of a marked order that was ended (or, once signed, reopened)."""

    code: str
    order: str
    order_label: str
    label: str
    machine: str | None
    sector: Sector
    status: str
    ended_at: datetime | None
    facts: Facts
    seen: str
    signatures: list[SignatureView]
    """Newest first."""
    standing: Standing

    @property
    def sector_label(self) -> str:
        return SECTORS[self.sector]

    @property
    def ended(self) -> bool:
        """« Terminer » was pressed, and nobody is on it."""
        return self.ended_at is not None

    @property
    def workers(self) -> frozenset[str]:
        """Who is in its clockings."""
        return frozenset(row["person"] for row in self.facts["work"])


async def waiting(uow: UnitOfWork) -> list[Sheet]:
    """Finished and never signed, the longest first. What was ended with pieces left to make does not wait yet."""
    o = Operation
    return await _sheets(uow, _finished().order_by(o.ended_at, o.code).limit(MOST))


async def signed(uow: UnitOfWork, limit: int = MOST) -> list[Sheet]:
    """With a signature at least, the last signed first."""
    s = Signature
    newest = select(func.max(s.id)).where(s.operation == Operation.code).scalar_subquery()
    return await _sheets(uow, _marked().where(_signed()).order_by(newest.desc()).limit(limit))


async def count_waiting(uow: UnitOfWork) -> int:
    """Finished and never signed."""
    return await uow.session.scalar(select(func.count()).select_from(_finished().subquery())) or 0


async def sheet(uow: UnitOfWork, operation: str) -> Sheet:
    """Raises LookupError: unknown, of a civil order, or neither ended nor signed yet."""
    found = await _sheets(uow, _marked().where(Operation.code == operation))
    if not found or not (found[0].ended or found[0].signatures):
        raise LookupError(f"Rien à signer pour {operation} : opération inconnue, civile ou pas terminée.")
    return found[0]


async def sign(uow: UnitOfWork, operation: str, *, person: str, meaning: str, seen: str, proof: Collection[str]) -> int:
    """`person`, asked again who it is just now (`proof`), signs the facts that were shown (`seen`); the signature's id.

    Raises LookupError, RefusedError.
    """
    if meaning not in MEANINGS:
        raise RefusedError("Choisissez ce que dit votre signature.")
    found = await sheet(uow, operation)
    check(found, person, meaning, seen)
    now = uow.now
    statement = Statement(uow.settings.site, operation, person, meaning, now, tuple(proof))
    text = rules.text_of(statement, found.facts)
    hashed = rules.hash_of(text)
    line = await audit.record(
        uow, who=person, what="signing.sign", subject=f"operation:{operation}", meaning=meaning, hash=hashed,
        proof=list(proof), order=found.order,
    )  # fmt: skip
    row = {"entry_id": line, "at": now, "operation": operation, "person": person, "meaning": meaning}
    values = row | {"text": text, "hash": hashed}
    made: int | None = await uow.session.scalar(insert(Signature).values(values).returning(Signature.id))
    assert made is not None
    uow.tell("work")
    return made


def check(found: Sheet, person: str, meaning: str, seen: str) -> None:
    """What can be refused before anybody is asked again who it is. Raises RefusedError."""
    if not found.ended:
        raise RefusedError("L’opération a été rouverte : terminez-la avant de la signer.")
    if found.seen != seen:
        raise RefusedError("Les livres ont changé depuis l’affichage : rechargez la page et relisez avant de signer.")
    if meaning == "executed" and person not in found.workers:
        raise RefusedError("« Exécuté » se signe par qui a pointé sur l’opération : votre nom n’y est pas.")
    if any(s.agrees and (s.person, s.meaning) == (person, meaning) for s in found.signatures):
        raise RefusedError("Vous l’avez déjà signé, et rien n’a changé depuis.")


def _marked() -> Select[Operation, WorkOrder]:
    o, w = Operation, WorkOrder
    return select(o, w).join(w, w.code == o.order).where(w.sector != "civil")


def _finished() -> Select[Operation, WorkOrder]:
    """Ended with every piece told, good or scrap, and never signed."""
    o = Operation
    told = (o.status == "done") | (o.good + o.scrap >= o.quantity)
    return _marked().where(o.ended_at.is_not(None), told, ~_signed())


def _signed() -> Any:
    return exists().where(Signature.operation == Operation.code)


async def _sheets(uow: UnitOfWork, query: Select[Operation, WorkOrder]) -> list[Sheet]:
    rows = (await uow.session.execute(query)).all()
    codes = [operation.code for operation, _ in rows]
    facts = await facts_of(uow, codes)
    signatures: defaultdict[str, list[Signature]] = defaultdict(list)
    for row in await uow.session.scalars(
        select(Signature).where(Signature.operation.in_(codes)).order_by(Signature.id.desc())
    ):
        signatures[row.operation].append(row)
    return [_sheet(operation, order, facts[operation.code], signatures[operation.code]) for operation, order in rows]


def _sheet(operation: Operation, order: WorkOrder, facts: Facts, rows: list[Signature]) -> Sheet:
    return Sheet(
        operation.code, order.code, order.label or order.article, operation.label, operation.machine,
        cast("Sector", order.sector), operation.status, operation.ended_at, facts, rules.seen(facts),
        [_view(row, facts) for row in rows], rules.standing(((row.text, row.hash) for row in rows), facts),
    )  # fmt: skip


def _view(row: Signature, facts: Facts) -> SignatureView:
    meaning = cast("Meaning", row.meaning)
    return SignatureView(
        row.id, row.entry_id, row.at, row.person, meaning, MEANINGS.get(meaning, row.meaning), _shown(row.text),
        row.hash, rules.agrees(row.text, row.hash, facts), rules.hash_of(row.text) == row.hash,
    )  # fmt: skip


def _shown(text: str) -> str:
    """The signed text to be read; what was tampered with is shown as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:
        return text
