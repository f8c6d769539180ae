"""A node-opcua server in its own process, and what tests ask of it; readings gathered from a driver."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.port import Condition, DriverEvent, Link, Problem, Reading
from cnc_bridge.testing import node_opcua

LONG = 150
"""Seconds after which waiting is given up."""
VENDOR = {
    "tool": "ns=8;s=Tool.Number",
    "spindle_load": "ns=8;s=Spindle.Load",
    "feed": "ns=8;s=Feed.Actual",
}
"""What the maker adds: no standard names it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NodeServer:
    """`start` again after `kill`: same port, same certificates, same programmes, new sessions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.pki = folder / "pki"
        self.endpoint = f"opc.tcp://127.0.0.1:{self.port}/machine"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str) -> None:
        fixed = ["--port", str(self.port), "--pki", str(self.pki), "--programmes", str(self.folder / "programmes")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *node_opcua.command(*fixed, *options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert "listening" in await self._answer()

    async def ask(self, deed: str, **wish: object) -> None:
        """Something that happens to the machine (faults.mjs)."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": deed} | wish).encode() + b"\n")
        assert await self._answer() == {"done": deed}

    async def _answer(self) -> dict[str, object]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            line = await self._process.stdout.readline()
        assert line, (self.folder / "server.log").read_text()
        answer: dict[str, object] = json.loads(line)
        return answer

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it fell by itself
                self.signal(signal.SIGKILL)
            async with asyncio.timeout(30):
                await self._process.wait()

    def source(self, signals: dict[str, object] | None = None, **settings: object) -> MachineSource:
        quick = {"resync_s": 0.5, "check_s": 0.5, "reconnect_max_s": 1.0, "timeout_s": 2.0}
        mapped = VENDOR if signals is None else signals
        table = {"kind": "opcua", "endpoint": self.endpoint, "signals": mapped} | quick | settings
        return parse({"machine": {"id": "m"}, "driver": table})


@contextlib.asynccontextmanager
async def node_server(folder: Path, *options: str) -> AsyncIterator[NodeServer]:
    server = NodeServer(folder)
    try:
        await server.start(*options)
        yield server
    finally:
        await server.kill()


async def read(source: MachineSource, enough: Callable[[list[DriverEvent]], bool]) -> list[DriverEvent]:
    seen: list[DriverEvent] = []
    async with asyncio.timeout(LONG), source.create_driver().open() as stream:
        async for batch in stream:
            seen += batch
            if enough(seen):
                return seen
    raise AssertionError("the stream ended by itself")


def values(seen: list[DriverEvent], signal: str) -> list[object]:
    return [event.value for event in seen if isinstance(event, Reading) and event.signal == signal]


def codes(seen: list[DriverEvent]) -> list[str]:
    return [event.code for event in seen if isinstance(event, Problem)]


def problem(seen: list[DriverEvent], code: str) -> Problem:
    return next(event for event in seen if isinstance(event, Problem) and event.code == code)


def links(seen: list[DriverEvent]) -> list[bool]:
    return [event.up for event in seen if isinstance(event, Link)]


def conditions(seen: list[DriverEvent]) -> list[tuple[str, str]]:
    return [(event.level, event.code) for event in seen if isinstance(event, Condition)]
