"""Recorded telemetry, observation by observation: SHDR recordings and MTConnect observation logs (``ts|item|value``).

    for seen in read(Path("Mazak01-20161013-20161014.txt")):
        if seen.condition is not None:
            ...                        # seen.value is its level: NORMAL, WARNING, FAULT or UNAVAILABLE
        elif seen.item == "Sload":
            ...                        # seen.value is text, UNAVAILABLE included; float() is the reader's business

Both formats are one: an observation log is SHDR with one item a line. Conditions need no list of their names: those
that carry ``level|code|severity|qualifier|text`` are recognised (see `lines.Parser`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cnc_bridge.drivers.shdr.lines import ConditionLine, Garbage, Observation, Parser, Series

_log = logging.getLogger(__name__)
CONDITIONS = ("*_cond", "system", "*_condition")
"""Keys that are conditions wherever they appear; others are recognised by their fields."""


class Observed(NamedTuple):
    """One observation. `time` is aware UTC, as the recording has it (None: the line has none)."""

    time: datetime | None
    item: str
    value: str
    condition: ConditionLine | None = None
    """Level, native code, severity, qualifier and text, when the item is a condition."""


def observations(
    lines: Iterable[bytes], *, conditions: Sequence[str] = CONDITIONS, series: Sequence[str] = ()
) -> Iterator[Observed]:
    """What `lines` say, in their order. A line that cannot be read is logged and passed over.

    Time is as recorded and **not monotone**: a log begins with the agent's current state, whose times are hours or
    weeks older, and a machine that disconnects writes its last state with its own clock. `in_order` gives times that
    never go back. A time series (keys of `series`) becomes one observation a value, spaced by its rate.
    """
    parser, garbage = Parser(conditions, series=series), 0
    for line in lines:
        for item in parser.parse(line):
            if isinstance(item, Observation):
                yield Observed(item.time, item.key, item.value)
            elif isinstance(item, ConditionLine):
                yield Observed(item.time, item.key, item.level, item)
            elif isinstance(item, Series):
                yield from _spread(item)
            elif isinstance(item, Garbage):
                garbage += 1
                if garbage <= 3:
                    _log.warning("unreadable: %s", item.why)
    if garbage > 3:
        _log.warning("%s unreadable lines in all", garbage)


def read(path: Path, *, conditions: Sequence[str] = CONDITIONS, series: Sequence[str] = ()) -> Iterator[Observed]:
    """The observations of a recording, see `observations`. Raises OSError."""
    with path.open("rb") as file:
        yield from observations(file, conditions=conditions, series=series)


def in_order(observed: Iterable[Observed]) -> Iterator[tuple[datetime, Observed]]:
    """Each observation with the time at which it can have been known: never before the one before it.

    Those without a time, before the first that has one, are left out.
    """
    now: datetime | None = None
    for seen in observed:
        if seen.time is not None and (now is None or seen.time > now):
            now = seen.time
        if now is not None:
            yield now, seen


def _spread(series: Series) -> Iterator[Observed]:
    for time, value in series.samples():
        yield Observed(time, series.key, f"{value!r}")


__all__ = ["CONDITIONS", "Observed", "in_order", "observations", "read"]
