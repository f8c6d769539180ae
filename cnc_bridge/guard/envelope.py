"""What good cycles looked like: the highest level that each signal held, along each tool's work in each programme.

A level counts when it lasted as long as an alert takes (a lone peak teaches nothing, as it also alerts nobody). Levels
are kept by block of the programme where the controller tells it, else by second since the tool began, and looked up
with their neighbours, so that a cycle may run a little early or late.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

VERSION: Final = 1
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

    def add(self, place: int | None, level: float, peak: float = 0.0) -> None:
        """A sustained level at a place, and the single sample that came with it."""
        self.flat = max(self.flat, level)
        self.peak = max(self.peak, level, peak)
        if place is not None and (place in self.bins or len(self.bins) < _MAX_BINS):
            known = self.bins.get(place)
            if known is None or level > known:
                self.bins[place] = level


Cycle = dict[Key, dict[str, Seen]]
"""A cycle's teaching, held back until the cycle turned out good."""


@dataclass(slots=True)
class Envelope:
    """The same over `cycles` good cycles; `near` is `bins` widened to the neighbours, made when first asked for."""

    by_line: bool
    cycles: int = 0
    flat: float = 0.0
    bins: dict[int, float] = field(default_factory=dict)
    peak: float = 0.0
    """The highest single sample: a spike that good cycles have too is not worth a word."""
    near: dict[int, float] | None = None

    def teach(self, seen: Seen) -> None:
        if seen.by_line != self.by_line:
            self.bins, self.by_line = {}, seen.by_line
        self.cycles += 1
        self.flat = max(self.flat, seen.flat)
        self.peak = max(self.peak, seen.peak)
        for place, level in seen.bins.items():
            if place in self.bins or len(self.bins) < _MAX_BINS:
                self.bins[place] = max(level, self.bins.get(place, level))
        self.near = None

    def level(self, place: int | None, *, by_line: bool) -> float:
        """The highest level of good cycles around `place`; over the whole piece of work where that place is new."""
        if place is None or by_line != self.by_line:
            return self.flat
        if self.near is None:
            self.near = _widened(self.bins, by_line=self.by_line)
        level = self.near.get(place)
        if level is None:
            level = self.near.get(-1 - place // _PER_LINE, self.flat) if by_line else self.flat
        return level


def line_place(line: int, seconds: float) -> int:
    """The bin of a block: which block, and how long in it, for a block may last minutes."""
    return line * _PER_LINE + min(int(seconds / BIN_S), _PER_LINE - 1)


def _widened(bins: dict[int, float], *, by_line: bool) -> dict[int, float]:
    """Each bin's level given to its neighbours too; `-1 - line` holds the highest of a whole block."""
    if not by_line:
        return _spread(bins)
    lines: dict[int, dict[int, float]] = {}
    for place, level in bins.items():
        lines.setdefault(place // _PER_LINE, {})[place % _PER_LINE] = level
    order = sorted(lines)
    out: dict[int, float] = {}
    for at, line in enumerate(order):
        near = _spread(lines[line])
        last = max(lines[line])
        # a controller says its block a little early or late: the ends know the neighbours
        if at > 0:
            before = lines[order[at - 1]]
            near = _raised(near, range(_NEIGHBOURS), max(before[s] for s in before if s >= max(before) - _NEIGHBOURS))
        if at + 1 < len(order):
            after = lines[order[at + 1]]
            first = [level for s, level in after.items() if s <= _NEIGHBOURS] or list(after.values())
            near = _raised(near, range(max(0, last - 1), last + _NEIGHBOURS + 1), max(first))
        out |= {line * _PER_LINE + s: level for s, level in near.items() if 0 <= s < _PER_LINE}
        out[-1 - line] = max(near.values())
    return out


def _spread(bins: dict[int, float]) -> dict[int, float]:
    out: dict[int, float] = {}
    for place, level in bins.items():
        reach = _NEIGHBOURS + min(int(_DRIFT * place), 10)
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

    def teach(self, cycle: Cycle) -> None:
        """Learn a cycle that was good from its beginning to its end."""
        for key, signals in cycle.items():
            for signal, seen in signals.items():
                envelope = self._envelopes.setdefault((key, signal), Envelope(seen.by_line))
                envelope.teach(seen)
                self._note(key, signal, 1, seen.flat, seen.peak)

    def _note(self, key: Key, signal: str, cycles: int, flat: float, peak: float) -> None:
        work = (key.programme, key.tool, signal)
        self._by_programme[work] = max(self._by_programme.get(work, 0.0), flat)
        self._highest[signal] = max(self._highest.get(signal, 0.0), flat)
        if key.tool:
            known = self._by_tool.get((key.tool, signal), (0, 0.0, 0.0))
            self._by_tool[(key.tool, signal)] = (known[0] + cycles, max(known[1], flat), max(known[2], peak))

    def forget(self, programme: str) -> int:
        """Unlearn a programme (it was changed at the machine); how many envelopes went."""
        gone = [at for at in self._envelopes if at[0].programme == programme]
        for at in gone:
            del self._envelopes[at]
        self._by_tool, self._by_programme, self._highest = {}, {}, {}
        for (key, signal), envelope in self._envelopes.items():
            self._note(key, signal, envelope.cycles, envelope.flat, envelope.peak)
        return len(gone)

    def dumps(self) -> str:
        """All of it as JSON."""
        return json.dumps({
            "version": VERSION,
            "bin_s": BIN_S,
            "envelopes": [
                {
                    **key._asdict(), "signal": signal, "by": "line" if envelope.by_line else "time",
                    "cycles": envelope.cycles, "flat": round(envelope.flat, 6), "peak": round(envelope.peak, 6),
                    "bins": {str(place): round(level, 6) for place, level in sorted(envelope.bins.items())},
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
        if table["version"] != VERSION or table["bin_s"] != BIN_S:
            raise ValueError(f"version {table['version']}, this guard writes version {VERSION}")
        for entry in table["envelopes"]:
            key = Key(str(entry["programme"]), str(entry["tool"]), int(entry["nth"]), str(entry["segment"]))
            envelope = Envelope(entry["by"] == "line", int(entry["cycles"]), float(entry["flat"]))
            envelope.peak = float(entry["peak"])
            envelope.bins = {int(place): float(level) for place, level in entry["bins"].items()}
            self._envelopes[(key, str(entry["signal"]))] = envelope
            self._note(key, str(entry["signal"]), envelope.cycles, envelope.flat, envelope.peak)


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
