"""Verdicts of the collision guard: kept with their curve, alerting, answered by a person."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.audit import service as audit
from central.core.uow import Outgoing
from central.machines import guard
from central.machines import service as machines
from contracts.control import RearmGuard
from contracts.facts import AgentAnswered, GuardRearmed, GuardTripped, MachineStateChanged, SourceStatus
from tests.integration.central.work.harness import Shop, at, open_shop


def tripped(minutes: float, level: Any = "hold", outcome: Any = "held", **more: Any) -> GuardTripped:
    told: dict[str, Any] = {
        "machine": "tour-1",
        "level": level,
        "signal": "spindle_load",
        "unit": "%",
        "value": 187.0,
        "limit": 140.0,
        "why": "au-dessus de l'enveloppe apprise.",
        "outcome": outcome,
        "sample_age_ms": 12.0,
        "latency_ms": 1.5,
        "stop_ms": 85.0,
        "feed": 600.0,
        "travel_mm": 0.985,
        "t0": at(minutes) - timedelta(seconds=2),
        "dt": [0, 1000, 2000, 2100],
        "v": [40.0, 42.0, 187.0, 10.0],
        "low": [None, None, 0.0, 0.0],
        "high": [None, 140.0, 140.0, 140.0],
    }
    return GuardTripped(**(told | more))


async def alerts_of(shop: Shop) -> list[tuple[str, str, int]]:
    return [(a.title, a.level, a.repeats) for a in await shop.open_alerts()]


async def test_a_trip_is_kept_with_its_curve_on_the_centres_clock(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        shop.clock.moment = at(12)
        slow = timedelta(minutes=3)
        await shop.say(shop.fact(10, tripped(7), source_time=at(7)))
        async with shop.units.reading() as uow:
            [trip] = await guard.trips(uow, "tour-1")
            found = await guard.trip_curve(uow, "tour-1", trip.id)
            assert await guard.trip_curve(uow, "tour-2", trip.id) is None
        assert found is not None
        assert found.t0 == at(7) - timedelta(seconds=2) + slow
        assert found.curve.high == [None, 140.0, 140.0, 140.0]
        assert trip.sentence == "Arrêt d'avance : charge broche à 187\u00a0% pour une limite de 140\u00a0%"
        assert found.commanded_at == at(10) + timedelta(milliseconds=1.5)
        assert found.stopped_at == at(10) + timedelta(milliseconds=86.5)


async def test_a_hold_is_critical_until_it_is_rearmed(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        shop.clock.moment = at(12)
        async with shop.units.begin() as uow:
            await machines.add_machine(uow, "tour-1", "Tour 1")
        await shop.say(shop.fact(9, tripped(9, "watch", "none")), shop.fact(10, tripped(10)))
        assert await alerts_of(shop) == [("Tour 1 : risque de collision", "critical", 1)]
        async with shop.units.reading() as uow:
            assert (await guard.state(uow, "tour-1")).awaits_rearming
        await shop.say(shop.fact(11, GuardRearmed(machine="tour-1", person="p-1")))
        assert await alerts_of(shop) == []
        async with shop.units.reading() as uow:
            state = await guard.state(uow, "tour-1")
        assert (state.awaits_rearming, state.last_rearmed, state.trips) == (False, at(11), 2)


async def test_lesser_verdicts_fall_silent_by_themselves(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, tripped(0, "watch", "none")), shop.fact(0, tripped(0, "hold", "shadow")))
        assert await alerts_of(shop) == [("tour-1 : risque de collision (mode ombre)", "high", 1)]
        shop.clock.moment = at(12 * 60 + 1)
        async with shop.units.begin() as uow:
            await guard.judge_standing(uow)
        assert await alerts_of(shop) == []


async def test_rearming_is_a_persons_act_and_its_answer_is_shown(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, MachineStateChanged(machine="tour-1", state="stopped"), agent="machine-1"))
        await shop.say(shop.fact(0, tripped(0), agent="machine-1"))
        async with shop.units.begin() as uow:
            command = await guard.rearm(uow, "tour-1", by="p-1")
        async with shop.units.reading() as uow:
            [entry] = await audit.entries(uow, subject="machine:tour-1")
            columns = select(Outgoing.topic, Outgoing.payload)
            [sent] = (await uow.session.execute(columns.where(Outgoing.topic.like("%/cmd/guard-rearm")))).all()
            state = await guard.state(uow, "tour-1")
        assert (entry.who, entry.what, entry.detail["agent"]) == ("p-1", "machines.guard_rearm", "machine-1")
        assert sent.topic == "copeau/v1/atelier/machine-1/cmd/guard-rearm"
        asked = msgspec.json.decode(sent.payload, type=RearmGuard)
        assert (asked.id, asked.machine, asked.person) == (command, "tour-1", "p-1")
        assert state.awaits_rearming, "asking is not arming"
        assert state.command is not None
        assert (state.command.done, state.command.said) == (None, "Envoyé, la réponse arrive.")
        answer = AgentAnswered(command="guard-rearm", id=command, done=False, detail="La broche tourne encore.")
        await shop.say(shop.fact(1, answer, agent="machine-1"))
        async with shop.units.reading() as uow:
            state = await guard.state(uow, "tour-1")
        assert state.command is not None
        assert (state.command.done, state.command.said) == (False, "La broche tourne encore.")


async def test_a_command_without_an_answer_is_said_so(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, tripped(0)))
        await shop.say(shop.fact(0, MachineStateChanged(machine="tour-1", state="stopped")))
        async with shop.units.begin() as uow:
            await guard.rearm(uow, "tour-1", by="p-1")
        shop.clock.moment = at(2)
        async with shop.units.reading() as uow:
            command = (await guard.state(uow, "tour-1")).command
        assert command is not None
        assert (command.done, command.said) == (False, "Aucune réponse de l'agent : rien n'est sûr.")


async def test_nobody_to_send_to_is_said_in_french(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        await machines.add_machine(uow, "tour-1")
        with pytest.raises(guard.NobodyThereError, match="Aucun agent"):
            await guard.rearm(uow, "tour-1", by="p-1")
        with pytest.raises(LookupError, match="inconnue"):
            await guard.rearm(uow, "tour-9", by="p-1")


async def test_a_blind_guard_leaves_the_machine_heard(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, MachineStateChanged(machine="tour-1", state="running")))
        blind = SourceStatus(source="tour-1-garde", status="lost", code="stale", machine="tour-1")
        await shop.say(shop.fact(0.1, blind))
        async with shop.units.reading() as uow:
            tile = await machines.tile(uow, "tour-1")
        assert tile is not None
        assert tile.state == "running"


async def test_what_the_guard_calls_does_not_depend_on_the_order(sqlite_url: str) -> None:
    seen = set()
    for seed in range(4):
        async with open_shop(sqlite_url.replace("copeau.db", f"{seed}.db")) as shop:
            shop.clock.moment = at(30)
            facts = [
                shop.fact(1, tripped(1)),
                shop.fact(5, GuardRearmed(machine="tour-1")),
                shop.fact(8, tripped(8, "alert", "none")),
                shop.fact(9, tripped(9, "hold", "deferred")),
                shop.fact(28, tripped(28, "watch", "none")),
            ]
            random.Random(seed).shuffle(facts)
            for fact in facts:
                await shop.say(fact)
            [alert] = await shop.open_alerts()
            seen.add((alert.level, alert.title, alert.detail, alert.raised_at, alert.last_at, alert.repeats))
    assert len(seen) == 1
