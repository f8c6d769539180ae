"""The agent's side of the protocol over a real Mosquitto, to a centre that keeps its own side honestly."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts import topics
from contracts.control import Ack, Lost, PartState, Resend, Withdrawn
from contracts.envelope import MAX_MESSAGE_BYTES, Envelope
from contracts.facts import CodeScanned, MachineSamples
from copeau.servers.broker import MISSING
from copeau.servers.broker import Broker as Mosquitto
from edge_agents.clock import Clock
from edge_agents.link import Broker, Link, Will
from edge_agents.outbox import Fact, Outbox
from edge_agents.uplink import Settings, Uplink
from tests.support.honest_centre import Disk, HonestCentre, until

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

SITE, AGENT = "atelier", "rack-1"
FAST = Settings(heartbeat_s=0.5, first_acks_s=0.5, resend_s=1.0, vain_resends=3, vain_gap_s=0.1)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def address(mosquitto: Mosquitto, version: int = 5) -> Broker:
    return Broker(mosquitto.host, mosquitto.port, version=version)


@asynccontextmanager
async def agent(
    path: Path, broker: Broker, settings: Settings = FAST, **options: Any
) -> AsyncIterator[tuple[Outbox, Uplink]]:
    async with Outbox.open(path, site=SITE, agent=AGENT, clock=Clock()) as outbox:
        uplink = Uplink(
            outbox,
            lambda name, subscriptions, will: Link(broker, name, subscriptions, will),
            version="1.2.3",
            settings=settings,
            **options,
        )
        task = asyncio.create_task(uplink.run())
        try:
            yield outbox, uplink
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def scans(*codes: object) -> list[Fact]:
    return [Fact(CodeScanned(code=str(code), format="QRCode", post="poste-1")) for code in codes]


def codes(centre: HonestCentre) -> list[str]:
    return sorted((msgspec.json.decode(row.body)["code"] for row in centre.rows(AGENT)), key=int)


def numbers(first: int, last: int) -> list[str]:
    return [str(n) for n in range(first, last + 1)]


@pytest.mark.parametrize("version", [5, 4])
async def test_facts_reach_the_centre_once_and_are_acknowledged(
    tmp_path: Path, mosquitto: Mosquitto, version: int
) -> None:
    broker = address(mosquitto, version)
    async with HonestCentre(broker, SITE) as centre, agent(tmp_path / "o.db", broker) as (outbox, _):
        await outbox.put(scans(*range(1, 1201)))
        await until(lambda: len(centre.rows(AGENT)) == 1200)
        assert codes(centre) == numbers(1, 1200)
        acked = 0
        for _ in range(200):
            acked = (await outbox.position("facts")).acked
            if acked == 1200:
                break
            await asyncio.sleep(0.05)
        assert acked == 1200
        assert centre.disk.conflicts == []


async def test_nothing_is_sent_while_the_centre_is_absent(tmp_path: Path, mosquitto: Mosquitto) -> None:
    heard: list[str] = []
    broker = address(mosquitto)
    listener = Link(broker, "listener", [f"{topics.ROOT}/#"], lambda: Will("gone", b""))
    listener.on_message = lambda topic, _payload: heard.append(topic)
    task = asyncio.create_task(listener.run())
    async with agent(tmp_path / "o.db", broker) as (outbox, uplink):
        await outbox.put(scans(1))
        await until(lambda: heard.count(topics.state(SITE, AGENT)) >= 3)
        assert heard.count(topics.state(SITE, AGENT)) >= 3
        assert topics.facts(SITE, AGENT) not in heard
        assert not uplink.present
        async with HonestCentre(broker, SITE) as centre:
            await until(lambda: len(centre.rows(AGENT)) == 1)
            assert codes(centre) == ["1"]
            assert uplink.present
        await until(lambda: not uplink.present)
        assert not uplink.present
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_facts_go_before_samples(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    async with agent(tmp_path / "o.db", broker) as (outbox, _):
        moment = outbox.clock.now().wall
        sample = MachineSamples(machine="tour-1", signal="load", t0=moment, dt=[0], v=[1.0])
        await outbox.put([Fact(sample)] * 3000)
        await outbox.put(scans(*range(1, 1001)))
        order: list[str] = []
        listener = Link(
            broker, "listener", [f"{topics.ROOT}/+/+/facts", f"{topics.ROOT}/+/+/samples"], lambda: Will("x", b"")
        )
        listener.on_message = lambda topic, _payload: order.append(topic.rsplit("/", 1)[1])
        task = asyncio.create_task(listener.run())
        await until(lambda: listener.up)
        async with HonestCentre(broker, SITE) as centre:
            await until(lambda: len(centre.disk.rows) == 4000)
            assert len(centre.disk.rows) == 4000
            assert centre.largest <= MAX_MESSAGE_BYTES
        assert order.index("samples") > order.count("facts") - 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_no_more_than_the_window_is_on_its_way(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A centre that commits nothing gets at most 2 000 rows, and the same again after 30 s (here 1 s)."""
    broker = address(mosquitto)
    seen: list[int] = []

    def blind(envelope: Envelope) -> bool:
        seen.append(envelope.seq)
        return len(seen) <= 4000

    async with (
        agent(tmp_path / "o.db", broker) as (outbox, _),
        HonestCentre(broker, SITE, blind=blind) as centre,
    ):
        await outbox.put(scans(*range(1, 5001)))
        await until(lambda: len(seen) >= 4000)
        assert max(seen[:4000]) == 2000
        await until(lambda: len(centre.rows(AGENT)) == 5000)
        assert codes(centre) == numbers(1, 5000)


async def test_a_hole_is_answered_with_the_rows(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    dropped: set[int] = set()

    def blind(envelope: Envelope) -> bool:
        """Loses 40 rows on the way, once each."""
        if 100 < envelope.seq <= 140 and envelope.seq not in dropped:
            dropped.add(envelope.seq)
            return True
        return False

    slow = FAST._replace(resend_s=600)
    async with (
        agent(tmp_path / "o.db", broker, slow) as (outbox, _),
        HonestCentre(broker, SITE, blind=blind) as centre,
    ):
        await outbox.put(scans(*range(1, 1001)))
        await until(lambda: len(centre.rows(AGENT)) == 1000)
        assert codes(centre) == numbers(1, 1000)
        assert len(dropped) == 40
        assert centre.disk.settlements == []


async def test_rows_that_are_gone_are_declared_lost(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    path = tmp_path / "o.db"
    async with Outbox.open(path, site=SITE, agent=AGENT, clock=Clock()) as outbox:
        await outbox.put(scans(*range(1, 11)))
        boot = outbox.boot
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM facts WHERE id BETWEEN 3 AND 6")
    db.close()
    async with agent(path, broker), HonestCentre(broker, SITE) as centre:
        await until(lambda: centre.disk.upto.get((AGENT, boot, "facts"), 0) == 10)
        assert centre.disk.upto[(AGENT, boot, "facts")] == 10
        (row,) = centre.disk.settlements
        lost = msgspec.json.decode(row.body, type=Lost)
        assert (lost.first, lost.last) == (3, 6)


async def test_a_boot_that_this_file_never_had_is_declared_lost(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    other = "feedfacefeedface"
    async with agent(tmp_path / "o.db", broker), HonestCentre(broker, SITE) as centre:
        await until(lambda: AGENT in centre.states)
        await asyncio.sleep(0.6)
        centre.command(AGENT, "resend", Resend(boot=other, stream="facts", first=4, last=9))
        await until(lambda: bool(centre.disk.settlements))
        # The centre then asks for 1 to 3 of that boot too, and is told the same of them.
        await until(lambda: centre.disk.upto.get((AGENT, other, "facts"), 0) == 9)
        told = [(row.boot, row.kind, row.seq) for row in centre.disk.settlements]
        assert told == [(other, "stream.lost", 9), (other, "stream.lost", 3)]


async def test_a_row_that_the_centre_cannot_read_is_withdrawn(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)

    def blind(envelope: Envelope) -> bool:
        return envelope.kind == "code.scanned" and msgspec.json.decode(envelope.body)["code"] == "5"

    async with (
        agent(tmp_path / "o.db", broker) as (outbox, _),
        HonestCentre(broker, SITE, blind=blind) as centre,
    ):
        await outbox.put(scans(*range(1, 11)))
        await until(lambda: bool(centre.disk.settlements))
        (row,) = centre.disk.settlements
        body = msgspec.json.decode(row.body, type=Withdrawn)
        assert (row.kind, body.first, body.last) == ("stream.withdrawn", 5, 5)
        await until(lambda: centre.disk.upto[(AGENT, outbox.boot, "facts")] == 10)
        assert codes(centre) == [*numbers(1, 4), *numbers(6, 10)]
        assert [kept[2:4] for kept in await outbox.aside()] == [(5, "code.scanned")]


async def test_a_centre_that_is_only_slow_makes_nothing_be_withdrawn(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    deaf = True
    async with (
        agent(tmp_path / "o.db", broker) as (outbox, _),
        HonestCentre(broker, SITE, blind=lambda _e: deaf) as centre,
    ):
        await outbox.put(scans(1, 2, 3))
        await until(lambda: centre.messages >= 5)
        deaf = False
        await until(lambda: len(centre.rows(AGENT)) == 3)
        assert codes(centre) == numbers(1, 3)
        assert centre.disk.settlements == []


async def test_the_broker_killed_again_and_again(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    async with agent(tmp_path / "o.db", broker) as (outbox, _), HonestCentre(broker, SITE) as centre:
        for n in range(1, 3001):
            await outbox.put(scans(n))
            if n % 1000 == 0:
                mosquitto.kill()
                await outbox.put(scans(10_000 + n))
                mosquitto.start()
        await until(lambda: len(centre.rows(AGENT)) == 3003, 60)
        assert codes(centre) == [*numbers(1, 3000), "11000", "12000", "13000"]
        assert centre.disk.conflicts == centre.disk.settlements == []


async def test_the_centre_restored_from_yesterday_gets_everything_back(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    async with agent(tmp_path / "o.db", broker) as (outbox, _):
        async with HonestCentre(broker, SITE) as centre:
            await outbox.put(scans(*range(1, 101)))
            await until(lambda: len(centre.rows(AGENT)) == 100)
            yesterday = centre.disk.backup()
            await outbox.put(scans(*range(101, 3001)))
            await until(lambda: centre.disk.upto.get((AGENT, outbox.boot, "facts")) == 3000)
        assert len(yesterday.rows) == 100
        async with HonestCentre(broker, SITE, yesterday) as centre:
            await until(lambda: len(centre.rows(AGENT)) == 3000)
            assert codes(centre) == numbers(1, 3000)
            assert centre.disk.conflicts == []


async def test_a_restored_centre_may_also_ask(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    async with agent(tmp_path / "o.db", broker) as (outbox, _), HonestCentre(broker, SITE) as centre:
        await outbox.put(scans(*range(1, 51)))
        await until(lambda: centre.disk.upto.get((AGENT, outbox.boot, "facts")) == 50)
        centre.disk.rows.clear()
        centre.disk.settled.clear()
        centre.disk.upto.clear()
        centre.command(AGENT, "resend", Resend(boot=outbox.boot, stream="facts", first=1))
        await until(lambda: len(centre.rows(AGENT)) == 50)
        assert codes(centre) == numbers(1, 50)


@pytest.mark.parametrize("later", [3, 30, 300], ids=["fewer than lost", "as many", "more than lost"])
@pytest.mark.parametrize("openings", [1, 3])
async def test_the_outbox_file_restored_from_yesterday(
    tmp_path: Path, mosquitto: Mosquitto, later: int, openings: int
) -> None:
    """Yesterday's file comes back and new facts are written before the centre is heard: none lost, none doubled."""
    broker, path = address(mosquitto), tmp_path / "o.db"
    disk = Disk()
    async with HonestCentre(broker, SITE, disk) as centre:
        async with agent(path, broker) as (outbox, _):
            await outbox.put(scans(*range(1, 21)))
            await until(lambda: disk.upto.get((AGENT, outbox.boot, "facts")) == 20)
        copy = tmp_path / "yesterday.db"
        shutil.copy(path, copy)
        async with agent(path, broker) as (outbox, _):
            await outbox.put(scans(*range(21, 51)))
            await until(lambda: disk.upto.get((AGENT, outbox.boot, "facts")) == 50)
    shutil.copy(copy, path)
    written = 1000
    for _ in range(openings):
        async with Outbox.open(path, site=SITE, agent=AGENT, clock=Clock()) as outbox:
            await outbox.put(scans(*range(written + 1, written + later + 1)))
            written += later
    async with HonestCentre(broker, SITE, disk) as centre, agent(path, broker) as (outbox, _):
        await until(lambda: len(centre.rows(AGENT)) == 50 + later * openings)
        assert codes(centre) == [*numbers(1, 50), *numbers(1001, 1000 + later * openings)]
        assert disk.conflicts == disk.settlements == []


async def test_acks_of_another_boot_say_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    async with agent(tmp_path / "o.db", broker) as (outbox, _), HonestCentre(broker, SITE) as centre:
        await outbox.put(scans(1))
        await until(lambda: len(centre.rows(AGENT)) == 1)
        boot = outbox.boot
        centre._say(
            topics.ack(SITE, AGENT), msgspec.json.encode(Ack(boot="feedfacefeedface", stream="facts", upto=10_000))
        )
        centre._say(topics.ack(SITE, AGENT), b"\xff\x00 not an ack")
        await outbox.put(scans(2))
        await until(lambda: len(centre.rows(AGENT)) == 2)
        assert codes(centre) == ["1", "2"]
        assert outbox.boot == boot


async def test_state_says_what_the_agent_knows_and_the_will_says_that_it_is_gone(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    broker = address(mosquitto)
    parts = [PartState(name="rack-a", kind="rack", status="running")]
    centre = HonestCentre(broker, SITE, clock_error=timedelta(hours=2))
    async with centre, agent(tmp_path / "o.db", broker, parts=lambda: parts) as (outbox, uplink):
        await outbox.put(scans(1))
        await until(lambda: AGENT in centre.states and centre.states[AGENT].off is not None)
        state = centre.states[AGENT]
        assert state.online
        assert state.boot == outbox.boot
        assert state.version == "1.2.3"
        assert state.parts == parts
        assert state.off == pytest.approx(7_200_000, abs=5_000)
        await outbox.put(scans(2))
        await until(lambda: len(centre.rows(AGENT)) == 2)
        assert all(row.off == pytest.approx(7_200_000, abs=5_000) for row in centre.rows(AGENT) if row.seq == 2)
        # the connection dies without a word
        uplink._link._client._connection._transport.abort()
        await until(lambda: not centre.states[AGENT].online)
        assert not centre.states[AGENT].online
        await until(lambda: centre.states[AGENT].online)
        assert centre.states[AGENT].online
        await uplink.say_offline()
        await until(lambda: not centre.states[AGENT].online)


async def test_no_answer_to_the_state_does_not_stop_the_agent(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A centre that acknowledges only what it receives: the agent goes on from what it knows."""
    broker = address(mosquitto)
    centre = HonestCentre(broker, SITE)
    centre._on_state = lambda *_args: None  # type: ignore[method-assign]  # the one thing that this centre leaves out
    async with agent(tmp_path / "o.db", broker) as (outbox, _), centre:
        await outbox.put(scans(*range(1, 101)))
        await until(lambda: len(centre.rows(AGENT)) == 100)
        assert codes(centre) == numbers(1, 100)


async def test_a_new_epoch_of_the_centre_resumes_without_a_new_connection(tmp_path: Path, mosquitto: Mosquitto) -> None:
    broker = address(mosquitto)
    disk = Disk()
    async with agent(tmp_path / "o.db", broker, FAST._replace(resend_s=600)) as (outbox, _):
        for n in range(1, 6):
            with contextlib.suppress(asyncio.CancelledError):
                async with HonestCentre(broker, SITE, disk) as centre:
                    await outbox.put(scans(*range(n * 1000, n * 1000 + 500)))
                    await until(lambda n=n: len(disk.rows) == n * 500)  # type: ignore[misc]
        assert len(centre.rows(AGENT)) == 2500
        assert disk.conflicts == []


async def test_nothing_is_said_after_offline(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A part that stops changes the state at the very moment: "online" came after "offline", and stayed retained."""
    broker = address(mosquitto)
    async with HonestCentre(broker, SITE) as centre, agent(tmp_path / "o.db", broker) as (outbox, uplink):
        await until(lambda: AGENT in centre.states and centre.states[AGENT].online)
        said: list[bool] = []
        link = uplink._link
        publish = link.publish

        async def noted(topic: str, payload: bytes, *, retain: bool = False) -> None:
            if topic == topics.state(SITE, AGENT):
                said.append(msgspec.json.decode(payload)["online"])
            await publish(topic, payload, retain=retain)

        link.publish = noted  # type: ignore[method-assign]  # to see the order in which they leave
        for _ in range(20):
            uplink.state_changed()
            await uplink.say_offline()
            await outbox.put(scans(1))
        assert False in said
        assert True not in said[said.index(False) :]
