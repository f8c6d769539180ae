from __future__ import annotations

from typing import Any

import pytest

from central.alerts import service as alerts
from central.alerts.service import Cause
from central.audit import service as audit
from tests.integration.central.work.harness import at, open_shop


async def test_raising_again_counts_while_open(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        first = await alerts.raise_alert(uow, "k", "medium", "Stock bas", subject="item:X")
        assert await alerts.raise_alert(uow, "k", "high", "Stock bas", "2 restent") == first
        assert await alerts.raise_alert(uow, "k", "info", "Stock bas", "1 reste", at=at(-5)) == first
        [alert] = await alerts.open_alerts(uow)
        assert (alert.level, alert.level_label, alert.detail, alert.repeats) == ("high", "Haute", "1 reste", 2)
        assert (alert.raised_at, alert.last_at) == (at(-5), at(0))
        assert await alerts.clear_alert(uow, "k")
        assert not await alerts.clear_alert(uow, "k")
        assert await alerts.raise_alert(uow, "k", "info", "Stock bas") != first
        assert [a.id for a in await alerts.history(uow)] == [first]


async def test_acknowledged_ones_come_last(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        grave = await alerts.raise_alert(uow, "a", "critical", "Collision")
        light = await alerts.raise_alert(uow, "b", "info", "Rappel")
        assert [a.id for a in await alerts.open_alerts(uow)] == [grave, light]
        await alerts.acknowledge(uow, grave, "p-1")
        await alerts.acknowledge(uow, grave, "p-2")
        found = await alerts.open_alerts(uow)
        assert [a.id for a in found] == [light, grave]
        assert found[1].acknowledged_by == "p-1"
        with pytest.raises(LookupError, match="inconnue"):
            await alerts.acknowledge(uow, 10**6, "p-1")


def cause(level: Any, title: str = "Tour 1 : arrêt inattendu", minutes: float = -5) -> Cause:
    return Cause(level, title, "", "machine:tour-1", at(minutes))


async def test_an_alert_follows_its_cause_up_and_down(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        await alerts.follow(uow, "k", None)
        assert await alerts.open_alerts(uow) == []
        for level in ("medium", "medium", "high", "high"):
            await alerts.follow(uow, "k", cause(level))
        [alert] = await alerts.open_alerts(uow)
        assert (alert.level, alert.repeats, alert.raised_at) == ("high", 0, at(-5))
        await alerts.follow(uow, "k", cause("medium", minutes=-3))
        [alert] = await alerts.open_alerts(uow)
        assert (alert.level, alert.raised_at) == ("medium", at(-3))
        await alerts.follow(uow, "k", None)
        assert await alerts.open_alerts(uow) == []
        assert len(await alerts.history(uow)) == 1


async def test_one_that_grows_asks_to_be_seen_again(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        await alerts.follow(uow, "k", cause("medium"))
        [alert] = await alerts.open_alerts(uow)
        await alerts.acknowledge(uow, alert.id, "p-1")
        await alerts.follow(uow, "k", cause("medium", "Tour 1 : arrêtée en alarme"))
        assert (await alerts.open_alerts(uow))[0].acknowledged_by == "p-1"
        await alerts.follow(uow, "k", cause("critical"))
        assert (await alerts.open_alerts(uow))[0].acknowledged_by is None


async def test_nobody_has_seen_it_for_too_long(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        await alerts.follow(uow, "a", cause("critical", minutes=-3))
        await alerts.follow(uow, "b", cause("high", minutes=-3))
        await alerts.follow(uow, "c", cause("info", minutes=-3000))
        found = await alerts.open_alerts(uow)
        assert [(a.key, a.overdue) for a in found] == [("a", True), ("b", False), ("c", False)]
        await alerts.acknowledge(uow, found[0].id, "p-1")
        assert not any(a.overdue for a in await alerts.open_alerts(uow))


async def test_a_grave_one_is_not_hidden_by_many_newer_ones(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        grave = await alerts.raise_alert(uow, "a", "critical", "C" * 400, at=at(-60))
        seen = await alerts.raise_alert(uow, "seen", "critical", "Vue")
        await alerts.acknowledge(uow, seen, "p-1")
        light = [await alerts.raise_alert(uow, f"b{n}", "info", "Rappel", at=at(n)) for n in range(6)]
        assert [a.id for a in await alerts.open_alerts(uow, limit=3)] == [grave, light[5], light[4]]
        assert (await alerts.open_alerts(uow))[-1].id == seen
        assert await alerts.count_open(uow) == 8


async def test_who_has_seen_it_outlives_the_alert(database_url: str) -> None:
    async with open_shop(database_url) as shop, shop.units.begin() as uow:
        number = await alerts.raise_alert(uow, "k", "high", "Alarme")
        await alerts.acknowledge(uow, number, "p-1")
        await alerts.acknowledge(uow, number, "p-2")
        [seen] = await audit.entries(uow, subject=f"alert:{number}")
        assert (seen.who, seen.what, seen.detail["key"]) == ("p-1", "alerts.acknowledge", "k")
