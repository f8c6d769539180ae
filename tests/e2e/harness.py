"""The real centre as its own process, and facts sent to it as a terminal would."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from paho.mqtt import client as mqtt

from contracts.envelope import Envelope, encode_pack
from contracts.facts import KIND_OF
from copeau.servers.broker import free_port

ROOT = Path(__file__).resolve().parents[2]
SITE = "atelier"


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Generous: it only tells a hang from a slow machine."""
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("still not so after the time-out")
        time.sleep(0.1)


class Centre:
    """``uvicorn central.app:create_app`` on a free port that stays the same over restarts."""

    def __init__(self, directory: Path, broker_port: int, **settings: Any) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = f"sqlite:///{directory / 'copeau.db'}"
        self._settings = {"database_url": self.database_url, "broker_port": broker_port, "port": self.port}
        self._settings |= {"racks_begin": "automatic", "access": "open"} | settings
        self._process: subprocess.Popen[bytes] | None = None
        self.log = directory / "centre.log"

    def start(self) -> None:
        env = os.environ | {f"COPEAU_{k.upper()}": str(v) for k, v in self._settings.items()}
        command = [
            *(sys.executable, "-m", "uvicorn", "--factory", "central.app:create_app"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--log-level", "warning"),
            *("--timeout-graceful-shutdown", "2"),
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise RuntimeError(self.log.read_text(encoding="utf-8")[-4000:])
            try:
                httpx.get(f"{self.url}/api/time", timeout=2).raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise TimeoutError(f"the centre does not answer: {self.log.read_text(encoding='utf-8')[-4000:]}")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def backup(self) -> Path:
        """A copy of the stopped centre's database."""
        kept = self.directory / "backup"
        kept.mkdir()
        for file in self.directory.glob("copeau.db*"):
            shutil.copy(file, kept)
        return kept

    def restore(self, kept: Path) -> None:
        for file in self.directory.glob("copeau.db*"):
            file.unlink()
        for file in kept.iterdir():
            shutil.copy(file, self.directory)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=20)


def publish(broker_port: int, topic: str, payload: bytes) -> None:
    """One message through the real broker, as an agent sends it."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker_port)
    client.loop_start()
    client.publish(topic, payload, qos=1).wait_for_publish(10)
    client.loop_stop()
    client.disconnect()


class Terminal:
    """Numbers facts like an outbox and posts them; raises when they are not acknowledged."""

    def __init__(self, centre: Centre, agent: str = "poste-essai") -> None:
        self.centre = centre
        self.agent = agent
        self.boot = f"boot{agent.replace('-', '')}"[:32]
        self._seq = 0

    def envelope(self, body: msgspec.Struct, at: datetime | None = None, stream: Any = "facts") -> Envelope:
        self._seq += 1
        moment = at or datetime.now(UTC)
        return Envelope(
            site=SITE,
            agent=self.agent,
            boot=self.boot,
            stream=stream,
            seq=self._seq,
            ts=moment,
            run="run00001",
            mono=int(moment.timestamp() * 1000) % 10**12,
            off=0,
            kind=KIND_OF[type(body)],
            body=msgspec.Raw(msgspec.json.encode(body)),
        )

    def send(self, *bodies: msgspec.Struct, ago: timedelta = timedelta(), stream: Any = "facts") -> None:
        """All as of `ago`."""
        at = datetime.now(UTC) - ago
        self.send_timed([(at, body) for body in bodies], stream)

    def send_timed(self, timed: list[tuple[datetime, msgspec.Struct]], stream: Any = "facts") -> None:
        for first in range(0, len(timed), 100):
            pack = [self.envelope(body, at, stream) for at, body in timed[first : first + 100]]
            reply = httpx.post(f"{self.centre.url}/api/facts", content=encode_pack(pack), timeout=60)
            reply.raise_for_status()
            receipt = reply.json()
            acked = {ack["upto"] for ack in receipt["acks"] if ack["stream"] == stream}
            assert acked == {self._seq}, receipt
            assert receipt["quarantined"] == 0, receipt
