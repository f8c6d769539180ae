from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from central.people import service as people
from central.work import service as work
from central.work import sweeps
from contracts.codes import format_code
from contracts.facts import CodeScanned, WorkClocked
from tests.integration.central.work.harness import Shop, at, open_shop


def clocked(action: Any, operation: str = "OF118-20", person: str = "p-1", **rest: Any) -> WorkClocked:
    return WorkClocked(action=action, operation=operation, person=person, post="poste-1", **rest)


def scanned(code: str, post: str = "poste-1", **rest: Any) -> CodeScanned:
    return CodeScanned(code=code, format="QRCode", post=post, **rest)


async def described(shop: Shop) -> None:
    async with shop.units.begin() as uow:
        await work.add_order(uow, "OF118", quantity=10, label="Bride")
        await work.add_operation(uow, "OF118", 10, "Tournage", machine="tour-1", setup_min=30, run_min=4)
        await work.add_operation(uow, "OF118", 20, "Fraisage", machine="fraiseuse-1")


async def detail(shop: Shop, code: str = "OF118-20") -> work.OperationDetail:
    async with shop.units.reading() as uow:
        found = await work.operation(uow, code)
    assert found is not None
    return found


def spans(found: work.OperationDetail) -> list[tuple[float, float | None, str]]:
    def minutes(moment: Any) -> Any:
        return None if moment is None else (moment - at(0)).total_seconds() / 60

    return [(minutes(i.begin), minutes(i.end), i.phase) for i in found.intervals]


async def test_start_first_good_end(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        shop.clock.moment = at(30)
        await shop.say(shop.fact(0, clocked("start")), shop.fact(20, clocked("first_good")))
        async with shop.units.reading() as uow:
            [running] = await work.running(uow)
        assert (running.operation, running.machine, running.phase, running.since) == (
            "OF118-20",
            "fraiseuse-1",
            "run",
            at(20),
        )
        shop.clock.moment = at(60)
        await shop.say(shop.fact(60, clocked("end", good=9, scrap=1, comment="ébavurer avant contrôle")))
        found = await detail(shop)
        assert spans(found) == [(0, 20, "setup"), (20, 60, "run")]
        assert (found.operation.status, found.operation.good, found.operation.scrap) == ("waiting", 9, 1)
        assert found.events[-1].comment == "ébavurer avant contrôle"
        assert found.conflicts == []
        assert not any(i.corrected for i in found.intervals)
        async with shop.units.reading() as uow:
            assert await work.running(uow) == []
            assert (await work.summary(uow)).operations == {"planned": 1, "waiting": 1}


async def test_any_arrival_order_and_repeats_give_the_same_books(sqlite_url: str) -> None:
    script = [
        (0, "start"),
        (20, "first_good"),
        (40, "pause"),
        (50, "resume"),
        (90, "end"),
        (100, "toggle"),
        (130, "toggle"),
    ]
    expected = [
        (0, 20, "setup"),
        (20, 40, "run"),
        (40, 50, "pause"),
        (50, 90, "run"),
        (100, 130, "setup"),
    ]
    for seed in range(6):
        async with open_shop(sqlite_url.replace("copeau.db", f"{seed}.db")) as shop:
            await described(shop)
            shop.clock.moment = at(140)
            facts = [shop.fact(minutes, clocked(action)) for minutes, action in script]
            random.Random(seed).shuffle(facts)
            while facts:
                batch, facts = facts[:2], facts[2:]
                await shop.say(*batch)
                await shop.say(batch[0])
            found = await detail(shop)
            assert spans(found) == expected
            assert found.conflicts == []


async def test_an_end_without_start_opens_a_conflict_that_the_late_start_settles(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        shop.clock.moment = at(60)
        await shop.say(shop.fact(60, clocked("end", good=10)))
        found = await detail(shop)
        assert [c.kind for c in found.conflicts] == ["end_without_start"]
        assert found.operation.status == "done"
        await shop.say(shop.fact(0, clocked("start")))
        found = await detail(shop)
        assert found.conflicts == []
        assert spans(found) == [(0, 60, "setup")]
        assert found.intervals[0].corrected, "it was recomputed by a late fact"


async def test_one_operator_on_several_machines_is_normal(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        await shop.say(shop.fact(0, clocked("start", "OF118-10")), shop.fact(5, clocked("start", "OF118-20")))
        async with shop.units.reading() as uow:
            assert [(r.operation, r.phase) for r in await work.running(uow)] == [
                ("OF118-10", "setup"),
                ("OF118-20", "setup"),
            ]
            assert await work.conflicts(uow) == []


async def test_a_scan_starts_and_ends_for_who_badged_at_the_post(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        async with shop.units.begin() as uow:
            one = await people.add_person(uow, "Opérateur 1")
        assert one.badge_code is not None
        code = format_code("OP", "OF118-20")
        shop.clock.moment = at(40)
        await shop.say(
            shop.fact(0, scanned(one.badge_code)),
            shop.fact(5, scanned(code, action="toggle")),
            shop.fact(5 + 2 / 60, scanned(code, action="toggle")),
            shop.fact(35, scanned(code, action="toggle")),
        )
        found = await detail(shop)
        assert spans(found) == [(5, 35, "setup")]
        assert [i.person_name for i in found.intervals] == ["Opérateur 1"]


async def test_a_badge_that_arrives_late_names_the_person(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        async with shop.units.begin() as uow:
            one = await people.add_person(uow, "Opérateur 1")
        assert one.badge_code is not None
        shop.clock.moment = at(40)
        await shop.say(shop.fact(5, scanned("of118-20", action="toggle")))
        assert [c.kind for c in (await detail(shop)).conflicts] == ["no_person"]
        await shop.say(shop.fact(0, scanned(one.badge_code)))
        found = await detail(shop)
        assert found.conflicts == []
        assert [i.person for i in found.intervals] == [one.id]


async def test_what_was_clocked_on_an_unknown_operation_is_kept_and_applied_later(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        shop.clock.moment = at(60)
        await shop.say(shop.fact(0, clocked("start", "ERP-4711")), shop.fact(30, clocked("end", "ERP-4711")))
        async with shop.units.reading() as uow:
            assert [c.kind for c in await work.conflicts(uow)] == ["unknown_operation"]
        async with shop.units.begin() as uow:
            await work.add_order(uow, "OF118", quantity=10)
            await work.add_operation(uow, "OF118", 20, "Fraisage", printed_code="erp-4711")
        found = await detail(shop)
        assert spans(found) == [(0, 30, "setup")]
        async with shop.units.reading() as uow:
            assert await work.conflicts(uow) == []
        shop.clock.moment = at(80)
        await shop.say(shop.fact(70, clocked("start", "ERP-4711")))
        assert (await detail(shop)).operation.status == "running"


async def test_a_place_scanned_to_clock_is_said(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await shop.say(shop.fact(0, scanned(format_code("PL", "A1"), action="toggle")))
        async with shop.units.begin() as uow:
            [conflict] = await work.conflicts(uow)
            assert conflict.kind == "not_an_operation"
            await work.settle_conflict(uow, conflict.id, "p-9")
            assert await work.conflicts(uow) == []


async def test_a_forgotten_end_is_flagged_then_entered_by_hand(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        await shop.say(shop.fact(0, clocked("start")))
        shop.clock.moment = at(20 * 60)
        for _ in range(2):
            async with shop.units.begin() as uow:
                await sweeps.forgotten_clockings(uow)
        found = await detail(shop)
        assert [c.kind for c in found.conflicts] == ["forgotten_open"]
        async with shop.units.begin() as uow:
            with pytest.raises(ValueError, match="futur"):
                await work.clock(
                    uow, by="p-9", action="end", operation="OF118-20", person="p-1", at=at(20 * 60) + timedelta(hours=1)
                )
            await work.clock(uow, by="p-9", action="end", operation="OF118-20", person="p-1", at=at(120))
        found = await detail(shop)
        assert found.conflicts == []
        assert spans(found) == [(0, 120, "setup")]
        assert found.intervals[0].corrected
        assert found.events[-1].entered_by == "p-9"


async def test_a_tool_change_raises_an_alert(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        await shop.say(shop.fact(0, clocked("pause", tool_change=True, comment="plaquette cassée")))
        [alert] = await shop.open_alerts()
        assert (alert.level, alert.subject, alert.detail) == ("medium", "operation:OF118-20", "plaquette cassée")


async def test_the_copy_of_a_post(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        await described(shop)
        async with shop.units.begin() as uow:
            one = await people.add_person(uow, "Opérateur 1")
        async with shop.units.reading() as uow:
            first = await work.post_copy(uow)
        assert first.whole
        assert [o.code for o in first.operations] == ["OF118-10", "OF118-20"]
        assert [p.badge_code for p in first.persons] == [one.badge_code]
        shop.clock.moment = at(10)
        await shop.say(shop.fact(9, clocked("start")))
        async with shop.units.begin() as uow:
            await people.erase(uow, one.id)
        async with shop.units.reading() as uow:
            second = await work.post_copy(uow, first.version)
        assert not second.whole
        assert second.version > first.version
        assert [o.code for o in second.operations if o.status == "running"] == ["OF118-20"]
        assert [(p.id, p.name, p.active) for p in second.persons] == [(one.id, one.id, False)]
