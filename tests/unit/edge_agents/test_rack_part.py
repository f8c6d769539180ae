"""A rack's part before a fake eye, with a real outbox: words of persons, and what an eye may begin with."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from contracts.control import SetRackModel, SetSlotCount
from contracts.facts import KIND_OF, RackRead, StockObserved
from edge_agents import rack_messages as messages
from edge_agents.centre_http import CentreHttp
from edge_agents.clock import Clock
from edge_agents.outbox import Outbox
from edge_agents.parts.pictures import PicturesPart
from edge_agents.parts.rack import RackPart, RackState
from edge_agents.rack_models import DETECTOR, JUDGE, Model, Models
from edge_agents.sections import RackSection
from edge_agents.spool import Spool
from edge_agents.supervisor import Supervisor
from tests.support.honest_centre import until

RACK = b'{"slots": [{"id": "A1", "polygon": [[0, 0], [50, 0], [50, 50]], "item": "PLAQ"}]}'
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(hours=1)
SNAPSHOT = b'{"version":2}'


class FakeChannel:
    def __init__(self) -> None:
        self.arrived: asyncio.Queue[messages.Said] = asyncio.Queue()
        self.told: list[messages.Told] = []

    def send(self, message: messages.Told) -> bool:
        self.told.append(message)
        if isinstance(message, messages.UseModel):
            self.arrived.put_nowait(messages.Answer(message.id, True, "Modèle essayé et pris."))
        return True

    async def receive(self) -> messages.Said:
        return await self.arrived.get()

    async def close(self) -> None: ...


class FakeEyes:
    """`slow`: an eye is ready only when it is set."""

    def __init__(self) -> None:
        self.orders: list[messages.Order] = []
        self.channels: list[FakeChannel] = []
        self.slow = asyncio.Event()
        self.slow.set()

    async def open(self, order: messages.Order) -> Any:
        self.orders.append(order)
        await self.slow.wait()
        self.channels.append(FakeChannel())
        return self.channels[-1]


class Stand:
    """One rack's part, running."""

    def __init__(self, directory: Path, outbox: Outbox) -> None:
        (directory / "rack.json").write_bytes(RACK)
        self.outbox = outbox
        self.eyes = FakeEyes()
        http = CentreHttp("http://127.0.0.1:9")
        pictures = PicturesPart(Spool(directory / "p", directory / "p.key", 10**6), http, timedelta(hours=1))
        section = RackSection(name="rack-a", source="0", rack=directory / "rack.json")
        self.part = RackPart(section, self.eyes, pictures, Models(directory / "m", http, None))  # type: ignore[arg-type]  # a fake at the port
        self.supervisor = Supervisor([self.part], outbox)

    async def says(self, *words: messages.Word, applied: list[str] | None = None) -> None:
        self.eyes.channels[-1].arrived.put_nowait(messages.Settled(list(words), SNAPSHOT, applied or []))
        await until(self.eyes.channels[-1].arrived.empty)

    async def counts(self, asked: str, count: int) -> str:
        command = SetSlotCount(id=asked, expires=LATER, rack="rack-a", slot="A1", count=count, person="p-1")
        return await self.part.obey(command)

    def saved(self) -> RackState:
        """As it lies on the disk."""
        with contextlib.closing(sqlite3.connect(f"file:{self.outbox.path}?mode=ro", uri=True)) as file:
            row = file.execute("SELECT value FROM cursors WHERE source = 'rack:rack-a'").fetchone()
        return msgspec.json.decode(row[0], type=RackState)

    def count(self, kind: type) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{self.outbox.path}?mode=ro", uri=True)) as file:
            found = file.execute("SELECT count(*) FROM facts WHERE kind = ?", (KIND_OF[kind],)).fetchone()[0]
        return int(found)


@asynccontextmanager
async def stand(tmp_path: Path, *, slow: bool = False) -> AsyncIterator[Stand]:
    async with Outbox.open(tmp_path / "o.db", site="atelier", agent="pi-1", clock=Clock()) as outbox:
        made = Stand(tmp_path, outbox)
        if slow:
            made.eyes.slow.clear()
        made.supervisor.start()
        await until(lambda: bool(made.eyes.orders))
        if not slow:
            await until(lambda: bool(made.eyes.channels))
        yield made
        await made.supervisor.stop()


def taken() -> messages.Change:
    return messages.Change("A1", "PLAQ", -1, 4, 3, 0.9, "auto", AT, 1, b"", b"", "judge", "gone", during_absence=True)


def read() -> messages.Read:
    return messages.Read("start", AT, 0, [messages.Seen("A1", "PLAQ", 3, None, "seen", None, 1.0)], "judge")


async def test_a_word_that_comes_while_the_eye_opens_reaches_it(tmp_path: Path) -> None:
    async with stand(tmp_path, slow=True) as one:
        counting = asyncio.create_task(one.counts("c1", 5))
        await asyncio.sleep(0)
        one.eyes.slow.set()
        said = await counting
        heard = [*one.eyes.orders[-1].pending, *one.eyes.channels[-1].told]
        assert heard == [messages.HaveCount("c1", "A1", 5)]
        assert said == "A1 : 5."
        assert one.saved().pending == [messages.HaveCount("c1", "A1", 5)]


async def test_a_word_whose_answer_got_lost_is_not_applied_again(tmp_path: Path) -> None:
    """The centre asks again; since then the camera saw a piece leave, and five would be wrong."""
    async with stand(tmp_path) as one:
        await one.counts("c1", 5)
        await one.says(read(), applied=["c1"])
        await until(lambda: one.saved().pending == [])
        await one.says(taken())
        await until(lambda: one.count(StockObserved) == 1)
        assert await one.counts("c1", 5) == "A1 : 5."
        assert one.saved().pending == []
        assert one.eyes.channels[-1].told == [messages.HaveCount("c1", "A1", 5)]
        await one.supervisor.restart("rack-a")
        await until(lambda: len(one.eyes.channels) == 2)
        await one.counts("c1", 5)
        assert (one.eyes.orders[-1].pending, one.eyes.channels[-1].told) == ([], [])


async def test_an_outbox_that_went_back_in_time_gives_no_movement_from_its_old_snapshot(tmp_path: Path) -> None:
    async with stand(tmp_path) as one:
        await one.says(read())
        await until(lambda: one.count(RackRead) == 1)
        await one.supervisor.restart("rack-a")
        await until(lambda: len(one.eyes.channels) == 2)
        assert [order.trusted for order in one.eyes.orders] == [True, True]
        await one.says()  # its first frame: compared with nothing yet
        await one.outbox.new_boot({"facts": 0, "samples": 0})
        await one.says(taken(), read())
        await until(lambda: len(one.eyes.channels) == 3)
        assert [order.trusted for order in one.eyes.orders] == [True, True, False]
        assert one.eyes.orders[-1].snapshot == SNAPSHOT
        assert (one.count(StockObserved), one.count(RackRead)) == (0, 1)
        await one.says(read())
        await until(lambda: one.count(RackRead) == 2)
        await one.says(taken())
        await until(lambda: one.count(StockObserved) == 1)
        assert one.saved().boot == one.outbox.boot


async def test_an_eye_that_has_compared_already_goes_on_when_the_outbox_gets_another_name(tmp_path: Path) -> None:
    async with stand(tmp_path) as one:
        await one.says(read())
        await until(lambda: one.count(RackRead) == 1)
        await one.outbox.new_boot({"facts": 0, "samples": 0})
        await one.says(taken())
        await until(lambda: one.count(StockObserved) == 1)
        assert len(one.eyes.channels) == 1


async def test_going_back_to_no_model_names_the_configured_one_whatever_the_eye_began_with(tmp_path: Path) -> None:
    folder = tmp_path / "m" / ("0" * 64)
    folder.mkdir(parents=True)
    for name in (DETECTOR, JUDGE):
        (folder / name).write_bytes(b"x")
    async with stand(tmp_path) as one:
        await one.part.remember(model=Model(str(folder), "v2", "0" * 64))
        await one.supervisor.restart("rack-a")
        await until(lambda: len(one.eyes.channels) == 2)
        assert (one.eyes.orders[-1].model, one.eyes.orders[-1].judge) == (str(folder / DETECTOR), str(folder / JUDGE))
        await one.part.obey(SetRackModel(id="m1", expires=LATER, rack="rack-a"))
        assert one.eyes.channels[-1].told == [messages.UseModel("m1", None, None)]
        assert one.saved().model is None
        assert not folder.exists()
