"""An absolute reading against the ledger: one écart, explained by what comes late, never a silent new baseline."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from central.items.service import add_place
from central.stock import service
from central.stock.models import Observation
from central.stock.sweeps import thin_readings
from contracts.facts import CodeScanned, RackRead, SlotSeen, StockCounted
from tests.integration.central.racks.conftest import NOON, PIECE, Shop, ask, open_shop, pick, read


def scan(qty: int = 1) -> CodeScanned:
    return CodeScanned(code="CNMG", format="CODE128", post="poste-1", action="take", qty=qty * PIECE, person="p1")


async def test_a_reading_that_agrees_asks_nothing(shop: Shop) -> None:
    await shop.say(shop.fact(read(5), 10))
    assert await shop.open() == []
    assert await shop.level() == (5, 0)


async def test_a_difference_is_one_ecart_and_no_baseline(shop: Shop) -> None:
    await shop.say(shop.fact(read(3), 10))
    await shop.say(shop.fact(read(3), 60))
    (question,) = await shop.open()
    assert (question.kind, question.qty, question.seen, question.rack) == ("read", -2 * PIECE, 3 * PIECE, "rack-a")
    assert await shop.level() == (5, 0)
    await shop.say(shop.fact(read(5), 120))
    assert await shop.open() == []


async def test_a_pick_that_arrives_late_explains_it(shop: Shop) -> None:
    late = shop.fact(pick(-2), 5)
    await shop.say(shop.fact(read(3), 10))
    assert len(await shop.open()) == 1
    await shop.say(late)
    assert await shop.open() == []
    assert await shop.level() == (3, 0)


async def test_a_scan_told_after_the_reading_explains_it(shop: Shop) -> None:
    await shop.say(shop.fact(read(4), 10))
    await shop.say(shop.fact(scan(), 600))
    assert await shop.open() == []
    assert await shop.level() == (4, 0)


async def test_what_waits_for_a_person_is_part_of_what_is_expected(blank_shop: Shop) -> None:
    shop = blank_shop
    await shop.say(shop.fact(pick(-1, before=5), 5))
    assert await shop.level() == (5, -1)
    await shop.say(shop.fact(read(4), 10))
    (question,) = await shop.open()
    assert question.kind == "doubt"
    async with shop.begin() as uow:
        await service.refuse(uow, question.id, "p1")
    (question,) = await shop.open()
    assert (question.kind, question.qty) == ("read", -PIECE)


async def test_accepting_a_reading_is_a_count_and_can_be_taken_back(shop: Shop) -> None:
    await shop.say(shop.fact(read(3), 10))
    (question,) = await shop.open()
    async with shop.begin() as uow:
        await service.confirm(uow, question.id, "p1")
    assert await shop.level() == (3, 0)
    assert await shop.open() == []
    late = shop.fact(pick(-1), 5)
    await shop.say(late)
    assert await shop.level() == (3, 0)
    async with shop.begin() as uow:
        await service.undo(uow, question.id, "p1")
    assert await shop.level() == (4, 0)
    assert [(p.kind, p.qty) for p in await shop.open()] == [("read", -PIECE)]


async def test_a_refused_reading_is_told_to_the_camera(shop: Shop) -> None:
    await shop.say(shop.fact(read(3), 10))
    (question,) = await shop.open()
    async with shop.begin() as uow:
        await service.refuse(uow, question.id, "p1")
    assert await shop.level() == (5, 0)
    assert await shop.open() == []
    assert await shop.told() == [("A1", 5)]


async def test_a_later_count_by_a_person_settles_it(shop: Shop) -> None:
    await shop.say(shop.fact(read(3), 10))
    await shop.say(shop.fact(StockCounted(source="manual", item="CNMG", place="rack-a/A1", qty=5 * PIECE), 90))
    assert await shop.open() == []
    assert await shop.level() == (5, 0)


async def test_a_trusted_pick_after_a_difference_leaves_one_question(shop: Shop) -> None:
    await shop.say(shop.fact(read(4), 10))
    await shop.say(shop.fact(pick(-1, before=4), 60))
    assert [p.qty for p in await shop.open()] == [-PIECE]
    assert await shop.level() == (3, 0)


async def test_an_unreadable_place_is_not_compared_and_keeps_its_question(shop: Shop) -> None:
    await shop.say(shop.fact(read(4), 10))
    await shop.say(shop.fact(read(None, state="masked"), 60))
    assert len(await shop.open()) == 1


async def test_combien_is_answered_with_a_quantity_and_nothing_else(shop: Shop) -> None:
    await shop.say(shop.fact(ask(count_before=5), 10))
    assert await shop.level() == (5, 0)
    (question,) = await shop.open()
    assert (question.kind, question.reason, question.guess) == ("ask", "stacked", None)
    async with shop.begin() as uow:
        await service.correct(uow, question.id, -2 * PIECE, "p1")
    assert await shop.level() == (3, 0)
    assert await shop.told() == [("A1", 3)]
    async with shop.begin() as uow:
        await service.undo(uow, question.id, "p1")
    assert await shop.level() == (5, 0)
    assert [p.kind for p in await shop.open()] == ["ask"]
    async with shop.begin() as uow:
        await service.correct(uow, question.id, 0, "p1")
    assert await shop.level() == (5, 0)
    assert await shop.open() == []


async def test_a_scan_answers_combien_before_or_after(shop: Shop) -> None:
    await shop.say(shop.fact(ask("hidden"), 10), shop.fact(scan(2), 40))
    assert await shop.open() == []
    assert await shop.level() == (3, 0)


async def test_what_nobody_answered_for_a_day_is_to_be_counted_and_never_accepted(shop: Shop) -> None:
    await shop.say(shop.fact(ask("hidden"), 10))
    shop.clock.moment += timedelta(hours=25)
    async with shop.begin() as uow:
        (line,) = await service.to_count(uow)
    assert (line.place, line.item) == ("rack-a/A1", "CNMG")
    assert await shop.level() == (5, 0)
    async with shop.begin() as uow:
        await service.count(uow, "CNMG", "rack-a/A1", 4 * PIECE, person="p1")
    async with shop.begin() as uow:
        assert await service.to_count(uow) == []


async def test_after_a_restocking_one_tap_accepts_and_receipts_are_put_away(shop: Shop) -> None:
    async with shop.begin() as uow:
        await add_place(uow, "reception")
        await service.receive(uow, "CNMG", 10 * PIECE, "reception", at=NOON - timedelta(hours=1), key="r1")
    await shop.say(shop.fact(read(15, why="restocked"), 10), shop.fact(read(7, "A2", why="restocked"), 10))
    async with shop.begin() as uow:
        one, two = await service.differences(uow, "rack-a")
        assert (one.place, one.qty, one.ledger, one.seen) == ("rack-a/A1", 10 * PIECE, 5 * PIECE, 15 * PIECE)
        assert one.receipt is not None
        assert one.receipt.place == "reception"
        assert two.receipt is None
        assert await service.accept_differences(uow, "rack-a", "p1") == 2
    async with shop.begin() as uow:
        assert await service.differences(uow, "rack-a") == []
        found = await service.level(uow, "CNMG")
    assert found.qty == 15 * PIECE
    assert {p.place: p.qty for p in found.places if p.qty} == {"rack-a/A1": 15 * PIECE}
    assert await shop.level("DNMG") == (7, 0)


async def test_a_receipt_put_away_by_one_tap_can_be_taken_back_and_put_away_again(shop: Shop) -> None:
    """It settled the question as if nobody had answered: nothing of it could be undone."""
    async with shop.begin() as uow:
        await add_place(uow, "reception")
        await service.receive(uow, "CNMG", 2 * PIECE, "reception", at=NOON - timedelta(hours=1), key="r1")
    await shop.say(shop.fact(read(7, why="restocked"), 10))

    async def by_place() -> dict[str | None, int]:
        async with shop.units.reading() as uow:
            return {p.place: p.qty // PIECE for p in (await service.level(uow, "CNMG")).places}

    for _ in range(2):
        async with shop.begin() as uow:
            assert await service.accept_differences(uow, "rack-a", "p1") == 1
        assert await by_place() == {"rack-a/A1": 7, "reception": 0}
        assert await shop.open() == []
        async with shop.units.reading() as uow:
            (answered,) = await service.proposals(uow)
        assert answered.undo_until is not None
        async with shop.begin() as uow:
            await service.undo(uow, answered.id, "p1")
        assert await by_place() == {"rack-a/A1": 5, "reception": 2}
        assert [(p.kind, p.qty) for p in await shop.open()] == [("read", 2 * PIECE)]
    async with shop.begin() as uow:
        assert (await service.differences(uow, "rack-a"))[0].receipt is not None
        await service.accept_differences(uow, "rack-a", "p1")
    shop.clock.moment += timedelta(minutes=11)
    async with shop.begin() as uow:
        with pytest.raises(service.NotAllowed):
            await service.undo(uow, answered.id, "p1")


async def test_what_was_received_once_is_put_away_once(shop: Shop) -> None:
    async with shop.begin() as uow:
        await add_place(uow, "reception")
        await service.receive(uow, "CNMG", 2 * PIECE, "reception", at=NOON - timedelta(hours=1), key="r1")
    other = RackRead(rack="rack-a", why="restocked", slots=[SlotSeen(place="rack-a/A3", item="CNMG", count=2)])
    await shop.say(shop.fact(read(7, why="restocked"), 10), shop.fact(other, 11))
    async with shop.begin() as uow:
        assert [line.receipt is not None for line in await service.differences(uow, "rack-a")] == [True, False]
        assert await service.accept_differences(uow, "rack-a", "p1") == 2
    async with shop.units.reading() as uow:
        places = (await service.level(uow, "CNMG")).places
    assert {p.place: p.qty // PIECE for p in places} == {"rack-a/A1": 7, "rack-a/A3": 2, "reception": 0}


async def kept(shop: Shop) -> list[tuple[float, int]]:
    """(hour, pieces) of the readings of A1 that there are, after the sweep."""
    async with shop.begin() as uow:
        await thin_readings(uow)
        rows = await uow.session.execute(
            select(Observation.at, Observation.qty).where(Observation.nature == "read").order_by(Observation.at)
        )
        return [((at - NOON).total_seconds() / 3600, qty // PIECE) for at, qty in rows]


async def test_readings_that_the_next_one_repeats_are_dropped_after_days(shop: Shop) -> None:
    facts = [shop.fact(read(5), hour * 3600) for hour in range(4)]
    await shop.say(*facts, shop.fact(pick(-1, before=5), 4 * 3600))
    await shop.say(*(shop.fact(read(4), hour * 3600) for hour in (5, 6, 7)))
    await shop.say(shop.fact(read(2), 8 * 3600))
    await shop.say(shop.fact(read(2), 9 * 3600), shop.fact(read(2), 10 * 3600))
    before = await shop.level(), [(p.kind, p.qty, p.at) for p in await shop.open()]
    assert len(await kept(shop)) == 10
    shop.clock.moment += timedelta(days=3)
    # The one of 8 h was asked about, and the newest is.
    assert await kept(shop) == [(3, 5), (7, 4), (8, 2), (10, 2)]
    assert (await shop.level(), [(p.kind, p.qty, p.at) for p in await shop.open()]) == before
    await shop.say(shop.fact(pick(-2), 7.5 * 3600))
    assert await shop.open() == []
    assert await shop.level() == (2, 0)


SAYINGS = [
    lambda s: s.fact(read(4), 100),
    lambda s: s.fact(pick(-1, before=5), 50),
    lambda s: s.fact(pick(-1), 7 * 3600),
    lambda s: s.fact(read(2), 7 * 3600 + 60),
    lambda s: s.fact(scan(), 130),
    lambda s: s.fact(ask("hidden"), 200),
    lambda s: s.fact(ask("masked"), 6 * 3600),
    lambda s: s.fact(StockCounted(source="manual", item="CNMG", place="rack-a/A1", qty=4 * PIECE), 5 * 3600),
    lambda s: s.fact(pick(-1, mode="review"), 90),
    lambda s: s.fact(read(3), 9 * 3600),
]


@given(chosen=st.permutations(range(len(SAYINGS))).map(tuple), size=st.integers(2, len(SAYINGS)), cut=st.integers(1, 4))
@settings(max_examples=12)
def test_levels_and_questions_do_not_depend_on_the_order_of_arrival(
    chosen: tuple[int, ...], size: int, cut: int
) -> None:
    async def outcome(order: list[int], step: int) -> object:
        with tempfile.TemporaryDirectory() as folder:
            async with open_shop(f"sqlite:///{Path(folder) / 'copeau.db'}") as shop:
                facts = {index: SAYINGS[index](shop) for index in sorted(order)}
                for begin in range(0, len(order), step):
                    await shop.say(*(facts[index] for index in order[begin : begin + step]))
                questions = sorted((p.kind, p.qty, p.at) for p in await shop.open())
                return await shop.level(), questions

    arrived = list(chosen[:size])

    async def both() -> tuple[object, object]:
        return await outcome(sorted(arrived), len(arrived)), await outcome(arrived, cut)

    straight, shuffled = asyncio.run(both())
    assert straight == shuffled
