"""Samples of one step as few facts: a machine with a thousand signals must not cost a thousand rows each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from cnc_bridge.tracking import SamplesReady
from contracts.facts import MachineBlock, MachineSamples, Series

_ROOM = 48 * 1024
"""Bytes of JSON that a block may reach, of the 64 KiB that a fact may have."""
_SERIES = 60
_VALUE = 26
"""Most bytes that a series costs besides its names and values, and that a value costs with its time."""
_MILLISECOND = timedelta(milliseconds=1)


def sample_facts(machine: str, ready: Sequence[SamplesReady]) -> list[MachineSamples | MachineBlock]:
    """One body for a signal alone, blocks for several."""
    if len(ready) == 1:
        (one,) = ready
        return [MachineSamples(machine=machine, signal=one.signal, unit=one.unit, t0=one.t0, dt=one.dt, v=one.values)]
    return [_block(machine, part) for part in _parts(ready)]


def _parts(ready: Sequence[SamplesReady]) -> Iterator[list[SamplesReady]]:
    part: list[SamplesReady] = []
    size = 0
    for one in ready:
        cost = _SERIES + len(one.signal.encode()) + len(one.unit.encode()) + _VALUE * len(one.values)
        if part and size + cost > _ROOM:
            yield part
            part, size = [], 0
        part.append(one)
        size += cost
    if part:
        yield part


def _block(machine: str, part: Sequence[SamplesReady]) -> MachineBlock:
    t0 = min(one.t0 for one in part)
    series = []
    for one in part:
        later = round((one.t0 - t0) / _MILLISECOND)
        dt = [later + dt for dt in one.dt] if later else one.dt
        series.append(Series(signal=one.signal, unit=one.unit, dt=dt, v=one.values))
    return MachineBlock(machine=machine, t0=t0, series=series)
