"""A doubt that nobody answered yet, and what was counted there later: one question for the same pieces."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.stock import service
from contracts.facts import StockCounted
from tests.integration.central.racks.conftest import PIECE, Shop, open_shop, pick, read

HOUR = 3600


def counted(count: int) -> StockCounted:
    return StockCounted(source="manual", item="CNMG", place="rack-a/A1", qty=count * PIECE)


async def test_an_open_doubt_explains_what_a_later_pick_finds(shop: Shop) -> None:
    await shop.say(shop.fact(pick(-1, before=5, mode="review", during_absence=True), 0))
    await shop.say(shop.fact(pick(-1, before=4), 3 * HOUR))
    (question,) = await shop.open()
    assert question.kind == "doubt"
    async with shop.begin() as uow:
        await service.confirm(uow, question.id, "p1")
    assert await shop.open() == []
    assert await shop.level() == (3, 0)
    async with shop.begin() as uow:
        await service.undo(uow, question.id, "p1")
    assert [p.kind for p in await shop.open()] == ["doubt"]
    async with shop.begin() as uow:
        await service.refuse(uow, question.id, "p1")
    (question,) = await shop.open()
    assert (question.kind, question.qty) == ("ecart", -PIECE)
    assert await shop.level() == (3, 0)


@pytest.mark.parametrize(("before", "left"), [(5, []), (4, []), (3, [-1]), (6, [1])])
async def test_it_explains_its_own_pieces_and_no_more(shop: Shop, before: int, left: list[int]) -> None:
    await shop.say(shop.fact(pick(-1, before=5, mode="review"), 0), shop.fact(pick(-1, before=before), 3 * HOUR))
    assert [p.qty // PIECE for p in await shop.open() if p.kind == "ecart"] == left
    assert [p.kind for p in await shop.open()].count("doubt") == 1


async def test_a_count_in_between_that_agrees_ends_what_the_doubt_explains(shop: Shop) -> None:
    await shop.say(shop.fact(pick(-1, before=5, mode="review"), 0), shop.fact(pick(-1, before=4), 9 * HOUR))
    await shop.say(shop.fact(counted(5), HOUR))
    assert {(p.kind, p.qty) for p in await shop.open()} == {("doubt", -PIECE), ("ecart", -PIECE)}


@pytest.mark.parametrize(("seen", "asked"), [(4, []), (3, [-1]), (5, [1])])
async def test_a_doubt_from_before_a_count_hides_nothing_after_it(shop: Shop, seen: int, asked: list[int]) -> None:
    """What went missing after the count was taken for the doubt's piece."""
    await shop.say(shop.fact(pick(-1, before=5, mode="review"), 0), shop.fact(counted(4), HOUR))
    await shop.say(shop.fact(read(seen), 2 * HOUR))
    assert [p.qty // PIECE for p in await shop.open() if p.kind == "read"] == asked


async def test_what_was_counted_leaves_the_list_to_count_and_the_camera_goes_by_the_count(shop: Shop) -> None:
    await shop.say(shop.fact(pick(-1, before=5, mode="review"), 0))
    shop.clock.moment += timedelta(hours=25)
    async with shop.begin() as uow:
        assert [line.why for line in await service.to_count(uow)] == ["mouvement jamais confirmé"]
        await service.count(uow, "CNMG", "rack-a/A1", 4 * PIECE, person="p1")
    async with shop.begin() as uow:
        assert await service.to_count(uow) == []
    assert [p.kind for p in await shop.open()] == ["doubt"]
    assert await shop.level() == (4, 0), "whatever is answered, four were counted"
    async with shop.begin() as uow:
        await service.rebuild_levels(uow)
    assert await shop.level() == (4, 0)
    later = 26 * HOUR
    await shop.say(shop.fact(read(3), later))
    (question,) = [p for p in await shop.open() if p.kind == "read"]
    async with shop.begin() as uow:
        await service.refuse(uow, question.id, "p1")
    assert (await shop.told())[-1] == ("A1", 4)


async def test_a_confirmed_doubt_is_a_count_that_an_earlier_movement_explains(shop: Shop) -> None:
    """Found beside the one above: what arrived late was booked, and the écart of the confirmed doubt stayed."""
    await shop.say(shop.fact(pick(-1, before=4, mode="review"), 9 * HOUR))
    (question,) = await shop.open()
    async with shop.begin() as uow:
        await service.confirm(uow, question.id, "p1")
    assert [(p.kind, p.qty) for p in await shop.open()] == [("ecart", -PIECE)]
    await shop.say(shop.fact(pick(-1), 0))
    assert await shop.open() == []
    assert await shop.level() == (3, 0)


SAYINGS: list[tuple[float, msgspec.Struct]] = [
    (0, pick(-1, before=5, mode="review", during_absence=True)),
    (3 * HOUR, pick(-1, before=4)),
    (6 * HOUR, pick(-1, mode="review")),
    (11 * HOUR, pick(-1, before=3)),
    (9 * HOUR, counted(3)),
    (2 * HOUR, counted(5)),
    (13 * HOUR, pick(-2, before=2, mode="review")),
    (20 * HOUR, pick(1, before=0)),
]


@given(
    order=st.permutations(range(len(SAYINGS))),
    size=st.integers(2, len(SAYINGS)),
    step=st.integers(1, 3),
    answer=st.sampled_from(["confirm", "refuse"]),
)
@settings(max_examples=10, deadline=None)
def test_questions_do_not_depend_on_the_order_of_arrival(order: list[int], size: int, step: int, answer: str) -> None:
    chosen = order[:size]

    async def outcome(arriving: list[int], step: int) -> list[object]:
        with tempfile.TemporaryDirectory() as folder:
            async with open_shop(f"sqlite:///{Path(folder) / 'copeau.db'}") as shop:
                facts = {index: shop.fact(SAYINGS[index][1], SAYINGS[index][0]) for index in sorted(arriving)}
                for begin in range(0, len(arriving), step):
                    await shop.say(*(facts[index] for index in arriving[begin : begin + step]))
                found: list[object] = [await state(shop)]
                for question in sorted(await shop.open(), key=lambda p: p.at):
                    if question.kind == "doubt":
                        async with shop.begin() as uow:
                            await getattr(service, answer)(uow, question.id, "p1")
                        found.append(await state(shop))
                return found

    async def state(shop: Shop) -> object:
        return await shop.level(), sorted((p.kind, p.qty, p.at) for p in await shop.open())

    async def both() -> tuple[list[object], list[object]]:
        return await outcome(sorted(chosen), len(chosen)), await outcome(chosen, step)

    straight, shuffled = asyncio.run(both())
    assert straight == shuffled
