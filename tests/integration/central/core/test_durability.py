"""What "enregistré" and an ack mean: on disk. The kernel is asked, not the settings."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event

from contracts.envelope import encode_pack
from tests.support.centre import bench, eventually
from tests.support.facts import Source
from tests.support.process import CentreProcess

POSTS = 20


def test_every_receipt_is_preceded_by_a_sync_of_the_disk(sqlite_url: str, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed (apt package strace)")
    source = Source("poste-1")
    trace = tmp_path / "trace"
    with CentreProcess(sqlite_url, tmp_path) as centre:
        assert centre.process is not None
        with subprocess.Popen(
            [strace, "-f", "-qq", "-e", "trace=fdatasync,fsync", "-o", str(trace), "-p", str(centre.process.pid)],
            stderr=subprocess.PIPE,
        ) as tracer:
            httpx.get(f"{centre.url}/api/time")
            if tracer.poll() is not None:
                pytest.skip("this machine does not allow strace to attach")
            synced: list[int] = []
            for _ in range(POSTS):
                reply = httpx.post(f"{centre.url}/api/facts", content=encode_pack([source.fact()]), timeout=60)
                assert reply.json()["acks"]
                synced.append(len(re.findall(r"f(?:data)?sync\(", trace.read_text())))
            tracer.terminate()
    assert all(after > before for before, after in pairwise(synced)), synced


async def test_a_full_disk_acknowledges_nothing_and_heals(sqlite_url: str) -> None:
    """SQLite's page limit answers exactly as a full disk does: ``database or disk is full``."""
    source = Source()
    async with bench(sqlite_url) as centre:
        await centre.send(source.fact())
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as outside:
            pages = outside.execute("PRAGMA page_count").fetchone()[0]

        def limit(connection: object, _record: object, _proxy: object) -> None:
            cursor = connection.cursor()  # type: ignore[attr-defined]  # a DBAPI connection
            cursor.execute(f"PRAGMA max_page_count = {pages if full else 1 << 30}")
            cursor.close()

        full = True
        event.listen(centre.database.engine.sync_engine, "checkout", limit)
        big = [
            source.fact(raw=b'{"machine":"m","state":"running","detail":"' + b"x" * 1900 + b'"}') for _ in range(300)
        ]
        centre.inbox.accept("atelier", "rack-1", encode_pack(big[:30]))
        for start in range(30, 300, 30):
            centre.inbox.accept("atelier", "rack-1", encode_pack(big[start : start + 30]))
        await eventually(lambda: centre.health == [False], timeout_s=60)
        acknowledged = centre.link.upto() or 0
        assert acknowledged < 301
        full = False
        await eventually(lambda: centre.health == [False, True], timeout_s=60)
        for start in range(0, 300, 30):
            await centre.send(*big[start : start + 30])
        assert centre.link.upto() == 301
        assert sorted({fact.seq for fact in centre.collector.facts}) == list(range(1, 302))
