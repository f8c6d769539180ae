"""Badge and PIN at a shared terminal: several there, one active, released in the end; and nobody speaks for another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from starlette.requests import HTTPConnection

from central.core.access import Identity
from central.people import own, posts
from central.people.account_models import PostSession
from central.people.identity import PersonGate
from central.people.sessions import Caller
from central.people.signing_in import NotSignedIn
from tests.support.access import House, house


@pytest.fixture
async def opened(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """Every request without a session comes from the enrolled terminal ``poste-1``."""

    async def terminal(_request: HTTPConnection) -> Identity:
        return Identity("device", device="poste-1", roles=frozenset({"terminal"}))

    async with house(sqlite_url, tmp_path) as house_:
        gate = house_.app.state.gate
        assert isinstance(gate, PersonGate)
        gate.devices = terminal
        yield house_


async def with_pin(opened: House, pin: str = "4830") -> str:
    person = await opened.person("operateur")
    hashed = await opened.centre.door.hashing.hash(pin)
    async with opened.units.begin() as uow:
        await own.set_pin(uow, person, hashed, by="system")
    return person


async def test_several_at_one_post_and_one_active(opened: House) -> None:
    one, other = await with_pin(opened), await with_pin(opened, "7152")
    async with opened.browser() as post:
        said = {"poste": "poste-1", "person": one}
        assert (await post.post("/api/poste/ouvrir", data=said)).json() == {"open": False}
        assert (await post.post("/api/poste/ouvrir", data=said | {"pin": "7152"})).headers["X-Refused"] == "1"
        assert (await post.post("/api/poste/ouvrir", data=said | {"pin": "4830"})).json()["open"]
        assert (await post.post("/api/poste/ouvrir", data={"poste": "poste-1", "person": other, "pin": "7152"})).json()[
            "open"
        ]
        async with opened.units.reading() as uow:
            assert [(p.person, p.active) for p in await posts.present(uow, "poste-1")] == [(other, True), (one, False)]
        assert (await post.post("/api/poste/ouvrir", data=said)).json() == {"open": True}
        assert (await post.post("/api/poste/quitter", data=said)).status_code == 204
        assert (await post.post("/api/poste/ouvrir", data=said)).json() == {"open": False}
        copy = (await post.get("/api/poste/copie")).json()
        assert {person["id"]: person["pin"] for person in copy["persons"]} == {one: True, other: True}


async def test_a_post_speaks_for_those_who_showed_their_pin_there(opened: House) -> None:
    person, open_to_all = await with_pin(opened), await opened.person("operateur")
    path = "/api/poste/rayonnages/1/pas-ca"
    async with opened.browser() as post:
        assert (await post.post(path, data={"person": person})).status_code == 403
        assert (await post.post(path, data={"person": open_to_all})).status_code == 200
        await post.post("/api/poste/ouvrir", data={"poste": "poste-1", "person": person, "pin": "4830"})
        assert (await post.post(path, data={"person": person})).status_code == 200


async def test_guessing_a_pin_is_slowed_down_at_posts_alone(opened: House) -> None:
    person, door = await with_pin(opened), opened.centre.door
    for _ in range(5):
        with pytest.raises(NotSignedIn, match="pas le bon code"):
            await posts.enter(door, "poste-1", person, "0000")
    with pytest.raises(NotSignedIn, match="attendez"):
        await posts.enter(door, "poste-1", person, "4830")
    assert (await posts.enter(door, "poste-2", person, "4830")).active
    async with opened.units.reading() as uow:
        assert await door.wait(uow, person, Caller("10.0.0.5", "test")) is None


async def test_all_are_released_at_the_end(opened: House) -> None:
    person = await with_pin(opened)
    await posts.enter(opened.centre.door, "poste-1", person, "4830")
    async with opened.units.begin() as uow:
        row = (await uow.session.scalars(select(PostSession))).one()
        row.until = uow.now - timedelta(seconds=1)
    async with opened.units.begin() as uow:
        await posts.release_ended(uow)
        assert await posts.present(uow, "poste-1") == []


async def test_a_terminal_opens_and_leaves_no_other_post(opened: House) -> None:
    person = await with_pin(opened)
    async with opened.browser() as post:
        said = {"poste": "poste-2", "person": person, "pin": "4830"}
        assert (await post.post("/api/poste/ouvrir", data=said)).status_code == 403
        assert (await post.post("/api/poste/quitter", data=said)).status_code == 403
    async with opened.units.reading() as uow:
        assert await posts.present(uow, "poste-2") == []
