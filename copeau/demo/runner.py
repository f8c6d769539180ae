"""Starts the living shop, watches over it, ends it: everything is a process of its own, as it would be in a
workshop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from central.core.settings import Settings
from cnc_bridge.testing import linuxcnc_sim
from contracts import racks
from copeau.demo import stage
from copeau.demo.counts import backlog, closing_counts, made_by_agents, shown_by_cameras
from copeau.demo.operators import Operator, Terminal
from copeau.demo.processes import CannotStart, Processes, port_is_free
from copeau.demo.rack_show import write_rack
from copeau.demo.show import DATA
from copeau.servers import broker
from copeau.servers.broker import Broker, free_port

_log = logging.getLogger(__name__)

SITE = "demo"
_CLOSING_S = 32.0
"""Longest wait for the cameras' last gestures: a round of the clip, and a hand session to be judged."""
_SETTLE_S = 20.0


@dataclass
class Demo:
    """One run. `database_url` None: a fresh SQLite file in `directory`."""

    directory: Path
    port: int
    database_url: str | None = None
    operators_pace_s: float = 4.0

    def __post_init__(self) -> None:
        if not port_is_free(self.port):
            raise CannotStart(f"port {self.port} is taken: stop what listens there, or give another with --port")
        _empty(self.directory)
        self._processes = Processes(self.directory / "logs")
        url = self.database_url or f"sqlite:///{self.directory / 'copeau.db'}"
        self._broker = Broker(self.directory / "broker", secure=self.directory / "centre" / "broker")
        self._settings = Settings(
            database_url=url, site=SITE, port=self.port, broker_port=self._broker.port, host="127.0.0.1",
            racks_begin="automatic",
            data=self.directory / "centre", broker_tls=True, tls_port=free_port(), tls_host="127.0.0.1",
        )  # fmt: skip
        self._operators: list[Operator] = []
        self._camera_pid = 0
        self._configs: dict[str, Path] = {}

    def start(self) -> None:
        """Everything up; raises `CannotStart`. Call `stop` in any case."""
        if broker.MISSING is not None:
            raise CannotStart(f"{broker.MISSING}; `make setup` installs it where it may")
        work = self.directory
        shutil.copy(DATA / "clip" / "rack.json", work / "rack-b.json")
        shutil.copytree(DATA / "labels", work / "labels", ignore=shutil.ignore_patterns("LICENSE*"))
        taught = {"rack-a": write_rack(work / "rack-a.json", stage.RACK_A)}
        taught["rack-b"] = racks.parse((work / "rack-b.json").read_bytes())
        no_linuxcnc = linuxcnc_sim.missing()
        asyncio.run(stage.set_up(self._settings, taught, mill=not no_linuxcnc))
        camera, shdr, opcua = free_port(), free_port(), free_port()
        run = self._processes
        invited = asyncio.run(stage.invite(self._settings, stage.AGENTS))
        self._broker.start(wait=False)
        address = f"127.0.0.1:{self._broker.port}"
        database = self._settings.database_url
        run.copeau(
            "central", "central", "--database", database, "--port", str(self.port), "--broker", address, "--site", SITE,
            more=self._environment() | {"COPEAU_RACKS_BEGIN": self._settings.racks_begin, "COPEAU_ACCESS": "open"},
        )  # fmt: skip
        cameras = run.start("cameras", [sys.executable, "-m", "copeau.demo.cameras", str(camera), work / "truth"])
        self._camera_pid = cameras.pid
        run.copeau("tour-1", "cnc", "replay", "--port", str(shdr), "--speed", "1.5", "--loop")
        run.copeau(
            "tour-2", "cnc", "simulate", "--port", str(opcua), "--cycle", "9", "--between", "2", "--alarm-every", "6",
            "--jam-every", "4",
        )  # fmt: skip
        entrance: list[str] = []
        if no_linuxcnc:
            _log.warning("This shop has no LinuxCNC mill: %s", no_linuxcnc)
        else:
            state = work / "linuxcnc.json"
            run.start("fraiseuse-1", linuxcnc_sim.command(state, loop=True, between_s=3.0))
            entrance = linuxcnc_sim.entrance(state)
        run.wait_for_port("central", self.port)
        self._broker.wait()
        run.wait_for_port("cameras", camera)
        run.wait_for_port("tour-1", shdr)
        run.wait_for_port("tour-2", opcua)
        self._configs = stage.agent_configs(work, SITE, camera, shdr, opcua, entrance)
        for name, path in self._configs.items():
            self._enrol(invited[name].url(), path)
            run.copeau(name, "agent", "run", path)
        for number, person in enumerate(stage.OPERATORS, 1):
            terminal = Terminal(SITE, f"poste-{number}", self.port)
            codes = [text for text in stage.LABELLED if text.isdigit() and len(text) == 13]  # EAN-13
            operator = Operator(
                terminal, person, stage.operations_of(person), codes, pace_s=self.operators_pace_s, seed=number
            )
            operator.start()
            self._operators.append(operator)

    def _environment(self) -> dict[str, str]:
        """What the centre is told of TLS."""
        settings = self._settings
        return {
            "COPEAU_DATA": str(settings.data),
            "COPEAU_BROKER_TLS": "true",
            "COPEAU_TLS_PORT": str(settings.tls_port),
            "COPEAU_TLS_HOST": "127.0.0.1",
        }

    def _enrol(self, url: str, config: Path) -> None:
        """By the command that the page *Agents* shows. Raises `CannotStart`."""
        name = config.stem
        command = [sys.executable, "-m", "copeau.cli", "agent", "enrol", url, "--config", str(config)]
        done = subprocess.run([*command, "--identity", f"{name}.identity"], capture_output=True, text=True, check=False)  # nosec B603  # our own commands, no shell
        if done.returncode:
            raise CannotStart(f"{name} could not be enrolled: {done.stderr.strip()}")

    def live(self, seconds: float | None, stop: threading.Event) -> None:
        """Until `seconds` are over or `stop` is set; raises `CannotStart` when a process of the shop died by itself."""
        limit = None if seconds is None else time.monotonic() + seconds
        while not stop.wait(0.5) and (limit is None or time.monotonic() < limit):
            ended = self._processes.ended()
            if ended:
                said = "; ".join(
                    f"{name} (exit {code}), see {self._processes.log(name)}" for name, code in ended.items()
                )
                raise CannotStart(f"a process of the demo ended by itself: {said}")

    def close(self) -> dict[str, Any]:
        """Let gestures finish and facts arrive, stop everything, count."""
        _send(self._camera_pid, signal.SIGUSR1)
        for operator in self._operators:
            operator.finish()
        self._wait_for_quiet(self.directory / "truth")
        for name in self._configs:
            self._wait_for_backlog(name)
        self.stop()
        outboxes = [(name, self.directory / f"{name}.outbox.db") for name in self._configs]
        made = made_by_agents(outboxes)
        for operator in self._operators:
            made[operator.terminal.agent, "facts"] = operator.terminal.made
        shown = shown_by_cameras(self.directory / "truth")
        waiting = {(o.terminal.agent, "facts"): o.terminal.waiting for o in self._operators}
        for name, path in outboxes:
            waiting |= backlog(name, path)
        return asyncio.run(closing_counts(self._settings, made, waiting, shown))

    def stop(self) -> None:
        for operator in self._operators:
            operator.finish(patience_s=0.0)
        self._processes.stop_all()
        self._broker.stop()

    def _wait_for_quiet(self, truth: Path) -> None:
        """Until no camera has shown a change for long enough to be judged."""
        limit, quiet = time.monotonic() + _CLOSING_S, time.monotonic()
        last = -1
        while time.monotonic() < limit and time.monotonic() - quiet < _CLOSING_S / 2:
            shown = sum(path.stat().st_size for path in truth.glob("*.jsonl"))
            if shown != last:
                quiet, last = time.monotonic(), shown
            time.sleep(0.5)

    def _wait_for_backlog(self, agent: str) -> None:
        limit = time.monotonic() + _SETTLE_S
        while any(backlog(agent, self.directory / f"{agent}.outbox.db").values()) and time.monotonic() < limit:
            time.sleep(0.3)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        _log.warning("the cameras had already ended")


def _empty(directory: Path) -> None:
    """A demo begins with nothing; only a directory that a demo made is emptied."""
    marker = directory / ".copeau-demo"
    if directory.exists() and any(directory.iterdir()):
        if not marker.exists():
            raise CannotStart(f"{directory} is not empty and no demo made it: give another with --data")
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    marker.touch()
