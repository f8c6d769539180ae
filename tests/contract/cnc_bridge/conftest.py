"""Far sides in their own process, so that they can be killed and stopped like the real ones."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cnc_bridge.config import MachineSource, parse

LAUNCH = [sys.executable, "-c", "from copeau.commands.cnc import command; command()"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class FarSide:
    """A controller's server as a process: `start`, `kill` (-9), `hang` (SIGSTOP), `go_on`."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.port = free_port()
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str) -> None:
        command = {
            "opcua": ["simulate", "--cycle", "1.2", "--between", "0.3", "--alarm-every", "0"],
            "shdr": ["replay", "--speed", "40", "--heartbeat-ms", "500"],
        }[self.kind]
        with (self._folder / "far-side.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *LAUNCH, *command, "--port", str(self.port), *options, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            ready = await self._process.stdout.readline()
        assert ready, (self._folder / "far-side.log").read_text()
        assert "listening" in json.loads(ready)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def hang(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def source(self, *, host: str = "127.0.0.1", port: int | None = None, **settings: object) -> MachineSource:
        """The configuration that reads this far side, stale after 4 s."""
        at = port or self.port
        words = {"1": "READY", "2": "ACTIVE", "3": "PROGRAM_COMPLETED", "4": "STOPPED"}
        driver: dict[str, object] = {"kind": self.kind, "reconnect_max_s": 1.0}
        if self.kind == "opcua":
            driver |= {
                "endpoint": f"opc.tcp://{host}:{at}/copeau",
                "timeout_s": 2.0,
                "resync_s": 1.0,
                "signals": {
                    "execution": {"node": "ns=2;s=Machine.Execution", "words": words},
                    "programme": "ns=2;s=Machine.Program",
                    "tool": "ns=2;s=Machine.Tool",
                    "part_count": "ns=2;s=Machine.PartCount",
                    "spindle_load": "ns=2;s=Machine.SpindleLoad",
                },
            }
        else:
            driver |= {"host": host, "port": at, "heartbeat_s": 0.5, "connect_timeout_s": 2.0}
        signals = settings.pop("signals", {})
        merged = {**driver, **settings}
        assert isinstance(signals, dict)
        if signals:
            base = merged.get("signals", {})
            assert isinstance(base, dict)
            merged["signals"] = {**base, **signals}
        return parse({"machine": {"id": "m", "stale_after_s": 4.0}, "driver": merged})


@pytest.fixture(params=["opcua", "shdr"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def far_side(kind: str, tmp_path: Path) -> AsyncIterator[FarSide]:
    side = FarSide(kind, tmp_path)
    yield side
    await side.kill()
