"""The inbox: takes messages from MQTT and HTTP, commits them in batches, then acknowledges.

Commit when idle, gather meanwhile. One transaction per batch; nothing is acknowledged before its commit, and nothing
bad blocks what is good.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from central.core.database import is_outage
from central.core.facts import Consumers
from central.core.uow import UnitOfWork, Units
from central.inbox import quarantine
from central.inbox.batch import Alarm, Batch, Heard, Message, Outcome, Receipt
from central.inbox.models import CentreMark, FactStream, Quarantined
from central.inbox.quarantine import Suspect
from central.inbox.rerun import Rerun
from central.inbox.rules import Asked, Span, anchor_of, ask
from central.inbox.store import Anchor, Store, StreamEntry
from contracts import topics
from contracts.control import Ack, AgentState, Resend, TimeReply
from contracts.envelope import STREAMS, Stream, decode

log = logging.getLogger(__name__)

_PATIENCE = timedelta(seconds=3)
_HEARD_WITHIN = timedelta(seconds=30)
KEEP_SAMPLES = timedelta(days=8)
"""One day more than agents keep what was acknowledged."""
_QUEUE_LIMIT = 50_000
"""Facts waiting in memory; beyond, the broker is left to hold them (agents send at most 2 000 unacknowledged rows)."""
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class DatabaseAway(Exception):
    """The database does not answer: nothing was kept, send it again."""


class Link(Protocol):
    """What the inbox needs of the broker's link. A message that cannot be sent now is dropped; acks are repeated."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None: ...

    def hold(self, held: bool) -> None:
        """Stop, or go on, reading what agents send."""


class Inbox:
    """One writer for all facts.

    `on_health` is told False when the database goes away and True when it is back (the centre's presence follows).
    """

    def __init__(
        self,
        units: Units,
        consumers: Consumers,
        link: Link,
        alarm: Alarm,
        on_health: Callable[[bool], None] = lambda _healthy: None,
    ) -> None:
        self.site = units.settings.site
        self._units = units
        self._consumers = consumers
        self._link = link
        self._alarm = alarm
        self._on_health = on_health
        self._store = Store(self.site)
        self._queue: deque[Message | Heard] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._asked: dict[int, Asked] = {}
        self._last_heard: dict[str, datetime] = {}
        self._boots: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self.healthy = True
        self.committed = 0
        """Facts accepted since the start."""

    # life

    def start(self, on_end: Callable[[asyncio.Task[None]], None] | None = None) -> None:
        """`on_end` learns when the writer ends by itself: another centre has taken the database."""
        self._task = asyncio.create_task(self._write(), name="inbox")
        if on_end is not None:
            self._task.add_done_callback(on_end)

    async def stop(self) -> None:
        """Drop the batch in hand and what waits: nothing of it was acknowledged, it will be sent again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._refuse_waiting()

    # entries

    def accept(self, site: str, agent: str, payload: bytes) -> None:
        """One MQTT message, by the site and agent of its topic: queued, commit and ack follow."""
        self._enqueue(self._decoded(site, agent, payload))
        if self._queued > _QUEUE_LIMIT:
            self._link.hold(True)

    async def deliver(self, agent: str, payload: bytes) -> Receipt:
        """One HTTP body of a terminal; returns after the commit. Raises `DatabaseAway`."""
        if not self.healthy:
            raise DatabaseAway
        message = self._decoded(self.site, agent, payload)
        message.done = asyncio.get_running_loop().create_future()
        self._enqueue(message)
        return await message.done

    def heard(self, state: AgentState, *, retained: bool = False) -> None:
        """An agent says how it is: it is told the time, and how far each of its streams is settled."""
        if not state.online:
            self._last_heard.pop(state.agent, None)
            return
        now = self._units.clock.now()
        if not retained:
            self._last_heard[state.agent] = now
        self._boots[state.agent] = state.boot
        anchor: Anchor | None = None
        if state.time is not None:
            if not retained:
                reply = TimeReply(run=state.time.run, mono=state.time.mono, now=now)
                self._link.publish(topics.command(self.site, state.agent, "time"), msgspec.json.encode(reply))
            anchor = _anchor(state, None if retained else now)
        acked: dict[Stream, int] = dict.fromkeys(STREAMS, 0)
        if state.facts is not None:
            acked["facts"] = state.facts.acked
        if state.samples is not None:
            acked["samples"] = state.samples.acked
        run = state.time.run if state.time is not None else state.run
        self._enqueue(Heard(state.agent, state.boot, acked, run, anchor))

    def speaks_mqtt(self, agent: str) -> bool:
        """Whether this name belongs to an agent on the broker."""
        return agent in self._boots

    def now(self) -> datetime:
        return self._units.clock.now()

    async def acks(self, agent: str, boot: str) -> dict[Stream, int]:
        """How far each stream of one outbox is settled, as committed."""
        async with self._units.reading() as uow:
            rows = await uow.session.execute(
                select(FactStream.stream, FactStream.upto).where(
                    FactStream.site == self.site, FactStream.agent == agent, FactStream.boot == boot
                )
            )
            found = dict(rows.tuples().all())
        return {stream: found.get(stream, 0) for stream in STREAMS}

    async def rerun(self, ids: Sequence[int]) -> int:
        """Try again what is in quarantine, under its own identity. Returns how many are accepted now."""
        again = Rerun(self._store, self._consumers)
        done = 0
        for row_id in ids:
            async with self._units.begin() as uow:
                done += await again.one(uow, row_id)
        return done

    async def rerun_after_upgrade(self, version: str) -> int:
        """Once per version of the software: what the last one refused may be understood now."""
        async with self._units.begin() as uow:
            mark = await uow.session.get(CentreMark, "quarantine.version")
            if mark is not None and mark.value == version:
                return 0
            ids = list(
                await uow.session.scalars(
                    select(Quarantined.id).where(Quarantined.state == "open", Quarantined.seq.is_not(None))
                )
            )
        done = await self.rerun(ids)
        async with self._units.begin() as uow:
            await uow.session.merge(CentreMark(key="quarantine.version", value=version))
        return done

    def greet(self) -> None:
        """Acknowledge every stream in use: the centre has become present, and agents resume from here."""
        for agent, boot in self._boots.items():
            self._enqueue(Heard(agent, boot, dict.fromkeys(STREAMS, 0)))

    async def chase(self, _uow: UnitOfWork) -> None:
        """Sweep: ask again for the holes whose answer did not come."""
        self._ask_holes(self._store.streams())

    async def purge(self, uow: UnitOfWork) -> None:
        """Sweep: forget the identities of old samples; their streams' marks keep them from counting twice."""
        await self._store.purge_samples(uow.session, uow.now - KEEP_SAMPLES)

    def _decoded(self, site: str, agent: str, payload: bytes) -> Message:
        pack = decode(payload)
        return Message(site, agent, self._units.clock.now(), pack.envelopes, pack.illegible)

    def _enqueue(self, item: Message | Heard) -> None:
        if isinstance(item, Message):
            self._last_heard[item.agent] = item.received_at
            self._queued += item.size
        self._queue.append(item)
        self._wake.set()

    # the writer

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            items = self._gather()
            if not items:
                self._wake.clear()
                continue
            try:
                await self._commit(items)
            except DatabaseAway as error:
                log.warning("the database went away: %s", _first_line(error.__cause__ or error))
                self._refuse_waiting()
                await self._wait_for_database(items)

    def _gather(self) -> list[Message | Heard]:
        cap = self._units.settings.batch_cap
        items: list[Message | Heard] = []
        size = 0
        while self._queue:
            item = self._queue[0]
            weight = item.size if isinstance(item, Message) else 0
            if items and size + weight > cap:
                break
            size += weight
            items.append(self._queue.popleft())
        self._queued -= size
        if self._queued < _QUEUE_LIMIT // 2:
            self._link.hold(False)
        return items

    async def _commit(self, items: Sequence[Message | Heard]) -> None:
        """Commit `items`, whatever is in them; raises only `DatabaseAway`."""
        error = await self._try(items, isolate=False)
        if error is None:
            return
        log.info("a batch failed, doing it again piece by piece: %s", _first_line(error))
        error = await self._try(items, isolate=True)
        if error is None:
            return
        if len(items) > 1:
            for item in items:
                await self._commit([item])
            return
        log.error("a message cannot be stored", exc_info=error)
        if isinstance(items[0], Message):
            await self._set_aside(items[0], error)

    async def _try(self, items: Sequence[Message | Heard], *, isolate: bool) -> Exception | None:
        batch = Batch(self._store, self._consumers, self._alarm, items, sqlite=self._units.database.is_sqlite)
        try:
            async with self._units.begin() as uow:
                await batch.apply(uow, isolate=isolate)
        except Exception as error:
            # Any failure of a consumer or of the database ends here; which of the two decides what follows.
            if is_outage(error):
                raise DatabaseAway from error
            return error
        self._settle(items, batch.settle())
        return None

    async def _set_aside(self, message: Message, error: Exception) -> None:
        """Last resort: what cannot even be sorted out is kept as bytes, so that it blocks nothing."""
        pieces = [msgspec.json.encode(message.envelopes), *(piece.payload for piece in message.illegible)]
        suspects = [Suspect(f"{message.site}/{message.agent}", p, "illegible", str(error)) for p in pieces]
        try:
            async with self._units.begin() as uow:
                await quarantine.keep(uow, suspects)
        except (DBAPIError, OSError) as again:
            raise DatabaseAway from again
        if message.done is not None and not message.done.done():
            message.done.set_result(Receipt([], len(message.envelopes) + len(message.illegible)))

    def _settle(self, items: Sequence[Message | Heard], outcome: Outcome) -> None:
        self.committed += outcome.accepted
        touched = dict(outcome.touched)
        for item in items:
            if isinstance(item, Heard):
                for stream in item.acked:
                    entry = self._store.stream((item.agent, item.boot, stream))
                    if entry is not None:
                        touched[entry.id] = entry
        for entry in touched.values():
            ack = Ack(boot=entry.boot, stream=entry.stream, upto=entry.progress.upto)
            self._link.publish(topics.ack(self.site, entry.agent), msgspec.json.encode(ack))
        self._ask_holes(list(touched.values()))
        for item in items:
            if isinstance(item, Heard):
                self._ask_forgotten(item)
            elif item.done is not None and not item.done.done():
                item.done.set_result(self._receipt(item, outcome))

    def _receipt(self, message: Message, outcome: Outcome) -> Receipt:
        keys = dict.fromkeys((e.agent, e.boot, e.stream) for e in message.envelopes)
        keys.update(dict.fromkeys((p.identity[1:4]) for p in message.illegible if p.identity is not None))
        entries = [self._store.stream(key) for key in keys if key[0] == message.agent]
        streams = [(e.boot, e.stream, e.progress.upto) for e in entries if e is not None]
        return Receipt(streams, outcome.quarantined.get(id(message), 0))

    # asking again

    def _ask_holes(self, entries: Sequence[StreamEntry]) -> None:
        for entry in entries:
            if not entry.progress.spans:
                self._asked.pop(entry.id, None)
                continue
            self._ask(entry, entry.progress.holes(1)[0])

    def _ask_forgotten(self, heard: Heard) -> None:
        """A centre restored from a backup knows less than the agent was told: the rest is asked back."""
        for stream, acked in heard.acked.items():
            entry = self._store.stream((heard.agent, heard.boot, stream))
            if entry is not None and acked > entry.progress.upto:
                self._ask(entry, (entry.progress.upto + 1, acked))

    def _ask(self, entry: StreamEntry, gap: Span) -> None:
        now = self._units.clock.now()
        if now - self._last_heard.get(entry.agent, now - 2 * _HEARD_WITHIN) > _HEARD_WITHIN:
            return
        self._asked[entry.id], send = ask(self._asked.get(entry.id), gap, now, _PATIENCE)
        if send:
            request = Resend(boot=entry.boot, stream=entry.stream, first=gap[0], last=gap[1])
            self._link.publish(topics.command(self.site, entry.agent, "resend"), msgspec.json.encode(request))

    # the database away

    async def _wait_for_database(self, items: Sequence[Message | Heard]) -> None:
        """Until the batch that failed is committed: only the real work tells that a disk is no longer full."""
        self.healthy = False
        self._on_health(False)
        for attempt in itertools.count():
            await asyncio.sleep(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
            self._store.forget()
            try:
                await self._units.database.probe()
                await self._commit(items)
                break
            except (DatabaseAway, DBAPIError, OSError) as error:
                log.debug("the database is still away: %s", error)
        self._asked.clear()
        self.healthy = True
        log.warning("the database is back")
        self._on_health(True)
        self.greet()

    def _refuse_waiting(self) -> None:
        """Empty the queue: nothing in it was acknowledged. Terminals that wait are told at once."""
        for item in self._queue:
            if isinstance(item, Message) and item.done is not None and not item.done.done():
                item.done.set_exception(DatabaseAway())
        self._queue.clear()
        self._queued = 0
        self._link.hold(False)
        self._wake.clear()


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _anchor(state: AgentState, arrival: datetime | None) -> Anchor | None:
    """The run's clock: exact when the agent has measured its offset, else guessed from the arrival of a fresh state."""
    assert state.time is not None
    if state.off is not None:
        at = anchor_of(state.ts, state.time.mono, state.off)
        return None if at is None else Anchor(at, measured=True)
    if arrival is None:
        return None
    at = anchor_of(arrival, state.time.mono, 0)
    return None if at is None else Anchor(at, measured=False)
