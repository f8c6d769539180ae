"""The centre's parts for tests: a database with all tables, a link that remembers, an inbox that can be waited for."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from central import schema
from central.core.clock import Clock
from central.core.database import Database
from central.core.facts import Consumers, Fact
from central.core.settings import Settings
from central.core.uow import UnitOfWork, Units
from central.inbox.service import Inbox
from contracts import topics
from contracts.control import Ack, Resend
from contracts.envelope import Envelope, encode_pack


class FakeLink:
    """Remembers what would have been published."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.sent.append((topic, payload))

    def hold(self, held: bool) -> None:
        self.held = held

    def upto(self, agent: str = "rack-1", boot: str = "boot0001", stream: str = "facts") -> int | None:
        """The last ack of that stream."""
        for topic, payload in reversed(self.sent):
            if topic == topics.ack("atelier", agent):
                ack = msgspec.json.decode(payload, type=Ack)
                if (ack.boot, ack.stream) == (boot, stream):
                    return ack.upto
        return None

    def resends(self, agent: str = "rack-1") -> list[Resend]:
        wanted = topics.command("atelier", agent, "resend")
        return [msgspec.json.decode(payload, type=Resend) for topic, payload in self.sent if topic == wanted]


class Collector:
    """A consumer that keeps what it was given; raises on a body whose `detail` or `comment` is ``boom``."""

    def __init__(self) -> None:
        self.facts: list[Fact[Any]] = []
        self.calls: list[int] = []

    async def __call__(self, uow: UnitOfWork, facts: Sequence[Fact[Any]]) -> None:
        self.calls.append(len(facts))
        for fact in facts:
            if "boom" in (getattr(fact.body, "detail", ""), getattr(fact.body, "comment", "")):
                raise RuntimeError("boom")
        self.facts.extend(facts)


class Alarms:
    def __init__(self) -> None:
        self.raised: list[tuple[str, str]] = []

    async def __call__(self, uow: UnitOfWork, key: str, title: str, text: str) -> None:
        self.raised.append((key, title))


class Bench:
    """An inbox over a real database."""

    def __init__(self, url: str, clock: Clock | None = None, **settings: Any) -> None:
        self.settings = Settings(_env_file=None, database_url=url, **settings)
        self.database = Database(url)
        self.units = Units(self.database, self.settings, clock)
        self.consumers = Consumers()
        self.collector = Collector()
        self.link = FakeLink()
        self.alarms = Alarms()
        self.health: list[bool] = []
        for kind in ("machine.state", "stock.observed", "machine.samples", "work.clocked"):
            self.consumers.on(kind, self.collector)
        self.inbox = Inbox(self.units, self.consumers, self.link, self.alarms, self.health.append)

    async def open(self) -> None:
        await self.database.take_start_lock()
        async with self.database.engine.begin() as connection:
            await connection.run_sync(schema.metadata().create_all)
        self.inbox.start()

    async def close(self) -> None:
        await self.inbox.stop()
        await self.database.close()

    async def send(self, *envelopes: Envelope, agent: str | None = None) -> None:
        """One message; returns when its batch was committed."""
        await self.inbox.deliver(agent or envelopes[0].agent, encode_pack(list(envelopes)))


@asynccontextmanager
async def bench(url: str, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Bench]:
    opened = Bench(url, clock, **settings)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def eventually(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Wait until `condition` holds. The time-out is generous: it only tells a hang from a slow machine."""
    until = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer is True or (inspect.isawaitable(answer) and await answer):
            return
        if time.monotonic() > until:
            raise AssertionError("still not so after the time-out")
        await asyncio.sleep(0.01)
