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
from edge_agents import guard_process

SIGNALS = [f"load_{number:02}" for number in range(60)]
"""One after the other, so that each is calm again before its next turn."""
PERIOD_S = 0.01
_decoder: msgspec.msgpack.Decoder[guard_process.Said] = msgspec.msgpack.Decoder(guard_process.Said)


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


def _prepared(order: guard_process.Order) -> tuple[MachineSource, Driver]:
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


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    burners = [subprocess.Popen([sys.executable, "-c", "while True: sum(range(1000))"]) for _ in range(count)]
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


async def _measure(trips: int, folder: Path) -> dict[str, Any]:
    far = _FarSide()
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    guard = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.guard_latency", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert guard.stdin is not None
    assert guard.stdout is not None
    memory = str(folder / "guard.json")
    guard.stdin.write(guard_process.framed(guard_process.Order(_tables(port), memory, armed=True)))
    told: asyncio.Queue[guard_process.Said] = asyncio.Queue()
    listening = asyncio.create_task(_listen(guard.stdout, told))
    wire: list[float] = []
    own: list[float] = []
    stops: list[float] = []
    outcomes: dict[str, int] = {}
    try:
        await far.connected.wait()
        for number in range(trips + 20):
            latency = await _trip(far, SIGNALS[number % len(SIGNALS)])
            tripped = await _tripped(told)
            guard.stdin.write(guard_process.framed(guard_process.Rearm()))
            if number < 20:
                continue  # the first ones pay for imports and caches
            wire.append(latency * 1000)
            own.append(tripped.latency_ms or 0.0)
            stops.append(tripped.stop_ms or 0.0)
            outcomes[tripped.outcome] = outcomes.get(tripped.outcome, 0) + 1
    finally:
        listening.cancel()
        guard.kill()
        await guard.wait()
        server.close()
    return {
        "sample_written_to_hold_received": quantiles(wire), "sample_in_to_hold_out": quantiles(own),
        "hold_out_to_velocity_0": quantiles(stops), "outcomes": outcomes,
    }  # fmt: skip


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


async def _tripped(told: asyncio.Queue[guard_process.Said]) -> guard_process.Tripped:
    async with asyncio.timeout(10):
        while True:
            said = await told.get()
            if isinstance(said, guard_process.Tripped) and said.level == "hold":
                return said


async def _listen(pipe: asyncio.StreamReader, told: asyncio.Queue[guard_process.Said]) -> None:
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


if __name__ == "__main__":
    asyncio.run(guard_process.serve(_prepared))
