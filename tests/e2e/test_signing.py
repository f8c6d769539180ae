"""An order is marked, its finished operation signed with the password again; on a phone, a tablet, a desk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from central.core.database import Database
from central.core.settings import Settings
from central.core.uow import Units
from central.people import accounts
from central.people.account_models import Account
from central.people.passwords import Hashing
from central.work import service as work
from copeau.servers.broker import Broker
from tests.e2e import seed
from tests.e2e.conftest import Watch
from tests.e2e.harness import Centre

PASSWORD = "le tour chante quand il pleut"


@pytest.fixture
def locked(tmp_path: Path, broker: Broker) -> Iterator[Centre]:
    """With accounts: « q » may clock and validate."""
    running = Centre(tmp_path, broker.port, access="accounts", data=tmp_path)
    running.start()
    with ThreadPoolExecutor(1) as other_thread:
        other_thread.submit(asyncio.run, books(running.database_url)).result()
    yield running
    running.stop()


async def books(database_url: str) -> None:
    await seed.books(database_url)
    database = Database(database_url)
    units = Units(database, Settings(_env_file=None, database_url=database_url))
    hashed = await Hashing().hash(PASSWORD)
    now = datetime.now(UTC)
    async with units.begin() as uow:
        person = await accounts.add(uow, "Opérateur 3", by="system")
        uow.session.add(Account(person=person, login="q", password=hashed, created_at=now))
        await uow.session.flush()
        await accounts.set_roles(uow, person, ["chef_atelier"], by="system")
        steps: tuple[tuple[Literal["start", "end"], int, int], ...] = (("start", 90, 0), ("end", 30, 60))
        for code in ("OF118-20", "OF121-10"):
            for action, minutes, good in steps:
                moment = now - timedelta(minutes=minutes)
                await work.clock(uow, by=person, action=action, operation=code, person=person, at=moment, good=good)
    await database.close()


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_marked_then_signed_then_changed(browser: Browser, locked: Centre, watch: Watch, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844}, locale="fr-FR", timezone_id="Europe/Paris", base_url=locked.url
    )
    watch.over(context, locked.url)
    page = context.new_page()

    def fits() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url

    page.goto("/connexion")
    page.get_by_label("Nom de connexion").fill("q")
    page.get_by_label("Mot de passe").fill(PASSWORD)
    page.get_by_role("button", name="Se connecter").click()
    expect(page.locator("#tabs")).to_be_visible()
    expect(page.locator("#tabs")).not_to_contain_text("Signatures")
    page.goto("/of")
    fits()
    page.get_by_label("Secteur de OF118").select_option("Aéronautique")
    page.get_by_role("button", name="Enregistrer le secteur de OF118").click()
    expect(page.locator("#orders")).to_contain_text("OF118 : Aéronautique. Enregistré")
    page.goto("/signatures")
    fits()
    expect(page.locator("#signatures")).not_to_contain_text("OF121-10")
    page.get_by_role("link", name="Signer").click()
    fits()
    page.get_by_role("link", name="Contrôlé conforme").click()
    page.get_by_label("Votre mot de passe").fill("un autre mot de passe")
    page.get_by_role("button", name="Signer « Contrôlé conforme »").click()
    expect(page.locator("#refus")).to_contain_text("pas votre mot de passe")
    page.get_by_label("Votre mot de passe").fill(PASSWORD)
    page.get_by_role("button", name="Signer « Contrôlé conforme »").click()
    expect(page.locator("#signature")).to_contain_text("Signé :")
    page.get_by_text("Texte signé et empreinte").click()
    fits()
    with ThreadPoolExecutor(1) as other_thread:
        other_thread.submit(asyncio.run, scrapped(locked.database_url)).result()
    page.goto("/signatures")
    expect(page.locator("#signatures")).to_contain_text("modifié depuis la signature")
    fits()
    context.close()
    assert watch.complaints == []


async def scrapped(database_url: str) -> None:
    """A correction, entered after the signature."""
    database = Database(database_url)
    units = Units(database, Settings(_env_file=None, database_url=database_url))
    async with units.begin() as uow:
        moment = datetime.now(UTC) - timedelta(minutes=20)
        await work.clock(
            uow, by="system", action="end", operation="OF118-20", person="p-7k3f", at=moment, scrap=1
        )  # fmt: skip
    await database.close()
