from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from central.core.uow import Outgoing
from central.machines import service as machines
from central.machines import sweeps
from central.machines.service import Tile
from contracts.facts import CycleEnded, MachineAlarm, MachineSamples, MachineStateChanged, PartsCounted, SourceStatus
from tests.integration.central.work.harness import Shop, at, open_shop


def state(name: Any, machine: str = "tour-1", **rest: Any) -> MachineStateChanged:
    return MachineStateChanged(machine=machine, state=name, **rest)


def load(first: float, *values: float, step_ms: int = 1000, machine: str = "tour-1") -> MachineSamples:
    dt = [n * step_ms for n in range(len(values))]
    return MachineSamples(machine=machine, signal="spindle_load", unit="%", t0=at(first), dt=dt, v=list(values))


async def tile(shop: Shop, code: str = "tour-1") -> Tile:
    async with shop.units.reading() as uow:
        found = await machines.tile(uow, code)
    assert found is not None
    return found


async def states(shop: Shop, begin: float, end: float) -> list[tuple[float, float, str]]:
    async with shop.units.reading() as uow:
        found = await machines.timeline(uow, "tour-1", at(begin), at(end))
    return [
        ((i.begin - at(0)).total_seconds() / 60, ((i.end or at(end)) - at(0)).total_seconds() / 60, i.state)
        for i in found.intervals
    ]


async def test_a_tile_shows_the_newest_state_in_event_time(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        shop.clock.moment = at(30)
        await shop.say(shop.fact(20, state("stopped", programme="O1001", tool="T4")))
        await shop.say(shop.fact(10, state("running")), shop.fact(0, state("ready")))
        found = await tile(shop)
        assert (found.state, found.since, found.programme, found.tool) == ("stopped", at(20), "O1001", "T4")
        assert (found.state_label, found.declared, found.label) == ("Arrêt", False, "tour-1")
        assert await states(shop, 0, 30) == [(0, 10, "ready"), (10, 20, "running"), (20, 30, "stopped")]


async def test_a_late_event_moves_the_beginning_of_the_present_state(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        shop.clock.moment = at(30)
        await shop.say(shop.fact(0, state("running")), shop.fact(20, state("running", repeated=True)))
        assert (await tile(shop)).since == at(0)
        await shop.say(shop.fact(10, state("alarm")))
        found = await tile(shop)
        assert (found.state, found.since) == ("running", at(20))
        assert await states(shop, 0, 30) == [(0, 10, "running"), (10, 20, "alarm"), (20, 30, "running")]
        await shop.say(shop.fact(-5, state("alarm")), shop.fact(15, state("running")))
        assert (await tile(shop)).since == at(15)


async def test_any_arrival_order_gives_the_same_tile_and_timeline(sqlite_url: str) -> None:
    script = [(n * 3, ["ready", "running", "running", "stopped", "alarm"][n * 7 % 5]) for n in range(12)]
    seen = set()
    for seed in range(5):
        async with open_shop(sqlite_url.replace("copeau.db", f"{seed}.db")) as shop:
            shop.clock.moment = at(40)
            facts = [shop.fact(minutes, state(name)) for minutes, name in script]
            random.Random(seed).shuffle(facts)
            while facts:
                batch, facts = facts[:3], facts[3:]
                await shop.say(*batch)
                await shop.say(batch[0])
            found = await tile(shop)
            seen.add((found.state, found.since, tuple(await states(shop, 0, 40))))
    assert len(seen) == 1


async def test_nothing_heard_is_sans_nouvelles_until_the_machine_speaks(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, state("running")))
        assert (await tile(shop)).state == "running"
        shop.clock.moment = at(4)
        async with shop.units.begin() as uow:
            await sweeps.stale_machines(uow)
        found = await tile(shop)
        assert (found.state, found.state_label, found.last_state) == ("silent", "Sans nouvelles", "running")
        assert found.heard_at == at(0)
        assert await states(shop, -1, 10) == [(0, 4, "silent")]
        await shop.say(shop.fact(4, state("running", repeated=True)))
        found = await tile(shop)
        assert (found.state, found.since) == ("running", at(0))
        assert await states(shop, 0, 4) == [(0, 4, "running")]


async def test_the_agent_speaks_for_its_quiet_machines(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, state("ready"), agent="pi-1"))
        async with shop.units.begin() as uow:
            await machines.agent_lost(uow, "pi-1", at(0.1))
        assert (await tile(shop)).silent
        shop.clock.moment = at(60)
        async with shop.units.begin() as uow:
            await machines.agent_heard(uow, "pi-1", at(60))
        assert (await tile(shop)).state == "ready"


async def test_a_lost_controller_says_why(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, state("running")))
        lost = SourceStatus(
            source="tour-1", status="lost", message="Serveur OPC UA injoignable : vérifier le câble.", machine="tour-1"
        )
        back = SourceStatus(source="tour-1", status="ok", machine="tour-1")
        await shop.say(shop.fact(2, back))
        await shop.say(shop.fact(1, lost))
        assert not (await tile(shop)).silent, "the loss arrived after the return"
        await shop.say(shop.fact(3, lost))
        found = await tile(shop)
        assert (found.silent, found.source_message) == (True, lost.message)


async def test_an_alarm_is_an_alert_while_it_lasts(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        async with shop.units.begin() as uow:
            await machines.add_machine(uow, "tour-1", "Tour 1")

        def alarm(*, active: bool) -> MachineAlarm:
            return MachineAlarm(machine="tour-1", code="E204", text="Lubrification", active=active)

        await shop.say(shop.fact(5, alarm(active=True)))
        [alert] = await shop.open_alerts()
        assert (alert.title, alert.level, alert.subject) == ("Tour 1 : alarme E204", "high", "machine:tour-1")
        assert [a.code for a in (await tile(shop)).alarms] == ["E204"]
        await shop.say(shop.fact(9, alarm(active=False)))
        assert await shop.open_alerts() == []
        assert (await tile(shop)).alarms == ()
        await shop.say(shop.fact(7, alarm(active=True)))
        assert await shop.open_alerts() == [], "it arrived late: the alarm is over"


@pytest.mark.parametrize("shuffled", [False, True])
async def test_samples_become_blocks_and_rollups_once(database_url: str, shuffled: bool) -> None:
    async with open_shop(database_url) as shop:
        shop.clock.moment = at(70)
        facts = [shop.fact(n / 2, load(n / 2, *[float(n + k) for k in range(30)])) for n in range(130)]
        if shuffled:
            random.Random(1).shuffle(facts)
        for begin in range(0, len(facts), 50):
            await shop.say(*facts[begin : begin + 50])
        await shop.say(*facts[:60])
        async with shop.units.reading() as uow:
            raw = await machines.samples(uow, "tour-1", "spindle_load", at(0), at(1), points=60)
            hour = await machines.samples(uow, "tour-1", "spindle_load", at(0), at(60), points=1)
            minutes = await machines.samples(uow, "tour-1", "spindle_load", at(-120), at(60), points=180)
            hours = await machines.samples(uow, "tour-1", "spindle_load", at(-6000), at(60), points=101)
        assert (raw.source, raw.unit, len(raw.points)) == ("raw", "%", 60)
        assert [p.mean for p in raw.points[28:32]] == [28, 29, 1, 2]
        expected = [float(n + k) for n in range(120) for k in range(30)]
        [one] = hour.points
        assert (one.low, one.high) == (min(expected), max(expected))
        assert one.mean == pytest.approx(sum(expected) / len(expected))
        assert minutes.source == "minute"
        assert [(p.low, p.high) for p in minutes.points[:2]] == [(0, 30), (2, 32)]
        assert len(minutes.points) == 60
        assert hours.source == "hour"
        assert hours.points[-1].mean == pytest.approx(one.mean), "the hour is not counted twice"
        assert [(s.signal, s.value) for s in (await tile(shop)).signals] == [("spindle_load", 158)]


async def test_times_of_samples_are_corrected_with_the_clock_of_their_source(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        shop.clock.moment = at(1)
        wrong = shop.fact(0, load(120, 7.0), source_time=at(120))
        await shop.say(wrong)
        [signal] = (await tile(shop)).signals
        assert signal.at == at(0)


async def test_cycles_and_counts(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        shop.clock.moment = at(10)
        await shop.say(
            shop.fact(4, CycleEnded(machine="tour-1", began=at(0), programme="O1")),
            shop.fact(4, PartsCounted(machine="tour-1", first=10, last=12, delta=2)),
            shop.fact(-24 * 60, PartsCounted(machine="tour-1", first=9, last=10, delta=1)),
        )
        assert (await tile(shop)).cycles_today == 2


async def test_a_state_leaves_as_a_retained_message(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, state("running")), shop.fact(0, state("off", "TOUR/2")))
        async with shop.units.reading() as uow:
            rows = (await uow.session.scalars(select(Outgoing).where(Outgoing.channel == "mqtt"))).all()
            assert [(r.topic, r.retain) for r in rows] == [("copeau/v1/atelier/@state/machines/tour-1", True)]


async def test_capacity_less_maintenance_and_holidays(database_url: str) -> None:
    monday = date(2026, 5, 4)
    week = [monday + timedelta(days=n) for n in range(7)]
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        await machines.add_machine(uow, "tour-1", "Tour 1")
        await machines.add_machine(uow, "scie", "Scie", weekly=[[["22:00", "06:00"]]] * 7)
        await machines.add_maintenance(uow, "tour-1", at(0), at(60), "vidange")
        await machines.add_exception(uow, week[4], [], reason="pont")
        await machines.add_exception(uow, week[4], [["08:00", "09:00"]], machine="scie")
        found = await machines.capacities(uow, ["tour-1", "scie", "inconnue"], week)
    assert list(found["tour-1"].values()) == [420, 480, 480, 480, 0, 0, 0]
    assert list(found["scie"].values()) == [480, 480, 480, 480, 60, 480, 480]
    assert set(found["inconnue"].values()) == {0.0}
