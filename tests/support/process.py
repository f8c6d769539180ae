"""`copeau central` as a process of its own, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from copeau.servers.broker import free_port

REPOSITORY = Path(__file__).resolve().parents[2]


class CentreProcess:
    """One ``copeau central``; `port` and `database` stay the same over kills."""

    def __init__(self, database: str, directory: Path, broker_port: int | None = None, port: int | None = None) -> None:
        self.database = database
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.broker_port = broker_port or free_port()
        self._directory = directory
        self.log = directory / f"centre-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> CentreProcess:
        """With `wait`, return once it answers. Raises RuntimeError with its log when it ends instead."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "copeau.cli", "-v", "central", "--database", self.database),
                    *("--port", str(self.port), "--broker", f"127.0.0.1:{self.broker_port}"),
                ],
                cwd=REPOSITORY,
                env=os.environ | {"COPEAU_ACCESS": "open"},
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + 60
        while wait:
            try:
                if httpx.get(f"{self.url}/api/time", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(self.log.read_text(errors="replace"))
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def __enter__(self) -> CentreProcess:  # noqa: PYI034  # typing.Self adds nothing here
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
