"""The unit of work: one transaction, and what may leave the centre because of it.

Nothing is sent from inside a transaction. What a use case wants to tell (a page, an agent, a tile on the
broker) becomes a row
of the same transaction and is sent after the commit, at least once, under that row's id.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, NamedTuple, cast

import msgspec
from sqlalchemy import Index, String, Table, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from central.core.bulk import write_rows
from central.core.clock import Clock, SystemClock
from central.core.database import Database
from central.core.settings import Settings
from central.core.types import Base, BigId, UtcDateTime


class Outgoing(Base):
    """What leaves: ``channel`` "live" (pages: told at the commit, kept a while for those that come back) or "mqtt"
    (``topic``, ``retain``; `sent_at` once the broker has it).
    """

    __tablename__ = "outgoing"
    __table_args__ = (Index("ix_outgoing_unsent", "sent_at", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    channel: Mapped[str] = mapped_column(String(8))
    topic: Mapped[str] = mapped_column(String(255))
    payload: Mapped[str]
    retain: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


_OUTGOING = cast("Table", Outgoing.__table__)
_COLUMNS = ("channel", "topic", "payload", "retain", "created_at", "sent_at")


class Sent(NamedTuple):
    """What a commit left to send, as told to the listeners."""

    live: tuple[int, str] | None
    """Id and payload of the row for the pages."""
    mqtt: bool
    """Whether rows for the broker wait."""


class UnitOfWork:
    """What a use case is given: a session inside one transaction, the time, the settings, and `tell`/`publish`."""

    def __init__(self, session: AsyncSession, clock: Clock, settings: Settings) -> None:
        self.session = session
        self.clock = clock
        self.settings = settings
        self._live: dict[str, dict[str, Any]] = {}
        self._mqtt: list[tuple[str, bytes, bool]] = []

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def tell(self, topic: str, **data: Any) -> None:
        """Tell the pages that `topic` changed, for example ``"stock"`` or ``"machine:tour-1"``. The last data of a
        topic wins.
        """
        self._live[topic] = data

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish on the broker after the commit, at least once."""
        self._mqtt.append((topic, payload, retain))

    async def store_outgoing(self) -> Sent | None:
        """Write the rows of this transaction: one for all pages, one for each message; of a retained topic the last."""
        if not self._live and not self._mqtt:
            return None
        now = self.now
        last = {topic: index for index, (topic, _, retain) in enumerate(self._mqtt) if retain}
        rows = [
            ("mqtt", topic, payload.decode(), retain, now, None)
            for index, (topic, payload, retain) in enumerate(self._mqtt)
            if not retain or last[topic] == index
        ]
        await write_rows(self.session, _OUTGOING, _COLUMNS, rows, "DO NOTHING")
        if not self._live:
            return Sent(None, mqtt=True)
        text = msgspec.json.encode(self._live).decode()
        row = dict(zip(_COLUMNS, ("live", "", text, False, now, now), strict=True))
        row_id: int | None = await self.session.scalar(insert(_OUTGOING).returning(_OUTGOING.c.id), row)
        assert row_id is not None
        return Sent((row_id, text), mqtt=bool(rows))

    @contextlib.asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo everything inside, what would have been told included, when it raises."""
        live, mqtt = dict(self._live), list(self._mqtt)
        try:
            async with self.session.begin_nested():
                yield
        except BaseException:
            self._live, self._mqtt = live, mqtt
            raise


class Units:
    """Opens units of work; `committed` is called after each commit that left something to send."""

    def __init__(self, database: Database, settings: Settings, clock: Clock | None = None) -> None:
        self.database = database
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self._listeners: list[Callable[[Sent], None]] = []

    def on_outgoing(self, listener: Callable[[Sent], None]) -> None:
        """`listener` is called in the event loop after each commit that left something to send."""
        self._listeners.append(listener)

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """One writing transaction: commits at the end, nothing kept when it raises."""
        async with self.database.write() as session:
            uow = UnitOfWork(session, self.clock, self.settings)
            yield uow
            await session.flush()
            sent = await uow.store_outgoing()
        if sent is not None:
            for listener in self._listeners:
                listener(sent)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[UnitOfWork]:
        """A unit that only reads; what it would tell is dropped."""
        async with self.database.read() as session:
            yield UnitOfWork(session, self.clock, self.settings)
