"""From our hold to velocity 0 on a real LinuxCNC: how long, how far, and how much of it is ours.

LinuxCNC runs without a real-time kernel here, so its ramp carries the jitter of a shared machine. The ramp itself is
the floor: 25 mm/s at 508 mm/s² takes 49.2 ms and 0.62 mm.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figures import machine, quantiles
from cnc_bridge.config import parse
from cnc_bridge.drivers.linuxcnc.driver import ControllerDriver
from cnc_bridge.port import EventStream, Reading
from cnc_bridge.testing import linuxcnc_sim
from cnc_bridge.testing.linuxcnc_sim import SimulatedController

FEED = 1500.0
"""mm/min"""
ACCELERATION = 508.0
"""mm/s², of the simulated machine"""
PERIOD_S = 0.005
_CUT = "G21 G90 G54\nS1000 M3\n" + f"G1 X400 F{FEED:g}\nG1 X0\n" * 40 + "M30\n"
_PATIENCE_S = 60.0


def missing() -> str:
    """Why this cannot be measured here; empty when it can."""
    return linuxcnc_sim.missing()


def run(n: int = 20, *, seed: int = 1) -> dict[str, Any]:
    """`n` holds in a cut at 1500 mm/min. All times in ms, travel in mm."""
    return asyncio.run(_run(n, random.Random(seed)))  # nosec B311  # made-up traffic, not a secret


async def _run(n: int, chance: random.Random) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with linuxcnc_sim.simulated(Path(folder) / "linuxcnc.json") as controller:
            holds = await _holds(controller, n, chance)
    speed = FEED / 60
    return {
        "what": "hold to velocity 0, LinuxCNC",
        "machine": machine(),
        "n": n,
        "feed_mm_min": FEED,
        "period_ms": PERIOD_S * 1000,
        "ramp_floor_ms": round(speed / ACCELERATION * 1000, 1),
        "our_time": quantiles([hold["ours"] for hold in holds]),
        "taken": quantiles([hold["taken"] for hold in holds]),
        "to_velocity_0": quantiles([hold["still"] for hold in holds]),
        "travel_floor_mm": round(speed**2 / ACCELERATION / 2, 2),
        "travel_mm_median": round(statistics.median(hold["travel"] for hold in holds), 2),
        "travel_mm_max": round(max(hold["travel"] for hold in holds), 2),
    }


async def _holds(controller: SimulatedController, n: int, chance: random.Random) -> list[dict[str, float]]:
    settings = {
        "kind": "linuxcnc",
        "command": linuxcnc_sim.entrance(controller.state_file),
        "allow": ["hold", "programme"],
        "period_s": PERIOD_S,
        "signals": {"x_position": {"key": "position.x", "unit": "mm"}},
    }
    driver = parse({"machine": {"id": "bench"}, "driver": settings}).create_driver()
    assert isinstance(driver, ControllerDriver)
    found = []
    async with driver.open() as stream:
        seen = _Seen(stream)
        await seen.until("execution", "READY")
        await driver.write_programme("cut.ngc", _CUT.encode())
        await controller.do("run", "cut.ngc")
        for _ in range(n):
            await seen.until("feed", FEED)
            await seen.for_seconds(chance.uniform(0.1, 0.3))
            await seen.until("feed", FEED)
            found.append(await _one(driver, seen))
            await controller.do("resume")
    return found


async def _one(driver: ControllerDriver, seen: _Seen) -> dict[str, float]:
    """One hold. `ours`: from our call until the gateway hands it to LinuxCNC, by this computer's clock."""
    wall, mono = time.time(), time.monotonic()
    at_call = seen.position_at(wall)
    await driver.hold()
    taken = time.monotonic()
    assert driver.hold_sent is not None
    still = await seen.until("feed", 0.0, since=wall)
    return {
        "ours": (driver.hold_sent.timestamp() - wall) * 1000,
        "taken": (taken - mono) * 1000,
        "still": (still - mono) * 1000,
        "travel": abs(seen.values["x_position"] - at_call),
    }


class _Seen:
    """The newest value of each signal, and when this process received it."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self.values: dict[str, Any] = {}
        self._source: dict[str, float] = {}
        self._received: dict[str, float] = {}
        self._direction = 1.0

    async def until(self, signal: str, value: object, *, since: float = 0.0) -> float:
        """Wait until `signal` is `value`, said at or after `since`; when that was received (monotonic seconds)."""
        async with asyncio.timeout(_PATIENCE_S):
            while self.values.get(signal) != value or self._source[signal] < since:
                await self._more()
        return self._received[signal]

    async def for_seconds(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self._more()

    def position_at(self, wall: float) -> float:
        """X at that moment: the last one read, and the feed since."""
        ahead = wall - self._source["x_position"]
        return float(self.values["x_position"]) + self._direction * FEED / 60 * ahead

    async def _more(self) -> None:
        for event in await anext(self._stream):
            if isinstance(event, Reading) and event.source_time is not None:
                if event.signal == "x_position" and isinstance(event.value, float):
                    self._direction = 1.0 if event.value >= self.values.get("x_position", 0.0) else -1.0
                self.values[event.signal] = event.value
                self._source[event.signal] = event.source_time.timestamp()
                self._received[event.signal] = event.received.mono


def lines(result: dict[str, Any]) -> list[str]:
    """The figures for a person."""
    ours, still = result["our_time"], result["to_velocity_0"]
    head = f"LinuxCNC, {result['n']} holds at {result['feed_mm_min']:g} mm/min, read every {result['period_ms']:g} ms"
    ramp, floor = result["ramp_floor_ms"], result["travel_floor_mm"]
    return [
        head,
        f"  our call to LinuxCNC's channel  p50 {ours['p50_ms']} p99 {ours['p99_ms']} ms",
        f"  our call to velocity 0 seen     p50 {still['p50_ms']} p99 {still['p99_ms']} ms (the ramp alone: {ramp})",
        f"  travel  median {result['travel_mm_median']} max {result['travel_mm_max']} mm (the ramp alone: {floor})",
    ]
