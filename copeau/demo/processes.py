"""The demo's processes: each one real, with its own log file, all stopped together whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_STOP_PATIENCE_S = 8.0


class CannotStart(RuntimeError):
    """A process of the demo did not start; the message says which, why, and the next step."""


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Processes:
    """Starts children in their own session and stops them in reverse order: SIGTERM, a few seconds, SIGKILL."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._logs: list[IO[bytes]] = []
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def start(
        self, name: str, command: Sequence[str | Path], more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """`more`: environment variables beside ours."""
        log = (self._directory / f"{name}.log").open("ab")
        self._logs.append(log)
        environment = os.environ | {"PYTHONUNBUFFERED": "1"} | dict(more or {})
        process = subprocess.Popen(  # nosec B603  # our own commands, no shell
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        self._running[name] = process
        return process

    def copeau(
        self, name: str, *arguments: str | Path, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one of our own commands with this interpreter."""
        return self.start(name, [sys.executable, "-m", "copeau.cli", "-v", *arguments], more)

    def log(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    def ended(self) -> dict[str, int]:
        """Name → exit code of the children that are no longer running."""
        codes = {name: process.poll() for name, process in self._running.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def wait_for_port(self, name: str, port: int, patience_s: float = 60.0) -> None:
        """Wait until `name` listens on `port`. Raises `CannotStart` with the end of its log when it died or never
        does.
        """
        limit = time.monotonic() + patience_s
        while time.monotonic() < limit:
            if self._running[name].poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.1)
        raise CannotStart(f"{name} did not start on port {port}; the end of {self.log(name)}:\n{self._tail(name)}")

    def stop(self, name: str) -> None:
        process = self._running.pop(name, None)
        if process is None:
            return
        _signal(process, signal.SIGTERM)
        try:
            process.wait(_STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()

    def stop_all(self) -> None:
        names = list(reversed(self._running))
        for name in names:
            _signal(self._running[name], signal.SIGTERM)
        for name in names:
            self.stop(name)
        for log in self._logs:
            log.close()
        self._logs.clear()

    def _tail(self, name: str, lines: int = 12) -> str:
        text = self.log(name).read_text(encoding="utf-8", errors="replace")
        return "\n".join("    " + line for line in text.splitlines()[-lines:])


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
