"""A file per far side that a driver is proven against. Each has a class `Far`, a `FarSide` of its driver's kind."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from cnc_bridge.config import MachineSource, parse

CNC = [sys.executable, "-c", "from copeau.commands.cnc import command; command()"]
FILES = Path(__file__).parent


def names() -> list[str]:
    """The far sides, by the name of their file; a driver may have several."""
    return sorted(path.stem for path in FILES.glob("*.py") if path.stem != "__init__")


def far_type(name: str) -> type[FarSide]:
    found: type[FarSide] = importlib.import_module(f"tests.contract.cnc_bridge.far_sides.{name}").Far
    return found


def kinds() -> list[str]:
    """The drivers that have a far side here."""
    return sorted({far_type(name).kind for name in names()})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class FarSide(ABC):
    """A controller's server as a process of its own: `start`, `kill` (-9), `hang` (SIGSTOP), `go_on`.

    The machine behind it runs a programme again and again: execution, programme, tool, part_count and spindle_load
    move. What its protocol cannot give is left out of `signals`, and the contract asks only for what is there.
    """

    kind: ClassVar[str]
    missing: ClassVar[str] = ""
    """Why this far side cannot run here; its tests are then skipped with that sentence."""
    signals: ClassVar[frozenset[str]] = frozenset({"execution", "programme", "part_count", "spindle_load", "tool"})
    has_host: ClassVar[bool] = True
    """Whether it is reached over the network (an unknown host and a refused port can be tried)."""
    can_hang: ClassVar[bool] = True
    counts_up: ClassVar[bool] = True
    """Whether its part count never falls by itself."""
    source_time: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @abstractmethod
    def command(self, *, without: str = "") -> Sequence[str]:
        """What starts it on `self.port`; it prints one JSON line with `listening` when ready. `without` a signal."""

    @abstractmethod
    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:
        """The ``[driver]`` table that reads it. `without`: map this signal to what the far side does not have."""

    async def start(self, *, without: str = "") -> None:
        log_path = self.folder / "far-side.log"
        with log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command(without=without), stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            ready = await self._process.stdout.readline()
        assert ready, log_path.read_text()
        assert "listening" in json.loads(ready)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            async with asyncio.timeout(30):
                await self._process.wait()

    def hang(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def source(self, *, host: str = "127.0.0.1", port: int | None = None, without: str = "") -> MachineSource:
        """The configuration that reads this far side, stale after 4 s."""
        driver = {"kind": self.kind, "reconnect_max_s": 1.0} | self.settings(host, port or self.port, without=without)
        return parse({"machine": {"id": "m", "stale_after_s": 4.0}, "driver": driver})
