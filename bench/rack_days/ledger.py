"""The centre's own inbox, stock and racks on SQLite, in this process and in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from central import schema
from central.core.database import Database
from central.core.facts import Consumers
from central.core.settings import Settings
from central.core.uow import Outgoing, UnitOfWork, Units
from central.inbox.service import Inbox
from central.items import service as items
from central.racks import consumers as racks_consumers
from central.stock import consumers as stock_consumers
from central.stock import service as stock
from central.stock.schemas import ProposalView
from contracts.control import SetSlotCount
from contracts.envelope import Envelope, encode_pack

BEGIN = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
PERSON = "op-1"


class VirtualClock:
    """A clock that goes when it is told to."""

    def __init__(self, begin: datetime = BEGIN) -> None:
        self.begin = begin
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.at(self.seconds)

    def at(self, seconds: float) -> datetime:
        return self.begin + timedelta(seconds=seconds)


class _NoLink:
    """Acknowledgements go nowhere: the play knows what it sent."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None: ...

    def hold(self, held: bool) -> None: ...


class Ledger:
    """Opened with `open`, closed with `close`; every method is one transaction."""

    def __init__(
        self,
        folder: Path,
        clock: VirtualClock,
        rack: str,
        features: Sequence[Any] = (stock_consumers, racks_consumers),
        **settings: Any,
    ) -> None:
        url = f"sqlite:///{folder / 'copeau.db'}"
        wanted: dict[str, Any] = {"racks_begin": "automatic"} | settings
        self.settings = Settings(database_url=url, **wanted)
        self.database = Database(url)
        self.units = Units(self.database, self.settings, clock)
        self.rack = rack
        self.alarms: list[str] = []
        self._read_to = 0
        consumers = Consumers()
        for feature in features:
            feature.register(consumers)
        self.inbox = Inbox(self.units, consumers, _NoLink(), self._alarm)

    async def open(self) -> None:
        await self.database.take_start_lock()
        async with self.database.engine.begin() as connection:
            await connection.run_sync(schema.metadata().create_all)
        self.inbox.start()

    async def close(self) -> None:
        await self.inbox.stop()
        await self.database.close()

    async def begin(self, slots: Mapping[str, str], counts: Mapping[str, int]) -> None:
        """Items and places exist, and what lies there was received."""
        async with self.units.begin() as uow:
            for item in sorted(set(slots.values())):
                await items.add_item(uow, item, item, "insert")
            for slot in slots:
                await items.add_place(uow, self.place(slot))
            for slot, count in counts.items():
                if count:
                    await stock.receive(
                        uow, slots[slot], count * 1000, self.place(slot), person=PERSON, key=f"begin:{slot}"
                    )

    async def deliver(self, envelopes: Sequence[Envelope]) -> None:
        for at in range(0, len(envelopes), 100):
            pack = list(envelopes[at : at + 100])
            await self.inbox.deliver(pack[0].agent, encode_pack(pack))

    async def questions(self) -> list[ProposalView]:
        """What is open, oldest first."""
        async with self.units.reading() as uow:
            found = await stock.proposals(uow, limit=100_000)
        return sorted((one for one in found if one.state == "open"), key=lambda p: (p.at, p.id))

    async def levels(self) -> dict[str, int]:
        """Place → pieces of its items, thousandths rounded down."""
        async with self.units.reading() as uow:
            found: dict[str, int] = {}
            for item in await stock.levels(uow):
                for place in item.places:
                    if place.place is not None:
                        found[place.place] = found.get(place.place, 0) + place.qty // 1000
        return found

    async def decide(self, question: int, qty: int | None, *, refuse: bool = False) -> None:
        """Confirm (None), correct (thousandths), or refuse. Raises `stock.NotAllowed`."""
        async with self.units.begin() as uow:
            await self._decide(uow, question, qty, refuse)

    async def _decide(self, uow: UnitOfWork, question: int, qty: int | None, refuse: bool) -> None:
        if refuse:
            await stock.refuse(uow, question, PERSON)
        elif qty is None:
            await stock.confirm(uow, question, PERSON)
        else:
            await stock.correct(uow, question, qty, PERSON)

    async def accept_differences(self) -> int:
        """One tap after a restocking; how many places it put right."""
        async with self.units.begin() as uow:
            return await stock.accept_differences(uow, self.rack, PERSON)

    async def told(self) -> list[SetSlotCount]:
        """What the camera was told since the last time."""
        async with self.units.reading() as uow:
            rows = await uow.session.execute(
                select(Outgoing.id, Outgoing.topic, Outgoing.payload)
                .where(Outgoing.channel == "mqtt", Outgoing.id > self._read_to)
                .order_by(Outgoing.id)
            )
            commands = []
            for number, topic, payload in rows:
                self._read_to = number
                if topic.endswith("/cmd/rack-count"):
                    commands.append(msgspec.json.decode(payload, type=SetSlotCount))
        return commands

    def place(self, slot: str) -> str:
        return f"{self.rack}/{slot}"

    async def _alarm(self, uow: UnitOfWork, key: str, title: str, text: str) -> None:  # noqa: ARG002  # the port's
        self.alarms.append(f"{key}: {text}")
