"""The stock on a real database of either kind."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from central import schema
from central.core.database import Database
from central.core.facts import Consumers, Fact
from central.core.settings import Settings
from central.core.uow import UnitOfWork, Units
from central.items.service import add_item, add_place
from central.stock import consumers, service
from contracts.facts import KIND_OF

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PIECE = 1000


class FakeClock:
    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment


class Shop:
    """One item, CNMG, at two places; facts come as the inbox gives them, each batch in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.clock = FakeClock(NOON + timedelta(hours=1))
        self.units = Units(
            database, Settings(_env_file=None, database_url=database.url, racks_begin="automatic"), self.clock
        )
        self.consumers = Consumers()
        consumers.register(self.consumers)
        self._next = 0

    def fact(
        self, body: msgspec.Struct, second: float = 0, agent: str = "pi-1", number: int | None = None
    ) -> Fact[Any]:
        self._next += 1
        at = NOON + timedelta(seconds=second)
        return Fact(number or self._next, "atelier", agent, KIND_OF[type(body)], at, False, at, self.clock.now(), body)

    async def say(self, *facts: Fact[Any]) -> None:
        async with self.units.begin() as uow:
            for kind in {f.kind: None for f in facts}:
                for consumer in self.consumers.of(kind):
                    await consumer(uow, [f for f in facts if f.kind == kind])

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        async with self.units.begin() as uow:
            yield uow

    async def level(self, item: str = "CNMG") -> tuple[int, int]:
        """In pieces: there, and to be confirmed."""
        async with self.units.reading() as uow:
            found = await service.level(uow, item)
        return found.qty // PIECE, found.pending // PIECE

    async def movements(self, item: str = "CNMG") -> list[service.MovementView]:
        async with self.units.reading() as uow:
            return await service.movements(uow, item)

    async def open(self) -> list[service.ProposalView]:
        async with self.units.reading() as uow:
            return [p for p in await service.proposals(uow) if p.state == "open"]


@contextlib.asynccontextmanager
async def open_shop(url: str) -> AsyncIterator[Shop]:
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(schema.metadata().create_all)
        shop = Shop(database)
        async with shop.begin() as uow:
            await add_place(uow, "rack-a/A1", "Rack A, A1")
            await add_place(uow, "rack-a/A2", "Rack A, A2")
            await add_item(uow, "CNMG", "Plaquette CNMG 120408", "insert", place="rack-a/A1", codes=["4012345678901"])
            await service.receive(uow, "CNMG", 5 * PIECE, "rack-a/A1", at=NOON - timedelta(days=1), key="opening")
        yield shop
    finally:
        await database.close()


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    async with open_shop(database_url) as shop:
        yield shop
