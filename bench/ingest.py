"""Facts through MQTT to commit to page, on SQLite and PostgreSQL, beside a plain paho + psycopg loop, in one run."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import machine
from bench.shop import generate, measure
from copeau.servers.broker import Broker
from copeau.servers.postgres import Postgres, find_binaries

PEER_RATES = (500, 1000, 2000)


def run(rates: Sequence[int], seconds: float, databases: Sequence[str], *, peer: bool) -> dict[str, Any]:
    """All the runs, one after the other; a fresh database, broker and centre for each."""
    result: dict[str, Any] = {"machine": machine(), "seconds": seconds, "runs": []}
    with tempfile.TemporaryDirectory(prefix="copeau-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with postgresql(directory) as postgres:
            for database in databases:
                for rate in rates:
                    folder = directory / f"{database}-{rate}"
                    url = f"sqlite:///{folder / 'centre.db'}" if database == "sqlite" else postgres.create_database()
                    figures = measure(folder, url, rate, seconds)
                    result["runs"].append({"what": "copeau", "database": database, "rate": rate, **figures})
            if peer:
                for rate in PEER_RATES:
                    figures = _plain(directory / f"plain-{rate}", postgres.create_database(), rate, seconds)
                    result["runs"].append(
                        {"what": "plain paho + psycopg", "database": "postgresql", "rate": rate, **figures}
                    )
    return result


@contextmanager
def postgresql(directory: Path) -> Iterator[Postgres]:
    """A cluster of its own in `directory`. Raises RuntimeError where PostgreSQL is not installed."""
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


def _plain(folder: Path, url: str, rate: int, seconds: float) -> dict[str, Any]:
    folder.mkdir()
    with Broker(folder / "broker") as broker:
        peer = subprocess.Popen(  # nosec B603  # our own commands
            [sys.executable, "-m", "bench.plain_loop", str(broker.port), url], stdout=subprocess.PIPE, text=True
        )
        try:
            asyncio.run(asyncio.sleep(2.0))
            figures = generate(broker.port, 0, rate, seconds, None)
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
