"""Programmes of a machine on the agent: repairs in vain, and the way to the centre."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnc_bridge.model import Value
from cnc_bridge.port import Driver, Finding, ProgrammeFile
from cnc_bridge.programmes import Outcome
from cnc_bridge.settings import DriverSettings
from contracts.programmes import sha256
from edge_agents.clock import Clock
from edge_agents.outbox import Outbox
from edge_agents.parts.programmes import Exchange, Programmes, _Centre, _Intent


class FakeSettings(DriverSettings):
    @property
    def address(self) -> str:
        return "fake"


class FakeChanging(Driver):
    """Keeps the beginning only of whatever it takes."""

    def __init__(self) -> None:
        super().__init__(FakeSettings(kind="fake", allow=("programme",)))
        self.text, self.writes = b"G0", 0

    async def _session(self) -> None: ...

    async def probe(self) -> list[Finding]:
        return []

    async def _list_programmes(self) -> list[ProgrammeFile]:
        return [ProgrammeFile("O1", len(self.text))]

    async def _read_programme(self, name: str) -> bytes:
        return self.text

    async def _write_programme(self, name: str, content: bytes) -> None:
        self.writes += 1
        self.text = b"G0"


async def test_a_repair_in_vain_is_tried_ever_later(tmp_path: Path) -> None:
    driver, ready = FakeChanging(), dict[str, Value](execution="READY")
    desk: Any = SimpleNamespace(outbox=SimpleNamespace(path=tmp_path / "o.db"))
    following: Any = SimpleNamespace(current=ready)
    programmes = Programmes("tour-1", driver, following, desk, Exchange(every_s=60.0))
    programmes._journal.begin(_Intent("O1", sha256(b"G0 X2\nM30\n"), had_former=True), b"G0 X2\nM30\n", b"G0 X1\nM30\n")
    pauses = [programmes._until_next_repair()]
    for _ in range(8):
        assert not await programmes._recovered()
        pauses.append(programmes._until_next_repair())
    assert pauses == [2.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0]
    assert driver.writes == 8


async def test_the_centre_is_asked_directly_whatever_proxy_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nM30")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with server:
        centre = _Centre(Exchange(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        assert await centre.fetch("/api/programmes/blobs/x", hashlib.sha256(b"M30").hexdigest(), 3) == b"M30"


@pytest.mark.parametrize(
    ("result", "told"),
    [("sent", ["O1"]), ("unread", ["O1"]), ("broken", ["O1"]), ("already", []), ("restored", []), ("refused", [])],
)
async def test_what_good_cycles_taught_is_forgotten_with_the_text_they_ran(
    tmp_path: Path, result: Any, told: list[str]
) -> None:
    changed: list[str] = []
    following: Any = SimpleNamespace(current={})
    async with Outbox.open(tmp_path / "o.db", site="atelier", agent="pi-1", clock=Clock()) as outbox:
        desk: Any = SimpleNamespace(outbox=outbox, clock=outbox.clock)
        programmes = Programmes("tour-1", FakeChanging(), following, desk, Exchange(every_s=60.0), changed.append)
        await programmes._record(_Intent("O1", "0" * 64, had_former=False), Outcome(result, "fait"), 10)
    assert changed == told
