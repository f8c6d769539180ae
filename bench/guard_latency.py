"""From a sample to the hold command, through the guard's own process and a driver's real entry (a socket), under load.

The far side is here: it writes SHDR lines and hears ``* HOLD`` on the same connection. The guard runs as it does in an
agent; only its driver is the SHDR driver with a hold that writes that line, for no SHDR adapter takes commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.figures import machine, quantiles
from cnc_bridge.config import MachineSource, parse
from cnc_bridge.drivers.shdr.driver import ControllerDriver
from cnc_bridge.port import Driver, DriverFaultError
from cnc_bridge.testing import linuxcnc_sim
from edge_agents import guard_messages as messages
from edge_agents import guard_process

SIGNALS = [f"load_{number:02}" for number in range(60)]
"""One after the other, so that each is calm again before its next turn."""
PERIOD_S = 0.01
_WARM_UP = 20
"""The first ones pay for imports and caches."""
_CUT = "G21 G90 G54\nS1000 M3\n" + "G1 X400 F1500\nG1 X0\n" * 200 + "M30\n"
_decoder: msgspec.msgpack.Decoder[messages.Said] = msgspec.msgpack.Decoder(messages.Said)


class HoldingDriver(ControllerDriver):
    """The SHDR driver, with a hold."""

    _writer: asyncio.StreamWriter | None = None

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with super()._connected() as (reader, writer):
            self._writer = writer
            try:
                yield reader, writer
            finally:
                self._writer = None

    async def _hold(self) -> None:
        if self._writer is None:
            raise DriverFaultError("closed", "not connected", "Machine non connectée.")
        self._writer.write(b"* HOLD\n")


def _prepared(order: messages.Order) -> tuple[MachineSource, Driver]:
    """As `guard_process.prepared`; the configuration would refuse `hold` on SHDR."""
    source = parse(order.machine)
    assert source.machine.guard is not None
    guard = source.machine.guard.model_copy(update={"mode": "hold"})
    held = source.model_copy(update={"machine": source.machine.model_copy(update={"guard": guard})})
    return held, HoldingDriver(held.driver)  # type: ignore[arg-type]  # shdr's settings, by the order's `kind`


def run(trips: int, *, stress: int) -> dict[str, Any]:
    """`trips` holds with `stress` busy processes beside.

    Where the system allows it the guard asks to run before them, as it does in an agent, and so does this far side: it
    is the measuring instrument.
    """
    with _busy(stress), tempfile.TemporaryDirectory(prefix="copeau-guard-") as folder:
        before_others = guard_process.prefer_this_process()
        figures = asyncio.run(_measure(trips, Path(folder)))
    return {
        "machine": machine(), "trips": trips, "stress_processes": stress, "before_others": before_others, **figures
    }  # fmt: skip


def run_linuxcnc(trips: int) -> dict[str, Any]:
    """`trips` holds of a real LinuxCNC that cuts: load set in its HAL, hold by its feed hold, velocity 0 as it says."""
    with tempfile.TemporaryDirectory(prefix="copeau-guard-") as folder:
        figures = asyncio.run(_measure_linuxcnc(trips, Path(folder)))
    return {"machine": machine(), "trips": trips, **figures}


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    burners = [subprocess.Popen([sys.executable, "-c", "while True: sum(range(1000))"]) for _ in range(count)]  # nosec B603  # our own commands
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


class _FarSide:
    """The machine: says its loads, hears holds, and stops its feed 5 ms after one."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.held = asyncio.Event()
        self.held_at = 0.0
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.say("avail|AVAILABLE|exec|ACTIVE|feed|1000")
        self.connected.set()
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line == b"* HOLD\n":
                    self.held_at = time.monotonic()
                    self.held.set()
                elif line == b"* PING\n":
                    writer.write(b"* PONG 10000\n")

    def say(self, text: str) -> None:
        assert self._writer is not None
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._writer.write(f"{now}|{text}\n".encode())


@contextlib.asynccontextmanager
async def guarding(order: messages.Order, module: str) -> AsyncIterator[GuardAtWork]:
    """A guard's process, as an agent starts it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(messages.framed(order))
    told: asyncio.Queue[messages.Said] = asyncio.Queue()
    listening = asyncio.create_task(_listen(process.stdout, told))
    try:
        yield GuardAtWork(process.stdin, told)
    finally:
        listening.cancel()
        process.kill()
        await process.wait()


class GuardAtWork:
    """What the process says, and its re-arming."""

    def __init__(self, orders: asyncio.StreamWriter, told: asyncio.Queue[messages.Said]) -> None:
        self._orders = orders
        self._told = told

    async def sees(self) -> None:
        """Until it watches."""
        while not isinstance(await self._next(), messages.Watching):
            pass

    async def tripped(self) -> messages.Tripped:
        """The next verdict at the level of a hold."""
        while True:
            said = await self._next()
            if isinstance(said, messages.Tripped) and said.level == "hold":
                return said

    async def rearm(self) -> None:
        """Until it knows."""
        self._orders.write(messages.framed(messages.Rearm()))
        while not isinstance(await self._next(), messages.Armed):
            pass

    async def _next(self) -> messages.Said:
        async with asyncio.timeout(30):
            return await self._told.get()


class _Figures:
    """Of each trip after the first ones."""

    def __init__(self) -> None:
        self.own: list[float] = []
        self.stops: list[float] = []
        self.travel: list[float] = []
        self.outcomes: dict[str, int] = {}

    def add(self, trip: messages.Tripped) -> None:
        self.own.append(trip.latency_ms or 0.0)
        self.outcomes[trip.outcome] = self.outcomes.get(trip.outcome, 0) + 1
        if trip.stop_ms is not None:
            self.stops.append(trip.stop_ms)
        if trip.travel_mm is not None:
            self.travel.append(trip.travel_mm)

    def said(self) -> dict[str, Any]:
        return {
            "sample_in_to_hold_out": quantiles(self.own),
            "hold_out_to_velocity_0": quantiles(self.stops),
            "travel_mm_max": round(max(self.travel, default=0.0), 3),
            "outcomes": self.outcomes,
        }


async def _measure(trips: int, folder: Path) -> dict[str, Any]:
    far = _FarSide()
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0)
    tables = _tables(server.sockets[0].getsockname()[1])
    order = messages.Order(tables, str(folder / "guard.json"), armed=True)
    wire: list[float] = []
    figures = _Figures()
    async with server, guarding(order, "bench.guard_latency") as guard:
        await far.connected.wait()
        for number in range(trips + _WARM_UP):
            latency = await _trip(far, SIGNALS[number % len(SIGNALS)])
            trip = await guard.tripped()
            await guard.rearm()
            if number >= _WARM_UP:
                wire.append(latency * 1000)
                figures.add(trip)
    return {"sample_written_to_hold_received": quantiles(wire), **figures.said()}


async def _measure_linuxcnc(trips: int, folder: Path) -> dict[str, Any]:
    figures = _Figures()
    async with linuxcnc_sim.simulated(folder / "linuxcnc.json") as controller:
        order = messages.Order(_linuxcnc_tables(controller), str(folder / "guard.json"), armed=True)
        async with guarding(order, "edge_agents.guard_process") as guard:
            await guard.sees()
            await controller.do("write_file", "nc_files/cut.ngc", _CUT)
            await controller.do("run", "cut.ngc")
            for _ in range(trips):
                await asyncio.sleep(1.5)  # at its feed again, and calm for the guard
                await controller.do("set_signal", "load-extra", 150.0)
                figures.add(await guard.tripped())
                await controller.do("set_signal", "load-extra", 0.0)
                await guard.rearm()
                await controller.do("resume")
    return figures.said()


async def _trip(far: _FarSide, signal: str) -> float:
    """Three quiet samples, three high ones; seconds from the third high one on the wire to the hold heard."""
    far.say("feed|1000")
    for _ in range(3):
        far.say(f"{signal}|20")
        await asyncio.sleep(PERIOD_S)
    far.held.clear()
    sent = 0.0
    for _ in range(3):
        sent = time.monotonic()
        far.say(f"{signal}|180")
        await asyncio.sleep(PERIOD_S)
    async with asyncio.timeout(10):
        await far.held.wait()
    await asyncio.sleep(0.005)
    far.say(f"{signal}|20|feed|0")
    return far.held_at - sent


async def _listen(pipe: asyncio.StreamReader, told: asyncio.Queue[messages.Said]) -> None:
    while True:
        length = int.from_bytes(await pipe.readexactly(4), "big")
        told.put_nowait(_decoder.decode(await pipe.readexactly(length)))


def _tables(port: int) -> dict[str, Any]:
    return {
        "machine": {
            "id": "banc",
            "guard": {
                "signals": SIGNALS, "limits": {name: {"alert": 120.0, "hold": 150.0} for name in SIGNALS},
                "learn": False, "after_s": 0.02, "before_s": 0.1,
            },
        },
        "driver": {
            "kind": "shdr", "host": "127.0.0.1", "port": port, "allow": ["hold"],
            "signals": {"execution": "exec", "feed": "feed", **{name: name for name in SIGNALS}},
        },
    }  # fmt: skip


def _linuxcnc_tables(controller: linuxcnc_sim.SimulatedController) -> dict[str, Any]:
    limits = {"spindle_load": {"alert": 100.0, "hold": 130.0}}
    return {
        "machine": {"id": "banc", "guard": {"mode": "hold", "limits": limits, "learn": False, "after_s": 0.1}},
        "driver": {
            "kind": "linuxcnc", "command": linuxcnc_sim.entrance(controller.state_file), "allow": ["hold"],
            "period_s": 0.005, "signals": {"spindle_load": "hal:spindle-load"},
        },
    }  # fmt: skip


if __name__ == "__main__":
    asyncio.run(guard_process.serve(_prepared))
