"""A place that was taught to another item: what is still booked of the former one is right or asked."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.items.service import add_item
from central.stock import service
from central.stock.sweeps import thin_readings
from contracts.facts import CodeScanned, RackRead, SlotSeen, StockCounted
from tests.integration.central.racks.conftest import PIECE, Shop, ask, open_shop, pick, read


def seen(item: str, count: int | None, **more: Any) -> RackRead:
    """Place A1, taught to that item."""
    return RackRead(rack="rack-a", why="clear", slots=[SlotSeen(place="rack-a/A1", item=item, count=count, **more)])


def counted(qty: int) -> StockCounted:
    return StockCounted(source="manual", item="CNMG", place="rack-a/A1", qty=qty * PIECE)


async def of(shop: Shop, item: str = "CNMG") -> list[tuple[str, int]]:
    return [(p.kind, p.qty // PIECE) for p in await shop.open() if p.item == item]


async def decide(shop: Shop, act: Any, *more: Any) -> int:
    (question,) = [p for p in await shop.open() if p.kind == "former"]
    async with shop.begin() as uow:
        await act(uow, question.id, *more, "p1")
    return question.id


async def test_a_place_taught_to_another_item_asks_where_the_former_is(shop: Shop) -> None:
    """Its open écart was settled and its level stayed there, unasked."""
    await shop.say(shop.fact(read(3), 10))
    assert await of(shop) == [("read", -2)]
    await shop.say(shop.fact(seen("DNMG", 4), 600))
    assert await of(shop) == [("former", -5)]
    (question,) = [p for p in await shop.open() if p.kind == "former"]
    held = f"Le stock compte encore 5 {question.unit} ici, mais l'emplacement est maintenant à DNMG."
    assert question.question == f"{held} N'y en a-t-il plus ?"
    await shop.say(shop.fact(seen("DNMG", 4), 660))
    assert [p.id for p in await shop.open() if p.kind == "former"] == [question.id]
    assert await shop.level() == (5, 0)


@pytest.mark.parametrize("never_read", [True, False])
async def test_it_need_not_have_been_read_nor_asked(shop: Shop, *, never_read: bool) -> None:
    if not never_read:
        await shop.say(shop.fact(read(5), 10))
        assert await of(shop) == []
    await shop.say(shop.fact(seen("DNMG", 4), 600))
    assert await of(shop) == [("former", -5)]


async def test_none_is_left_is_a_count_and_can_be_taken_back(shop: Shop) -> None:
    await shop.say(shop.fact(read(5), 10), shop.fact(seen("DNMG", 4), 600))
    number = await decide(shop, service.confirm)
    assert await shop.level() == (0, 0)
    assert await of(shop) == []
    await shop.say(shop.fact(seen("DNMG", 4), 660))
    late = shop.fact(pick(-1), 300)
    await shop.say(late)
    assert await shop.level() == (0, 0)
    assert await of(shop) == []
    async with shop.begin() as uow:
        await service.undo(uow, number, "p1")
    assert await shop.level() == (4, 0)
    assert await of(shop) == [("former", -4)]
    assert await shop.told() == []
    assert await decide(shop, service.confirm) == number
    assert await shop.level() == (0, 0)
    assert await of(shop) == []


async def test_all_is_still_there_or_so_many_ends_it(shop: Shop) -> None:
    await shop.say(shop.fact(seen("DNMG", 4), 600))
    number = await decide(shop, service.refuse)
    await shop.say(shop.fact(seen("DNMG", 3), 7200))
    assert await shop.level() == (5, 0)
    assert await of(shop) == []
    async with shop.begin() as uow:
        await service.undo(uow, number, "p1")
    assert await of(shop) == [("former", -5)]
    with pytest.raises(service.NotAllowed):
        await decide(shop, service.correct, -PIECE)
    await decide(shop, service.correct, 2 * PIECE)
    await shop.say(shop.fact(seen("DNMG", 4), 7300))
    assert await shop.level() == (2, 0)
    assert await of(shop) == []


async def test_what_is_booked_there_after_none_was_left_is_asked_again(shop: Shop) -> None:
    await shop.say(shop.fact(seen("DNMG", 4), 600))
    await decide(shop, service.confirm)
    back = CodeScanned(code="CNMG", format="CODE128", post="poste-1", action="return", qty=PIECE, place="rack-a/A1")
    await shop.say(shop.fact(back, 5 * 3600))
    assert await shop.level() == (1, 0)
    assert await of(shop) == [("former", -1)]
    shop.clock.moment += timedelta(hours=6)
    await decide(shop, service.confirm)
    assert await shop.level() == (0, 0)
    assert await of(shop) == []


async def test_what_is_not_readable_says_nothing_of_the_former(shop: Shop) -> None:
    await shop.say(shop.fact(read(4), 10))
    await shop.say(shop.fact(seen("DNMG", None, state="masked"), 600))
    assert await of(shop) == [("read", -1)]


async def test_a_place_taught_back_is_read_again(shop: Shop) -> None:
    await shop.say(shop.fact(seen("DNMG", 4), 600))
    await shop.say(shop.fact(read(5), 1200))
    assert await of(shop) == []
    async with shop.units.reading() as uow:
        # What was read in between moved nothing: nothing of it is booked there.
        places = (await service.level(uow, "DNMG")).places
    assert {p.place for p in places if p.qty} == {"rack-a/A2"}
    await shop.say(shop.fact(seen("DNMG", 4), 1800))
    assert await of(shop) == [("former", -5)]


async def test_a_place_taught_twice_asks_of_both(shop: Shop) -> None:
    await shop.say(shop.fact(seen("DNMG", 4), 600))
    (difference,) = [p for p in await shop.open() if p.kind == "read"]
    async with shop.begin() as uow:
        await service.confirm(uow, difference.id, "p1")
    async with shop.begin() as uow:
        await add_item(uow, "TPUN", "Plaquette TPUN", "insert")
    await shop.say(shop.fact(seen("TPUN", 0), 1200))
    found = [(p.item, p.qty // PIECE) for p in await shop.open() if p.kind == "former"]
    assert sorted(found) == [("CNMG", -5), ("DNMG", -4)]
    assert all("maintenant à TPUN" in p.question for p in await shop.open() if p.kind == "former")


async def test_a_count_answers_it_and_an_open_doubt_is_asked_once(blank_shop: Shop) -> None:
    shop = blank_shop
    await shop.say(shop.fact(pick(-2, before=5), 10), shop.fact(seen("DNMG", 4), 600))
    assert sorted(await of(shop)) == [("doubt", -2), ("former", -3)]
    await shop.say(shop.fact(counted(0), 900))
    assert await shop.level() == (0, 0)
    assert "former" not in {kind for kind, _ in await of(shop)}


async def test_the_first_reading_stays_while_it_was_asked_about(shop: Shop) -> None:
    await shop.say(*(shop.fact(seen("DNMG", 4), hour * 3600) for hour in range(4)))
    await decide(shop, service.refuse)
    await shop.say(*(shop.fact(seen("DNMG", 4), hour * 3600) for hour in range(4, 8)))
    shop.clock.moment += timedelta(days=3)
    async with shop.begin() as uow:
        await thin_readings(uow)
    await shop.say(shop.fact(pick(-1), 3 * 3600 + 60))
    assert [kind for kind, _ in await of(shop)] == []


SAYINGS = [
    lambda s: s.fact(read(3), 100),
    lambda s: s.fact(pick(-1, before=5), 50),
    lambda s: s.fact(seen("DNMG", 4), 3600),
    lambda s: s.fact(seen("DNMG", None, state="masked"), 4000),
    lambda s: s.fact(ask("hidden"), 200),
    lambda s: s.fact(counted(0), 5 * 3600),
    lambda s: s.fact(counted(2), 3500),
    lambda s: s.fact(pick(-1, mode="review"), 90),
    lambda s: s.fact(read(2), 6 * 3600),
    lambda s: s.fact(seen("DNMG", 2), 7 * 3600),
]


@given(chosen=st.permutations(range(len(SAYINGS))).map(tuple), size=st.integers(2, len(SAYINGS)), cut=st.integers(1, 4))
@settings(max_examples=12)
def test_the_former_is_asked_whatever_the_order_of_arrival(chosen: tuple[int, ...], size: int, cut: int) -> None:
    async def outcome(order: list[int], step: int) -> object:
        with tempfile.TemporaryDirectory() as folder:
            async with open_shop(f"sqlite:///{Path(folder) / 'copeau.db'}") as shop:
                facts = {index: SAYINGS[index](shop) for index in sorted(order)}
                for begin in range(0, len(order), step):
                    await shop.say(*(facts[index] for index in order[begin : begin + step]))
                questions = sorted((p.item, p.kind, p.qty, p.at) for p in await shop.open())
                return await shop.level(), await shop.level("DNMG"), questions

    arrived = list(chosen[:size])

    async def both() -> tuple[object, object]:
        return await outcome(sorted(arrived), len(arrived)), await outcome(arrived, cut)

    straight, shuffled = asyncio.run(both())
    assert straight == shuffled
