"""A NUL in what a person or a program asks: refused in a sentence, where PostgreSQL would have failed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from central.app import create_app
from central.core.settings import Settings

REFUSED = "caractère nul"


@pytest.mark.parametrize(
    ("method", "url", "form"),
    [
        ("GET", "/stock/CN%00MG", None),
        ("GET", "/api/stock/levels?q=a%00b", None),
        ("GET", "/api/stock/levels/CN%00MG", None),
        ("POST", "/api/stock/observations/1/contest?by=p%001", None),
        ("POST", "/revue/1/corriger", "quantity=1%002"),
        ("POST", "/revue/1/corriger", "quantity=1\0"),
    ],
)
async def test_a_nul_is_refused_before_the_database_is_asked(
    sqlite_url: str, method: str, url: str, form: str | None
) -> None:
    app = create_app(Settings(_env_file=None, database_url=sqlite_url))
    headers = {"HX-Request": "true"} | ({} if form is None else {"Content-Type": "application/x-www-form-urlencoded"})
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        answer = await client.request(method, url, content=form)
    assert answer.status_code == 400
    assert REFUSED in answer.text


async def test_a_nul_cut_in_two_is_refused_as_well(sqlite_url: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"quantity=1%", b"0", b"0"):
            yield piece

    app = create_app(Settings(_env_file=None, database_url=sqlite_url))
    headers = {"HX-Request": "true", "Content-Type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=headers) as client:
        answer = await client.post("/revue/1/corriger", content=pieces())
    assert answer.status_code == 400
