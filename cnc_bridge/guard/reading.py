"""Recorded telemetry, for the guard: SHDR, observation lines and CSV, streamed, as (seconds, signal, value)."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cnc_bridge.drivers.shdr.lines import parse_time
from cnc_bridge.guard.names import Name, known
from cnc_bridge.guard.signals import guarded, is_context
from cnc_bridge.observations import read as read_observations

_TIMES = ("ts", "timestamp", "time", "datetime", "date_time")
_VELOCITIES = ("X1_ActualVelocity", "Y1_ActualVelocity", "Z1_ActualVelocity")
_LINES_TRIED = 200


class FileError(ValueError):
    """The file cannot be judged; one sentence with the next step."""


class Sample(NamedTuple):
    """One value. `unit` None: the signal's usual one. `signal` "" is an alarm."""

    ts: float
    signal: str
    value: float | str | None
    unit: str | None = None


class Recording:
    """A file to read as often as wanted. `stamped`: its times are of a wall clock, else seconds from its start."""

    def __init__(self, path: Path, mapping: Mapping[str, Name] | None = None, period_s: float | None = None) -> None:
        self.path = path
        self.stamped = True
        self.columns: dict[str, str] = {}
        """The recording's own name of each signal that was read."""
        self.missing: list[str] = []
        """Columns that the map names and the file does not have, once it was read."""
        self._mapping = dict(mapping or {})
        self._period = period_s
        self._only = _guarded_by(self._mapping)
        self.form: Literal["lines", "csv"] = _form(path)

    def samples(self) -> Iterator[Sample]:
        """Its values in the order of the file. Raises FileError."""
        try:
            yield from (self._lines() if self.form == "lines" else self._csv())
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise FileError(f"{self.path}: cannot be read: {error}") from error

    def text(self, ts: float) -> str | float:
        """A verdict's time as the file has it: ISO, or seconds."""
        if not self.stamped:
            return round(ts, 6)
        return datetime.fromtimestamp(ts, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _name(self, item: str, have: frozenset[str]) -> Name | None:
        name = self._mapping.get(item)
        if name is not None and name.unit is None and (usual := known(item, have)) is not None:
            name = name._replace(unit=usual.unit)
        name = name or known(item, have)
        if name is None:
            return None
        if self._only and not is_context(name.signal) and name.signal not in self._only:
            return None
        if name.signal in self.columns and self.columns[name.signal] != item and item not in self._mapping:
            return None  # two items of one name: the map's, else the first, speaks
        self.columns[name.signal] = item
        return name

    def _lines(self) -> Iterator[Sample]:
        names: dict[str, Name | None] = {}
        items = _first_items(self.path)
        for column in self._mapping:  # what the map names comes before a default of the same signal
            if column in items:
                self._name(column, items)
        seen_any = False
        for seen in read_observations(self.path):
            if seen.time is None:
                continue
            seen_any = True
            if seen.condition is not None:
                if seen.value == "FAULT":
                    yield Sample(seen.time.timestamp(), "", seen.condition.code or seen.item)
                continue
            if seen.item not in names:
                names[seen.item] = self._name(seen.item, items)
            name = names[seen.item]
            if name is not None:
                yield Sample(seen.time.timestamp(), name.signal, _value(seen.value), name.unit)
        if not seen_any:
            raise FileError(
                f"{self.path}: no line of it is `timestamp|item|value`; CSV needs a header line with commas"
            )
        self.missing = [column for column, name in self._mapping.items() if self.columns.get(name.signal) != column]

    def _csv(self) -> Iterator[Sample]:
        with self.path.open(encoding="utf-8-sig", errors="replace", newline=None) as file:
            head = file.readline()
            delimiter = max(",;\t", key=head.count)
            header = [name.strip() for name in next(csv.reader([head], delimiter=delimiter), [])]
            yield from self._rows(csv.reader(file, delimiter=delimiter), header)

    def _rows(self, rows: Iterator[list[str]], header: list[str]) -> Iterator[Sample]:
        have = frozenset(name.lower() for name in header)
        time_at = self._time_column(header)
        for column in self._mapping:
            if column in header:
                self._name(column, have)
        names = [None if at == time_at else self._name(item, have) for at, item in enumerate(header)]
        derived = _following_errors(header, self._only)
        axes = [at for at, item in enumerate(header) if item in _VELOCITIES]
        if any(name is not None and name.signal == "feed" for name in names):
            axes = []
        self.columns |= {name.signal: f"{header[a]} - {header[b]}" for name, a, b in derived}
        self.missing = [c for c, name in self._mapping.items() if c not in header and name.signal != "ts"]
        if not any(name is not None and not is_context(name.signal) for name in names) and not derived:
            raise FileError(
                f"{self.path}: no column to judge among {', '.join(header[:12])}…; name one: --map spindle_load=COLUMN"
            )
        ts, unreadable = 0.0, 0
        for number, row in enumerate(rows):
            if not row or len(row) < 2 <= len(header):
                continue
            if time_at is None:
                assert self._period is not None
                ts = number * self._period
            else:
                stamp = _time(row[time_at]) if time_at < len(row) else None
                if stamp is None:
                    unreadable += 1
                    if unreadable > 50 and number < 60:
                        raise FileError(
                            f"{self.path}: the times in column {header[time_at]!r} cannot be read, "
                            f"for example {row[time_at]!r}: write ISO times or seconds"
                        )
                    continue
                ts, self.stamped = stamp
            if axes:  # mm/s along each axis
                speeds = [_number(row[at]) or 0.0 for at in axes if at < len(row)]
                yield Sample(ts, "feed", 60.0 * math.hypot(*speeds))
            for name, text in zip(names, row, strict=False):
                if name is not None:
                    yield Sample(ts, name.signal, _value(text), name.unit)
            for name, a, b in derived:
                left, right = (_number(row[at]) if at < len(row) else None for at in (a, b))
                yield Sample(ts, name.signal, None if left is None or right is None else left - right, name.unit)

    def _time_column(self, header: list[str]) -> int | None:
        mapped = next((column for column, name in self._mapping.items() if name.signal == "ts"), None)
        if mapped is not None and mapped not in header:
            raise FileError(f"{self.path}: --map says that the time is in {mapped!r}, there is no such column")
        low = [name.lower() for name in header]
        found = header.index(mapped) if mapped is not None else next((low.index(t) for t in _TIMES if t in low), None)
        if found is None:
            if self._period is None:
                raise FileError(
                    f"{self.path}: no column `ts`: say how far the rows are apart, for example --period 0.1 (seconds), "
                    "or which column is the time: --map ts=COLUMN"
                )
            self.stamped = False
        return found


def _form(path: Path) -> Literal["lines", "csv"]:
    try:
        if path.is_dir():
            raise FileError(f"{path}: is a folder, name the files in it")
        with path.open("rb") as file:
            start = file.read(65_536)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not start.strip():
        raise FileError(f"{path}: is empty")
    if b"\0" in start:
        raise FileError(f"{path}: is not text; SHDR, `ts|item|value` lines or CSV are read")
    lines = [line for line in start.replace(b"\r", b"\n").split(b"\n") if line.strip()][:_LINES_TRIED]
    barred = sum(line.count(b"|") >= 2 for line in lines)
    if barred * 3 >= len(lines):
        return "lines"
    if any(lines[0].count(mark) for mark in (b",", b";", b"\t")):
        return "csv"
    raise FileError(
        f"{path}: neither `timestamp|item|value` lines (SHDR, MTConnect observations) nor CSV with a header"
    )


def _first_items(path: Path) -> frozenset[str]:
    """The items named at the top of a file of lines, lower case and as written."""
    items: set[str] = set()
    with path.open("rb") as file:
        for raw in file.read(262_144).split(b"\n"):
            fields = raw.decode("utf-8", "replace").split("|")
            items.update(fields[1::2])
    return frozenset(items | {item.lower() for item in items})


def _guarded_by(mapping: Mapping[str, Name]) -> frozenset[str]:
    return frozenset(name.signal for name in mapping.values() if not is_context(name.signal) and name.signal != "ts")


def _following_errors(header: list[str], only: frozenset[str]) -> list[tuple[Name, int, int]]:
    """Axis position commanded and reached, where both are there, give the following error."""
    out = []
    for at, item in enumerate(header):
        axis, _, rest = item.partition("_")
        other = f"{axis}_CommandPosition"
        if rest == "ActualPosition" and other in header and axis[:1].upper() != "S":
            name = Name(f"{axis[:1].lower()}_following_error", "mm")
            if not only or name.signal in only:
                out.append((name, header.index(other), at))
    return out


def _time(text: str) -> tuple[float, bool] | None:
    """Seconds, and whether they are of a wall clock. Large numbers are Unix time, in s, ms, µs or ns."""
    number = _number(text)
    if number is not None:
        if abs(number) < 1e8:
            return number, False
        while abs(number) > 1e11:
            number /= 1000
        return number, True
    try:
        moment = parse_time(text.strip().replace(" ", "T", 1))
    except ValueError:
        return None
    return None if moment is None else (moment.timestamp(), True)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _value(text: str) -> Any:
    text = text.strip()
    return None if not text or text.upper() in ("UNAVAILABLE", "NAN", "NULL", "NONE", "INF", "-INF") else text


def is_judged(signal: str) -> bool:
    """Whether a guard can say something of this signal."""
    return not is_context(signal) and guarded(signal) is not None
