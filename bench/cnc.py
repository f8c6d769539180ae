"""From an OPC UA server (node-opcua) to committed, acknowledged samples: one agent on one core.

Beside it, in the same run, thingsboard-gateway where its program is given: the same server, broker, tags and rates.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asyncua.client.client import Client

from bench.figures import machine
from bench.sink import SITE
from copeau.servers.broker import Broker

_ROOT = Path(__file__).resolve().parent.parent
_SERVER = _ROOT / "cnc_bridge" / "testing" / "node_opcua" / "server.mjs"
_SETTLE_S = 12.0
_OUTAGE_S = 20.0
_KILL_AFTER_S = 10.0


def run(rates: Sequence[tuple[int, float]], seconds: float, *, gateway: Path | None, outage: bool) -> dict[str, Any]:
    """`rates`: pairs of tags and Hz. `gateway`: the ``thingsboard-gateway`` program, or None."""
    result: dict[str, Any] = {"machine": machine(), "seconds": seconds, "throughput": [], "outage": []}
    peers: list[tuple[str, Path | None]] = [("copeau", None)]
    if gateway is not None:
        peers.append(("thingsboard-gateway", gateway))
    with tempfile.TemporaryDirectory(prefix="copeau-bench-") as name:
        for tags, rate in rates:
            for what, program in peers:
                folder = Path(name) / f"{what}-{tags}-{rate:g}"
                figures = _throughput(folder, tags, rate, seconds, program)
                result["throughput"].append({"what": what, "tags": tags, "hz": rate, **figures})
        if outage:
            for what, program in peers:
                figures = _outage(Path(name) / f"{what}-outage", 100, 10, program)
                result["outage"].append({"what": what, "tags": 100, "hz": 10, **figures})
    return result


def _throughput(folder: Path, tags: int, rate: float, seconds: float, gateway: Path | None) -> dict[str, Any]:
    with _Line(folder, tags, rate, gateway) as line:
        line.start_collector()
        line.settle()
        before = line.cpu_seconds()
        line.begin()
        time.sleep(seconds)
        figures = line.end()
        figures["cpu"] = round((line.cpu_seconds() - before) / seconds, 2)
        figures["rss_mb"] = line.rss_mb()
        figures["offered_per_s"] = round(tags * rate)
        return figures


def _outage(folder: Path, tags: int, rate: float, gateway: Path | None) -> dict[str, Any]:
    """The broker away for 20 s; the collector killed in the middle of that, and started 1 s later."""
    with _Line(folder, tags, rate, gateway) as line:
        line.start_collector()
        line.settle()
        line.begin()
        time.sleep(5)
        line.broker.kill()
        time.sleep(_KILL_AFTER_S)
        killed = time.monotonic()
        line.kill_collector()
        time.sleep(1.0)
        line.start_collector()
        down = time.monotonic() - killed
        time.sleep(_OUTAGE_S - _KILL_AFTER_S - down)
        line.broker.start()
        time.sleep(45)
        figures = line.end()
        figures["down_s"] = round(down, 2)
        return figures


class _Line:
    """A server, a broker, a sink, and one collector between them; the collector has a core of its own."""

    def __init__(self, folder: Path, tags: int, rate: float, gateway: Path | None) -> None:
        folder.mkdir(parents=True)
        self.broker = Broker(folder / "broker")
        self._folder = folder
        self._tags, self._rate, self._gateway = tags, rate, gateway
        self._processes: list[subprocess.Popen[str]] = []
        self._collector: subprocess.Popen[bytes] | None = None
        cores = sorted(os.sched_getaffinity(0))
        self._others, self._own = {cores[0]}, {cores[-1]}

    def __enter__(self) -> _Line:  # noqa: PYI034  # not made to be inherited
        node = shutil.which("node")
        if node is None or not (_SERVER.parent / "node_modules").exists():
            raise RuntimeError("node-opcua is not installed here: run `make setup-test`")
        server = [node, str(_SERVER), "--no-machine", "--items", str(self._tags), "--rate", f"{self._rate:g}"]
        told = json.loads(self._start(server).readline())
        self.endpoint = told["listening"]
        with _pinned(self._others):
            self.broker.start()
        kind = "thingsboard" if self._gateway else "copeau"
        self._sink = self._start([sys.executable, "-m", "bench.sink", kind, str(self.broker.port)])
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_collector()
        for process in self._processes:
            process.kill()
            process.wait()
        self.broker.stop()

    def _start(self, command: list[str]) -> Any:
        with _pinned(self._others), (self._folder / "others.log").open("ab") as log:
            process = subprocess.Popen(  # nosec B603  # our own commands
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=_ROOT
            )
        self._processes.append(process)
        return process.stdout

    def start_collector(self) -> None:
        command, environment = self._command()
        with _pinned(self._own), (self._folder / "collector.log").open("ab") as log:
            self._collector = subprocess.Popen(  # nosec B603  # our own commands
                command, stdout=log, stderr=log, cwd=_ROOT, env=os.environ | environment, start_new_session=True
            )

    def kill_collector(self) -> None:
        if self._collector is not None:
            self._collector.kill()
            self._collector.wait()
            self._collector = None

    def settle(self) -> None:
        """Until values flow, and a little more."""
        until = time.monotonic() + 300
        while True:
            self.begin()
            time.sleep(2)
            if self.end()["values"]:
                break
            if time.monotonic() > until:
                raise RuntimeError((self._folder / "collector.log").read_text(errors="replace")[-3000:])
        time.sleep(_SETTLE_S)

    def begin(self) -> None:
        self._say("begin")

    def end(self) -> dict[str, Any]:
        self._say("end")
        told: dict[str, Any] = json.loads(self._sink.readline())
        return told

    def _say(self, word: str) -> None:
        pipe = self._processes[-1].stdin
        assert pipe is not None
        pipe.write(word + "\n")
        pipe.flush()

    def cpu_seconds(self) -> float:
        fields = self._stat("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> int:
        line = next(line for line in self._stat("status").splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) // 1024

    def _stat(self, name: str) -> str:
        assert self._collector is not None
        return Path(f"/proc/{self._collector.pid}/{name}").read_text()

    def _command(self) -> tuple[list[str], dict[str, str]]:
        if self._gateway is None:
            return [sys.executable, "-m", "copeau.cli", "agent", "run", str(self._agent_config())], {}
        config = self._gateway_config()
        return [str(self._gateway)], {"TB_GW_CONFIG_DIR": f"{config}/", "TB_GW_LOGS_PATH": str(self._folder)}

    def _agent_config(self) -> Path:
        path = self._folder / "agent.toml"
        space = asyncio.run(_namespace(self.endpoint))
        nodes = "\n".join(f'tag_{n} = {{ node = "ns={space};s=Tag.{n}", sampling_ms = 0 }}' for n in range(self._tags))
        path.write_text(
            f'[agent]\nname = "pi-1"\nsite = "{SITE}"\n[centre]\nport = {self.broker.port}\n'
            f'[[machine]]\nname = "tour-1"\ndriver = "opcua"\nendpoint = "{self.endpoint}"\ndiscover = false\n'
            f"[machine.signals]\n{nodes}\n",
            encoding="utf-8",
        )
        return path

    def _gateway_config(self) -> Path:
        """Subscriptions on (they are off by default) and its SQLite storage, which survives a kill."""
        config = self._folder / "config"
        if config.exists():
            return config
        config.mkdir()
        (config / "tb_gateway.json").write_text(json.dumps(_gateway_settings(self.broker.port, self._folder)))
        (config / "opcua.json").write_text(json.dumps(_gateway_mapping(self.endpoint, self._tags)))
        (config / "list.json").write_text("[]")
        (config / "logs.json").write_text(json.dumps(_QUIET))
        return config


async def _namespace(endpoint: str) -> int:
    async with Client(endpoint) as client:
        return int(await client.get_namespace_index("urn:copeau:node-opcua-machine"))


@contextmanager
def _pinned(cores: set[int]) -> Iterator[None]:
    """Children started within inherit these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


_QUIET = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler", "level": "ERROR"}},
    "loggers": {},
    "root": {"handlers": ["console"], "level": "ERROR"},
}


def _gateway_settings(port: int, folder: Path) -> dict[str, Any]:
    return {
        "thingsboard": {
            "host": "127.0.0.1",
            "port": port,
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False},
            "maxPayloadSizeBytes": 65536,
            "minPackSendDelayMS": 50,
            "minPackSizeToSend": 500,
            "checkConnectorsConfigurationInSeconds": 3600,
            "security": {"type": "accessToken", "accessToken": "bench"},
            "qos": 1,
            "rateLimits": "0:0,",
            "dpRateLimits": "0:0,",
            "messagesRateLimits": "0:0,",
            "deviceMessagesRateLimits": "0:0,",
            "deviceRateLimits": "0:0,",
            "deviceDpRateLimits": "0:0,",
        },
        "storage": {"type": "sqlite", "data_file_path": f"{folder}/data/", "messages_ttl_in_days": 7},
        "connectors": [{"name": "opcua", "type": "opcua", "configuration": "opcua.json"}],
    }


def _gateway_mapping(endpoint: str, tags: int) -> dict[str, Any]:
    series = [{"key": f"Tag{n}", "type": "path", "value": f"${{Tag{n}}}"} for n in range(tags)]
    return {
        "server": {
            "url": endpoint,
            "timeoutInMillis": 10000,
            "scanPeriodInMillis": 3600000,
            "pollPeriodInMillis": 3600000,
            "enableSubscriptions": True,
            "subCheckPeriodInMillis": 100,
            "subDataMaxBatchSize": 1000,
            "subDataMinBatchCreationTimeMs": 200,
            "subscriptionProcessBatchSize": 2000,
            "sessionTimeoutInMillis": 120000,
            "security": "None",
            "identity": {"type": "anonymous"},
        },
        "mapping": [
            {
                "deviceNodeSource": "path",
                "deviceNodePattern": "Root\\.Objects\\.Tags",
                "deviceInfo": {
                    "deviceNameExpression": "Bench",
                    "deviceNameExpressionSource": "constant",
                    "deviceProfileExpression": "default",
                    "deviceProfileExpressionSource": "constant",
                },
                "attributes": [],
                "timeseries": series,
            }
        ],
    }
