"""The transfer procedure over real lines: LinuxCNC itself, an OPC UA file transfer, a serial line with its two keys."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cnc_bridge import programmes
from cnc_bridge.config import MachineSource, parse
from cnc_bridge.follow import Following, follow
from cnc_bridge.port import Driver
from cnc_bridge.testing import linuxcnc_sim, node_opcua
from cnc_bridge.testing.dnc_machine import DC1, DC2, DC3, DC4, Reader
from contracts.programmes import same
from tests.integration.cnc_bridge.opcua_far_side import node_server

CUT = b"G21 G17 G90 G54\nT1 M6\nS1200 M3\nG1 X5 F2400\nM5\nM30\n"
LONG = b"G21 G90 G54\nS1000 M3\nG1 X300 F1500\nM30\n"


@asynccontextmanager
async def followed(driver_table: dict[str, Any]) -> AsyncIterator[tuple[Driver, Following]]:
    """A driver that is read all the time, as an agent does."""
    source = parse({"machine": {"id": "m"}, "driver": {"reconnect_max_s": 1.0, "allow": ["programme"], **driver_table}})
    async with open_followed(source) as opened:
        yield opened


@asynccontextmanager
async def open_followed(source: MachineSource) -> AsyncIterator[tuple[Driver, Following]]:
    driver = source.create_driver()
    async with asyncio.timeout(120), follow(source, driver=driver) as following:

        async def read() -> None:
            async for _ in following.steps():
                pass

        reading = asyncio.create_task(read())
        try:
            yield driver, following
        finally:
            reading.cancel()
            await asyncio.wait([reading])


async def says(following: Following, execution: str) -> None:
    while following.current.get("execution") != execution:  # noqa: ASYNC110 - it has no event of its own
        await asyncio.sleep(0.05)


@pytest.mark.skipif(bool(linuxcnc_sim.missing()), reason=linuxcnc_sim.missing() or "it is there")
async def test_linuxcnc_takes_a_programme_when_idle_and_none_while_it_cuts(tmp_path: Path) -> None:
    state_file = tmp_path / "linuxcnc.json"
    async with (
        linuxcnc_sim.simulated(state_file) as machine,
        followed({"kind": "linuxcnc", "command": linuxcnc_sim.entrance(state_file)}) as (driver, following),
    ):
        await says(following, "READY")
        outcome = await programmes.send(driver, lambda: following.current, "piece-7.ngc", CUT)
        assert (outcome.result, outcome.read) == ("sent", CUT)
        assert (await programmes.send(driver, lambda: following.current, "piece-7.ngc", CUT)).result == "already"
        assert (await programmes.send(driver, lambda: following.current, "long.ngc", LONG)).done
        await machine.do("run", "long.ngc")
        await says(following, "ACTIVE")
        refused = await programmes.send(driver, lambda: following.current, "piece-7.ngc", LONG)
        assert (refused.result, "tourne" in refused.message) == ("refused", True)
        await machine.do("abort")
        await says(following, "STOPPED")
        assert await driver.read_programme("piece-7.ngc") == CUT
        assert (await programmes.send(driver, lambda: following.current, "piece-7.ngc", LONG)).result == "sent"


@pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing() or "it is there")
async def test_opcua_file_transfer_refuses_during_the_cycle_and_takes_it_after(tmp_path: Path) -> None:
    folder = tmp_path / "programmes"
    folder.mkdir()
    (folder / "O9000.NC").write_bytes(TAPE.replace(b"F0.2", b"F0.3"))
    async with (
        node_server(tmp_path, "--cycle", "5", "--between", "5") as server,
        open_followed(server.source(allow=["programme"])) as (driver, following),
    ):
        await says(following, "ACTIVE")
        refused = await programmes.send(driver, lambda: following.current, "O9000.NC", TAPE)
        assert (refused.result, "tourne" in refused.message) == ("refused", True)
        while following.current.get("execution") == "ACTIVE":  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0.05)
        outcome = await programmes.send(driver, lambda: following.current, "O9000.NC", TAPE)
        assert (outcome.result, outcome.read) == ("sent", TAPE), outcome.message
    assert (folder / "O9000.NC").read_bytes() == TAPE


class FakeKeys(threading.Thread):
    """A FAKE control at a pseudo-terminal: somebody presses READ, then PUNCH (or does not); `spoil` loses a line."""

    def __init__(self, *, read: bool = True, punch: bool = True, spoil: bytes = b"") -> None:
        super().__init__(daemon=True)
        self._port, far = os.openpty()
        tty.setraw(far)
        self.device = os.ttyname(far)
        self._read, self._punch, self._spoil = read, punch, spoil
        self.memory = b""

    def run(self) -> None:
        if not self._read:
            return
        os.write(self._port, DC1)
        reader = Reader(self._port, size=4096, rate=100_000.0, resumes=10**9, codes=True)
        reader.run()
        os.write(self._port, DC3)
        self.memory = bytes(reader.received).replace(self._spoil, b"") if self._spoil else bytes(reader.received)
        if not self._punch:
            return
        time.sleep(2.5)  # from one key to the other; the sender waits a moment for a last XON
        for piece in (DC2, self.memory.replace(b"\r\n", b"\n\r\r"), DC4):
            os.write(self._port, piece)

    def table(self) -> dict[str, Any]:
        tape = {"idle_timeout_s": 1.0, "start_timeout_s": 6.0}
        return {"kind": "serial", "dialect": "dnc", "device": self.device, "line": {"baud": 115_200}, "tape": tape}


TAPE = b"%\nO1234(BRIDE)\n" + b"".join(b"N%d G1 X%d. F0.2\n" % (n, n) for n in range(10, 300, 10)) + b"M30\n%\n"


async def sent_over(keys: FakeKeys, content: bytes = TAPE) -> programmes.Outcome:
    async with followed(keys.table()) as (driver, following):
        while not driver._up:  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0.05)
        assert programmes.attended(driver)
        keys.start()
        return await programmes.send(driver, lambda: following.current, "O1234", content)


async def test_a_serial_line_takes_a_programme_by_read_and_gives_it_back_by_punch() -> None:
    keys = FakeKeys()
    outcome = await sent_over(keys)
    assert (outcome.result, outcome.done) == ("sent", True)
    assert same(keys.memory, TAPE, "O1234")


async def test_a_line_lost_on_the_cable_is_found_by_the_punch() -> None:
    outcome = await sent_over(FakeKeys(spoil=b"N200 G1 X200. F0.2\r\n"))
    assert outcome.result == "broken"
    assert "1 ligne retirée" in outcome.message
    assert "Ne pas lancer" in outcome.message


async def test_nobody_who_punches_leaves_it_unread_and_nobody_who_reads_leaves_nothing() -> None:
    outcome = await sent_over(FakeKeys(punch=False))
    assert (outcome.result, "PUNCH" in outcome.message) == ("unread", True)
    outcome = await sent_over(FakeKeys(read=False))
    assert (outcome.result, "READ" in outcome.message) == ("refused", True)
