"""The page of personal data over HTTP."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from central.app import Centre
from central.audit import service as audit
from central.people import service as people
from central.privacy import remembering
from tests.support.opened import Opened, opened

HX = {"HX-Request": "true"}


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Opened]:
    async with opened(tmp_path) as found:
        yield found


@pytest.fixture
def centre(shop: Opened) -> Centre:
    return shop.centre


@pytest.fixture
def client(shop: Opened) -> httpx.AsyncClient:
    return shop.client


async def test_the_table_the_copy_and_the_erasure(centre: Centre, client: httpx.AsyncClient) -> None:
    async with centre.units.begin() as uow:
        person = await people.add_person(uow, "Opérateur <b>1</b>")
    shown = await client.get("/vie-privee/donnees")
    assert shown.status_code == 200, shown.text
    assert "Pointages nominatifs" in shown.text
    assert "5\u00a0ans" in shown.text
    assert "<b>1</b>" not in shown.text
    copy = await client.get(f"/vie-privee/personnes/{person.id}.json")
    assert copy.json()["person"][0]["name"] == "Opérateur <b>1</b>"
    book = await client.get(f"/vie-privee/personnes/{person.id}.xlsx")
    assert zipfile.ZipFile(io.BytesIO(book.content)).testzip() is None
    assert (await client.get("/vie-privee/personnes/p-none.json")).status_code == 404
    erased = await client.post(f"/vie-privee/personnes/{person.id}/effacer", headers=HX)
    assert "Nom, badge et compte effacés" in erased.text
    assert "Opérateur" not in erased.text
    assert set(remembering.noted(centre.settings)) == {person.id}
    applied = await client.post("/vie-privee/conservation/appliquer", headers=HX)
    assert "Rien n’avait dépassé sa durée" in applied.text
    async with centre.units.reading() as uow:
        acts = [e.what for e in await audit.search(uow, audit.Search(subject=f"person:{person.id}"))]
    assert acts == ["privacy.erase", "privacy.export", "privacy.export"]
