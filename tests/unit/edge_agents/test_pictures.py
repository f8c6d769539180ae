"""The part that brings pictures, before a real HTTP server of the test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edge_agents.centre_http import CentreHttp
from edge_agents.clock import Clock
from edge_agents.outbox import Outbox
from edge_agents.parts.pictures import PicturesPart
from edge_agents.spool import Spool
from edge_agents.supervisor import Supervisor
from tests.support.honest_centre import until

JPEG = b"\xff\xd8\xff\xd9"


class Door:
    """Answers each PUT with `status`, or with what `of` says for that id."""

    def __init__(self) -> None:
        self.status = 201
        self.of: dict[str, int] = {}
        self.asked: list[str] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                name = self.path.rpartition("/")[2]
                door.asked.append(name)
                self.send_response(door.of.get(name, door.status))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


@asynccontextmanager
async def bringing(tmp_path: Path, door: Door) -> AsyncIterator[tuple[PicturesPart, Spool]]:
    spool = Spool(tmp_path / "pictures", tmp_path / "key", 10**6)
    part = PicturesPart(spool, CentreHttp(door.url), timedelta(hours=72))
    async with Outbox.open(tmp_path / "o.db", site="atelier", agent="pi-1", clock=Clock()) as outbox:
        supervisor = Supervisor([part], outbox)
        supervisor.start()
        yield part, spool
        await supervisor.stop()


async def keep(part: PicturesPart) -> str:
    crops = await part.keep(JPEG, JPEG, datetime.now(UTC), automatic=False)
    assert crops is not None
    part.bring()
    return crops


async def test_what_the_centre_refuses_for_good_is_removed_and_the_rest_brought(tmp_path: Path, door: Door) -> None:
    door.status = 503
    async with bringing(tmp_path, door) as (part, spool):
        first, second = await keep(part), await keep(part)
        await until(lambda: {first, second} <= set(door.asked))
        assert len(spool.waiting()) == 2
        door.of, door.status = {first: 422}, 201
        await keep(part)
        await until(lambda: spool.waiting() == [])
        assert door.asked.count(first) >= 2


async def test_one_that_fails_again_and_again_does_not_hold_up_the_others(tmp_path: Path, door: Door) -> None:
    async with bringing(tmp_path, door) as (part, spool):
        door.status = 503
        first = await keep(part)
        await until(lambda: first in door.asked)
        stuck = await keep(part)
        door.of, door.status = {stuck: 500}, 201
        part.bring()
        await until(lambda: [entry.id for entry in spool.waiting()] == [stuck])
        assert first in door.asked


async def test_a_pair_without_pictures_is_no_pair(tmp_path: Path, door: Door) -> None:
    async with bringing(tmp_path, door) as (part, spool):
        assert await part.keep(b"", b"", datetime.now(UTC), automatic=True) is None
        assert spool.waiting() == []


async def test_a_spoilt_file_is_removed_and_nothing_of_it_sent(tmp_path: Path, door: Door) -> None:
    async with bringing(tmp_path, door) as (part, spool):
        crops = await part.keep(JPEG, JPEG, datetime.now(UTC), automatic=False)
        (entry,) = spool.waiting()
        entry.path.write_bytes(b"CPC1" + b"0" * 60)
        part.bring()
        await until(lambda: spool.waiting() == [])
        await asyncio.sleep(0)
        assert crops not in door.asked
