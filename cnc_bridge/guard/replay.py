"""The guard over recordings: learn from some, judge others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cnc_bridge.guard.core import Guard, Verdict
from cnc_bridge.guard.envelope import Memory
from cnc_bridge.guard.reading import Recording, Sample
from cnc_bridge.guard.settings import GuardSettings, Limits
from cnc_bridge.guard.signals import Family

USUAL: Mapping[Family, Limits] = {"spindle": Limits(alert=120.0, hold=150.0), "axis": Limits(alert=150.0, hold=200.0)}
"""Fixed limits of a replay for loads in percent of the rated load, where nobody gives others."""


def guard_for(settings: GuardSettings, memory: Memory) -> Guard:
    """A guard for recordings: the usual limits fill in where `settings` have none."""
    return Guard(settings, memory, percent_limits=USUAL)


def learn(recordings: Iterable[Recording], settings: GuardSettings, memory: Memory | None = None) -> Memory:
    """What good recordings teach: all of it, but for cycles with an alarm. Raises FileError."""
    taught = memory if memory is not None else Memory()
    for recording in recordings:
        pupil = Guard(settings.model_copy(update={"limits": {}, "min_cycles": 1000}), taught, trusting=True)
        for sample in recording.samples():
            feed(pupil, sample)
        pupil.finish(completed=True)
    return taught


def judge(guard: Guard, samples: Iterable[Sample]) -> Iterator[Verdict]:
    """The verdicts of `guard` over `samples`, in order."""
    for sample in samples:
        yield from feed(guard, sample)


def feed(guard: Guard, sample: Sample) -> list[Verdict]:
    """One sample into a guard; an alarm spoils its cycle."""
    if not sample.signal:
        guard.alarmed()
        return guard.tick(sample.ts)
    if sample.unit is not None:
        guard.tell_unit(sample.signal, sample.unit)
    return guard.feed(sample.ts, sample.signal, sample.value)
