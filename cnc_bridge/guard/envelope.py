"""What good cycles looked like: the highest level that each signal held, along each tool's work in each programme.

A level counts when it lasted as long as an alert takes (a lone peak teaches nothing, as it also alerts nobody). Levels
are kept by block of the programme where the controller tells it, else by second since the tool began, and looked up
with their neighbours, so that a cycle may run a little early or late.
"""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

VERSION: Final = 2
BIN_S: Final = 1.0
_MAX_BINS: Final = 20_000
_NEIGHBOURS: Final = 2
_PER_LINE: Final = 10_000
_DRIFT: Final = 0.02
"""A cycle drifts against another by this share of its time (dwells, tool changer, an override's rounding)."""


class Key(NamedTuple):
    """One piece of work: what the tool does in the programme at its `nth` use there."""

    programme: str
    tool: str
    nth: int
    segment: str


@dataclass(slots=True)
class Seen:
    """One signal over one piece of work of the cycle that runs now: highest sustained level, in all and by bin."""

    by_line: bool = False
    flat: float = 0.0
    peak: float = 0.0
    bins: dict[int, float] = field(default_factory=dict)
    reach: int = _NEIGHBOURS
    """How many bins a level counts for on either side: not less than the signal's own sampling period."""
    step: float = math.inf
    """The smallest change seen: what the signal's own rounding may make of nothing."""

    def add(self, place: int | None, level: float, peak: float = 0.0, change: float = 0.0) -> None:
        """A sustained level at a place, the single sample that came with it, and how far that was from the last."""
        if 1e-9 < change < self.step:
            self.step = change
        self.flat = max(self.flat, level)
        self.peak = max(self.peak, level, peak)
        if place is not None and (place in self.bins or len(self.bins) < _MAX_BINS):
            known = self.bins.get(place)
            if known is None or level > known:
                self.bins[place] = level


Cycle = dict[Key, dict[str, Seen]]
"""A cycle's teaching, held back until the cycle turned out good."""


class Reached(NamedTuple):
    """What `cycles` good cycles reached: the highest of them, and the lowest."""

    level: float
    low: float
    cycles: int

    def and_by(self, level: float) -> Reached:
        """The same with one cycle more."""
        return Reached(max(self.level, level), min(self.low, level), self.cycles + 1)


_NOTHING: Final = Reached(0.0, math.inf, 0)


@dataclass(slots=True)
class Envelope:
    """The same over good cycles, each cycle's levels given to the neighbours too; `-1 - line` is a whole block."""

    by_line: bool
    whole: Reached = _NOTHING
    """Anywhere in this piece of work."""
    places: dict[int, Reached] = field(default_factory=dict)
    peak: float = 0.0
    """The highest single sample: a spike that good cycles have too is not worth a word."""
    step: float = math.inf

    @property
    def cycles(self) -> int:
        return self.whole.cycles

    @property
    def flat(self) -> float:
        return self.whole.level

    def teach(self, seen: Seen) -> None:
        if seen.by_line != self.by_line:
            self.places, self.by_line = {}, seen.by_line
        self.whole = self.whole.and_by(seen.flat)
        self.peak = max(self.peak, seen.peak)
        self.step = min(self.step, seen.step)
        for place, level in _widened(seen.bins, seen.reach, by_line=seen.by_line).items():
            known = self.places.get(place)
            if known is not None:
                self.places[place] = known.and_by(level)
            elif len(self.places) < _MAX_BINS:
                self.places[place] = Reached(level, level, 1)

    def at(self, place: int | None, *, by_line: bool) -> Reached:
        """What good cycles reached around `place`; over the whole piece of work where that place is new."""
        if place is None or by_line != self.by_line:
            return self.whole
        known = self.places.get(place)
        if known is None:
            known = self.places.get(-1 - place // _PER_LINE, self.whole) if by_line else self.whole
        return known


def line_place(line: int, seconds: float) -> int:
    """The bin of a block: which block, and how long in it, for a block may last minutes."""
    return line * _PER_LINE + min(int(seconds / BIN_S), _PER_LINE - 1)


def _widened(bins: dict[int, float], reach: int, *, by_line: bool) -> dict[int, float]:
    """Each bin's level given to its neighbours too; `-1 - line` holds the highest of a whole block."""
    if not by_line:
        return _spread(bins, reach)
    lines: dict[int, dict[int, float]] = {}
    for place, level in bins.items():
        lines.setdefault(place // _PER_LINE, {})[place % _PER_LINE] = level
    order = sorted(lines)
    out: dict[int, float] = {}
    for at, line in enumerate(order):
        near = _spread(lines[line], reach)
        last = max(lines[line])
        # a controller says its block a little early or late: the ends know the neighbours
        if at > 0:
            before = lines[order[at - 1]]
            near = _raised(near, range(reach), max(before[s] for s in before if s >= max(before) - reach))
        if at + 1 < len(order):
            after = lines[order[at + 1]]
            first = [level for s, level in after.items() if s <= reach] or list(after.values())
            near = _raised(near, range(max(0, last - 1), last + reach + 1), max(first))
        out |= {line * _PER_LINE + s: level for s, level in near.items() if 0 <= s < _PER_LINE}
        out[-1 - line] = max(near.values())
    return out


def _spread(bins: dict[int, float], least: int) -> dict[int, float]:
    out: dict[int, float] = {}
    for place, level in bins.items():
        reach = least + min(int(_DRIFT * place), 10)
        for other in range(place - reach, place + reach + 1):
            if level > out.get(other, -1.0):
                out[other] = level
    return out


def _raised(bins: dict[int, float], places: range, level: float) -> dict[int, float]:
    return bins | {place: max(level, bins.get(place, level)) for place in places}


class BadMemoryError(Exception):
    """The file of learnt limits cannot be used; the text says why, `aside` where it was put."""

    def __init__(self, message: str, aside: Path | None = None) -> None:
        super().__init__(message)
        self.aside = aside


class Memory:
    """All envelopes of one machine."""

    def __init__(self) -> None:
        self._envelopes: dict[tuple[Key, str], Envelope] = {}
        self._by_tool: dict[tuple[str, str], tuple[int, float, float]] = {}
        self._by_programme: dict[tuple[str, str, str], float] = {}
        self._highest: dict[str, float] = {}
        self._steps: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._envelopes)

    def __iter__(self) -> Iterator[tuple[Key, str, Envelope]]:
        for (key, signal), envelope in self._envelopes.items():
            yield key, signal, envelope

    def envelope(self, key: Key, signal: str) -> Envelope | None:
        return self._envelopes.get((key, signal))

    def of_tool(self, tool: str, signal: str) -> tuple[int, float, float] | None:
        """Good cycles of that tool in whatever programme, the highest level it held there, the highest sample."""
        return self._by_tool.get((tool, signal))

    def of_programme(self, programme: str, tool: str, signal: str) -> float:
        """The highest level that the tool held anywhere in that programme."""
        return self._by_programme.get((programme, tool, signal), 0.0)

    def highest(self, signal: str) -> float:
        """The highest level that the signal held anywhere: what is little, and what is much, of it."""
        return self._highest.get(signal, 0.0)

    def step(self, signal: str) -> float | None:
        """The smallest change that the signal ever made; None when it never changed."""
        return self._steps.get(signal)

    def teach(self, cycle: Cycle) -> None:
        """Learn a cycle that was good from its beginning to its end."""
        for key, signals in cycle.items():
            for signal, seen in signals.items():
                envelope = self._envelopes.setdefault((key, signal), Envelope(seen.by_line))
                envelope.teach(seen)
                self._note(key, signal, 1, seen.flat, seen.peak, seen.step)

    def _note(self, key: Key, signal: str, cycles: int, flat: float, peak: float, step: float) -> None:
        work = (key.programme, key.tool, signal)
        self._by_programme[work] = max(self._by_programme.get(work, 0.0), flat)
        self._highest[signal] = max(self._highest.get(signal, 0.0), flat)
        if step < math.inf:
            self._steps[signal] = min(self._steps.get(signal, step), step)
        if key.tool:
            known = self._by_tool.get((key.tool, signal), (0, 0.0, 0.0))
            self._by_tool[(key.tool, signal)] = (known[0] + cycles, max(known[1], flat), max(known[2], peak))

    def forget(self, programme: str) -> int:
        """Unlearn a programme (it was changed at the machine); how many envelopes went."""
        gone = [at for at in self._envelopes if at[0].programme == programme]
        for at in gone:
            del self._envelopes[at]
        self._by_tool, self._by_programme, self._highest, self._steps = {}, {}, {}, {}
        for (key, signal), envelope in self._envelopes.items():
            self._note(key, signal, envelope.cycles, envelope.flat, envelope.peak, envelope.step)
        return len(gone)

    def dumps(self) -> str:
        """All of it as JSON."""
        return json.dumps({
            "version": VERSION,
            "bin_s": BIN_S,
            "envelopes": [
                {
                    **key._asdict(), "signal": signal, "by": "line" if envelope.by_line else "time",
                    "whole": _rounded(envelope.whole), "peak": round(envelope.peak, 6),
                    "step": None if math.isinf(envelope.step) else round(envelope.step, 9),
                    "places": {str(place): _rounded(known) for place, known in sorted(envelope.places.items())},
                }
                for (key, signal), envelope in self._envelopes.items()
            ],
        })  # fmt: skip

    def save(self, path: Path) -> None:
        """Write it whole. Raises OSError."""
        write_whole(path, self.dumps())

    @classmethod
    def load(cls, path: Path) -> Memory:
        """The saved memory; an empty one when there is no file. Raises BadMemoryError, with the bad file put aside."""
        memory = cls()
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return memory
        except (OSError, ValueError) as error:
            raise BadMemoryError(f"{path}: cannot be read: {error}", _set_aside(path)) from error
        try:
            memory._fill(table)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadMemoryError(f"{path}: not a file of learnt limits: {error!r}", _set_aside(path)) from error
        return memory

    def _fill(self, table: Any) -> None:
        if table["version"] not in (1, VERSION) or table["bin_s"] != BIN_S:
            raise ValueError(f"version {table['version']}, this guard writes version {VERSION}")
        for entry in table["envelopes"]:
            key = Key(str(entry["programme"]), str(entry["tool"]), int(entry["nth"]), str(entry["segment"]))
            envelope = _version_1(entry) if table["version"] == 1 else _envelope(entry)
            self._envelopes[(key, str(entry["signal"]))] = envelope
            self._note(key, str(entry["signal"]), envelope.cycles, envelope.flat, envelope.peak, envelope.step)


def _rounded(known: Reached) -> list[float]:
    return [round(known.level, 6), round(known.low, 6), known.cycles]


def _envelope(entry: Any) -> Envelope:
    places = {int(place): _reached(known) for place, known in entry["places"].items()}
    step = math.inf if entry["step"] is None else float(entry["step"])
    return Envelope(entry["by"] == "line", _reached(entry["whole"]), places, float(entry["peak"]), step)


def _reached(known: Any) -> Reached:
    level, low, cycles = known
    return Reached(float(level), float(low), int(cycles))


def _version_1(entry: Any) -> Envelope:
    """It did not tell how many cycles knew a place, nor how far they differed: as if one had, from nothing."""
    by_line = entry["by"] == "line"
    bins = {int(place): float(level) for place, level in entry["bins"].items()}
    places = {p: Reached(level, 0.0, 1) for p, level in _widened(bins, _NEIGHBOURS, by_line=by_line).items()}
    return Envelope(by_line, Reached(float(entry["flat"]), 0.0, int(entry["cycles"])), places, float(entry["peak"]))


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a power cut leaves the old one or the new one. Raises OSError."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except OSError:
        Path(beside).unlink(missing_ok=True)
        raise


def _set_aside(path: Path) -> Path | None:
    if not path.is_file():
        return None  # a device, a folder: never moved
    aside = path.with_name(f"{path.name}.damaged")
    try:
        return path.replace(aside)
    except OSError:
        return None
