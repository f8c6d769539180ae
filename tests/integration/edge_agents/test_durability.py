"""What "enregistré" costs: the system calls of a real process, seen from outside."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_WRITER = """
import asyncio, os, sys
from pathlib import Path
from contracts.facts import CodeScanned
from edge_agents.clock import Clock
from edge_agents.outbox import Fact, Outbox

async def main():
    async with Outbox.open(Path(sys.argv[1]), site="atelier", agent="rack-1", clock=Clock()) as outbox:
        os.write(1, b"open\\n")
        for n in range(20):
            await outbox.put([Fact(CodeScanned(code=str(n), format="QRCode", post="p"))])
            os.write(1, b"recorded\\n")
        await asyncio.gather(*[
            outbox.put([Fact(CodeScanned(code=str(n), format="QRCode", post="p"))]) for n in range(200)
        ])
        os.write(1, b"together\\n")
        os._exit(0)

asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (apt package strace)")
def test_every_recorded_fact_was_synced_to_disk_before_it_was_said(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=fdatasync,fsync,write"
    done = subprocess.run(
        ["strace", "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, "-c", _WRITER, str(tmp_path / "o.db")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "ptrace" in done.stderr.lower() and "not permitted" in done.stderr.lower():
        pytest.skip("this machine does not allow ptrace, so strace sees nothing")
    assert done.stdout.split() == ["open", *["recorded"] * 20, "together"], done.stderr
    syncs = 0
    before: list[int] = []
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        if re.search(r"\b(fdatasync|fsync)\(\d+<[^>]*o\.db-wal>", line):
            syncs += 1
        elif re.search(r'write\(1<.*"(recorded|together|open)', line):
            before.append(syncs)
    assert len(before) == 22
    since_last = [after - earlier for earlier, after in itertools.pairwise(before)]
    assert all(count >= 1 for count in since_last), since_last
    # group commit: 200 callers at once need a handful of syncs, not 200
    assert 1 <= since_last[-1] <= 20
