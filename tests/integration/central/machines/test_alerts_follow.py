"""Facts of machines → the alerts that stand, on both databases and in any order of arrival."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.alerts.service import AlertView, history
from central.audit import service as audit
from central.core.facts import Fact
from central.machines import drifting, passing, sweeps, watching
from central.machines import service as machines
from central.machines import settings as machine_settings
from central.machines.programmes import set_programme
from central.machines.rules import watch
from central.machines.rules.programmes import Programme
from central.machines.rules.watch import Limit, Setting
from contracts.facts import CycleEnded, MachineAlarm, MachineSamples, MachineStateChanged, SourceStatus
from tests.integration.central.work.harness import Shop, at, open_shop

HOT = Limit("tour-1", "temperature", "high", 70, 80, 5)


def state(name: Any, **rest: Any) -> MachineStateChanged:
    return MachineStateChanged(machine="tour-1", state=name, programme="O1184", **rest)


def values(first: float, *found: float, signal: str = "temperature", unit: str = "celsius") -> MachineSamples:
    dt = [n * 1000 for n in range(len(found))]
    return MachineSamples(machine="tour-1", signal=signal, unit=unit, t0=at(first), dt=dt, v=list(found))


def cycle(began: float, ended: float, programme: str = "O1184", *, completed: bool = True) -> tuple[float, CycleEnded]:
    return ended, CycleEnded(machine="tour-1", programme=programme, began=at(began), completed=completed)


async def sweep(shop: Shop, minutes: float) -> None:
    """Time passes, the machine being heard all along."""
    shop.clock.moment = at(minutes)
    async with shop.units.begin() as uow:
        await machines.agent_heard(uow, "agent-1", at(minutes))
    async with shop.units.begin() as uow:
        await sweeps.watch_machines(uow)


async def titles(shop: Shop) -> list[str]:
    return [alert.title for alert in await shop.open_alerts()]


async def declare(shop: Shop) -> None:
    async with shop.units.begin() as uow:
        await machines.add_machine(uow, "tour-1", "Tour 1", kind="Tour CN")


async def test_a_stop_that_lasts_is_raised_once_and_ends_with_it(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        await shop.say(shop.fact(0, state("running")), shop.fact(10, state("stopped", detail="Porte ouverte.")))
        await sweep(shop, 10.5)
        assert await titles(shop) == []
        for minutes in (11.5, 12, 13):
            await sweep(shop, minutes)
        [alert] = await shop.open_alerts()
        assert (alert.title, alert.level, alert.raised_at, alert.repeats) == (
            "Tour 1 : arrêt inattendu",
            "high",
            at(10),
            0,
        )
        assert alert.detail == "Le programme O1184 s'est arrêté sans finir son cycle. Porte ouverte."
        await shop.say(shop.fact(14, state("running")))
        assert await titles(shop) == []
        async with shop.units.reading() as uow:
            assert [a.raised_at for a in await history(uow)] == [at(10)]


async def test_a_stop_that_is_long_over_raises_nothing_but_is_in_the_history(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        await shop.say(shop.fact(60, state("running")))
        shop.clock.moment = at(61)
        await shop.say(shop.fact(10, state("stopped")), shop.fact(0, state("running")))
        await sweep(shop, 62)
        assert await titles(shop) == []
        async with shop.units.reading() as uow:
            found = await machines.timeline(uow, "tour-1", at(0), at(62))
            [stop] = await machines.unexpected_stops(uow, "tour-1", at(0), at(62))
        assert [i.state for i in found.intervals] == ["running", "stopped", "running"]
        assert (stop.begin, stop.end) == (at(10), at(60))


async def test_the_end_of_a_cycle_is_no_stop(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, state("running")), shop.fact(10, state("stopped")))
        await shop.say(shop.fact(*cycle(0, 10)))
        await sweep(shop, 20)
        assert await titles(shop) == []


async def test_planned_maintenance_and_a_rule_that_is_off_keep_quiet(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        await shop.say(shop.fact(0, state("running")), shop.fact(10, state("alarm")))
        async with shop.units.begin() as uow:
            await machines.add_maintenance(uow, "tour-1", at(5), at(30), "Graissage")
        await sweep(shop, 20)
        assert await titles(shop) == []
        await sweep(shop, 31)
        assert await titles(shop) == ["Tour 1 : arrêtée en alarme"]
        async with shop.units.begin() as uow:
            off = Setting("unexpected_stop", False, "high", 60)
            await machine_settings.set_rule(uow, "tour-1", off, by="p-1")
        await sweep(shop, 32)
        assert await titles(shop) == []
        async with shop.units.reading() as uow:
            [entry] = await audit.entries(uow, subject="machine:tour-1")
        assert (entry.who, entry.detail["before"]["active"], entry.detail["after"]["active"]) == ("p-1", True, False)


async def test_a_tool_that_stands_still_while_the_machine_says_it_produces(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        await shop.say(shop.fact(0, state("running")))
        await shop.say(shop.fact(4, values(4, *[200.0] * 30, 0.0, 0.0, signal="feed", unit="mm/min")))
        await shop.say(shop.fact(8, values(8, 12.0, signal="spindle_load", unit="%")))
        await sweep(shop, 9)
        [alert] = await shop.open_alerts()
        assert (alert.title, alert.level) == ("Tour 1 : outil immobile", "medium")
        assert alert.raised_at == at(4) + timedelta(seconds=30)
        await shop.say(shop.fact(10, values(10, 150.0, signal="feed", unit="mm/min")))
        await sweep(shop, 10.1)
        assert await titles(shop) == []


async def test_samples_that_lag_behind_prove_nothing(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(4, values(4, 0.0, signal="feed", unit="mm/min")), shop.fact(3, state("running")))
        await sweep(shop, 30)
        assert await titles(shop) == []


@pytest.mark.parametrize(("minutes", "how"), [(12, "plus long"), (7, "plus court")])
async def test_cycles_that_drift_either_way(database_url: str, minutes: int, how: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        shop.clock.moment = at(200)
        reference = [shop.fact(*cycle(10 * n, 10 * n + 9)) for n in range(5)]
        later = [shop.fact(*cycle(60 + 15 * n, 60 + 15 * n + minutes)) for n in range(5)]
        await shop.say(*reference, *later[:4])
        assert await titles(shop) == []
        await shop.say(later[4])
        [alert] = await shop.open_alerts()
        assert alert.title.startswith(f"Tour 1 : cycle {how} de")
        assert "5 premiers bons cycles" in alert.detail
        async with shop.units.begin() as uow:
            await set_programme(uow, Programme("tour-1", "O1184", True, None, cycle_s=minutes * 60), by="p-1")
        await sweep(shop, 201)
        assert await titles(shop) == [], "the declared time is the reference now"


async def test_warm_up_does_not_drift(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        async with shop.units.begin() as uow:
            await set_programme(uow, Programme("", "CHAUFFE*", False, None), by="p-1")
        shop.clock.moment = at(200)
        lengths = [3] * 5 + [9] * 5
        await shop.say(
            *(shop.fact(*cycle(10 * n, 10 * n + long, "chauffe-2")) for n, long in enumerate(lengths)),
        )
        assert await titles(shop) == []


async def test_a_limit_warns_alerts_and_is_over_after_its_hysteresis(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        async with shop.units.begin() as uow:
            await machine_settings.set_limit(uow, HOT, by="p-1")
        seen = []
        for n, value in enumerate([60.0, 71.0, 82.0, 77.0, 74.0, 66.0, 64.0]):
            shop.clock.moment = at(n)
            await shop.say(shop.fact(n, values(n, value)))
            seen.append([(a.level, a.raised_at) for a in await shop.open_alerts()])
        assert seen == [
            [],
            [("medium", at(1))],
            [("high", at(2))],
            [("high", at(2))],
            [("medium", at(1))],
            [("medium", at(1))],
            [],
        ]


async def test_a_limit_set_after_the_fact_sees_what_is_there_and_ends_when_forgotten(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        shop.clock.moment = at(5)
        await shop.say(shop.fact(1, values(1, 90.0)))
        async with shop.units.begin() as uow:
            await machine_settings.set_limit(uow, HOT, by="p-1")
            await passing.judge(uow, HOT)
        assert await titles(shop) == ["Tour 1 : température au-dessus de la limite (80\u00a0°C)"]
        async with shop.units.begin() as uow:
            higher = HOT._replace(limit=95, warning=None)
            await machine_settings.set_limit(uow, higher, by="p-1")
            await passing.judge(uow, higher)
        assert await titles(shop) == []
        async with shop.units.begin() as uow:
            await machine_settings.forget_limit(uow, "tour-1", "temperature", "high", by="p-1")
        assert await titles(shop) == []
        async with shop.units.reading() as uow:
            forgotten, changed, first = await audit.entries(uow, subject="machine:tour-1")
        assert [e.what for e in (forgotten, changed, first)] == ["machines.limit_forgotten", *["machines.limit"] * 2]
        assert (first.detail["before"], first.detail["after"]["limit"]) == (None, 80)
        assert (changed.detail["before"]["limit"], changed.detail["after"]["limit"]) == (80, 95)
        assert forgotten.detail["before"]["limit"] == 95


async def test_a_value_of_another_day_says_nothing_about_now(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        async with shop.units.begin() as uow:
            await machines.add_machine(uow, "tour-1", "Tour 1")
            await machine_settings.set_limit(uow, HOT, by="p-1")
        await shop.say(shop.fact(0, values(0, 90.0)))
        assert len(await titles(shop)) == 1
        await sweep(shop, 90)
        assert await titles(shop) == []


async def test_a_machine_that_says_nothing_when_somebody_should_be_there(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        await shop.say(shop.fact(0, state("ready")))
        shop.clock.moment = at(6)
        async with shop.units.begin() as uow:
            await sweeps.watch_machines(uow)
        assert await titles(shop) == ["Tour 1 : sans nouvelles depuis plus de 5\u00a0min"]
        await sweep(shop, 7)
        assert await titles(shop) == []
        shop.clock.moment = at(14 * 60)  # 22:00 in Paris: nobody works there, and nothing ran
        async with shop.units.begin() as uow:
            await sweeps.watch_machines(uow)
        assert await titles(shop) == []


async def test_a_machine_switched_off_is_not_silent(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        await shop.say(shop.fact(0, state("off")), shop.fact(1, state("silent")))
        lost = SourceStatus(source="tour-1", status="lost", code="timeout", machine="tour-1", message="Injoignable.")
        await shop.say(shop.fact(1, lost))
        shop.clock.moment = at(30)
        async with shop.units.begin() as uow:
            await sweeps.watch_machines(uow)
        assert await titles(shop) == []


SCRIPT = st.lists(
    st.one_of(
        st.tuples(
            st.just("state"), st.integers(0, 60), st.sampled_from(["ready", "running", "stopped", "alarm", "off"])
        ),
        st.tuples(st.just("alarm"), st.integers(0, 60), st.booleans()),
        st.tuples(st.just("temperature"), st.integers(0, 60), st.sampled_from([60.0, 68.0, 72.0, 77.0, 85.0])),
        st.tuples(st.just("feed"), st.integers(0, 60), st.sampled_from([0.0, 0.0, 300.0])),
        st.tuples(st.just("cycle"), st.integers(0, 60), st.sampled_from([2, 3, 5])),
    ),
    min_size=2,
    max_size=30,
)


def facts_of(shop: Shop, script: list[tuple[str, int, Any]]) -> list[Fact[Any]]:
    found = []
    for n, (kind, minutes, what) in enumerate(script):
        moment = minutes + n / 100  # one source never says two things at one time
        body: Any
        match kind:
            case "state":
                body = state(what)
            case "alarm":
                body = MachineAlarm(machine="tour-1", code="2041", text="Lubrification", active=what)
            case "cycle":
                body = CycleEnded(machine="tour-1", programme="O1184", began=at(moment - what))
            case signal:
                body = values(moment, what, signal=signal)
        found.append(shop.fact(moment, body))
    return found


def told(alert: AlertView) -> tuple[str, str, str, str, datetime]:
    return alert.key, alert.level, alert.title, alert.detail, alert.raised_at


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=SCRIPT, seed=st.integers(0, 10**6))
async def test_what_stands_does_not_depend_on_the_order_of_arrival(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, int, Any]], seed: int
) -> None:
    seen = []
    for shuffled in (False, True):
        folder = tmp_path_factory.mktemp("order")
        async with open_shop(f"sqlite:///{folder / 'copeau.db'}") as shop:
            async with shop.units.begin() as uow:
                await machines.add_machine(uow, "tour-1", "Tour 1")
                await machine_settings.set_limit(uow, HOT, by="p-1")
                await machine_settings.set_rule(uow, "tour-1", Setting("cycle_drift", True, "medium", 0.1), by="p-1")
            facts = facts_of(shop, script)
            rng = random.Random(seed)
            if shuffled:
                rng.shuffle(facts)
            else:
                facts.sort(key=lambda fact: fact.at)
            shop.clock.moment = at(62)
            while facts:
                size = rng.randint(1, 5)
                batch, facts = facts[:size], facts[size:]
                await shop.say(*batch)
                if shuffled and rng.random() < 0.3:
                    await sweep(shop, 62)
            await sweep(shop, 62)
            seen.append(sorted(told(alert) for alert in await shop.open_alerts()))
    assert seen[0] == seen[1]


async def test_cycles_that_lost_contact_are_no_cycle_times(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await declare(shop)
        ended = 0.0
        for minutes in [3.0] * 10:
            ended += minutes
            shop.clock.moment = at(ended)
            await shop.say(shop.fact(*cycle(ended - minutes, ended)))
        for _ in range(watch.RECENT_CYCLES + 1):
            ended += 30
            shop.clock.moment = at(ended)
            lost = CycleEnded(machine="tour-1", programme="O1184", began=at(ended - 30), uncertain=True)
            await shop.say(shop.fact(ended, lost))
        async with shop.units.begin() as uow:
            await watching.judge_again(uow)
        assert await titles(shop) == []
        async with shop.units.reading() as uow:
            assert [c.uncertain for c in await machines.last_cycles(uow, "tour-1", 7)] == [True] * 6 + [False]
            assert await drifting.references(uow, "tour-1", {"O1184"}) == {"O1184": 180.0}
        # the same, not known to be uncertain, drifts: the rule looked at all
        for _ in range(watch.RECENT_CYCLES):
            ended += 30
            shop.clock.moment = at(ended)
            await shop.say(shop.fact(*cycle(ended - 30, ended)))
        [title] = await titles(shop)
        assert title.startswith("Tour 1 : cycle plus long")
