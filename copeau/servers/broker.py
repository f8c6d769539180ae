"""A real Mosquitto on a free port of this machine, which a test may stop, kill and start again on the same port."""

from __future__ import annotations

import contextlib
import os
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
SHIPPED = Path(__file__).resolve().parents[2] / "mosquitto"
"""The configuration of a shop's broker: TLS only."""


class Broker:
    """``port`` stays the same over restarts. Nothing is kept on disk: DESIGN relies on no promise of the broker.

    `secure`: the folder where a centre writes the broker's certificates; the shop's own configuration is used then, and
    the broker waits until they are there. Without it, a plain one for whoever is on this machine.
    """

    host = "127.0.0.1"

    def __init__(self, directory: Path, port: int | None = None, *, secure: Path | None = None) -> None:
        self.port = port or free_port()
        self._directory = directory
        self._secure = secure
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> Self:
        """Start and wait until it accepts connections."""
        assert _BINARY is not None, MISSING
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "mosquitto.conf"
        config.write_text(self._plain() if self._secure is None else self._shipped(self._secure), encoding="utf-8")
        command = [_BINARY, "-c", str(config)] if self._secure is None else ["sh", str(SHIPPED / "run"), str(config)]
        with (self._directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(  # nosec B603  # our own commands, no shell
                command, stdout=log, stderr=log, start_new_session=True, env=os.environ | {"MOSQUITTO": _BINARY}
            )
        if wait:
            self.wait()
        return self

    @property
    def pid(self) -> int:
        """Of the running broker, or of the shop's script that runs it."""
        assert self._process is not None
        return self._process.pid

    def wait(self, patience_s: float = 15.0) -> None:
        """Until it accepts connections. Raises RuntimeError with its log, TimeoutError."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError((self._directory / "mosquitto.log").read_text(encoding="utf-8", errors="replace"))
            try:
                socket.create_connection((self.host, self.port), 0.5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(f"mosquitto does not answer on port {self.port}")

    def _plain(self) -> str:
        return (
            f"listener {self.port} {self.host}\n"
            "allow_anonymous true\n"
            "persistence false\n"
            "message_size_limit 2097152\n"
            "max_queued_messages 1000000\n"
            "max_inflight_messages 0\n"
            "set_tcp_nodelay true\n"
            "log_dest stdout\n"
        )

    def _shipped(self, folder: Path) -> str:
        """The shop's configuration, on this port and loopback, with its files here."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SHIPPED / "acl", folder / "acl")
        text = (SHIPPED / "mosquitto.conf").read_text(encoding="utf-8")
        for shipped, here in (
            ("listener 8883\n", f"listener {self.port} {self.host}\n"),
            ("/mosquitto/config/", f"{folder}/"),
            ("persistence true\n", "persistence false\n"),
            ("persistence_location /mosquitto/data/\n", ""),
        ):
            assert shipped in text, shipped
            text = text.replace(shipped, here)
        # Started by root, Mosquitto becomes another user, who may not read what is this user's own.
        return text + ("user root\n" if os.geteuid() == 0 else "")

    def kill(self) -> None:
        """As a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order. Also of one that is not running."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)
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
