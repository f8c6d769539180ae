"""Facts through MQTT to commit to page, on SQLite and PostgreSQL, beside a plain paho + psycopg loop, in one run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import machine
from bench.traffic import SITE, Size, item_code, machine_name
from copeau.servers.broker import Broker, free_port
from copeau.servers.postgres import Postgres, find_binaries

PEER_RATES = (500, 1000, 2000)


def run(rates: Sequence[int], seconds: float, databases: Sequence[str], *, peer: bool) -> dict[str, Any]:
    """All the runs, one after the other; a fresh database, broker and centre for each."""
    result: dict[str, Any] = {"machine": machine(), "seconds": seconds, "runs": []}
    with tempfile.TemporaryDirectory(prefix="copeau-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with _postgres(directory) as postgres:
            for database in databases:
                for rate in rates:
                    folder = directory / f"{database}-{rate}"
                    url = f"sqlite:///{folder / 'centre.db'}" if database == "sqlite" else postgres.create_database()
                    figures = _centre(folder, url, rate, seconds)
                    result["runs"].append({"what": "copeau", "database": database, "rate": rate, **figures})
            if peer:
                for rate in PEER_RATES:
                    figures = _plain(directory / f"plain-{rate}", postgres.create_database(), rate, seconds)
                    result["runs"].append(
                        {"what": "plain paho + psycopg", "database": "postgresql", "rate": rate, **figures}
                    )
    return result


@contextmanager
def _postgres(directory: Path) -> Iterator[Postgres]:
    binaries = find_binaries()
    if binaries is None:
        raise RuntimeError("PostgreSQL is not installed: apt install postgresql, or run `make setup-test`")
    folder = directory / "postgresql"
    folder.mkdir()
    server = Postgres(binaries, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _centre(folder: Path, url: str, rate: int, seconds: float) -> dict[str, Any]:
    folder.mkdir()
    asyncio.run(_seed(url, Size.of(rate)))
    port = free_port()
    with Broker(folder / "broker") as broker:
        command = [sys.executable, "-m", "copeau.cli", "central", "--database", url, "--port", str(port)]
        command += ["--broker", f"127.0.0.1:{broker.port}", "--site", SITE]
        with (folder / "centre.log").open("wb") as log:
            centre = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=os.environ | {"COPEAU_RACKS_BEGIN": "automatic", "COPEAU_ACCESS": "open"},
            )
        try:
            _wait(port, centre, folder / "centre.log")
            before = _cpu_seconds(centre.pid)
            figures = _generate(broker.port, port, rate, seconds)
            figures["centre_cpu_s"] = round(_cpu_seconds(centre.pid) - before, 1)
        finally:
            centre.send_signal(signal.SIGTERM)
            centre.wait(30)
    return figures


def _plain(folder: Path, url: str, rate: int, seconds: float) -> dict[str, Any]:
    folder.mkdir()
    with Broker(folder / "broker") as broker:
        peer = subprocess.Popen(
            [sys.executable, "-m", "bench.plain_loop", str(broker.port), url], stdout=subprocess.PIPE, text=True
        )
        try:
            asyncio.run(asyncio.sleep(2.0))
            figures = _generate(broker.port, 0, rate, seconds)
        finally:
            peer.send_signal(signal.SIGTERM)
            answer, _ = peer.communicate(timeout=60)
    said = json.loads(answer)
    return {
        "published": figures["published"],
        "published_per_s": figures["published_per_s"],
        "committed_when_asked": said.pop("committed"),
        "publish_to_commit": said,
    }


def _generate(broker_port: int, centre_port: int, rate: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.generator", str(broker_port), str(centre_port), str(rate), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 300)
    if done.returncode != 0:
        raise RuntimeError(f"the generator failed:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


async def _seed(url: str, size: Size) -> None:
    """Items and machines that the traffic names, so that observations go through matching and not to the unknown."""
    from central.core.settings import Settings
    from central.items import service as items
    from central.machines import service as machines
    from central.offline import prepare

    async with prepare(Settings(database_url=url, site=SITE)) as units, units.begin() as uow:
        for number in range(size.items):
            await items.add_item(uow, item_code(number), f"Article {number}", "insert")
        for number in range(size.machines):
            await machines.add_machine(uow, machine_name(number), f"Machine {number}")


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    import socket
    import time

    limit = time.monotonic() + 60
    while time.monotonic() < limit and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the centre did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
