"""What could not be accepted: kept once, shown with its reason, run again under its own identity, or put away."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from central.core.uow import UnitOfWork
from central.inbox.models import Quarantined
from contracts.envelope import Identity

Cause: TypeAlias = Literal["illegible", "stranger", "kind", "body", "clock", "consumer", "conflict"]

KEPT_BYTES = 64 * 1024
KEPT_STRANGERS = 2000
"""Open rows without identity that are kept; beyond, the oldest go (a broken sender could fill the disk)."""

CAUSES: dict[str, str] = {
    "illegible": "Illisible",
    "stranger": "Expéditeur inattendu",
    "kind": "Type de fait inconnu",
    "body": "Contenu non conforme",
    "clock": "Date impossible",
    "consumer": "Refusé par un traitement",
    "conflict": "Même identité, autre contenu",
}
"""French words of the page, by cause."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something to keep aside."""

    sender: str
    payload: bytes
    cause: Cause
    reason: str
    identity: Identity | None = None
    kind: str | None = None

    @property
    def digest(self) -> str:
        # A fact that clashes with its own identity is another case than the same bytes being unreadable.
        head = f"{self.sender}\0{'conflict' if self.cause == 'conflict' else ''}\0".encode()
        return hashlib.blake2b(head + self.payload, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """One row as the page shows it."""

    id: int
    sender: str
    identity: str | None
    kind: str | None
    cause: str
    cause_text: str
    reason: str
    excerpt: str
    length: int
    first_seen: datetime
    last_seen: datetime
    times: int
    state: str


async def keep(uow: UnitOfWork, suspects: Sequence[Suspect]) -> int:
    """Store each once; the same again only counts. Returns how many distinct ones were given."""
    by_digest: dict[str, tuple[Suspect, int]] = {}
    for suspect in suspects:
        digest = suspect.digest
        by_digest[digest] = (suspect, by_digest.get(digest, (suspect, 0))[1] + 1)
    if not by_digest:
        return 0
    now = uow.now
    rows: list[dict[str, Any]] = [
        {
            "digest": digest,
            "sender": suspect.sender,
            "agent": suspect.identity.agent if suspect.identity else None,
            "boot": suspect.identity.boot if suspect.identity else None,
            "stream": suspect.identity.stream if suspect.identity else None,
            "seq": suspect.identity.seq if suspect.identity else None,
            "kind": suspect.kind,
            "cause": suspect.cause,
            "reason": suspect.reason.replace("\0", "\ufffd")[:2000],
            "payload": suspect.payload[:KEPT_BYTES],
            "length": len(suspect.payload),
            "first_seen": now,
            "last_seen": now,
            "times": times,
            "state": "open",
            "settled_at": None,
        }
        for digest, (suspect, times) in by_digest.items()
    ]
    module: Any = sqlite if uow.session.get_bind().dialect.name == "sqlite" else postgresql
    statement = module.insert(Quarantined.__table__)
    statement = statement.on_conflict_do_update(
        index_elements=["digest"],
        set_={"times": Quarantined.times + statement.excluded.times, "last_seen": statement.excluded.last_seen},
    )
    await uow.session.execute(statement, rows)
    uow.tell("quarantine")
    return len(rows)


async def listing(uow: UnitOfWork, *, state: str | None = "open", limit: int = 200) -> list[QuarantineRow]:
    """Newest first."""
    statement = select(Quarantined).order_by(Quarantined.last_seen.desc(), Quarantined.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(Quarantined.state == state)
    return [_shown(row) for row in await uow.session.scalars(statement)]


async def count_open(uow: UnitOfWork) -> int:
    counted = await uow.session.scalar(select(func.count()).where(Quarantined.state == "open"))
    return counted or 0


async def dismiss(uow: UnitOfWork, ids: Sequence[int]) -> int:
    """Put away what a person has looked at; it is kept, but no longer listed. Returns how many were open."""
    return await close(uow, ids, "dismissed")


async def close(uow: UnitOfWork, ids: Sequence[int], state: Literal["accepted", "dismissed"]) -> int:
    done = await uow.session.execute(
        update(Quarantined)
        .where(Quarantined.id.in_(ids), Quarantined.state == "open")
        .values(state=state, settled_at=uow.now)
    )
    uow.tell("quarantine")
    return int(done.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result has it


async def purge(uow: UnitOfWork, *, keep_closed: timedelta = timedelta(days=90)) -> None:
    """Drop what was settled long ago, and the oldest strangers beyond `KEPT_STRANGERS`."""
    await uow.session.execute(
        delete(Quarantined).where(Quarantined.state != "open", Quarantined.settled_at < uow.now - keep_closed)
    )
    spared = (
        select(Quarantined.id)
        .where(Quarantined.state == "open", Quarantined.seq.is_(None))
        .order_by(Quarantined.last_seen.desc(), Quarantined.id.desc())
        .offset(KEPT_STRANGERS)
        .limit(1_000_000)
    )
    await uow.session.execute(delete(Quarantined).where(Quarantined.id.in_(spared)))


def _shown(row: Quarantined) -> QuarantineRow:
    identity = None if row.seq is None else f"{row.agent}/{row.boot}/{row.stream}/{row.seq}"
    return QuarantineRow(
        id=row.id,
        sender=row.sender,
        identity=identity,
        kind=row.kind,
        cause=row.cause,
        cause_text=CAUSES.get(row.cause, row.cause),
        reason=row.reason,
        excerpt=row.payload[:400].decode(errors="replace"),
        length=row.length,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        times=row.times,
        state=row.state,
    )
