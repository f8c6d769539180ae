"""A database with the features wired as in the centre, and facts that arrive in any order."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from central import schema
from central.alerts import service as alerts
from central.core.database import Database
from central.core.facts import Consumers, Fact
from central.core.settings import Settings
from central.core.uow import Units
from central.machines import consumers as machine_consumers
from central.people import consumers as people_consumers
from central.work import consumers as work_consumers
from contracts.facts import KIND_OF

START = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
"""A Monday, 08:00 in Paris."""


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


class FakeClock:
    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


class Shop:
    """Facts in, services out. `say` applies one batch in one transaction, kind by kind, as the inbox does."""

    def __init__(self, url: str) -> None:
        self.clock = FakeClock(START)
        self.database = Database(url)
        self.units = Units(self.database, Settings(_env_file=None, database_url=url), self.clock)
        self.consumers = Consumers()
        for feature in (people_consumers, machine_consumers, work_consumers):
            feature.register(self.consumers)
        self._ids = itertools.count(1)

    def fact(self, minutes: float, body: msgspec.Struct, *, agent: str = "agent-1", **changes: Any) -> Fact[Any]:
        moment = at(minutes)
        number = next(self._ids)
        fields = {
            "id": number,
            "site": "atelier",
            "agent": agent,
            "kind": KIND_OF[type(body)],
            "at": moment,
            "uncertain": False,
            "source_time": moment,
            "received_at": self.clock.now(),
            "body": body,
            "seq": number,
        }
        return Fact(**(fields | changes))

    async def say(self, *facts: Fact[Any]) -> None:
        by_kind: dict[str, list[Fact[Any]]] = {}
        for fact in facts:
            by_kind.setdefault(fact.kind, []).append(fact)
        async with self.units.begin() as uow:
            for kind, found in by_kind.items():
                for consumer in self.consumers.of(kind):
                    await consumer(uow, found)

    async def open_alerts(self) -> list[alerts.AlertView]:
        async with self.units.reading() as uow:
            return await alerts.open_alerts(uow)


@asynccontextmanager
async def open_shop(url: str) -> AsyncIterator[Shop]:
    shop = Shop(url)
    async with shop.database.engine.begin() as connection:
        await connection.run_sync(schema.metadata().create_all)
    try:
        yield shop
    finally:
        await shop.database.close()
