from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from central.items import service as items
from central.machines import service as machines
from central.stock import service as stock
from central.work import service as work
from central.work import sweeps
from contracts.facts import PartsCounted, WorkClocked
from tests.integration.central.work.harness import Shop, at, open_shop

MONDAY = date(2026, 5, 4)


def clocked(action: Any, operation: str, person: str = "p-1", **rest: Any) -> WorkClocked:
    return WorkClocked(action=action, operation=operation, person=person, post="poste-1", **rest)


def counted(delta: int = 1, programme: str | None = None) -> PartsCounted:
    return PartsCounted(machine="tour-1", first=0, last=delta, delta=delta, programme=programme)


async def described(shop: Shop) -> None:
    async with shop.units.begin() as uow:
        await machines.add_machine(uow, "tour-1", "Tour 1", kind="tour")
        await work.add_order(uow, "OF118", quantity=50)
        await work.add_operation(
            uow, "OF118", 10, "Tournage", machine="tour-1", setup_min=30, run_min=4, parts_per_cycle=2
        )


async def made(shop: Shop, code: str = "OF118-10") -> int:
    async with shop.units.reading() as uow:
        found = await work.operation(uow, code)
    assert found is not None
    return found.operation.counted


async def test_counts_go_to_the_operation_that_was_running(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        shop.clock.moment = at(60)
        await shop.say(shop.fact(0, clocked("start", "OF118-10")), shop.fact(50, clocked("end", "OF118-10")))
        await shop.say(shop.fact(10, counted()), shop.fact(20, counted()), shop.fact(55, counted()))
        assert await made(shop) == 4, "two parts a cycle"
        async with shop.units.begin() as uow:
            [waiting] = await work.unassigned_parts(uow)
            assert (waiting.at, waiting.parts, waiting.why) == (at(55), 1, "aucune opération en cours")
            await work.assign_parts(uow, waiting.fact_id, "OF118-10", "p-9")
        assert await made(shop) == 6


async def test_counts_that_came_before_the_clocking_are_given_when_it_arrives(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        shop.clock.moment = at(60)
        await shop.say(shop.fact(10, counted()), shop.fact(20, counted()))
        assert await made(shop) == 0
        await shop.say(shop.fact(15, clocked("start", "OF118-10")))
        assert await made(shop) == 2
        await shop.say(shop.fact(5, clocked("start", "OF118-10")))
        assert await made(shop) == 4


async def test_a_warm_up_programme_makes_nothing(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        shop.clock.moment = at(60)
        await shop.say(shop.fact(0, clocked("start", "OF118-10")))
        await shop.say(shop.fact(10, counted(programme="CHAUFFE")), shop.fact(20, counted(programme="O1001")))
        assert await made(shop) == 4
        async with shop.units.begin() as uow:
            await work.set_programme_yield(uow, "tour-1", "CHAUFFE", 0, by="p-9")
        assert await made(shop) == 2


async def test_the_load_is_measured_once_enough_parts_were_seen(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        shop.clock.moment = at(0)
        async with shop.units.reading() as uow:
            load = await work.machine_load(uow, "tour-1")
        assert (load.capacity_min, load.load_min, load.over) == (480, 230, False)
        assert [line.why for line in load.lines] == ["réglage 30 min + 50 pièces × 4 min (prévu au devis)"]
        shop.clock.moment = at(70)
        await shop.say(
            shop.fact(0, clocked("start", "OF118-10")),
            shop.fact(20, clocked("first_good", "OF118-10")),
            *(shop.fact(20 + 10 * n, counted()) for n in range(5)),
        )
        async with shop.units.reading() as uow:
            load = await work.machine_load(uow, "tour-1", MONDAY)
            week = await work.week_load(uow, "tour-1", MONDAY)
            tomorrow = await work.machine_load(uow, "tour-1", date(2026, 5, 5))
        assert load.done_min == 70
        assert load.lines[-1].why == "40 pièces × 5 min (mesuré sur 10 pièces)"
        assert load.remaining_min == 200
        assert (week.capacity_min, week.load_min, week.over) == (36 * 60, 270, False)
        assert tomorrow.load_min == 0


async def test_an_overload_is_flagged_and_said_until_it_is_gone(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        async with shop.units.begin() as uow:
            await work.add_order(uow, "OF119", quantity=1000)
            await work.add_operation(uow, "OF119", 10, "Tournage", machine="tour-1", run_min=5, planned_on=MONDAY)
        for _ in range(2):
            async with shop.units.begin() as uow:
                await sweeps.overloaded_machines(uow)
                assert (await work.machine_load(uow, "tour-1")).over
        [alert] = await shop.open_alerts()
        assert alert.title == "Tour 1 : surcharge cette semaine (87 h pour 36 h)"
        assert alert.repeats == 0
        shop.clock.moment = at(60)
        await shop.say(shop.fact(0, clocked("start", "OF119-10")), shop.fact(1, clocked("end", "OF119-10")))
        async with shop.units.begin() as uow:
            await sweeps.overloaded_machines(uow)
        assert await shop.open_alerts() == []


async def bar(shop: Shop) -> int:
    async with shop.units.reading() as uow:
        found = await stock.level(uow, "BARRE-20")
    quantity: int = found.qty
    return quantity


@pytest.mark.parametrize("backwards", [False, True])
async def test_a_debit_ended_debits_the_bar_once(database_url: str, backwards: bool) -> None:
    async with open_shop(database_url) as shop:
        async with shop.units.begin() as uow:
            await items.add_item(uow, "BARRE-20", "Barre Ø20", item_class="material", unit="mm")
            await work.add_order(uow, "OF118", quantity=12)
            debit = work.Debit("BARRE-20", length_mm=50, count=12, kerf_mm=3, allowance_mm=0.5)
            await work.add_operation(uow, "OF118", 5, "Débit", kind="debit", debit=debit)
        before = await bar(shop)
        shop.clock.moment = at(60)
        facts = [
            shop.fact(0, clocked("toggle", "OF118-5")),
            shop.fact(30, clocked("toggle", "OF118-5")),
            shop.fact(40, clocked("end", "OF118-5")),
        ]
        for fact in reversed(facts) if backwards else facts:
            await shop.say(fact)
            await shop.say(fact)
        assert await bar(shop) - before == -12 * 53_500


async def test_a_debit_of_an_unknown_item_is_a_conflict_not_a_loss(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        async with shop.units.begin() as uow:
            await work.add_order(uow, "OF118", quantity=12)
            debit = work.Debit("BARRE-99", length_mm=50, count=12)
            await work.add_operation(uow, "OF118", 5, "Débit", kind="debit", debit=debit)
        shop.clock.moment = at(60)
        await shop.say(shop.fact(0, clocked("start", "OF118-5")), shop.fact(9, clocked("end", "OF118-5")))
        async with shop.units.reading() as uow:
            [conflict] = await work.conflicts(uow)
        assert conflict.kind == "unknown_item"
