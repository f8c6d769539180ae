"""A driver and its tracker together: what an agent, and `copeau cnc watch`, read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import msgspec

from cnc_bridge import model
from cnc_bridge.config import MachineSource
from cnc_bridge.port import Clock, Driver, EventStream, SystemClock
from cnc_bridge.tracking import Event, Tracker, TrackerState

TICK_S = 0.2


class Step(msgspec.Struct, frozen=True):
    """Events, and the state to save with them in one transaction."""

    events: list[Event]
    state: TrackerState


class Following:
    """An open machine: iterate its steps. Steps without events are not given."""

    def __init__(self, stream: EventStream, tracker: Tracker, clock: Clock) -> None:
        self._stream = stream
        self._tracker = tracker
        self._clock = clock

    @property
    def current(self) -> Mapping[str, model.Value]:
        """The values that hold now, by signal; empty when the machine is silent."""
        return self._tracker.current()

    @property
    def state(self) -> TrackerState:
        """What the machine was last said to be; stated again when the centre comes back."""
        return self._tracker.state

    async def steps(self) -> AsyncIterator[Step]:
        """What happens, as it happens; time passes too (silence, batches of samples)."""
        waiting = asyncio.ensure_future(anext(self._stream))
        try:
            while True:
                await asyncio.wait([waiting], timeout=TICK_S)
                events: list[Event] = []
                if waiting.done():
                    try:
                        batch = waiting.result()
                    except StopAsyncIteration:
                        return
                    for event in batch:
                        events += self._tracker.feed(event)
                    waiting = asyncio.ensure_future(anext(self._stream))
                events += self._tracker.tick(self._clock.now())
                if events:
                    yield Step(events, self._tracker.state)
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])

    def rest(self) -> Step:
        """What still waited (samples), for the last save before closing."""
        return Step(self._tracker.close(), self._tracker.state)


@contextlib.asynccontextmanager
async def follow(
    source: MachineSource,
    state: TrackerState | None = None,
    *,
    clock: Clock | None = None,
    driver: Driver | None = None,
) -> AsyncIterator[Following]:
    """Open the machine of `source`, going on from the saved `state`."""
    used = clock or SystemClock()
    machine = driver or source.create_driver(used)
    if state is not None and state.position:
        machine.resume(state.position)
    async with machine.open() as stream:
        tracker = Tracker(source.stale_after_s, used.now(), state, source.units)
        yield Following(stream, tracker, used)
