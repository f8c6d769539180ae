"""Fixtures with real parts: a broker, a whole centre in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from central.app import Centre
from central.core.settings import Settings
from copeau.servers import broker as brokers


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[brokers.Broker]:
    """A running Mosquitto of this test."""
    if brokers.MISSING:
        pytest.skip(brokers.MISSING)
    with brokers.Broker(tmp_path / "broker") as running:
        yield running


@asynccontextmanager
async def open_centre(url: str, broker_port: int) -> AsyncIterator[Centre]:
    """The whole centre without its HTTP server."""
    centre = Centre(Settings(_env_file=None, database_url=url, broker_port=broker_port, racks_begin="automatic"))
    await centre.open()
    try:
        yield centre
    finally:
        await centre.close()
