"""An operator reaches own operations: given, queued on a machine of theirs, or handed over; the past is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from central.core.rights import Right
from central.machines import service as machines
from central.people import accounts, standing
from central.work import service as work
from tests.support.access import House, house


@pytest.fixture
async def shop(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """Three operations: two on lathe 1, one on lathe 2."""
    async with house(sqlite_url, tmp_path) as opened:
        async with opened.units.begin() as uow:
            await machines.add_machine(uow, "tour-1", "Tour 1")
            await machines.add_machine(uow, "tour-2", "Tour 2")
            await work.add_order(uow, "OF1", quantity=5)
            for sequence, machine in ((10, "tour-1"), (20, "tour-1"), (30, "tour-2")):
                await work.add_operation(uow, "OF1", sequence, "Tournage", machine=machine, run_min=1)
        yield opened


async def seen(browser: httpx.AsyncClient) -> list[str]:
    return [one["code"] for one in (await browser.get("/api/work/operations")).json()]


def clocking(person: str, operation: str) -> dict[str, str]:
    return {"by": person, "person": person, "operation": operation, "action": "start"}


async def test_an_operator_sees_and_clocks_own_operations_only(shop: House) -> None:
    one, other = await shop.person("operateur"), await shop.person("operateur")
    async with shop.units.begin() as uow:
        await accounts.set_machines(uow, one, ["tour-1"], by="system")
    async with shop.browser(await shop.cookie(one)) as mine, shop.browser(await shop.cookie(other)) as theirs:
        assert await seen(mine) == ["OF1-10", "OF1-20"]
        assert await seen(theirs) == []
        assert (await mine.get("/api/work/operations/OF1-30")).status_code == 404
        assert (await mine.post("/api/work/clockings", json=clocking(one, "OF1-30"))).status_code == 403
        assert (await mine.post("/api/work/clockings", json=clocking(other, "OF1-10"))).status_code == 403
        assert (await mine.post("/api/work/clockings", json=clocking(one, "OF1-10"))).status_code == 204
        assert len((await mine.get("/api/work/running")).json()) == 1
        assert (await theirs.get("/api/work/running")).json() == []
        copy = (await theirs.get("/api/poste/copie")).json()
        assert copy["operations"] == []
        assert [person["id"] for person in copy["persons"]] == [other]
        for elsewhere in ("/stock", "/racks", "/programmes", "/api/work/summary", "/api/work/conflicts", "/personnes"):
            assert (await mine.get(elsewhere)).status_code == 403


async def test_an_operation_is_given_and_handed_over(shop: House) -> None:
    one, other, chief = (
        await shop.person("operateur"),
        await shop.person("operateur"),
        await shop.person("chef_atelier"),
    )
    async with (
        shop.browser(await shop.cookie(chief)) as chiefs,
        shop.browser(await shop.cookie(one)) as mine,
        shop.browser(await shop.cookie(other)) as theirs,
    ):
        path = "/api/work/operations/OF1-30/persons"
        assert (await mine.post(path, json={"person": one})).status_code == 404
        assert (await chiefs.post(path, json={"person": one})).status_code == 204
        assert await seen(mine) == ["OF1-30"]
        assert (await mine.post(path, json={"person": other})).status_code == 204
        assert await seen(theirs) == ["OF1-30"]
        assert (await mine.delete(f"{path}/{other}")).status_code == 403
        assert (await chiefs.delete(f"{path}/{other}")).status_code == 204
        assert await seen(theirs) == []


async def test_what_was_clocked_beyond_ones_rights_is_kept_and_shown_as_a_conflict(shop: House) -> None:
    """Judged as of the fact's time: qualified since eight, a clocking of seven was none of the operator's."""
    person = await shop.person("operateur")
    async with shop.units.begin() as uow:
        await accounts.set_machines(uow, person, ["tour-1"], by="system")
        before = uow.now - timedelta(hours=1)
    async with shop.units.begin() as uow:
        await work.clock(uow, by="system", action="start", operation="OF1-10", person=person, post="tour-1", at=before)
        await work.clock(uow, by="system", action="start", operation="OF1-20", person=person, post="tour-1")
    async with shop.units.reading() as uow:
        conflicts = {(one.kind, one.operation) for one in await work.conflicts(uow)}
        assert ("not_allowed", "OF1-10") in conflicts
        assert ("not_allowed", "OF1-20") not in conflicts
        assert {one.operation for one in await work.running(uow)} == {"OF1-10", "OF1-20"}


async def test_facts_of_somebody_who_left_are_accepted_as_conflicts(shop: House) -> None:
    person = await shop.person()
    async with shop.units.begin() as uow:
        before = uow.now - timedelta(hours=1)
        await accounts.set_active(uow, person, active=False, by="system")
    async with shop.units.begin() as uow:
        await work.clock(uow, by="system", action="start", operation="OF1-10", person=person, post="p", at=before)
        await work.clock(uow, by="system", action="end", operation="OF1-10", person=person, post="p", good=2)
    async with shop.units.reading() as uow:
        found = [one for one in await work.conflicts(uow) if one.kind == "not_allowed"]
        assert len(found) == 1
        assert "ne travaillait plus ici" in found[0].message
        detail = await work.operation(uow, "OF1-10")
        assert detail is not None
        assert detail.operation.good == 2


async def test_a_right_everywhere_needs_no_machine(shop: House) -> None:
    person = await shop.person("operateur")
    async with shop.units.begin() as uow:
        await accounts.set_exception(uow, person, Right("atelier", "creer"), allowed=True, by="system")
    async with shop.units.reading() as uow:
        assert (await standing.standings(uow, {person}))[person].breach("OF1-30", "tour-2", uow.now) is None
