"""The whole application, open without a password, asked as a browser of this machine asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from central.app import Centre, create_app
from central.core.settings import Settings


class Opened(NamedTuple):
    centre: Centre
    client: httpx.AsyncClient


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Opened]:
    """On a fresh SQLite file in `folder`, without its broker: pages do not need one."""
    settings = Settings(_env_file=None, database_url=f"sqlite:///{folder / 'copeau.db'}", access="open")
    app = create_app(settings)
    centre: Centre = app.state.centre
    await centre.open()
    try:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield Opened(centre, client)
    finally:
        await centre.close()
