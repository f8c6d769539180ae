"""Strict headers on every answer of every route, and the flags of every cookie."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import httpx
import pytest

from central.core.access import routes_of
from central.core.shield import HEADERS
from central.fleet import enrolment
from central.people import own
from central.people.account_models import Account
from tests.support.access import House, house

PASSWORD = "le tour chante quand il pleut"
FITTING = {"sha256": "0" * 64, "crops_id": "0" * 32, "crops": "0" * 32, "boot": "b0000001", "agent": "poste-1"}


@pytest.fixture
async def opened(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(sqlite_url, tmp_path) as home:
        yield home


async def owner_of(home: House) -> str:
    person = await home.person(owner=True, name="Propriétaire")
    async with home.units.begin() as uow:
        await own.set_totp(uow, person, b"sealed", 0)
    return person


async def test_every_route_answers_with_strict_headers(opened: House) -> None:
    cookie = await opened.cookie(await owner_of(opened))
    wrong = []
    for route in routes_of(opened.app):
        if route.path == "/deconnexion":
            continue
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda m: FITTING.get(m.group(1), "1"), route.path)
        for method in sorted(route.methods - {"HEAD"}):
            for who in (None, cookie):
                status, headers = await opened.first(method, path, who)
                wrong += [(method, path, status, n) for n, value in HEADERS.items() if headers.get(n.lower()) != value]
                kept = headers.get("cache-control", "")
                if status == 200 and who and "no-store" not in kept and not is_public(path):
                    wrong.append((method, path, status, f"cache-control: {kept}"))
                if "set-cookie" in headers:
                    wrong.append((method, path, status, "a cookie nobody asked for"))
    assert not wrong


def is_public(path: str) -> bool:
    """Nothing of the shop is in these."""
    return path.startswith(("/static/", "/poste", "/sw.js", "/manifest", "/favicon", "/ca.crt", "/confiance"))


async def test_a_failure_and_a_refusal_carry_them_too(opened: House) -> None:
    @opened.app.get("/api/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    routes = opened.app.router.routes
    routes.insert(0, routes.pop())
    cookies = {"copeau-session": await opened.cookie(await owner_of(opened))}
    transport = httpx.ASGITransport(opened.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", cookies=cookies) as browser:
        answers = [
            await browser.get("/api/broken"),
            await browser.get("/nulle-part"),
            await browser.get("/stock?q=%00"),
            await browser.post("/connexion", headers={"Sec-Fetch-Site": "cross-site"}),
        ]
    assert [answer.status_code for answer in answers] == [500, 404, 400, 403]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, answer.url


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_every_cookie_has_its_flags(opened: House, scheme: str) -> None:
    person = await opened.person("magasinier")
    hashed = await opened.centre.door.hashing.hash(PASSWORD)
    async with opened.units.begin() as uow:
        row = await uow.session.get(Account, person)
        assert row is not None
        row.login, row.password = "dupont", hashed
        made = await enrolment.invite(uow, "poste-1", "terminal", by="system")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(opened.app),
        base_url=f"{scheme}://127.0.0.1:8000",
        headers={"HX-Request": "true", "Sec-Fetch-Site": "same-origin"},
    ) as browser:
        answers = [
            await browser.post("/connexion", data={"login": "dupont", "password": PASSWORD}),
            await browser.post("/deconnexion"),
            await browser.post("/api/enrol/terminal", json={"token": made.token}),
        ]
    given = [cookie for answer in answers for cookie in cookies_of(answer)]
    prefix = "__Host-" if scheme == "https" else ""
    assert [c.key.removeprefix(prefix) for c in given] == [
        "copeau-session", "copeau-known", "copeau-session", "copeau-device",
    ]  # fmt: skip
    for cookie in given:
        assert cookie.key.startswith("__Host-") == bool(cookie["secure"]) == (scheme == "https"), cookie
        assert cookie["httponly"], cookie
        assert cookie["samesite"].lower() == ("strict" if "device" in cookie.key else "lax"), cookie
        assert (cookie["path"], cookie["domain"]) == ("/", ""), cookie


def cookies_of(answer: httpx.Response) -> list[Morsel[str]]:
    return [morsel for line in answer.headers.get_list("set-cookie") for morsel in SimpleCookie(line).values()]
