"""The processes of the kill tests (broker, centre, floors, PostgreSQL), each of which may be killed and started
again.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from copeau.servers.broker import Broker, free_port
from copeau.servers.postgres import Postgres
from tests.chaos.floor import SITE

PLACES = 12
ITEMS = 240


@dataclass
class Truth:
    """What physically happened, summed."""

    parts: Counter[str] = field(default_factory=Counter)
    stock: Counter[tuple[str, str]] = field(default_factory=Counter)
    picks: int = 0
    states: int = 0

    @property
    def events(self) -> int:
        return self.total

    total: int = 0


def happen(path: Path, count: int, agent: str, truth: Truth, rng: random.Random) -> None:
    """Write a list of `count` physical events of one agent and add them to the truth."""
    machine, counter = f"m-{agent}", 0
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            choice = rng.random()
            if choice < 0.6:
                delta = rng.randint(1, 3)
                event: dict[str, Any] = {"kind": "parts", "machine": machine, "first": counter, "last": counter + delta}
                event |= {"delta": delta}
                counter += delta
                truth.parts[machine] += delta
            elif choice < 0.75:
                item, place = f"ART-{rng.randrange(ITEMS)}", f"{agent}/A{rng.randrange(PLACES)}"
                qty = rng.choice((-1000, -1000, 1000))
                event = {"kind": "pick", "item": item, "place": place, "qty": qty}
                truth.stock[item, place] += qty
                truth.picks += 1
            else:
                event = {"kind": "state", "machine": machine, "state": rng.choice(("running", "ready", "stopped"))}
                truth.states += 1
            truth.total += 1
            file.write(json.dumps(event) + "\n")


class Shop:
    def __init__(self, directory: Path, url: str, agents: list[str], rate: float, postgres: Postgres | None) -> None:
        self.directory = directory
        self.url = url
        self.agents = agents
        self.rate = rate
        self.postgres = postgres
        self.broker = Broker(directory / "broker")
        self.port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        self.broker.start()
        self.start_centre()
        for agent in self.agents:
            self.start_floor(agent)

    def start_centre(self) -> None:
        address = f"127.0.0.1:{self.broker.port}"
        arguments = ["--database", self.url, "--port", str(self.port), "--broker", address, "--site", SITE]
        self._start("centre", [sys.executable, "-m", "copeau.cli", "central", *arguments])

    def start_floor(self, agent: str) -> None:
        outbox, events = self.directory / f"{agent}.outbox.db", self.directory / f"{agent}.jsonl"
        command = [sys.executable, "-m", "tests.chaos.floor", outbox, self.broker.port, agent, events, self.rate]
        self._start(agent, [str(part) for part in command])

    def kill(self, name: str) -> None:
        match name:
            case "broker":
                self.broker.kill()
            case "database":
                assert self.postgres is not None
                self.postgres.kill()
            case _:
                process = self._processes.pop(name)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def revive(self, name: str) -> None:
        match name:
            case "broker":
                self.broker.start()
            case "database":
                assert self.postgres is not None
                self.postgres.restart()
            case "centre":
                self.start_centre()
            case _:
                self.start_floor(name)

    @property
    def targets(self) -> list[str]:
        return ["broker", "centre", *self.agents, *(["database"] if self.postgres else [])]

    def stop(self) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()
        self.broker.stop()

    def died(self) -> dict[str, str]:
        """Processes that ended although nobody killed them, with the end of their log."""
        return {name: self._log(name) for name, p in self._processes.items() if p.poll() is not None}

    def ask(self, sql: str) -> list[Any]:
        """Read the centre's database directly, beside the centre."""
        url = self.url.replace("postgresql://", "postgresql+psycopg://", 1)
        engine = create_engine(url)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(sql))]
        finally:
            engine.dispose()

    def wait_for_facts(self, expected: int, patience_s: float = 600.0) -> int:
        """Wait until the centre holds `expected` facts, or nothing has moved for a minute; how many it holds."""
        limit, moved, last = time.monotonic() + patience_s, time.monotonic(), -1
        while time.monotonic() < limit and time.monotonic() - moved < 60:
            held = int(self.ask("SELECT count(*) FROM facts")[0][0])
            if held >= expected:
                return held
            if held != last:
                moved, last = time.monotonic(), held
            time.sleep(0.5)
        return last

    def _start(self, name: str, command: list[str]) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"COPEAU_RACKS_BEGIN": "automatic", "COPEAU_ACCESS": "open"},
            )

    def _log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-2000:]
