"""Samples wait for company: values of one signal go out together, a second at most."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cnc_bridge import model
from cnc_bridge.events import SamplesReady

BATCH_VALUES = 200
BATCH_SECONDS = 0.5
BUSY_VALUES = 1000
"""So many waiting together are not kept waiting: a busy machine's samples come soon, a calm one's cost little."""


class _Batch:
    """Values of one signal that wait; `began` is the monotonic second of the first."""

    __slots__ = ("began", "times", "values")

    def __init__(self, began: float) -> None:
        self.began = began
        self.times: list[datetime] = []
        self.values: list[float] = []


class Batches:
    """The values that wait, by signal. `units`: of signals that `model` does not know by name."""

    def __init__(self, units: Mapping[str, str]) -> None:
        self._units = dict(units)
        self._batches: dict[str, _Batch] = {}
        self._waiting = 0

    def add(self, signal: str, value: float, at: datetime, now: float) -> list[SamplesReady]:
        """One more value, measured at `at`; what is full now goes out."""
        out: list[SamplesReady] = []
        batch = self._batches.get(signal)
        if batch is not None and batch.times and at < batch.times[0]:  # the agent's clock was put back
            out += self.flush(signal)
            batch = None
        if batch is None:
            batch = self._batches[signal] = _Batch(now)
        batch.times.append(max(at, batch.times[-1]) if batch.times else at)
        batch.values.append(value)
        self._waiting += 1
        return [*out, *self.flush(signal)] if len(batch.values) >= BATCH_VALUES else out

    def due(self, now: float) -> list[SamplesReady]:
        """What has waited long enough; everything, when much waits."""
        if not self._batches:
            return []
        busy = self._waiting >= BUSY_VALUES
        old = [signal for signal, batch in self._batches.items() if busy or now - batch.began >= BATCH_SECONDS]
        return [ready for signal in old for ready in self.flush(signal)]

    def flush(self, signal: str) -> list[SamplesReady]:
        """What waits of one signal."""
        batch = self._batches.pop(signal, None)
        if batch is None or not batch.values:
            return []
        self._waiting -= len(batch.values)
        t0 = batch.times[0]
        dt = [round((time - t0).total_seconds() * 1000) for time in batch.times]
        unit = self._units.get(signal) or model.signal_named(signal).unit
        return [SamplesReady(signal, unit, t0, dt, batch.values)]

    def flush_all(self) -> list[SamplesReady]:
        return [ready for signal in list(self._batches) for ready in self.flush(signal)]
