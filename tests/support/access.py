"""A whole application with accounts, asked without a network: who is signed in, and what the answer's first word is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from central.app import Centre, create_app
from central.core.settings import Settings
from central.people import accounts, sessions
from central.people.account_models import Account
from central.people.sessions import Caller
from copeau.servers.broker import free_port

BASE = "http://127.0.0.1:8000"


class House:
    """An opened centre and its application."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.centre: Centre = app.state.centre
        self.units = self.centre.units

    async def person(self, *roles: str, owner: bool = False, name: str = "Quelqu’un") -> str:
        """A person with an account, these roles and no second factor; the id."""
        async with self.units.begin() as uow:
            person = await accounts.add(uow, name, by="system")
            uow.session.add(Account(person=person, created_at=uow.now, owner=owner))
            await uow.session.flush()
            await accounts.set_roles(uow, person, roles, by="system")
        return person

    async def cookie(self, person: str, *, strong: bool = True) -> str:
        """The session cookie of a browser in which the person has signed in."""
        async with self.units.begin() as uow:
            keys = self.centre.keys
            return await sessions.begin(uow, keys, person, Caller("127.0.0.1", "test"), strong=strong, finished=True)

    def browser(self, cookie: str | None = None) -> httpx.AsyncClient:
        """Speaks as our own pages do."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url=BASE,
            cookies={"copeau-session": cookie} if cookie else None,
            headers={"HX-Request": "true", "Sec-Fetch-Site": "same-origin"},
        )

    async def first(
        self, method: str, path: str, cookie: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer, without waiting for its body: a stream has no end."""
        return await first_word(self.app, method, path, cookie, headers)


@asynccontextmanager
async def house(url: str, data: Path, **settings: Any) -> AsyncIterator[House]:
    app = create_app(Settings(_env_file=None, database_url=url, broker_port=free_port(), data=data, **settings))
    opened = House(app)
    await opened.centre.open()
    try:
        yield opened
    finally:
        await opened.centre.close()


async def first_word(
    app: FastAPI, method: str, path: str, cookie: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str]]:
    body = b"{}" if method in {"POST", "PUT", "PATCH"} else b""
    sent = {
        "host": "127.0.0.1:8000", "content-type": "application/json", "content-length": str(len(body)),
        "sec-fetch-site": "same-origin", "hx-request": "true", **(headers or {}),
    }  # fmt: skip
    if cookie:
        sent["cookie"] = f"copeau-session={cookie}"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path.partition("?")[0], "raw_path": path.encode(), "query_string": path.partition("?")[2].encode(),
        "root_path": "", "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000), "state": {},
    }  # fmt: skip
    started: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and not started.done():
            started.set_result(message)

    task = asyncio.create_task(app(scope, receive, send))
    try:
        async with asyncio.timeout(240):
            await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            task.result()
        answer = started.result()
        return answer["status"], {k.decode(): v.decode() for k, v in answer["headers"]}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
