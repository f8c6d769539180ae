"""The page of personal data over HTTP."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from central.app import Centre, create_app
from central.audit import service as audit
from central.core.settings import Settings
from central.people import service as people
from central.privacy import remembering

HX = {"HX-Request": "true"}


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    settings = Settings(_env_file=None, database_url=f"sqlite:///{tmp_path / 'copeau.db'}", access="open")
    app = create_app(settings)
    opened: Centre = app.state.centre
    await opened.open()
    opened.app = app  # type: ignore[attr-defined]  # for the client
    yield opened
    await opened.close()


@pytest.fixture
async def client(centre: Centre) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(centre.app, client=("127.0.0.1", 1))  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


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
