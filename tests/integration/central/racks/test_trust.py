"""À blanc, automatic, back again: by decisions, scans and « Pas ça »; and what the camera is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from central.audit.models import AuditEntry
from central.racks import service as racks
from central.stock import service
from contracts.facts import CodeScanned
from tests.integration.central.racks.conftest import PIECE, Shop, ask, pick


async def trust(shop: Shop) -> racks.TrustView:
    async with shop.units.reading() as uow:
        (found,) = await racks.trust(uow, "rack-a")
    return found


async def decide(shop: Shop, how: object, number: int, *more: int) -> None:
    async with shop.begin() as uow:
        await how(uow, number, *more, "p1")  # type: ignore[operator]  # a function of the service


async def test_a_camera_that_is_sure_only_proposes_until_so_many_were_confirmed(blank_shop: Shop) -> None:
    shop = blank_shop
    for number in range(3):
        await shop.say(shop.fact(pick(before=5 - number), number * 60))
        assert await shop.level() == (5 - number, -1)
        (question,) = await shop.open()
        assert question.blank
        await decide(shop, service.confirm, question.id)
    assert await shop.told() == []
    found = await trust(shop)
    assert (found.automatic, found.confirmed, found.klass) == (True, 3, "insert")
    await shop.say(shop.fact(pick(before=2), 600))
    assert await shop.level() == (1, 0)
    async with shop.units.reading() as uow:
        said = list(await uow.session.scalars(select(AuditEntry.what).where(AuditEntry.subject == "rack:rack-a")))
    assert "racks.automatic" in said


async def test_a_wrong_one_begins_again_and_the_camera_is_told(blank_shop: Shop) -> None:
    shop = blank_shop
    await shop.say(shop.fact(pick(before=5), 0))
    (question,) = await shop.open()
    await decide(shop, service.confirm, question.id)
    await shop.say(shop.fact(pick(before=4), 60))
    (question,) = await shop.open()
    await decide(shop, service.refuse, question.id)
    assert await shop.told() == [("A1", 4)]
    assert ((await trust(shop)).confirmed, (await trust(shop)).wrong) == (0, 1)
    await decide(shop, service.undo, question.id)
    assert (await trust(shop)).confirmed == 1
    assert (await shop.told())[-1] == ("A1", 3)


@pytest.mark.parametrize("scan_first", [False, True])
async def test_a_scan_of_the_same_pick_confirms_it(blank_shop: Shop, *, scan_first: bool) -> None:
    shop = blank_shop
    scan = CodeScanned(code="CNMG", format="CODE128", post="poste-1", action="take", qty=PIECE, person="p1")
    facts = [shop.fact(pick(before=5)), shop.fact(scan, 20)]
    for fact in reversed(facts) if scan_first else facts:
        await shop.say(fact)
    assert await shop.level() == (4, 0)
    assert (await trust(shop)).confirmed == 1


async def test_a_scan_of_a_part_confirms_nothing(blank_shop: Shop) -> None:
    """A scan of one that came before two were seen counted as a confirmation of both."""
    shop = blank_shop
    scan = CodeScanned(code="CNMG", format="CODE128", post="poste-1", action="take", qty=PIECE, person="p1")
    await shop.say(shop.fact(scan))
    await shop.say(shop.fact(pick(-2, before=5), 10))
    assert await shop.level() == (4, -1)
    assert (await trust(shop)).confirmed == 0


async def test_an_answer_to_pas_ca_that_is_taken_back_leaves_what_pas_ca_said(shop: Shop) -> None:
    await shop.say(shop.fact(pick(before=5)))
    async with shop.begin() as uow:
        (belief,) = await service.last_beliefs(uow, "rack-a")
        number = await service.contest(uow, belief.observation, "p1")
    await decide(shop, service.confirm, number)
    await decide(shop, service.undo, number)
    assert ((await trust(shop)).automatic, (await trust(shop)).wrong) == (False, 1)
    assert await shop.told() == [("A1", 5), ("A1", 4), ("A1", 5)]


async def test_pas_ca_compensates_asks_tells_the_camera_and_ends_the_trust(shop: Shop) -> None:
    await shop.say(shop.fact(pick(before=5, crops="a" * 32)))
    assert await shop.level() == (4, 0)
    async with shop.units.reading() as uow:
        (belief,) = await service.last_beliefs(uow, "rack-a")
    assert (belief.state, belief.qty, belief.place) == ("automatic", -PIECE, "rack-a/A1")
    async with shop.begin() as uow:
        number = await service.contest(uow, belief.observation, "p1")
    assert await shop.level() == (5, -1)
    assert [p.id for p in await shop.open()] == [number]
    assert await shop.told() == [("A1", 5)]
    assert not (await trust(shop)).automatic
    async with shop.begin() as uow:
        (belief,) = await service.last_beliefs(uow, "rack-a")
        with pytest.raises(service.NotAllowed, match="déjà dit"):
            await service.contest(uow, belief.observation, "p1")
    assert belief.state == "contested"
    await decide(shop, service.correct, number, -2 * PIECE)
    assert await shop.level() == (3, 0)
    assert (await shop.told())[-1] == ("A1", 3)
    await shop.say(shop.fact(pick(), 600))
    assert await shop.level() == (3, -1)


async def test_pas_ca_comes_too_late_after_ten_minutes(shop: Shop) -> None:
    await shop.say(shop.fact(pick(before=5, why="gone")))
    async with shop.begin() as uow:
        (belief,) = await service.last_beliefs(uow, "rack-a")
    shop.clock.moment += timedelta(minutes=11)
    async with shop.begin() as uow:
        with pytest.raises(service.NotAllowed, match="trop tard"):
            await service.contest(uow, belief.observation, "p1")
    assert await shop.level() == (4, 0)


async def test_a_doubt_of_the_camera_itself_moves_no_trust(shop: Shop) -> None:
    await shop.say(shop.fact(pick(before=5, mode="review")))
    (question,) = await shop.open()
    await decide(shop, service.refuse, question.id)
    assert (await trust(shop)).automatic


async def test_every_outcome_is_a_label(shop: Shop) -> None:
    await shop.say(shop.fact(pick(before=5, mode="review", model="m-1", crops="b" * 32)), shop.fact(ask("hidden"), 60))
    for question in await shop.open():
        await decide(shop, service.correct, question.id, -PIECE)
    async with shop.units.reading() as uow:
        found = {o.kind: o for o in await racks.outcomes(uow)}
    assert (found["doubt"].right, found["doubt"].said, found["doubt"].truth) == (True, -PIECE, -PIECE)
    assert (found["doubt"].model, found["doubt"].crops) == ("m-1", "b" * 32)
    assert (found["ask"].right, found["ask"].said, found["ask"].truth, found["ask"].reason) == (
        False, None, -PIECE, "hidden",
    )  # fmt: skip


async def test_a_transfer_adds_up_to_nothing_and_is_one_line(shop: Shop) -> None:
    there = pick(1, before=0, place="A3", item="CNMG", transfer="rack-a/A1", session="s1")
    await shop.say(shop.fact(pick(before=5, transfer="rack-a/A3", session="s1")), shop.fact(there))
    assert await shop.level() == (5, 0)
    async with shop.units.reading() as uow:
        moved, _opening = await service.movements(uow, "CNMG")
    assert (moved.place, moved.to_place, moved.qty) == ("rack-a/A1", "rack-a/A3", -PIECE)


async def transfer(shop: Shop, **more: Any) -> tuple[int, int]:
    """One from A1 to A3, in one session; the two observations."""
    there = pick(1, before=0, place="A3", item="CNMG", transfer="rack-a/A1", session="s1", **more)
    await shop.say(shop.fact(pick(before=5, transfer="rack-a/A3", session="s1", **more), 3595), shop.fact(there, 3595))
    async with shop.units.reading() as uow:
        there_, here = await service.last_beliefs(uow, "rack-a")
    return here.observation, there_.observation


async def at_places(shop: Shop) -> dict[str | None, int]:
    async with shop.units.reading() as uow:
        return {p.place: p.qty // PIECE for p in (await service.level(uow, "CNMG")).places}


async def test_pas_ca_on_a_transfer_means_both_halves(shop: Shop) -> None:
    """One half came back, the other stayed: a piece too many."""
    here, _ = await transfer(shop)
    async with shop.begin() as uow:
        await service.contest(uow, here, "p1")
    assert await at_places(shop) == {"rack-a/A1": 5, "rack-a/A3": 0}
    assert sorted(await shop.told()) == [("A1", 5), ("A3", 0)]


async def test_a_doubtful_transfer_is_answered_and_taken_back_as_one(shop: Shop) -> None:
    await transfer(shop, mode="review")
    asked = await shop.open()
    assert {p.question for p in asked} == {
        "La caméra croit avoir vu 1 pce partir vers rack-a/A3 : exact ?",
        "La caméra croit avoir vu 1 pce arriver de rack-a/A1 : exact ?",
    }
    await decide(shop, service.confirm, asked[0].id)
    assert await shop.open() == []
    assert await at_places(shop) == {"rack-a/A1": 4, "rack-a/A3": 1}
    await decide(shop, service.undo, asked[1].id)
    assert len(await shop.open()) == 2
    assert await at_places(shop) == {"rack-a/A1": 5, "rack-a/A3": 0}
    await decide(shop, service.refuse, asked[1].id)
    assert await shop.open() == []
    assert await at_places(shop) == {"rack-a/A1": 5, "rack-a/A3": 0}


async def test_the_same_transfer_again_is_another_line(shop: Shop) -> None:
    """Two alike in the list were shown as four movements."""
    for turn in range(2):
        gone = pick(before=5 - turn, transfer="rack-a/A3", session=f"s{turn}")
        there = pick(1, before=turn, place="A3", item="CNMG", transfer="rack-a/A1", session=f"s{turn}")
        await shop.say(shop.fact(gone, turn * 1800), shop.fact(there, turn * 1800))
    async with shop.units.reading() as uow:
        moved = await service.movements(uow, "CNMG")
    assert [(m.place, m.to_place) for m in moved[:2]] == [("rack-a/A1", "rack-a/A3")] * 2
    assert len(moved) == 3


async def test_what_is_put_in_another_items_place_is_asked(shop: Shop) -> None:
    taken = pick(before=5, transfer="rack-a/A2", session="s1")
    put = pick(1, before=5, place="A2", transfer="rack-a/A1", session="s1")
    await shop.say(shop.fact(taken), shop.fact(put))
    assert await shop.level("CNMG") == (5, -1)
    assert await shop.level("DNMG") == (5, 1)
    assert all("mauvais endroit" in p.question for p in await shop.open())
