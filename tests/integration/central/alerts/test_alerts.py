from __future__ import annotations

import pytest

from central.alerts import service as alerts
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
