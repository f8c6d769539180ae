"""The simulated LinuxCNC leaves nothing behind, however it ends, and several live side by side."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from cnc_bridge.config import parse
from cnc_bridge.testing import linuxcnc_sim

pytestmark = pytest.mark.skipif(bool(linuxcnc_sim.missing()), reason=linuxcnc_sim.missing() or "it is there")


async def started(state_file: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(*linuxcnc_sim.command(state_file), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert json.loads(await process.stdout.readline()) == {"listening": str(state_file)}
    return process


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie waits for its parent only."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
        except OSError:
            continue
        if state not in "ZX":
            found.add(pid)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_no_process_is_left(tmp_path: Path, number: signal.Signals) -> None:
    state_file = tmp_path / "linuxcnc.json"
    process = await started(state_file)
    inside = linuxcnc_sim.inhabitants(state_file)
    assert set(inside.values()) >= linuxcnc_sim.LINUXCNC
    process.send_signal(number)
    await process.wait()
    async with asyncio.timeout(30):
        while alive(set(inside)):  # noqa: ASYNC110 - another process's end gives no event
            await asyncio.sleep(0.05)
    assert state_file.exists() is (number == signal.SIGKILL)
    assert linuxcnc_sim.inhabitants(state_file) == {}


async def test_two_run_side_by_side(tmp_path: Path) -> None:
    async with (
        linuxcnc_sim.simulated(tmp_path / "one.json") as one,
        linuxcnc_sim.simulated(tmp_path / "two.json") as two,
    ):
        await one.do("run", linuxcnc_sim.PROGRAMME)
        assert [await programme_of(one), await programme_of(two)] == [linuxcnc_sim.PROGRAMME, "None"]
        ended = {one.pid, two.pid}
    assert not alive(ended)
    assert not one.state_file.exists()


async def programme_of(controller: linuxcnc_sim.SimulatedController) -> str:
    driver = {"kind": "linuxcnc", "command": linuxcnc_sim.entrance(controller.state_file)}
    findings = await parse({"machine": {"id": "m"}, "driver": driver}).create_driver().probe()
    return next(finding.value for finding in findings if finding.name == "programme").partition(" = ")[2]
