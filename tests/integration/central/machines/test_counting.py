"""A cycle is not a part (MCH-10): what programmes make, and what a machine's parts are counted from."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from central.audit import service as audit
from central.machines import service as machines
from central.machines.rules.programmes import Programme
from central.work import service as work
from central.work.models import PartsAssigned
from contracts.facts import CycleEnded, PartsCounted, WorkClocked
from tests.integration.central.work.harness import Shop, at, open_shop


def counted(first: int, last: int, programme: str = "O1184") -> PartsCounted:
    return PartsCounted(machine="tour-1", first=first, last=last, delta=last - first, programme=programme)


def cycle(minutes: float, programme: str = "O1184", *, completed: bool = True) -> CycleEnded:
    return CycleEnded(machine="tour-1", programme=programme, began=at(minutes - 1), completed=completed)


async def shop_at_work(shop: Shop) -> None:
    async with shop.units.begin() as uow:
        await machines.add_machine(uow, "tour-1", "Tour 1")
        await work.add_order(uow, "OF1", quantity=20)
        await work.add_operation(uow, "OF1", 10, "Tournage", machine="tour-1", parts_per_cycle=2)
    shop.clock.moment = at(60)
    await shop.say(shop.fact(0, WorkClocked(action="start", operation="OF1-10", person="p-1", post="poste-1")))


async def parts(shop: Shop) -> list[tuple[str, int, bool]]:
    """(source, parts, corrected) of what counts, in time order."""
    table = PartsAssigned
    async with shop.units.reading() as uow:
        rows = await uow.session.execute(
            select(table.source, table.parts, table.corrected).where(table.parts > 0).order_by(table.at)
        )
        return [(source, made, corrected) for source, made, corrected in rows]


async def test_a_setting_changes_the_past_and_marks_it(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop_at_work(shop)
        await shop.say(shop.fact(5, counted(0, 1)), shop.fact(6, counted(1, 2, "PALP-1")))
        assert await parts(shop) == [("counter", 2, False), ("counter", 2, False)]
        async with shop.units.begin() as uow:
            await work.set_programme(uow, Programme("", "palp*", False, None, note="palpage"), by="p-9")
            await work.set_programme(uow, Programme("tour-1", "O1184", True, 4), by="p-9")
        assert await parts(shop) == [("counter", 4, True)]
        async with shop.units.reading() as uow:
            assert await work.unassigned_parts(uow) == []
            assert [e.who for e in await audit.entries(uow, subject="atelier")] == ["p-9"]
        async with shop.units.begin() as uow:
            await work.forget_programme(uow, "", "palp*", by="p-9")
            with pytest.raises(LookupError, match="Rien n'est réglé"):
                await work.forget_programme(uow, "", "palp*", by="p-9")
        assert await parts(shop) == [("counter", 4, True), ("counter", 2, True)]


async def test_parts_by_completed_cycles_or_by_the_counter_never_both(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop_at_work(shop)
        await shop.say(shop.fact(5, counted(0, 1)), shop.fact(5, cycle(5)), shop.fact(8, cycle(8, completed=False)))
        assert await parts(shop) == [("counter", 2, False)]
        async with shop.units.begin() as uow:
            await work.set_counting(uow, "tour-1", "cycles", by="p-9")
        assert await parts(shop) == [("cycles", 2, True)]
        await shop.say(shop.fact(10, counted(1, 2)), shop.fact(10, cycle(10)))
        assert await parts(shop) == [("cycles", 2, True), ("cycles", 2, False)]
        async with shop.units.begin() as uow:
            await work.set_counting(uow, "tour-1", "counter", by="p-9")
        assert [(source, made) for source, made, _ in await parts(shop)] == [("counter", 2), ("counter", 2)]


async def test_what_somebody_gave_by_hand_stays_his_but_counts_once(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop_at_work(shop)
        await shop.say(shop.fact(-5, counted(0, 1)), shop.fact(-5, cycle(-5)))
        async with shop.units.begin() as uow:
            [waiting] = await work.unassigned_parts(uow)
            await work.assign_parts(uow, waiting.fact_id, "OF1-10", "p-9")
        assert [made for _, made, _ in await parts(shop)] == [2]
        async with shop.units.begin() as uow:
            await work.set_counting(uow, "tour-1", "cycles", by="p-9")
            assert [p.parts for p in await work.unassigned_parts(uow)] == [1], "à affecter again, as a cycle"
        assert await parts(shop) == [("cycles", 1, True)]


async def test_an_unknown_way_of_counting_is_refused(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        await machines.add_machine(uow, "tour-1")
        with pytest.raises(ValueError, match="se comptent"):
            await work.set_counting(uow, "tour-1", "weights", by="p-9")
        with pytest.raises(LookupError, match="inconnue"):
            await work.set_counting(uow, "tour-9", "cycles", by="p-9")


async def test_nothing_is_set_for_a_machine_that_does_not_exist(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        with pytest.raises(LookupError, match="inconnue"):
            await work.set_programme(uow, Programme("tour-9", "O1", True, 2), by="p-9")
