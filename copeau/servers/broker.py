"""A real Mosquitto on a free port of this machine, which a test may stop, kill and start again on the same port."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

_BINARY = shutil.which("mosquitto") or ("/usr/sbin/mosquitto" if Path("/usr/sbin/mosquitto").exists() else None)
MISSING = None if _BINARY else "mosquitto is not installed (apt package mosquitto)"
"""Why no broker can be had here; None when it can."""


class Broker:
    """``port`` stays the same over restarts. Nothing is kept on disk: DESIGN relies on no promise of the broker."""

    host = "127.0.0.1"

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start and wait until it accepts connections."""
        assert _BINARY is not None, MISSING
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} {self.host}\n"
            "allow_anonymous true\n"
            "persistence false\n"
            "message_size_limit 2097152\n"
            "max_queued_messages 1000000\n"
            "max_inflight_messages 0\n"
            "set_tcp_nodelay true\n"
            "log_dest stdout\n",
            encoding="utf-8",
        )
        with (self._directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([_BINARY, "-c", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError((self._directory / "mosquitto.log").read_text(encoding="utf-8", errors="replace"))
            try:
                socket.create_connection((self.host, self.port), 0.5).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise TimeoutError(f"mosquitto does not answer on port {self.port}")

    def kill(self) -> None:
        """As a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order. Also of one that is not running."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(10)
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
