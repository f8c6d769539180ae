"""Automatic, or validated by a person: the setting is obeyed, changed by a right, and its change is in the journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from central.audit import service as audit
from central.automation import service as automation
from central.automation.rules import ACTS, BY_ACT
from tests.integration.central.racks.conftest import Shop, open_shop, pick
from tests.support.opened import opened

HX = {"HX-Request": "true"}


def test_what_could_harm_begins_with_a_person() -> None:
    for act in ("replenishment", "planning", "price", "hold", "update"):
        assert BY_ACT[act].default == "validated"
    assert all(described.harm and described.automatic and described.validated for described in ACTS)


@pytest.fixture
async def shop(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.chdir(tmp_path)
    async with open_shop(database_url) as shop:
        yield shop


async def test_a_camera_moves_nothing_where_a_person_validates(shop: Shop) -> None:
    await shop.say(shop.fact(pick(before=5), 0))
    assert await shop.level() == (4, 0)
    async with shop.begin() as uow:
        await automation.choose(uow, "camera_debit", "validated", by="p1")
    await shop.say(shop.fact(pick(before=4), 60))
    assert await shop.level() == (4, -1)
    assert len(await shop.open()) == 1
    async with shop.begin() as uow:
        await automation.choose(uow, "camera_debit", "automatic", by="p1")
    await shop.say(shop.fact(pick(place="A2", before=5), 120))
    assert await shop.level("DNMG") == (4, 0)
    async with shop.begin() as uow:
        changes = await audit.entries(uow, subject="automation:camera_debit")
    assert [(c.who, c.detail) for c in changes] == [
        ("p1", {"after": "automatic", "before": "validated"}),
        ("p1", {"after": "validated", "before": "automatic"}),
    ]


async def test_what_does_not_exist_or_lies_at_the_machine_is_not_set_here(shop: Shop) -> None:
    async with shop.begin() as uow:
        for act in ("hold", "price"):
            with pytest.raises(ValueError, match=r"agent|encore"):
                await automation.choose(uow, act, "automatic", by="p1")
        with pytest.raises(LookupError):
            await automation.choose(uow, "launch", "automatic", by="p1")
        assert not await automation.is_automatic(uow, "price")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(tmp_path) as found:
        yield found.client


async def test_the_page_shows_and_changes_it(client: httpx.AsyncClient) -> None:
    shown = await client.get("/automatismes")
    assert shown.status_code == 200, shown.text
    assert shown.text.count("Pas encore construit") == 4
    changed = await client.post("/automatismes", data={"act": "charge", "mode": "validated"}, headers=HX)
    assert "noté au journal" in changed.text
    assert changed.text.count("Rendre automatique</button>") == 1
    wrong = await client.post("/automatismes", data={"act": "hold", "mode": "automatic"}, headers=HX)
    assert "agent de la machine" in wrong.text
    assert (await client.post("/automatismes", data={"act": "charge", "mode": "no"}, headers=HX)).status_code == 422
