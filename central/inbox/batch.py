"""One batch of messages inside one transaction: sort out, insert, hand to the consumers, move the marks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import msgspec

from central.core.database import is_outage
from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork
from central.inbox.quarantine import Suspect, keep
from central.inbox.rules import Progress, Span, anchor_of, event_time, plausible, spans_of
from central.inbox.store import Anchor, FactRow, RunKey, Store, StreamEntry, StreamKey
from contracts.control import SETTLEMENTS
from contracts.envelope import Envelope, Illegible, Stream, encode
from contracts.facts import UnknownKind, decode_body

_ANCHOR_DRIFT_S = 1.0


class Alarm(Protocol):
    async def __call__(self, uow: UnitOfWork, key: str, title: str, text: str) -> None:
        """Raise one alert per `key`, in French, for the person who can act."""


@dataclass(slots=True, eq=False)
class Message:
    """One MQTT message or HTTP body, decoded. `site` and `agent` are what the topic says, or the terminal itself:
    terminals have no token yet.
    """

    site: str
    agent: str
    received_at: datetime
    envelopes: list[Envelope]
    illegible: list[Illegible]
    done: asyncio.Future[Receipt] | None = None

    @property
    def size(self) -> int:
        return len(self.envelopes) + len(self.illegible)


@dataclass(slots=True, eq=False)
class Heard:
    """An agent's state came: its streams are owed an acknowledgement. `anchor` is its run's clock, when it told it."""

    agent: str
    boot: str
    acked: dict[Stream, int]
    """What the agent believes to be settled, by stream."""
    run: str = ""
    anchor: Anchor | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one message, once committed."""

    streams: list[tuple[str, Stream, int]]
    """Boot, stream and upto of each stream it touched."""
    quarantined: int


@dataclass(slots=True)
class Outcome:
    """What a committed batch changed in memory."""

    progress: dict[int, Progress] = field(default_factory=dict)
    touched: dict[int, StreamEntry] = field(default_factory=dict)
    quarantined: dict[int, int] = field(default_factory=dict)
    """Pieces of each message, by its ``id()``, that went to quarantine."""
    accepted: int = 0


class Batch:
    """Works on copies; the store's cache changes only when `settle` is called after the commit."""

    def __init__(
        self, store: Store, consumers: Consumers, alarm: Alarm, items: Sequence[Message | Heard], *, sqlite: bool
    ) -> None:
        self._store = store
        self._consumers = consumers
        self._alarm = alarm
        self._sqlite = sqlite
        self._messages = [item for item in items if isinstance(item, Message)]
        self._heard = [item for item in items if isinstance(item, Heard)]
        self._reset()

    def _reset(self) -> None:
        self.outcome = Outcome()
        self._suspects: list[Suspect] = []
        self._rows: list[FactRow] = []
        self._facts: list[Fact[Any]] = []
        self._origin: dict[int, tuple[Message, Envelope]] = {}
        self._seen: dict[tuple[int, int], int] = {}
        self._again: list[tuple[StreamEntry, Envelope, int, Message]] = []
        self._settled: dict[int, list[Span]] = {}
        self._seqs: dict[int, list[int]] = {}
        self._lost: list[tuple[StreamEntry, str, Span, str]] = []
        self._anchors: dict[RunKey, Anchor] = {}

    async def apply(self, uow: UnitOfWork, *, isolate: bool) -> None:
        """All of it in `uow`'s transaction. With `isolate`, a consumer that raises costs its fact only."""
        self._reset()
        session = uow.session
        await self._store.open(session)
        await self._prepare(uow)
        for message in self._messages:
            for piece in message.illegible:
                self._take_illegible(message, piece)
            for envelope in message.envelopes:
                self._take(message, envelope)
        if self._again:
            await self._check_again(uow)
        await self._store.create_streams(session, self.outcome.touched.values(), uow.now)
        if self._rows:
            fresh = await self._store.insert_facts(session, self._rows)
            if fresh is not None:
                await self._drop_known(uow, fresh)
        await self._consume(uow, isolate=isolate)
        await self._save_marks(uow)
        await keep(uow, self._suspects)

    def settle(self) -> Outcome:
        """After the commit: the marks become the truth in memory."""
        for stream_id, entry in self.outcome.touched.items():
            entry.stored = True
            if stream_id in self.outcome.progress:
                entry.progress = self.outcome.progress[stream_id]
        for key, anchor in self._anchors.items():
            self._store.remember_anchor(key, anchor)
        self.outcome.accepted = len(self._facts)
        return self.outcome

    # sorting out

    async def _prepare(self, uow: UnitOfWork) -> None:
        keys: set[StreamKey] = set()
        runs: set[RunKey] = set()
        for message in self._messages:
            for envelope in message.envelopes:
                keys.add((message.agent, envelope.boot, envelope.stream))
                runs.add((message.agent, envelope.run))
            keys.update(p.identity[1:4] for p in message.illegible if p.identity)
        for heard in self._heard:
            keys.update((heard.agent, heard.boot, stream) for stream in heard.acked)
            if heard.run:
                runs.add((heard.agent, heard.run))
        await self._store.know_streams(uow.session, keys)
        await self._store.know_runs(uow.session, runs)
        for heard in self._heard:
            if heard.anchor is not None:
                self._offer_anchor((heard.agent, heard.run), heard.anchor)

    def _take(self, message: Message, envelope: Envelope) -> None:
        if envelope.agent != message.agent or envelope.site != message.site:
            self._stray(message, envelope)
            return
        entry = self._store.stream((envelope.agent, envelope.boot, envelope.stream))
        assert entry is not None
        self.outcome.touched[entry.id] = entry
        if envelope.kind in SETTLEMENTS:
            self._take_settlement(message, envelope, entry)
            return
        value = short_hash(envelope)
        key = (entry.id, envelope.seq)
        earlier = self._seen.get(key)
        if earlier is not None:
            if earlier != value:
                self._suspect(message, envelope, "conflict", "le même numéro porte deux contenus")
            return
        if entry.progress.settled(envelope.seq):
            self._again.append((entry, envelope, value, message))
            return
        self._admit(message, envelope, entry, value)

    def _admit(self, message: Message, envelope: Envelope, entry: StreamEntry, value: int) -> None:
        """A number seen for the first time: it will be settled by this batch, whatever it says."""
        self._seen[entry.id, envelope.seq] = value
        self._seqs.setdefault(entry.id, []).append(envelope.seq)
        run = (envelope.agent, envelope.run)
        if not plausible(envelope.ts):
            self._suspect(message, envelope, "clock", f"date de la source impossible : {envelope.ts.isoformat()}")
            return
        if envelope.off is not None:
            at_zero = anchor_of(envelope.ts, envelope.mono, envelope.off)
            if at_zero is not None:
                self._offer_anchor(run, Anchor(at_zero, measured=True))
        anchor = self._anchors.get(run) or self._store.anchor(run)
        time = event_time(envelope.ts, envelope.mono, envelope.off, anchor.at if anchor else None, message.received_at)
        body: Any = None
        text: str | None = None
        accepted = False
        try:
            text = bytes(envelope.body).decode()
            body = decode_body(envelope.kind, envelope.body)
            accepted = True
        except UnknownKind:
            self._suspect(message, envelope, "kind", f"type de fait inconnu : {envelope.kind}")
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            self._suspect(message, envelope, "body", str(error))
        fact_id = self._store.next_fact_id()
        self._rows.append(
            (
                fact_id,
                entry.id,
                envelope.seq,
                envelope.kind,
                envelope.ts,
                time.at,
                time.uncertain,
                envelope.run,
                envelope.mono,
                envelope.off,
                message.received_at,
                text if accepted and envelope.stream == "facts" else None,
                value,
                "accepted" if accepted else "quarantined",
            )
        )
        if accepted:
            self._origin[fact_id] = (message, envelope)
            self._facts.append(
                make_fact(fact_id, envelope, time.at, body, message.received_at, uncertain=time.uncertain)
            )

    def _take_settlement(self, message: Message, envelope: Envelope, entry: StreamEntry) -> None:
        """Rows that will not come. It has no row of its own: its number belongs to the last row that it gives up."""
        try:
            settlement = msgspec.json.decode(envelope.body, type=SETTLEMENTS[envelope.kind])
            bytes(envelope.body).decode()
            if settlement.last < settlement.first or settlement.last != envelope.seq:
                raise ValueError(  # noqa: TRY301  # one way out for all that is wrong with it
                    f"plage {settlement.first}–{settlement.last} incohérente avec le numéro {envelope.seq} de la ligne"
                )
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            self._suspect(message, envelope, "body", str(error))
            self._seqs.setdefault(entry.id, []).append(envelope.seq)
            return
        span = (settlement.first, settlement.last)
        before = self._settled.setdefault(entry.id, [])
        if entry.progress.settle([span]) != entry.progress and span not in before:
            before.append(span)
            self._lost.append((entry, envelope.kind, span, settlement.why))

    def _stray(self, message: Message, envelope: Envelope) -> None:
        reason = (
            f"l'enveloppe dit {envelope.site}/{envelope.agent}, "
            f"mais elle est arrivée par {message.site}/{message.agent}"
        )
        self._put_aside(message, Suspect(sender(message), encode(envelope), "stranger", reason, kind=envelope.kind))

    def _suspect(self, message: Message, envelope: Envelope, cause: Any, reason: str) -> None:
        self._put_aside(
            message, Suspect(sender(message), encode(envelope), cause, reason, envelope.identity, envelope.kind)
        )

    def _take_illegible(self, message: Message, piece: Illegible) -> None:
        identity = piece.identity
        if identity is not None and (identity.site, identity.agent) != (message.site, message.agent):
            identity = None
        self._put_aside(message, Suspect(sender(message), piece.payload, "illegible", piece.reason, identity))
        if identity is None:
            return
        entry = self._store.stream((identity.agent, identity.boot, identity.stream))
        assert entry is not None
        self.outcome.touched[entry.id] = entry
        self._seqs.setdefault(entry.id, []).append(identity.seq)

    def _put_aside(self, message: Message, suspect: Suspect) -> None:
        self._suspects.append(suspect)
        self.outcome.quarantined[id(message)] = self.outcome.quarantined.get(id(message), 0) + 1

    def _offer_anchor(self, key: RunKey, anchor: Anchor) -> None:
        known = self._anchors.get(key) or self._store.anchor(key)
        if known is not None:
            if known.measured and not anchor.measured:
                return
            if not anchor.measured and known.at <= anchor.at:
                return  # a guess from an arrival is late by its delay: the earliest is the best
            if known.measured and abs((known.at - anchor.at).total_seconds()) < _ANCHOR_DRIFT_S:
                return
        self._anchors[key] = anchor

    # numbers that were settled before

    async def _check_again(self, uow: UnitOfWork) -> None:
        """A resend is the same fact, unless its hash differs; a row once declared lost is welcome after all."""
        by_stream: dict[int, list[tuple[StreamEntry, Envelope, int, Message]]] = {}
        for item in self._again:
            by_stream.setdefault(item[0].id, []).append(item)
        for stream_id, items in by_stream.items():
            known = await self._store.hashes(uow.session, stream_id, [envelope.seq for _, envelope, _, _ in items])
            given_up: list[Span] | None = None
            for entry, envelope, value, message in items:
                kept = known.get(envelope.seq)
                if kept == value:
                    continue
                if kept is not None:
                    reason = "ce numéro a déjà été reçu avec un autre contenu ; rien n'a été changé"
                    self._suspect(message, envelope, "conflict", reason)
                    await self._alarm(
                        uow,
                        f"inbox-conflict:{entry.agent}:{entry.boot}",
                        f"{entry.agent} : un numéro de fait porte deux contenus",
                        "Le second est en quarantaine. Le fichier de l'agent est sans doute revenu d'une sauvegarde : "
                        "vérifier la quarantaine.",
                    )
                    continue
                if given_up is None:
                    given_up = await self._store.settlements(uow.session, stream_id)
                # Outside of these it was settled long ago and purged since, or was illegible then: nothing new.
                was_given_up = any(first <= envelope.seq <= last for first, last in given_up)
                if was_given_up and (stream_id, envelope.seq) not in self._seen:
                    self._admit(message, envelope, entry, value)

    async def _drop_known(self, uow: UnitOfWork, fresh: set[int]) -> None:
        """Rows that were kept already although their stream did not say so (spans forgotten, cache refilled)."""
        known = [row for row in self._rows if row[0] not in fresh]
        by_stream: dict[int, list[FactRow]] = {}
        for row in known:
            by_stream.setdefault(row[1], []).append(row)
        for stream_id, rows in by_stream.items():
            kept = await self._store.hashes(uow.session, stream_id, [row[2] for row in rows])
            for row in rows:
                if kept.get(row[2]) != row[12] and row[0] in self._origin:
                    self._suspect(*self._origin[row[0]], "conflict", "ce numéro a déjà été reçu avec un autre contenu")
        self._facts = [fact for fact in self._facts if fact.id in fresh]

    # effects

    async def _consume(self, uow: UnitOfWork, *, isolate: bool) -> None:
        if not isolate:
            await self._hand_over(uow, self._facts)
            return
        failed: list[int] = []
        await self._divide(uow, self._facts, failed)
        if failed:
            await self._store.mark_quarantined(uow.session, failed)
            gone = set(failed)
            self._facts = [fact for fact in self._facts if fact.id not in gone]

    async def _divide(self, uow: UnitOfWork, facts: Sequence[Fact[Any]], failed: list[int]) -> None:
        """Halve what raises until the one that does is alone: 1 bad among 1 000 costs 20 savepoints, not 1 000."""
        if not facts:
            return
        try:
            async with uow.savepoint():
                await self._hand_over(uow, facts)
        except Exception as error:
            if is_outage(error):
                raise
            # Whatever a consumer raises, the fact is kept and shown; the others go on.
            if len(facts) > 1:
                middle = len(facts) // 2
                await self._divide(uow, facts[:middle], failed)
                await self._divide(uow, facts[middle:], failed)
                return
            message, envelope = self._origin[facts[0].id]
            self._suspect(message, envelope, "consumer", f"{type(error).__name__}: {error}")
            failed.append(facts[0].id)

    async def _hand_over(self, uow: UnitOfWork, facts: Sequence[Fact[Any]]) -> None:
        by_kind: dict[str, list[Fact[Any]]] = {}
        for fact in facts:
            by_kind.setdefault(fact.kind, []).append(fact)
        for kind, of_kind in by_kind.items():
            for consumer in self._consumers.of(kind):
                await consumer(uow, of_kind)

    async def _save_marks(self, uow: UnitOfWork) -> None:
        for entry, kind, span, why in self._lost:
            await self._store.save_settlement(uow.session, entry.id, kind, span, why, uow.now)
            if kind == "stream.lost":
                await self._alarm(
                    uow,
                    f"stream-lost:{entry.agent}:{entry.boot}:{span[0]}",
                    f"{entry.agent} : faits perdus ({span[0]} à {span[1]})",
                    f"L'agent ne peut plus les renvoyer : {why}",
                )
        progress = {
            stream_id: entry.progress.settle(
                [*spans_of(self._seqs.get(stream_id, ())), *self._settled.get(stream_id, ())]
            )
            for stream_id, entry in self.outcome.touched.items()
            if stream_id in self._seqs or stream_id in self._settled
        }
        if progress:
            await self._store.save_progress(uow.session, progress, uow.now, sqlite=self._sqlite)
        self.outcome.progress = progress
        if self._anchors:
            await self._store.save_anchors(uow.session, self._anchors)


def make_fact(
    fact_id: int, envelope: Envelope, at: datetime, body: Any, received_at: datetime, *, uncertain: bool
) -> Fact[Any]:
    return Fact(
        fact_id,
        envelope.site,
        envelope.agent,
        envelope.kind,
        at,
        uncertain,
        envelope.ts,
        received_at,
        body,
        envelope.boot,
        envelope.stream,
        envelope.seq,
        envelope.run,
    )


def short_hash(envelope: Envelope) -> int:
    """The part of the body's hash that the facts table keeps."""
    return int.from_bytes(envelope.body_hash()[:8], "big", signed=True)


def sender(message: Message) -> str:
    return f"{message.site}/{message.agent}"
