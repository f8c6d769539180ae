"""Quarantine, tried again: after an upgrade, or when a person asks. The identity and the event's time stay the same."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import update

from central.core.database import is_outage
from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork
from central.inbox import quarantine
from central.inbox.batch import make_fact, short_hash
from central.inbox.models import Quarantined, StoredFact
from central.inbox.quarantine import Cause
from central.inbox.rules import event_time, plausible
from central.inbox.store import Store
from contracts.envelope import Envelope, decode
from contracts.facts import UnknownKind, decode_body


class _StillBad(Exception):
    """Why it stays in quarantine."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason


class Rerun:
    def __init__(self, store: Store, consumers: Consumers) -> None:
        self._store = store
        self._consumers = consumers

    async def one(self, uow: UnitOfWork, row_id: int) -> bool:
        """Whether it is accepted now; if not, the row says why as of today."""
        row = await uow.session.get(Quarantined, row_id)
        if row is None or row.state != "open":
            return False
        await self._store.open(uow.session)
        try:
            async with uow.savepoint():
                await self._accept(uow, row)
        except _StillBad as still:
            row.cause, row.reason = still.cause, still.reason
            uow.tell("quarantine")
            return False
        except Exception as error:
            if is_outage(error):
                raise
            row.cause, row.reason = "consumer", f"{type(error).__name__}: {error}"[:2000]
            uow.tell("quarantine")
            return False
        await quarantine.close(uow, [row_id], "accepted")
        return True

    async def _accept(self, uow: UnitOfWork, row: Quarantined) -> None:
        envelope = _envelope(row)
        body = _body(envelope)
        fact = await self._fact(uow, row, envelope, body)
        for consumer in self._consumers.of(envelope.kind):
            await consumer(uow, [fact])

    async def _fact(self, uow: UnitOfWork, row: Quarantined, envelope: Envelope, body: Any) -> Fact[Any]:
        """The row of the facts table, accepted: the one that was kept with its identity, or a new one."""
        key = (envelope.agent, envelope.boot, envelope.stream)
        await self._store.know_streams(uow.session, [key])
        entry = self._store.stream(key)
        if entry is None or not entry.stored:
            raise _StillBad("illegible", "ce flux n'est pas connu : l'agent doit renvoyer la ligne")
        text = bytes(envelope.body).decode() if envelope.stream == "facts" else None
        kept = await self._store.kept(uow.session, entry.id, envelope.seq)
        if kept is not None:
            if kept.state != "quarantined" or kept.hash != short_hash(envelope):
                raise _StillBad("conflict", "ce numéro a déjà été accepté avec un autre contenu")
            await uow.session.execute(
                update(StoredFact).where(StoredFact.id == kept.id).values(state="accepted", body=text)
            )
            return make_fact(kept.id, envelope, kept.at, body, kept.received_at, uncertain=kept.uncertain)
        await self._store.know_runs(uow.session, [(envelope.agent, envelope.run)])
        anchor = self._store.anchor((envelope.agent, envelope.run))
        received = row.first_seen
        time = event_time(envelope.ts, envelope.mono, envelope.off, anchor.at if anchor else None, received)
        fact_id = self._store.next_fact_id()
        fields = (envelope.kind, envelope.ts, time.at, time.uncertain, envelope.run, envelope.mono, envelope.off)
        record = (fact_id, entry.id, envelope.seq, *fields, received, text, short_hash(envelope), "accepted")
        await self._store.insert_facts(uow.session, [record])
        return make_fact(fact_id, envelope, time.at, body, received, uncertain=time.uncertain)


def _envelope(row: Quarantined) -> Envelope:
    if row.length > len(row.payload):
        raise _StillBad("illegible", f"contenu de {row.length} octets, coupé à {len(row.payload)} : à renvoyer")
    pack = decode(row.payload)
    if len(pack.envelopes) != 1 or pack.illegible:
        reason = pack.illegible[0].reason if pack.illegible else "ce n'est pas un fait seul"
        raise _StillBad("illegible", reason)
    envelope = pack.envelopes[0]
    if row.sender != f"{envelope.site}/{envelope.agent}":
        raise _StillBad("stranger", row.reason)
    if row.cause == "conflict":
        raise _StillBad("conflict", row.reason)
    if not plausible(envelope.ts):
        raise _StillBad("clock", f"date de la source impossible : {envelope.ts.isoformat()}")
    return envelope


def _body(envelope: Envelope) -> Any:
    try:
        bytes(envelope.body).decode()
        return decode_body(envelope.kind, envelope.body)
    except UnknownKind:
        raise _StillBad("kind", f"type de fait inconnu : {envelope.kind}") from None
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise _StillBad("body", str(error)) from None
