"""Requests that another site makes a browser send, and the headers of every answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from central.core.shield import HEADERS
from tests.support.access import House, house


@pytest.fixture
async def opened(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(sqlite_url, tmp_path) as house_:
        yield house_


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "hx-request": "true"},
    ],
)
async def test_another_site_changes_nothing(opened: House, headers: dict[str, str]) -> None:
    cookie = await opened.cookie(await opened.person("chef_atelier"))
    assert (await opened.first("POST", "/alertes/vues", cookie, **headers))[0] == 403
    assert (await opened.first("POST", "/api/alerts/1/acknowledge", cookie, **headers))[0] == 403


async def test_an_old_browser_is_judged_by_its_origin(opened: House) -> None:
    cookie = await opened.cookie(await opened.person("chef_atelier"))
    async with opened.browser(cookie) as browser:
        del browser.headers["Sec-Fetch-Site"], browser.headers["HX-Request"]
        path, body = "/api/alerts/1/acknowledge", {"by": "x"}
        assert (await browser.post(path, json=body)).status_code == 403
        assert (await browser.post(path, json=body, headers={"Origin": "https://ailleurs.example"})).status_code == 403
        assert (await browser.post(path, json=body, headers={"Origin": "null"})).status_code == 403
        assert (await browser.post(path, json=body, headers={"Origin": "http://127.0.0.1:8000"})).status_code == 404


@pytest.mark.parametrize("path", ["/connexion", "/api/time", "/static/pages.css", "/rien", "/api/stock/levels"])
async def test_every_answer_carries_the_strict_headers(opened: House, path: str) -> None:
    _, headers = await opened.first("GET", path)
    for name, value in HEADERS.items():
        assert headers[name.lower()] == value
    assert "unsafe-inline" not in headers["content-security-policy"]


async def test_no_list_of_the_api_for_whoever_asks(opened: House) -> None:
    for path in ("/openapi.json", "/docs", "/redoc"):
        assert (await opened.first("GET", path))[0] == 401


async def test_an_open_centre_answers_this_machine_only(sqlite_url: str, tmp_path: Path) -> None:
    async with house(sqlite_url, tmp_path, access="open") as opened:
        assert (await opened.first("GET", "/stock"))[0] == 200
        assert (await opened.first("GET", "/stock", host="nas.local:8000"))[0] == 403
        assert (await opened.first("GET", "/stock", host="127.0.0.1.evil.example"))[0] == 403
        proxied = {"x-forwarded-for": "192.168.1.9"}
        assert (await opened.first("GET", "/stock", **proxied))[0] == 403
        assert (await opened.first("GET", "/poste", **proxied))[0] == 403
        assert (await opened.first("POST", "/connexion"))[0] in {409, 422}
