"""A passkey is made with the password, shown in place of a code, and good for this centre and this question only."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from central.people.account_models import Account
from central.people.errors import RefusedError
from central.people.passkeys import Challenges
from tests.support.access import House, house
from tests.support.authenticator import Authenticator

PASSWORD = "le tour chante quand il pleut"
HOST, ORIGIN = "127.0.0.1", "http://127.0.0.1:8000"


@pytest.fixture
async def opened(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(sqlite_url, tmp_path) as house_:
        person = await house_.person("admin")
        hashed = await house_.centre.door.hashing.hash(PASSWORD)
        async with house_.units.begin() as uow:
            row = await uow.session.get(Account, person)
            assert row is not None
            row.login, row.password = "admin", hashed
        yield house_


async def half_in(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/connexion", data={"login": "admin", "password": PASSWORD})
    assert answer.headers["HX-Redirect"] == "/connexion/code"


async def with_key(opened: House, key: Authenticator) -> list[str]:
    """Sign in for the first time and make the key; the recovery codes."""
    async with opened.browser() as browser:
        await browser.post("/connexion", data={"login": "admin", "password": PASSWORD})
        assert "X-Refused" in (await browser.post("/compte/cles/demande", data={"password": "faux"})).headers
        options = (await browser.post("/compte/cles/demande", data={"password": PASSWORD})).json()
        done = await browser.post("/compte/cles", content=key.make(options))
        assert (await browser.get("/personnes")).status_code == 200
        return re.findall(r"<li>([a-z0-9-]+)</li>", done.text)


async def test_a_key_takes_the_place_of_a_code(opened: House) -> None:
    key = Authenticator(HOST, ORIGIN)
    assert len(await with_key(opened, key)) == 10
    async with opened.browser() as browser:
        await half_in(browser)
        options = (await browser.post("/connexion/cle/demande")).json()
        assert [one["id"] for one in options["allowCredentials"]] == [json.loads(key.make(options))["id"]]
        shown = key.show(options)
        assert (await browser.post("/connexion/cle", content=shown)).text == "/"
        assert (await browser.get("/personnes")).status_code == 200
    async with opened.browser() as other:
        await half_in(other)
        assert "X-Refused" in (await other.post("/connexion/cle", content=shown)).headers
        await other.post("/connexion/cle/demande")
        assert "X-Refused" in (await other.post("/connexion/cle", content=shown)).headers
        assert (await other.get("/personnes")).status_code == 403


@pytest.mark.parametrize("wrong", ["origin", "host", "key", "count", "hostile"])
async def test_another_site_another_key_or_a_copy_is_refused(opened: House, wrong: str) -> None:
    key = Authenticator(HOST, ORIGIN)
    await with_key(opened, key)
    async with opened.browser() as browser:
        await half_in(browser)
        first = (await browser.post("/connexion/cle/demande")).json()
        if wrong == "count":
            await browser.post("/connexion/cle", content=key.show(first))
            key.count = 0
            await browser.post("/deconnexion")
            await half_in(browser)
            first = (await browser.post("/connexion/cle/demande")).json()
        if wrong == "key":
            mine, key = key, Authenticator(HOST, ORIGIN)
            key.id = mine.id
        key.origin = "http://ailleurs.example" if wrong == "origin" else key.origin
        key.host = "ailleurs.example" if wrong == "host" else key.host
        content = '{"id": {"a": []}}' if wrong == "hostile" else key.show(first)
        answer = await browser.post("/connexion/cle", content=content)
        assert answer.status_code == 200
        assert "X-Refused" in answer.headers
        assert (await browser.get("/personnes")).status_code == 403


def test_a_question_is_answered_once_and_soon() -> None:
    now, asked = datetime(2026, 11, 2, tzinfo=UTC), Challenges()
    challenge = asked.ask("s", now)
    assert asked.take("s", now) == challenge
    with pytest.raises(RefusedError):
        asked.take("s", now)
    asked.ask("s", now)
    with pytest.raises(RefusedError):
        asked.take("s", now + timedelta(minutes=6))
