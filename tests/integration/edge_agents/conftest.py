"""A rack's agent with everything around it: broker, centre on the wire, centre over HTTP, a camera."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.facts import decode_body
from copeau.servers.broker import MISSING
from copeau.servers.broker import Broker as Mosquitto
from edge_agents.link import Broker
from tests.support.camera import Camera
from tests.support.honest_centre import HonestCentre, until
from tests.support.rack_centre import RackCentreHttp
from vision.rendering.live import LiveRack


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    if MISSING is not None:
        pytest.skip(MISSING)
    with Mosquitto(tmp_path / "broker") as running:
        yield running


class RackShop:
    """One rack `rack-a` under a camera that plays a rendered scene, its agent as a process of its own."""

    def __init__(self, directory: Path, mosquitto: Mosquitto, centre: HonestCentre) -> None:
        self.directory = directory
        self.centre = centre
        self.http = RackCentreHttp()
        self.live = LiveRack(7)
        self.truth: list[tuple[str, int]] = []
        self.description = directory / "rack.json"
        self.description.write_bytes(msgspec.json.encode(self.live.rack))
        self.camera = Camera(self.live.rest(1).frames[0])
        self.config = directory / "agent.toml"
        self.log = directory / "agent.log"
        self._head = (
            f'[agent]\nname = "pi-1"\n[centre]\nport = {mosquitto.port}\nheartbeat_s = 0.5\nresend_s = 2\n'
            f'http = "{self.http.url}"\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, more: str = "", tables: str = "") -> None:
        rack = f'[[rack]]\nname = "rack-a"\nsource = "{self.camera.url}"\n'
        self.config.write_text(self._head + tables + rack + more, encoding="utf-8")
        self.again()

    def again(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "copeau.cli", "-v", "agent", "run", str(self.config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)

    def close(self) -> None:
        self.stop()
        self.camera.stop()
        self.http.stop()

    @property
    def eyes(self) -> list[int]:
        """Process ids of the agent's eyes."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def said(self, kind: str) -> list[Any]:
        rows = sorted(self.centre.rows("pi-1"), key=lambda row: (row.ts, row.seq))
        return [decode_body(row.kind, row.body) for row in rows if row.kind == kind]

    async def heard(self, kind: str, count: int = 1, seconds: float = 60.0) -> list[Any]:
        await self.wait(lambda: len(self.said(kind)) >= count, f"{count} {kind}", seconds)
        return self.said(kind)

    async def wait(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Until it holds; a failure shows what the agent said."""
        await until(condition, seconds)
        if not condition():
            said = [(row.kind, bytes(row.body)[:160]) for row in self.centre.rows("pi-1")][-12:]
            pytest.fail(f"no {what} within {seconds:.0f} s; the last facts: {said}\n{self.log.read_text()[-3000:]}")

    async def order(self, name: str, kind: Any, **fields: Any) -> Any:
        """Send a command for this rack; its answer."""
        asked = uuid.uuid4().hex
        expires = datetime.now(UTC) + timedelta(minutes=1)
        self.centre.command("pi-1", name, kind(id=asked, expires=expires, rack="rack-a", person="p-1", **fields))
        await self.wait(lambda: any(a.id == asked for a in self.said("agent.answered")), f"answer to {name}", 90)
        return next(answer for answer in self.said("agent.answered") if answer.id == asked)

    async def act(self, action: str) -> None:
        """A hand session before the camera, and a short rest."""
        for stretch in (self.live.session(action), self.live.rest(8)):
            self.truth += [(slot, delta) for _, slot, delta in stretch.events]
            await asyncio.to_thread(self.camera.play, stretch.frames)

    async def skip(self, action: str) -> None:
        """A hand session that the camera does not see."""
        stretch = self.live.session(action)
        self.truth += [(slot, delta) for _, slot, delta in stretch.events]
        self.camera.show(self.live.rest(1).frames[0])

    @property
    def moved(self) -> list[tuple[str, int]]:
        """What the facts say went where: place and pieces."""
        return [(fact.place.removeprefix("rack-a/"), fact.qty // 1000) for fact in self.said("stock.observed")]


@pytest.fixture
async def shop(tmp_path: Path, mosquitto: Mosquitto) -> AsyncIterator[RackShop]:
    async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
        made = RackShop(tmp_path, mosquitto, centre)
        with contextlib.closing(made):
            yield made
