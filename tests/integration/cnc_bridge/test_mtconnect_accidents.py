"""A shift of accidents: whatever happens to connection, agent and bridge, the parts are those that were made."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.events import CycleEnded, Event, PartsCounted, StateChanged
from cnc_bridge.follow import follow
from cnc_bridge.replay import stamp_of
from cnc_bridge.testing.mtconnect_agent import MTConnectAgent
from cnc_bridge.tracking import TrackerState


class Bridge:
    """What an agent does with a machine: each step's events and state are saved together; a kill loses the rest."""

    def __init__(self, machine: MachineSource) -> None:
        self._machine = machine
        self._saved = b""
        self._task: asyncio.Task[None] | None = None
        self._stepped = asyncio.Event()
        self.events: list[Event] = []

    async def _live(self) -> None:
        async with follow(self._machine, self.state) as following:
            async for step in following.steps():
                self.events += step.events
                self._saved = msgspec.json.encode(step.state)
                self._stepped.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._live())

    async def die(self) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self._stepped.clear()
            await self._stepped.wait()

    @property
    def state(self) -> TrackerState:
        return msgspec.json.decode(self._saved, type=TrackerState) if self._saved else TrackerState()

    @property
    def parts(self) -> int:
        return sum(event.delta for event in self.events if isinstance(event, PartsCounted))


@pytest.mark.parametrize("seed", range(4))
async def test_parts_and_cycles_are_those_that_were_made(seed: int) -> None:
    """Cycles of 0 to 2 parts while connections are cut and the bridge dies; seeds 2 and 3: the agent restarts as well.

    What an agent that restarts had in its buffer is gone: of its cycles some are not known, but no part is.
    """
    chance = random.Random(seed)
    accidents = ["cut", "die", "hang", "nothing", "nothing"] + ["restart"] * (seed >= 2)
    count = cycles = restarts = 0
    async with asyncio.timeout(100), MTConnectAgent() as agent:

        def says(line: str) -> None:
            agent.feed([stamp_of(datetime.now(UTC)) + b"|" + line.encode()])

        says("avail|AVAILABLE|pmode|AUTOMATIC|pprogram|O1|pexecution|READY|ppartcount|0")
        table = {"kind": "mtconnect", "url": agent.url, "heartbeat_s": 0.3, "interval_ms": 10, "timeout_s": 1.0}
        bridge = Bridge(parse({"machine": {"id": "m"}, "driver": table | {"reconnect_max_s": 0.2}}))
        bridge.start()
        await bridge.until(lambda: any(isinstance(event, StateChanged) for event in bridge.events))
        for _ in range(30):
            says("pexecution|ACTIVE")
            accident = chance.choice(accidents)
            if accident == "cut":
                agent.cut()
            elif accident == "die":
                await bridge.die()
            elif accident == "hang":
                agent.frozen = True
                agent.cut()
            elif accident == "restart":
                restarts += 1
                agent.restart()
                says(f"avail|AVAILABLE|pmode|AUTOMATIC|pprogram|O1|pexecution|ACTIVE|ppartcount|{count}")
            await asyncio.sleep(chance.choice([0, 0, 0.05]))
            made, cycles = chance.randint(0, 2), cycles + 1
            for _ in range(made):
                count += 1
                says(f"ppartcount|{count}")
            says("pexecution|PROGRAM_COMPLETED")
            says("pexecution|READY")
            if accident == "die":
                bridge.start()
            if agent.frozen:
                agent.frozen = False
                agent.cut()
            await asyncio.sleep(chance.choice([0, 0, 0.1]))
        says("pprogram|O2")
        await bridge.until(lambda: bridge.state.programme == "O2")  # all that was said before has come, too
        await bridge.die()
    ended = [event for event in bridge.events if isinstance(event, CycleEnded)]
    assert bridge.parts == count
    assert restarts > 0 or [event.completed for event in ended] == [True] * cycles
    assert len(ended) <= cycles
