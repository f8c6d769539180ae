"""The pages of racks, the review and the post's live side, asked as a browser asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from central.core.access import OpenGate
from central.racks import routes as racks_routes
from central.racks import service as racks
from central.racks.pictures import Pictures
from central.stock import routes as stock_routes
from central.stock import service
from central.ui import pages
from contracts.facts import CodeScanned
from tests.integration.central.racks.conftest import JPEG, PIECE, Shop, ask, described, pick, read


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture
async def page(shop: Shop, pictures: Pictures) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.units, app.state.rack_pictures, app.state.gate = shop.units, pictures, OpenGate()
    for module in (racks_routes, stock_routes, pages):
        app.include_router(module.router)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers={"HX-Request": "true"}
    ) as client:
        yield client


def words(answer: httpx.Response) -> str:
    """Without the thin and fixed spaces of French typography."""
    return " ".join(answer.text.split())


async def last(shop: Shop) -> service.LastBelief:
    async with shop.units.reading() as uow:
        return (await service.last_beliefs(uow, "rack-a"))[0]


async def test_pas_ca_that_is_refused_leaves_nothing_behind(shop: Shop, page: httpx.AsyncClient) -> None:
    scan = CodeScanned(code="CNMG", format="CODE128", post="poste-1", action="take", qty=PIECE, person="p1")
    await shop.say(shop.fact(pick(before=5, why="gone", person="p1")), shop.fact(scan, 5))
    seen = (await last(shop)).observation
    for _ in range(2):
        answer = await page.post(f"/rack/rack-a/ecran/{seen}/pas-ca")
        assert "Une autre source dit la même prise" in answer.text
        answer = await page.post(f"/api/poste/rayonnages/{seen}/pas-ca", data={"person": "p1"})
        assert answer.headers["X-Refused"]
        assert answer.text.startswith("Une autre source dit la même prise")
    assert (await last(shop)).state == "automatic"
    assert await shop.level() == (4, 0)


async def test_pas_ca_on_a_doubt_is_one_touch_that_the_review_shows(shop: Shop, page: httpx.AsyncClient) -> None:
    """It only opened the keypad: whoever went on without typing had said nothing."""
    await shop.say(shop.fact(pick(before=5, mode="review"), 3595))
    seen = (await last(shop)).observation
    answer = await page.post(f"/rack/rack-a/ecran/{seen}/pas-ca")
    assert "Combien, en vrai ?" in words(answer)
    (question,) = await shop.open()
    assert question.contested
    assert await shop.level() == (5, -1)
    assert await shop.told() == [("A1", 5)]
    assert "quelqu’un a dit « Pas ça »" in words(await page.get("/a-verifier"))
    assert "Déjà dit" in (await page.post(f"/rack/rack-a/ecran/{seen}/pas-ca")).text
    await page.post(f"/rack/rack-a/ecran/{question.id}/combien", data={"quantity": "1"})
    assert await shop.level() == (4, 0)
    assert await shop.told() == [("A1", 5), ("A1", 4)]


async def test_no_live_picture_is_given_without_a_line_or_after_its_time(
    shop: Shop, page: httpx.AsyncClient, pictures: Pictures
) -> None:
    """The picture's own address gave it to whoever had not asked the camera for it, unwritten, for days."""
    pictures.bring("rack-a", JPEG, shop.clock.moment)
    shown = await page.get("/rack/rack-a/image.jpg")
    assert shown.content == JPEG
    again = await page.get("/rack/rack-a/image.jpg", headers={"If-None-Match": shown.headers["ETag"]})
    assert again.status_code == 304
    async with shop.units.reading() as uow:
        (viewing,) = (await racks.privacy(uow)).viewings
    assert (viewing.who, viewing.what, viewing.subject) == ("page", "racks.view_picture", "rack:rack-a")
    shop.clock.moment += timedelta(minutes=61)
    assert (await page.get("/rack/rack-a/image.jpg")).status_code == 204
    pictures.bring("rack-a", JPEG, shop.clock.moment)
    assert (await page.post("/vie-privee/effacer")).status_code == 200
    assert (await page.get("/rack/rack-a/image.jpg")).status_code == 204


async def test_however_many_are_open_what_was_just_answered_can_be_taken_back(
    shop: Shop, page: httpx.AsyncClient
) -> None:
    await shop.say(*(shop.fact(pick(mode="review"), second) for second in range(203)))
    question = (await shop.open())[0]
    await page.post(f"/revue/{question.id}/refuser")
    shown = words(await page.get("/a-verifier"))
    assert 'class="count">202<' in shown
    assert "Les 200 plus récentes" in shown
    assert f'data-act="annuler" data-id="{question.id}"' in shown


async def test_what_was_answered_is_told_as_it_was_meant(shop: Shop, page: httpx.AsyncClient) -> None:
    await shop.say(shop.fact(read(3)), shop.fact(ask(), 60))
    for question, data in zip(await shop.open(), ({"quantity": "0"}, {"quantity": "4", "way": "level"}), strict=True):
        await page.post(f"/revue/{question.id}/corriger", data=data)
    shown = words(await page.get("/parts/revue"))
    assert "Corrigé : Plaquette CNMG, rien n’a bougé" in shown
    assert "Corrigé : Plaquette CNMG, il y en a 4<" in shown


async def test_the_screen_asks_nothing_that_no_number_answers(shop: Shop, page: httpx.AsyncClient) -> None:
    scan = CodeScanned(code="CNMG", format="CODE128", post="poste-1", action="take", qty=PIECE, person="p1")
    await shop.say(shop.fact(pick(before=5)), shop.fact(scan, 3000))
    assert [p.kind for p in await shop.open()] == ["pairing"]
    assert "combien" not in words(await page.get("/rack/rack-a/ecran"))


async def test_the_screen_says_a_transfer_once_and_a_return_as_one(shop: Shop, page: httpx.AsyncClient) -> None:
    """A transfer was « 1 pris » and « 1 rendu », a return « débité »."""
    there = pick(1, before=0, place="A3", item="CNMG", transfer="rack-a/A1", session="s1")
    await shop.say(shop.fact(pick(before=5, transfer="rack-a/A3", session="s1"), 3590), shop.fact(there, 3590))
    shown = words(await page.get("/rack/rack-a/ecran"))
    assert "1 déplacé vers A3" in shown
    assert "Débité" not in shown
    assert shown.count("Pas ça") == 1
    await shop.say(shop.fact(pick(1, before=4), 3599))
    shown = words(await page.get("/rack/rack-a/ecran"))
    assert "Remis en stock" in shown
    assert "1 rendu" in shown


BIG = 10**23


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (f"/revue/{BIG}/confirmer", {}),
        (f"/a-imputer/{BIG}/imputer", {}),
        (f"/rack/rack-a/ecran/{BIG}/pas-ca", {}),
        (f"/rack/rack-a/ecran/{BIG}/combien", {"quantity": "1"}),
        (f"/rack/rack-a/versions/{BIG}/reprendre", {}),
        (f"/rack/rack-a/confiance/{'k' * 41}/blanc", {}),
        (f"/api/poste/rayonnages/{BIG}/pas-ca", {"person": "p1"}),
        (f"/api/poste/questions/{BIG}", {"person": "p1", "quantity": "1"}),
        (f"/api/poste/imputer/{BIG}", {"person": "p1"}),
        (f"/api/stock/observations/{BIG}/contest?by=p1", {}),
    ],
)
async def test_a_number_that_no_row_can_have_is_no_fault_of_the_centre(
    page: httpx.AsyncClient, path: str, data: dict[str, str]
) -> None:
    assert (await page.post(path, data=data)).status_code == 422


async def test_a_quantity_that_no_ledger_holds_is_refused(page: httpx.AsyncClient) -> None:
    for decision in ({"qty": 10**30, "by": "p1"}, {"qty": 1000, "by": "p" * 121}):
        answer = await page.post("/api/stock/proposals/1", json={"action": "correct"} | decision)
        assert answer.status_code == 422


async def test_trust_in_a_rack_that_nobody_knows_makes_none(shop: Shop, page: httpx.AsyncClient) -> None:
    body = {"klass": "insert", "automatic": True}
    assert (await page.post("/api/racks/rack-z/trust?by=p1", json=body)).status_code == 404
    async with shop.units.reading() as uow:
        assert [rack.code for rack in await racks.racks(uow)] == ["rack-a"]


async def test_a_rack_screen_answers_no_question_of_another_rack(shop: Shop, page: httpx.AsyncClient) -> None:
    async with shop.begin() as uow:
        await racks.teach(uow, "rack-b", described(), by="p1")
    await shop.say(shop.fact(ask(count_before=5), 10))
    (question,) = await shop.open()
    for rack, number in (("rack-b", question.id), ("rack-a", 999_999)):
        answer = await page.post(f"/rack/{rack}/ecran/{number}/combien", data={"quantity": "2"})
        assert answer.status_code == 404
        assert "pas de ce rayonnage" in words(answer)
    assert await shop.level() == (5, 0)
    assert (await page.post(f"/rack/rack-a/ecran/{question.id}/combien", data={"quantity": "2"})).status_code == 200
    assert await shop.level() == (3, 0)
