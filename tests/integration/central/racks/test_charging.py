"""Badge, clocking, plan and pick in any order: charged right, or à imputer."""

from __future__ import annotations

import itertools

import pytest

from central.people import service as people
from central.stock import service as stock
from central.work import service as work
from contracts.facts import CodeScanned, WorkClocked
from tests.integration.central.racks.conftest import PIECE, Shop, ask, pick


async def two_at_work(shop: Shop, *, plan: bool = False) -> str:
    """p1 on OF1-10, p2 on OF2-10; the badge's code of p1."""
    async with shop.begin() as uow:
        badge = (await people.add_person(uow, "Opérateur 1", person_id="p1", badge="A17")).badge_code
        await people.add_person(uow, "Opérateur 2", person_id="p2")
        for number in (1, 2):
            await work.add_order(uow, f"OF{number}", quantity=10)
            await work.add_operation(uow, f"OF{number}", 10, "Tournage")
        if plan:
            await work.plan_items(uow, "OF1-10", ["dnmg"])
            await work.plan_items(uow, "OF2-10", ["cnmg"])
    assert badge is not None
    return badge


def clock(number: int) -> WorkClocked:
    return WorkClocked(action="start", operation=f"OF{number}-10", person=f"p{number}", post=f"poste-{number}")


def badge_at_rack(code: str) -> CodeScanned:
    return CodeScanned(code=code, format="QR", post="rack-a", action="identify")


async def charged(shop: Shop) -> tuple[str | None, str | None]:
    async with shop.units.reading() as uow:
        moved = (await stock.movements(uow, "CNMG"))[0]
    return moved.person, moved.operation


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
async def test_a_badge_at_the_rack_charges_the_persons_running_operation(shop: Shop, order: tuple[int, ...]) -> None:
    code = await two_at_work(shop)
    facts = [
        shop.fact(clock(1), -600),
        shop.fact(clock(2), -600),
        shop.fact(badge_at_rack(code), -20),
        shop.fact(pick(before=5, why="gone"), 0),
    ]
    for index in order:
        await shop.say(facts[index])
        await shop.say(facts[index])
    assert await charged(shop) == ("p1", "OF1-10")
    async with shop.units.reading() as uow:
        assert await work.to_charge(uow) == []
        (belief,) = await stock.last_beliefs(uow, person="p1")
    assert (belief.operation, belief.rack) == ("OF1-10", "rack-a")


async def test_without_a_badge_the_only_running_operation_if_it_plans_it(shop: Shop) -> None:
    """Found by the bench: another's pick outside of its plan was charged to who planned it."""
    await two_at_work(shop, plan=True)
    await shop.say(shop.fact(clock(2), -600), shop.fact(pick(before=5, why="gone")))
    assert await charged(shop) == (None, "OF2-10")
    await shop.say(shop.fact(clock(1), -500))
    assert await charged(shop) == (None, None)
    async with shop.units.reading() as uow:
        assert [line.likely for line in await work.to_charge(uow)] == [["OF2-10"]]


async def test_where_plans_are_complete_the_only_one_that_plans_it(complete_shop: Shop) -> None:
    await two_at_work(complete_shop, plan=True)
    facts = [complete_shop.fact(clock(n), -600) for n in (1, 2)]
    await complete_shop.say(*facts, complete_shop.fact(pick(before=5, why="gone")))
    assert await charged(complete_shop) == (None, "OF2-10")


async def test_a_badge_charges_nothing_that_the_plan_does_not_hold(shop: Shop) -> None:
    code = await two_at_work(shop, plan=True)
    await shop.say(shop.fact(clock(1), -600), shop.fact(badge_at_rack(code), -20), shop.fact(pick(before=5)))
    async with shop.units.reading() as uow:
        (line,) = await work.to_charge(uow, "p1")
    assert (line.person, line.likely) == ("p1", ["OF1-10"])


async def test_what_was_found_after_an_absence_is_no_badges(shop: Shop) -> None:
    code = await two_at_work(shop)
    await shop.say(
        shop.fact(clock(1), -600), shop.fact(badge_at_rack(code), -20), shop.fact(pick(during_absence=True)),
        shop.fact(pick(place="A2"), 5),
    )  # fmt: skip
    async with shop.units.reading() as uow:
        found = {line.item: line.person for line in await work.to_charge(uow)}
        (moved, *_) = await stock.movements(uow, "DNMG")
    assert found == {"CNMG": None}
    assert moved.operation == "OF1-10"


async def test_what_nobody_knows_is_a_imputer_for_the_likely_until_a_person_says(shop: Shop) -> None:
    await two_at_work(shop)
    await shop.say(shop.fact(clock(1), -600), shop.fact(pick(before=5, why="gone")))
    async with shop.begin() as uow:
        assert await work.to_charge(uow, "p2") == []
        (line,) = await work.to_charge(uow, "p1")
        assert (line.item, line.likely, line.person) == ("CNMG", ["OF1-10"], None)
        with pytest.raises(LookupError):
            await work.charge_to(uow, line.observation, "OF9-10", "p1")
    async with shop.begin() as uow:
        await work.charge_to(uow, line.observation, "OF1-10", "p1")
    assert await charged(shop) == (None, "OF1-10")
    async with shop.begin() as uow:
        await work.plan_items(uow, "OF1-10", [])
        assert await work.to_charge(uow) == []
    await shop.say(shop.fact(clock(2), -600))
    assert await charged(shop) == (None, "OF1-10")


async def test_the_plan_may_come_after_the_pick(shop: Shop) -> None:
    await two_at_work(shop)
    await shop.say(shop.fact(clock(1), -600), shop.fact(pick(before=5, why="gone")))
    assert await charged(shop) == (None, None)
    async with shop.begin() as uow:
        await work.plan_items(uow, "OF1-10", ["CNMG"])
    assert await charged(shop) == (None, "OF1-10")


async def waiting(shop: Shop, person: str | None = None) -> list[int]:
    async with shop.units.reading() as uow:
        return [line.qty // PIECE for line in await work.to_charge(uow, person)]


@pytest.mark.parametrize("plan", [False, True])
async def test_what_a_scan_said_is_neither_asked_again_nor_overruled(shop: Shop, *, plan: bool) -> None:
    await two_at_work(shop, plan=plan)
    scan = CodeScanned(
        code="CNMG", format="QR", post="poste-1", action="take", qty=PIECE, person="p1", operation="OF1-10"
    )
    await shop.say(shop.fact(clock(2), -600), shop.fact(pick(before=5)), shop.fact(scan, 10))
    assert await charged(shop) == ("p1", "OF1-10")
    assert await waiting(shop) == []


async def test_what_only_went_to_another_place_is_for_no_operation(shop: Shop) -> None:
    await two_at_work(shop)
    there = pick(1, before=0, place="A3", item="CNMG", transfer="rack-a/A1", session="s1")
    gone = pick(before=5, transfer="rack-a/A3", session="s1")
    await shop.say(shop.fact(clock(1), -600), shop.fact(gone), shop.fact(there))
    assert await waiting(shop) == []


async def test_what_a_person_said_was_taken_is_to_be_charged_as_they_said(shop: Shop) -> None:
    """An answer to « combien ? » was never offered for charging."""
    await two_at_work(shop)
    await shop.say(shop.fact(clock(1), -600), shop.fact(ask()), shop.fact(pick(place="A2", mode="review"), 60))
    assert await waiting(shop) == []
    for question, qty in zip(await shop.open(), (-3, -2), strict=True):
        async with shop.begin() as uow:
            await stock.correct(uow, question.id, qty * PIECE, "p1")
    assert await waiting(shop, "p1") == [-2, -3]


async def test_what_somebody_takes_later_hides_nothing_of_mine(shop: Shop) -> None:
    await two_at_work(shop)
    await shop.say(shop.fact(clock(1), -600), shop.fact(pick(before=5)))
    end = WorkClocked(action="end", operation="OF1-10", person="p1", post="poste-1")
    await shop.say(shop.fact(end, 600), shop.fact(clock(2), 700), shop.fact(pick(before=4), 900))
    assert await waiting(shop, "p1") == [-1]
    assert await waiting(shop) == [-1, -1]
