"""Sends what committed transactions left in the outgoing table: to pages at once, to the broker at least once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from central.core.uow import Outgoing, Sent, UnitOfWork, Units
from central.live.hub import Frame, Hub

log = logging.getLogger(__name__)

KEEP_LIVE = timedelta(minutes=10)
KEEP_MQTT = timedelta(days=1)
MOST_REPLAYED = 500
_BATCH = 5000
_AT_ONCE = 100
_RETRY_S = 1.0
_PAUSE_S = 0.25
"""Between two rounds: marking what was sent is a transaction of its own, which the inbox should not wait for often."""
_MANY = 200
_LONG_PAUSE_S = 1.0
"""After a round of more than `_MANY`: of a machine that changes often, the broker gets one state a second."""


class Deliverer(Protocol):
    """Sends one message and returns once the broker has it; raises when it cannot."""

    async def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None: ...


class Live:
    def __init__(self, units: Units, link: Deliverer, failures: tuple[type[Exception], ...]) -> None:
        self.hub = Hub()
        self._units = units
        self._link = link
        self._failures = failures
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        units.on_outgoing(self._committed)

    def start(self) -> None:
        self._due.set()
        self._task = asyncio.create_task(self._send_forever(), name="outgoing")

    async def stop(self) -> None:
        self.hub.close()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def wake(self) -> None:
        """The broker is there again."""
        self._due.set()

    async def since(self, last_id: int) -> list[Frame]:
        """What a page that saw `last_id` has missed; one frame without data when it is too much, or too long ago."""
        async with self._units.reading() as uow:
            newest = await uow.session.scalar(select(func.max(Outgoing.id))) or 0
            oldest = await uow.session.scalar(select(func.min(Outgoing.id)).where(Outgoing.channel == "live"))
            rows = (
                await uow.session.execute(
                    select(Outgoing.id, Outgoing.payload)
                    .where(Outgoing.channel == "live", Outgoing.id > last_id)
                    .order_by(Outgoing.id)
                    .limit(MOST_REPLAYED + 1)
                )
            ).all()
        if last_id > newest or len(rows) > MOST_REPLAYED or (oldest is not None and last_id < oldest - 1):
            return [Frame(newest, None)]
        return [Frame(row_id, payload) for row_id, payload in rows]

    async def purge(self, uow: UnitOfWork) -> None:
        """Sweep: forget what is old; a message that the broker never took within a day is not news any more."""
        await uow.session.execute(
            delete(Outgoing).where(
                (Outgoing.sent_at < uow.now - KEEP_LIVE) | (Outgoing.created_at < uow.now - KEEP_MQTT)
            )
        )

    def _committed(self, sent: Sent) -> None:
        if sent.live is not None:
            self.hub.send(Frame(*sent.live))
        if sent.mqtt:
            self._due.set()

    async def _send_forever(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                sent = await self._send_some()
                if sent:
                    self._due.set()
                    await asyncio.sleep(_PAUSE_S if sent <= _MANY else _LONG_PAUSE_S)
            except self._failures as error:
                # Until the broker is back (`wake`) or the next commit; nothing was marked as sent.
                log.debug("broker away, outgoing messages wait: %s", error)
                await asyncio.sleep(_RETRY_S)
                self._due.set()
            except (DBAPIError, OSError, PoolTimeout) as error:
                log.warning("outgoing messages wait for the database: %s", error)
                await asyncio.sleep(_RETRY_S)
                self._due.set()

    async def _send_some(self) -> int:
        """One batch in order, a hundred under way; how many rows are done.

        Marked together: a crash in between sends again, under the same content. Of the retained messages of one topic
        only the newest is worth sending.
        """
        async with self._units.reading() as uow:
            rows = (
                await uow.session.execute(
                    select(Outgoing.id, Outgoing.topic, Outgoing.payload, Outgoing.retain)
                    .where(Outgoing.sent_at.is_(None), Outgoing.channel == "mqtt")
                    .order_by(Outgoing.id)
                    .limit(_BATCH)
                )
            ).all()
        if not rows:
            return 0
        newest = {row.topic: row.id for row in rows if row.retain}
        due = [row for row in rows if not row.retain or newest[row.topic] == row.id]
        try:
            for start in range(0, len(due), _AT_ONCE):
                some = due[start : start + _AT_ONCE]
                await asyncio.gather(*(self._link.deliver(r.topic, r.payload.encode(), retain=r.retain) for r in some))
        except BaseException:
            start_again = due[start].id  # what was under way is sent again
            await self._mark([row.id for row in rows if row.id < start_again])
            raise
        await self._mark([row.id for row in rows])
        return len(rows)

    async def _mark(self, done: Sequence[int]) -> None:
        if not done:
            return
        async with self._units.begin() as uow:
            await uow.session.execute(
                update(Outgoing)
                .where(Outgoing.id.between(done[0], done[-1]), Outgoing.channel == "mqtt", Outgoing.sent_at.is_(None))
                .values(sent_at=uow.now)
            )
