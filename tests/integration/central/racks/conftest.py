"""A rack under a camera, over a real database of either kind: readings, asks, badges, clockings, commands."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central import schema
from central.core.database import Database
from central.core.facts import Consumers, Fact
from central.core.settings import Settings
from central.core.uow import Outgoing, UnitOfWork, Units
from central.items.service import add_item, add_place
from central.people import consumers as people_consumers
from central.racks import consumers as racks_consumers
from central.racks import service as racks
from central.racks.vault import make_key
from central.stock import consumers as stock_consumers
from central.stock import service
from central.work import consumers as work_consumers
from contracts.facts import KIND_OF, RackModeChanged, RackRead, SlotSeen, StockAsked, StockObserved
from contracts.racks import RackDescription, SlotDescription, SlotKind

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PIECE = 1000
JPEG = b"\xff\xd8\xff\xe0" + b"0" * 100 + b"\xff\xd9"


class FakeClock:
    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment


class Shop:
    """CNMG ×5 in rack-a/A1, DNMG ×5 in rack-a/A2; facts come as the inbox gives them."""

    def __init__(self, database: Database, **settings: Any) -> None:
        self.clock = FakeClock(NOON + timedelta(hours=1))
        wanted = {"racks_begin": "automatic"} | settings
        self.settings = Settings(_env_file=None, database_url=database.url, **wanted)
        self.units = Units(database, self.settings, self.clock)
        self.consumers = Consumers()
        for feature in (people_consumers, racks_consumers, stock_consumers, work_consumers):
            feature.register(self.consumers)
        self._next = 0

    def fact(self, body: msgspec.Struct, second: float = 0, agent: str = "pi-1") -> Fact[Any]:
        self._next += 1
        at = NOON + timedelta(seconds=second)
        kind = KIND_OF[type(body)]
        return Fact(
            self._next, "atelier", agent, kind, at, False, at, self.clock.now(), body, "boot0001", "facts", self._next
        )

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
        async with self.units.reading() as uow:
            found = await service.level(uow, item)
        return found.qty // PIECE, found.pending // PIECE

    async def open(self) -> list[service.ProposalView]:
        async with self.units.reading() as uow:
            return [p for p in await service.proposals(uow) if p.state == "open"]

    async def told(self) -> list[tuple[str, int]]:
        """(slot, count) that the camera was told, in order."""
        async with self.units.reading() as uow:
            rows = await uow.session.scalars(
                select(Outgoing.payload).where(Outgoing.topic.like("%/cmd/rack-count")).order_by(Outgoing.id)
            )
            bodies = [msgspec.json.decode(row) for row in rows]
        return [(body["slot"], body["count"]) for body in bodies]


def pick(qty: int = -1, before: int | None = None, place: str = "A1", **more: Any) -> StockObserved:
    counts = {} if before is None else {"count_before": before, "count_after": before + qty}
    item = more.pop("item", "CNMG" if place == "A1" else "DNMG")
    return StockObserved(source="camera", qty=qty * PIECE, item=item, place=f"rack-a/{place}", **counts, **more)


def ask(reason: Any = "stacked", **more: Any) -> StockAsked:
    return StockAsked(place="rack-a/A1", reason=reason, item="CNMG", **more)


def read(count: int | None, place: str = "A1", why: Any = "clear", **more: Any) -> RackRead:
    seen = SlotSeen(place=f"rack-a/{place}", item="CNMG" if place == "A1" else "DNMG", count=count, **more)
    return RackRead(rack="rack-a", why=why, slots=[seen])


def described() -> RackDescription:
    square = [(0.0, 0.0), (90.0, 0.0), (90.0, 90.0), (0.0, 90.0)]
    return RackDescription(
        slots=[
            SlotDescription(id="A1", polygon=square, item="CNMG", klass="insert", count=5),
            SlotDescription(id="A2", polygon=square, item="DNMG", klass="insert", kind=SlotKind.COUNTABLE, count=5),
        ]
    )


@contextlib.asynccontextmanager
async def open_shop(url: str, **settings: Any) -> AsyncIterator[Shop]:
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(schema.metadata().create_all)
        shop = Shop(database, **settings)
        make_key(shop.settings)
        async with shop.begin() as uow:
            for place, item in (("A1", "CNMG"), ("A2", "DNMG")):
                await add_place(uow, f"rack-a/{place}")
                await add_item(uow, item, f"Plaquette {item}", "insert", place=f"rack-a/{place}")
                await service.receive(
                    uow, item, 5 * PIECE, f"rack-a/{place}", at=NOON - timedelta(days=1), key=f"opening {item}"
                )
        await shop.say(shop.fact(RackModeChanged(rack="rack-a", mode="counting"), -3600))
        async with shop.begin() as uow:
            await racks.teach(uow, "rack-a", described(), by="p1")
        yield shop
    finally:
        await database.close()


@pytest.fixture
def data_dir(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL the centre's files lie in ``var/`` of the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def shop(database_url: str, data_dir: None) -> AsyncIterator[Shop]:
    async with open_shop(database_url) as shop:
        yield shop


@pytest.fixture
async def blank_shop(database_url: str, data_dir: None) -> AsyncIterator[Shop]:
    async with open_shop(database_url, racks_begin="blank", racks_trust_after=3) as shop:
        yield shop


@pytest.fixture
async def complete_shop(database_url: str, data_dir: None) -> AsyncIterator[Shop]:
    async with open_shop(database_url, racks_plans_complete=True) as shop:
        yield shop
