"""Hostile words in every field of every route: no answer is a failure of the centre, and nothing leaves its folder."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from tests.support.access import House, house

WORDS = {
    "sql": "x' OR '1'='1' --",
    "sql union": 'a") UNION SELECT name, password FROM account --',
    "like": "%_%",
    "path": "../../../../../../etc/passwd",
    "encoded path": "..%2f..%2f..%2fetc%2fpasswd",
    "windows path": "..\\..\\windows\\win.ini",
    "nul": "a\0b",
    "script": "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>",
    "template": "{{ 7*7 }}${7*7}{% debug %}",
    "header": "a\r\nSet-Cookie: x=y",
    "long": "A" * 5000,
    "negative": "-1",
    "huge": "9" * 40,
    "float": "1e999",
    "nan": "NaN",
    "far date": "9999-12-31T23:59:59+00:00",
    "old date": "0001-01-01T00:00:00+14:00",
    "unicode": "９９\u202e\ufeff\U0001f4a9",
    "empty": "",
}
BODIES: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "huge number": b'{"by":"p","quantity":1e999,"qty":' + b"9" * 400 + b"}",
    "surrogate": b'{"by":"\\ud800","name":"\\udfff","text":"\\ud800"}',
    "nul": b'{"by":"a\\u0000b","name":"\\u0000","role":"\\u0000","comment":"\\u0000"}',
    "not utf-8": b"\xff\xfe\xfa{",
    "wrong types": b'{"by":[],"name":{},"qty":"x","lines":7,"mode":null}',
    "many keys": json.dumps({f"k{n}": n for n in range(20_000)}).encode(),
    "msgpack deep": b"\x91" * 100_000,
}
STREAMS = ("/api/live", "/events")
_FITTING = {"sha256": "0" * 64, "crops_id": "0" * 32, "crops": "0" * 32}


@pytest.fixture
async def home(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(sqlite_url, tmp_path, access="open") as opened:
        yield opened


@pytest.fixture
async def browser(home: House) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(home.app, raise_app_exceptions=False, client=("127.0.0.1", 1)),
        base_url="http://127.0.0.1:8000",
        headers={"HX-Request": "true", "Sec-Fetch-Site": "same-origin"},
    ) as client:
        yield client


def routes(home: House) -> list[tuple[str, str, list[str]]]:
    """Method, path, names of its query."""
    found = []
    for context in iter_route_contexts(home.app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute) or any(word in (context.path or "") for word in STREAMS):
            continue
        names = [str(field.alias) for field in _fields(route.dependant)]
        found += [(m, context.path or "", names) for m in sorted((context.methods or set()) - {"HEAD"})]
    return found


def _fields(dependant: Any) -> list[Any]:
    own = list(dependant.query_params)
    for below in dependant.dependencies:
        own += _fields(below)
    return own


def address(path: str, word: str | None = None) -> str:
    """With the word in every place that takes one; without, what fits."""

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if word is None:
            return _FITTING.get(name, "1")
        return quote(word, safe="") or "1"

    return re.sub(r"\{(\w+)(?::\w+)?\}", fill, path)


def broke(answer: httpx.Response) -> bool:
    """503 is said on purpose: this centre has no authority of its own."""
    return answer.status_code >= 500 and answer.status_code != 503


def failed(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url}: {answer.status_code}"[:300]


@pytest.mark.timeout(900)
async def test_no_word_in_an_address_or_a_filter_breaks_a_page(home: House, browser: httpx.AsyncClient) -> None:
    wrong = [found for word in WORDS for found in await _asked_with(home, browser, word)]
    assert not wrong, "\n".join(wrong[:30])


async def _asked_with(home: House, browser: httpx.AsyncClient, word: str) -> list[str]:
    wrong = []
    for method, path, names in routes(home):
        if method != "GET":
            continue
        tries: list[tuple[str, dict[str, str]]] = []
        if "{" in path:
            tries.append((address(path, WORDS[word]), {}))
        if names:
            tries.append((address(path), dict.fromkeys(names, WORDS[word])))
        if len(names) > 1:
            tries += [(address(path), {name: WORDS[word]}) for name in names]
        for asked, fields in tries:
            answer = await browser.get(asked, params=fields or None)
            if broke(answer):
                wrong.append(failed(answer))
            is_page = answer.headers.get("content-type", "").startswith("text/html")
            if "root:x:0" in answer.text or (is_page and "<script>alert(1)" in answer.text):
                wrong.append(f"leaks: {failed(answer)}")
            if "set-cookie" in answer.headers and "x=y" in answer.headers["set-cookie"]:
                wrong.append(f"header: {failed(answer)}")
    return wrong


@pytest.mark.timeout(900)
async def test_no_body_breaks_the_centre(home: House, browser: httpx.AsyncClient) -> None:
    wrong = [found for body in BODIES for found in await _sent(home, browser, body)]
    assert not wrong, "\n".join(wrong[:30])


async def _sent(home: House, browser: httpx.AsyncClient, body: str) -> list[str]:
    wrong = []
    for method, path, _ in routes(home):
        if method == "GET":
            continue
        for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await browser.request(method, address(path), content=BODIES[body], headers={"Content-Type": kind})
            if broke(answer):
                wrong.append(f"{kind} {failed(answer)}")
    return wrong


@pytest.mark.timeout(900)
async def test_no_word_in_a_form_breaks_the_centre(home: House, browser: httpx.AsyncClient) -> None:
    wrong = [found for word in WORDS for found in await _filled_with(home, browser, word)]
    assert not wrong, "\n".join(wrong[:30])


async def _filled_with(home: House, browser: httpx.AsyncClient, word: str) -> list[str]:
    wrong = []
    for method, path, names in routes(home):
        if method == "GET":
            continue
        route = next(
            c.original_route
            for c in iter_route_contexts(home.app.routes)
            if c.path == path and method in (c.methods or ())
        )
        assert isinstance(route, APIRoute)
        form = [str(field.alias) for field in route.dependant.body_params]
        params = dict.fromkeys(names, WORDS[word])
        for sent in ({"data": dict.fromkeys(form, WORDS[word])}, {"json": _json_for(route, WORDS[word])}):
            answer = await browser.request(method, address(path), params=params, **sent)  # type: ignore[arg-type]  # one of two
            if broke(answer):
                wrong.append(failed(answer))
    return wrong


def _json_for(route: APIRoute, word: str) -> Any:
    """A body with the route's own keys, each holding the word."""
    for field in route.dependant.body_params:
        fields = getattr(field.field_info.annotation, "model_fields", None)
        if fields:
            return dict.fromkeys(fields, word)
    return {name.alias: word for name in route.dependant.body_params}


async def test_an_upload_of_a_programme_stays_in_its_folder(
    home: House, browser: httpx.AsyncClient, tmp_path: Path
) -> None:
    before = files(tmp_path)
    for name in (
        "../../evil.nc",
        "..\\..\\evil.nc",
        "/etc/cron.d/evil",
        "a\0b.nc",
        "evil\r\nX: y.nc",
        "." * 300,
        "CON.nc",
    ):
        answer = await browser.post(
            "/programmes/nouveau", data={"name": name, "label": name}, files={"fichier": (name, b"%\nO1\nM30\n%\n")}
        )
        assert not broke(answer), failed(answer)
    # A text lies under its hash, whatever it was called.
    assert [path for path in files(tmp_path) - before if "evil" in path.name] == []
    assert not any("evil" in path.name for path in files(Path("/etc/cron.d")))


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}
