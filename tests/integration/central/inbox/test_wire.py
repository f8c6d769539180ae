"""The protocol over a real Mosquitto: presence, acks, time, holes, bad input, broker and database killed."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import func, select

from central.app import Centre
from central.core.database import DatabaseBusy
from central.core.settings import Settings
from central.inbox import quarantine
from central.inbox.models import StoredFact
from contracts import topics
from contracts.envelope import encode
from contracts.facts import MachineStateChanged, StockObserved
from copeau.servers.broker import Broker
from copeau.servers.postgres import Postgres
from tests.support.centre import Collector, eventually
from tests.support.facts import Source
from tests.support.wire import Wire, settle


def centre_on(url: str, broker_port: int) -> AbstractAsyncContextManager[Centre]:
    from tests.integration.conftest import open_centre

    return open_centre(url, broker_port)


def collect(centre: Centre) -> Collector:
    """Stand in for the features, which have their own tests."""
    collector = Collector()
    centre.consumers._by_kind.clear()
    for kind in ("machine.state", "stock.observed"):
        centre.consumers.on(kind, collector)
    return collector


async def causes(centre: Centre) -> list[str]:
    async with centre.units.reading() as uow:
        return sorted(row.cause for row in await quarantine.listing(uow))


async def test_presence_acks_and_time(database_url: str, broker: Broker) -> None:
    source = Source()
    async with Wire(broker.port) as wire:
        async with centre_on(database_url, broker.port) as centre:
            collector = collect(centre)
            await wire.until_present()
            wire.state()
            await eventually(lambda: wire.upto() == 0 and wire.upto("samples") == 0 and len(wire.times()) > 0)
            assert wire.times()[0].mono == 1234
            wire.send(*[source.fact() for _ in range(50)])
            await wire.until_acked(50)
            assert len(collector.facts) == 50
        await wire.until_present(present=False)


async def test_a_hole_is_asked_for_until_it_is_filled(database_url: str, broker: Broker) -> None:
    source = Source()
    facts = [source.fact() for _ in range(5)]
    async with Wire(broker.port) as wire, centre_on(database_url, broker.port) as centre:
        collector = collect(centre)
        await wire.until_present()
        wire.send(facts[0], facts[4])
        await eventually(lambda: len(wire.resends()) >= 2, timeout_s=60)
        assert {(r.first, r.last) for r in wire.resends()} == {(2, 4)}
        assert wire.upto() == 1
        wire.send(*facts[1:4])
        await wire.until_acked(5)
        assert sorted(f.seq for f in collector.facts) == [1, 2, 3, 4, 5]


async def test_every_named_bad_input_goes_to_quarantine_and_disturbs_nothing(database_url: str, broker: Broker) -> None:
    source, other = Source(), Source(site="ailleurs")
    unknown = source.fact(kind="coffee.brewed", raw=b"{}")
    wrong = source.fact(kind="machine.state", raw=b'{"machine":1}')
    thousand = [
        source.fact(MachineStateChanged(machine="m", state="running", detail="boom" if n == 500 else ""))
        for n in range(1000)
    ]
    async with Wire(broker.port) as wire, centre_on(database_url, broker.port) as centre:
        collector = collect(centre)
        await wire.until_present()
        wire.send(unknown, wrong)
        wire.send_raw(b"x" * 1_000_000)
        wire.send_raw(b"\xff\xfe\xfd")
        wire.send_raw(encode(other.fact()))
        wire.send_raw(b"[" * 200_000)
        wire.send_raw(encode(source.fact(seq=1)), topic=topics.facts("atelier", "rack-2"))
        for start in range(0, 1000, 100):
            wire.send(*thousand[start : start + 100])
        await wire.until_acked(1002)
        await eventually(lambda: len(collector.facts) == 999)
        assert await causes(centre) == [
            "body",
            "consumer",
            "illegible",
            "illegible",
            "illegible",
            "kind",
            *["stranger"] * 2,
        ]


async def test_the_centre_starts_without_a_broker_and_joins_it_later(sqlite_url: str, broker: Broker) -> None:
    source = Source()
    broker.stop()
    async with centre_on(sqlite_url, broker.port) as centre:
        collect(centre)
        await eventually(lambda: centre.link.problem != "")
        broker.start()
        async with Wire(broker.port) as wire:
            await wire.until_present()
            wire.send(source.fact())
            await wire.until_acked(1)


async def test_the_broker_killed_in_mid_stream_costs_nothing(database_url: str, broker: Broker) -> None:
    source = Source()
    facts = [source.fact() for _ in range(300)]
    async with Wire(broker.port) as wire, centre_on(database_url, broker.port) as centre:
        collector = collect(centre)
        await wire.until_present()
        wire.send(*facts[:100])
        await wire.until_acked(100)
        broker.kill()
        await eventually(lambda: not centre.link.up)
        broker.start()
        wire.heard.clear()
        await wire.until_present()
        wire.state()
        await wire.until_acked(100)
        wire.send(*facts[100:])
        await wire.until_acked(300)
        assert [f.seq for f in collector.facts] == list(range(1, 301))


async def test_the_database_killed_in_mid_stream_is_waited_for(
    postgres: Postgres, postgres_url: str, broker: Broker
) -> None:
    source = Source()
    facts = [source.fact() for _ in range(200)]
    async with Wire(broker.port) as wire, centre_on(postgres_url, broker.port) as centre:
        collector = collect(centre)
        await wire.until_present()
        wire.send(*facts[:100])
        await wire.until_acked(100)
        epoch = wire.presences()[-1].epoch
        postgres.kill()
        try:
            wire.send(*facts[100:])
            await wire.until_present(present=False)
            await settle()
            assert wire.upto() == 100
        finally:
            postgres.restart()
        await wire.until_present()
        assert wire.presences()[-1].epoch != epoch
        wire.state(acked=100)
        wire.send(*facts[100:])
        await wire.until_acked(200)
        assert {f.seq for f in collector.facts} == set(range(1, 201))
        async with centre.units.reading() as uow:
            assert await uow.session.scalar(select(func.count()).select_from(StoredFact)) == 200
        with pytest.raises(DatabaseBusy):
            await Centre(Settings(_env_file=None, database_url=postgres_url, broker_port=broker.port)).open()


async def test_outgoing_messages_wait_for_the_broker(sqlite_url: str, broker: Broker) -> None:
    async with centre_on(sqlite_url, broker.port) as centre:
        await eventually(lambda: centre.link.up)
        broker.kill()
        await eventually(lambda: not centre.link.up)
        async with centre.units.begin() as uow:
            uow.publish(topics.command("atelier", "rack-1", "restart"), b'{"id":"1"}', retain=True)
        broker.start()
        async with Wire(broker.port) as wire:
            await eventually(lambda: (topics.command("atelier", "rack-1", "restart"), b'{"id":"1"}') in wire.heard)


async def test_silence_and_last_will_are_seen(sqlite_url: str, broker: Broker) -> None:
    from central.fleet import service as fleet

    async with Wire(broker.port) as wire, centre_on(sqlite_url, broker.port) as centre:

        async def shown(online: bool) -> bool:
            async with centre.units.reading() as uow:
                return [agent.online for agent in await fleet.agents(uow)] == [online]

        await wire.until_present()
        wire.state()
        await eventually(lambda: shown(True))
        wire.state(online=False)
        await eventually(lambda: shown(False))


async def test_one_stock_fact_passes_through_all_features(database_url: str, broker: Broker) -> None:
    source = Source()
    async with Wire(broker.port) as wire, centre_on(database_url, broker.port) as centre:
        await wire.until_present()
        wire.send(
            source.fact(StockObserved(source="camera", item="CNMG-120408", qty=-1000, place="rack-1/A1")),
            source.fact(MachineStateChanged(machine="tour-1", state="running")),
        )
        await wire.until_acked(2)
        assert await causes(centre) == []
