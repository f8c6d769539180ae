"""The page of the journal over HTTP: search, exports, anchors."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from central.app import Centre
from central.audit import anchors
from central.audit import service as audit
from central.people import service as people
from tests.support.opened import Opened, opened

EVIL = '<script>alert(1)</script>=cmd|"x"'


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


async def fill(centre: Centre, count: int = 3) -> str:
    async with centre.units.begin() as uow:
        person = await people.add_person(uow, "Opérateur 1")
        for number in range(count):
            await audit.record(uow, who=person.id, what="work.clock", subject=f"operation:OF{number}", text=EVIL)
    return person.id


async def test_lines_are_searched_and_shown_with_names(centre: Centre, client: httpx.AsyncClient) -> None:
    person = await fill(centre)
    shown = await client.get("/journal", params={"qui": person, "quoi": "work", "du": "2020-01-01", "au": ""})
    assert shown.status_code == 200, shown.text
    assert shown.text.count("Pointage saisi") >= 3
    assert "Opérateur 1" in shown.text
    assert EVIL not in shown.text
    assert "&lt;script&gt;" in shown.text
    none = await client.get("/parts/journal", params={"sur": "operation:OF9"})
    assert "Aucune ligne" in none.text
    assert (await client.get("/journal", params={"du": "hier"})).status_code == 422
    assert (await client.get("/journal", params={"au": "9999-12-31"})).status_code == 200


async def test_a_long_journal_is_shown_page_by_page(centre: Centre, client: httpx.AsyncClient) -> None:
    await fill(centre, 130)
    first = (await client.get("/parts/journal", params={"quoi": "work.clock"})).text
    assert "130" in first
    assert first.count("<li>") == 100
    link = first.split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    older = (await client.get(link)).text
    assert older.count("<li>") == 30
    assert "Lignes plus anciennes" not in older


async def test_exports_hold_the_same_lines_and_are_acts_themselves(centre: Centre, client: httpx.AsyncClient) -> None:
    await fill(centre, 2100)
    sheet = await client.get("/journal/export.csv", params={"quoi": "work"})
    assert sheet.headers["content-disposition"].startswith("attachment")
    lines = sheet.text.splitlines()
    assert len(lines) == 2101
    assert lines[1].startswith("2100;") or "work.clock" in lines[1]
    book = await client.get("/journal/export.xlsx", params={"quoi": "work"})
    pages = zipfile.ZipFile(io.BytesIO(book.content))
    assert pages.read("xl/worksheets/sheet1.xml").count(b"<row ") == 2101
    async with centre.units.reading() as uow:
        assert await audit.count(uow, audit.Search(what="audit.export")) == 2


async def test_anchors_can_be_taken_away_and_the_journal_checked(centre: Centre, client: httpx.AsyncClient) -> None:
    await fill(centre)
    await centre.journal.anchor()
    given = (await client.get("/journal/ancres.jsonl")).text.splitlines()
    assert given
    assert all(anchors.parse(line).is_signed for line in given)
    said = await client.post("/journal/verifier", headers={"HX-Request": "true"})
    assert said.status_code == 200, said.text
    assert "entier" in said.text
