"""The main job on both databases: a pick and a scan are one movement, doubts wait for a person, late facts fit in."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from central.items.service import add_item, unknown_codes
from central.stock import service
from contracts.facts import CodeScanned, StockCounted, StockObserved
from tests.integration.central.stock.conftest import NOON, PIECE, Shop

HOUR = 3600


def pick(qty: int = -1, before: int | None = None, **more: object) -> StockObserved:
    counts = {} if before is None else {"count_before": before, "count_after": before + qty}
    return StockObserved(source="camera", qty=qty * PIECE, item="CNMG", place="rack-a/A1", **counts, **more)  # type: ignore[arg-type]  # keywords of the struct


def scan(qty: int = 1, code: str = "4012345678901", action: str = "take", **more: object) -> CodeScanned:
    return CodeScanned(code=code, format="EAN13", post="poste-1", action=action, qty=qty * PIECE, person="p1", **more)  # type: ignore[arg-type]  # keywords of the struct


@pytest.mark.parametrize("scan_first", [False, True])
async def test_a_pick_and_its_scan_are_one_movement_with_two_sources(shop: Shop, *, scan_first: bool) -> None:
    facts = [shop.fact(pick(before=5)), shop.fact(scan(), 20)]
    for fact in reversed(facts) if scan_first else facts:
        await shop.say(fact)
    assert await shop.level() == (4, 0)
    (moved, opening) = await shop.movements()
    assert {s.source for s in moved.sources} == {"camera", "scan"}
    assert (moved.qty, moved.kind, moved.person, moved.place) == (-1 * PIECE, "pick", "p1", "rack-a/A1")
    assert opening.qty == 5 * PIECE
    assert await shop.open() == []


async def test_a_scan_told_an_hour_late_is_the_same_movement_and_asks(shop: Shop) -> None:
    await shop.say(shop.fact(pick()))
    await shop.say(shop.fact(scan(), HOUR))
    assert await shop.level() == (4, 0)
    assert len(await shop.movements()) == 2
    (question,) = await shop.open()
    assert question.kind == "pairing"
    assert "même prise" in question.question
    async with shop.begin() as uow:
        await service.refuse(uow, question.id, "p1")
    assert await shop.level() == (3, 0)
    async with shop.begin() as uow:
        await service.undo(uow, question.id, "p1")
    assert await shop.level() == (4, 0)
    async with shop.begin() as uow:
        await service.confirm(uow, question.id, "p1")
    assert await shop.level() == (4, 0)
    assert await shop.open() == []
    shop.clock.moment += timedelta(minutes=11)
    async with shop.begin() as uow:
        with pytest.raises(service.NotAllowed, match="trop tard"):
            await service.undo(uow, question.id, "p1")


async def test_the_scan_that_arrives_an_hour_late_asks_nothing(shop: Shop) -> None:
    late = shop.fact(scan(), 5)
    await shop.say(shop.fact(pick()))
    shop.clock.moment += timedelta(hours=1)
    await shop.say(late)
    assert await shop.level() == (4, 0)
    assert await shop.open() == []


async def test_a_fact_twice_changes_nothing(shop: Shop) -> None:
    fact = shop.fact(pick())
    await shop.say(fact, fact)
    await shop.say(fact)
    assert await shop.level() == (4, 0)


async def test_a_doubt_waits_and_a_scan_answers_it(shop: Shop) -> None:
    doubt = StockObserved(
        source="camera",
        qty=-PIECE,
        item="CNMG",
        place="rack-a/A1",
        mode="review",
        confidence=0.4,
    )
    await shop.say(shop.fact(doubt))
    assert await shop.level() == (5, -1)
    (question,) = await shop.open()
    assert question.kind == "doubt"
    await shop.say(shop.fact(scan(), 30))
    assert await shop.level() == (4, 0)
    assert await shop.open() == []


async def test_a_doubt_is_confirmed_undone_corrected_and_refused(shop: Shop) -> None:
    await shop.say(shop.fact(StockObserved(source="camera", qty=-PIECE, item="CNMG", place="rack-a/A1", mode="review")))
    (question,) = await shop.open()
    for decide, level in (
        (lambda uow: service.confirm(uow, question.id, "p1"), (4, 0)),
        (lambda uow: service.correct(uow, question.id, -2 * PIECE, "p1"), (3, 0)),
        (lambda uow: service.refuse(uow, question.id, "p1"), (5, 0)),
    ):
        async with shop.begin() as uow:
            await decide(uow)
        assert await shop.level() == level
        assert await shop.open() == []
        async with shop.begin() as uow:
            with pytest.raises(service.NotAllowed):
                await service.confirm(uow, question.id, "p1")
        async with shop.begin() as uow:
            await service.undo(uow, question.id, "p1")
        assert await shop.level() == (5, -1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_scan_of_two_takes_in_two_picks(shop: Shop, order: tuple[int, ...]) -> None:
    facts = [shop.fact(pick(before=5)), shop.fact(pick(before=4), 10), shop.fact(scan(2), 40)]
    for index in order:
        await shop.say(facts[index])
    assert await shop.level() == (3, 0)
    assert await shop.open() == []


async def test_a_scan_of_three_then_the_camera_picks_keeps_one_row(shop: Shop) -> None:
    await shop.say(shop.fact(scan(3), 60))
    for second in (0, 10, 20):
        await shop.say(shop.fact(pick(), second))
    assert await shop.level() == (2, 0)
    assert [m.qty for m in await shop.movements()] == [-3 * PIECE, 5 * PIECE]
    assert len((await shop.movements())[0].sources) == 4


async def test_an_unknown_code_is_kept_and_assigned_later(shop: Shop) -> None:
    await shop.say(shop.fact(scan(code="NEUF-77"), 0), shop.fact(scan(2, code="neuf-77"), 60))
    await shop.say(shop.fact(StockObserved(source="camera", qty=-PIECE, item="NEUF-77", place="rack-z/1"), 5))
    async with shop.begin() as uow:
        (unknown,) = await unknown_codes(uow)
        assert (unknown.code, unknown.times) == ("NEUF-77", 3)
        await add_item(uow, "DCMT", "Plaquette DCMT", "insert", place="rack-a/A2")
        assert await service.assign_code(uow, "NEUF-77", "DCMT") == 3
    assert await shop.level("DCMT") == (-3, 0)
    assert {m.at for m in await shop.movements("DCMT")} == {NOON + timedelta(seconds=s) for s in (0, 5, 60)}
    async with shop.begin() as uow:
        assert await unknown_codes(uow) == []
    await shop.say(shop.fact(scan(code="NEUF-77"), 600))
    assert await shop.level("DCMT") == (-4, 0)


@pytest.mark.parametrize("validated_first", [False, True])
async def test_a_validation_nets_whatever_the_time_between(shop: Shop, *, validated_first: bool) -> None:
    picked = shop.fact(scan(2, operation="OF118-20"), -30 * HOUR)

    async def validate() -> None:
        async with shop.begin() as uow:
            await service.charge_operation(uow, "OF118-20", "CNMG", 3 * PIECE, NOON, person="p1", key="OF118-20/end")

    if validated_first:
        await validate()
        assert await shop.level() == (2, 0)
        await shop.say(picked)
    else:
        await shop.say(picked)
        assert await shop.level() == (3, 0)
        await validate()
    await validate()
    assert await shop.level() == (2, 0)
    assert await shop.open() == []


async def test_a_count_fixes_the_level_and_a_late_fact_explains_it(shop: Shop) -> None:
    await shop.say(shop.fact(StockCounted(source="manual", item="CNMG", place="rack-a/A1", qty=4 * PIECE), 2 * HOUR))
    assert await shop.level() == (4, 0)
    (question,) = await shop.open()
    assert (question.kind, question.qty) == ("ecart", -PIECE)
    await shop.say(shop.fact(scan(), HOUR))
    assert await shop.level() == (4, 0)
    assert await shop.open() == []
    await shop.say(shop.fact(pick(-2), 20 * HOUR))
    assert await shop.level() == (2, 0)


async def test_a_late_fact_before_a_count_days_later_leaves_the_present_level_alone(shop: Shop) -> None:
    await shop.say(shop.fact(StockCounted(source="manual", item="CNMG", place="rack-a/A1", qty=4 * PIECE), 90 * HOUR))
    await shop.say(shop.fact(pick()))
    assert await shop.level() == (4, 0)
    assert await shop.open() == []


async def test_the_ledger_refuses_to_be_changed(shop: Shop) -> None:
    for statement in ("UPDATE stock_movements SET qty = 1", "DELETE FROM stock_movements"):
        with pytest.raises(DBAPIError, match="append-only"):
            async with shop.begin() as uow:
                await uow.session.execute(text(statement))
    assert await shop.level() == (5, 0)


async def test_the_levels_rebuild_from_the_ledger(shop: Shop) -> None:
    await shop.say(shop.fact(pick()), shop.fact(scan(3), 600), shop.fact(scan(1, place="rack-a/A2"), 700))
    await shop.say(
        shop.fact(StockObserved(source="camera", qty=-PIECE, item="CNMG", place="rack-a/A2", mode="review"), 9 * HOUR)
    )
    async with shop.begin() as uow:
        kept = await service.levels(uow)
        await uow.session.execute(text("UPDATE stock_levels SET qty = 77, pending = 5"))
        uow.session.expunge_all()
        await service.rebuild_levels(uow)
        assert await service.levels(uow) == kept


async def test_a_camera_gap_is_an_ecart(shop: Shop) -> None:
    await shop.say(shop.fact(pick(before=5)), shop.fact(pick(before=3), 5 * HOUR))
    assert await shop.level() == (2, 0)
    (question,) = await shop.open()
    assert (question.kind, question.qty) == ("ecart", -PIECE)
