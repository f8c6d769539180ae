"""SHDR, line by line: bytes to lines, lines to what they say. No input or output.

``timestamp|key|value|key|value…``; a condition takes five fields (``level|code|severity|qualifier|text``), a time
series three (``count|rate|v v v``); ``timestamp@seconds`` carries a duration, ``0:SHIFT`` a reset, ``device:key`` the
device; a value with ``|`` in it is quoted; ``* …`` is a command; ``@ASSET@ … --multiline--TAG`` runs to the line that
repeats the tag. The shapes are those that cppagent reads (mtconnect/cppagent: src/mtconnect/pipeline/shdr_*).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TypeAlias

import msgspec

MAX_ASSET = 2**20
_LEVELS = frozenset({"NORMAL", "WARNING", "FAULT", "UNAVAILABLE"})
_MULTILINE = re.compile(r"--multiline--(\S*)$")
_QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*(?=\||$)')
_RESET = re.compile(
    r"(?P<value>[-+]?[0-9.]*):(?P<why>ACTION_COMPLETE|ANNUAL|DAY|LIFE|MAINTENANCE|MANUAL|MONTH|POWER_ON|SHIFT|WEEK)",
    re.IGNORECASE,
)
_SET_RESET = re.compile(r":(?P<why>\w+)(?:\s+(?P<value>.*))?$", re.DOTALL)
_ENTRY = re.compile(r"""([^\s={}'"]+)(?:=(?:\{(.*?)(?<!\\)\}|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S*)))?""")


class Observation(msgspec.Struct, frozen=True):
    """One key and its value, as text. `reset`: why a counter or a data set began again; `duration_s` of a statistic."""

    key: str
    value: str
    time: datetime | None
    reset: str = ""
    duration_s: float | None = None


class Series(msgspec.Struct, frozen=True):
    """A time series: `values` at `rate` per second (None: not said), of which the last was measured at `time`."""

    key: str
    values: list[float]
    rate: float | None
    time: datetime | None

    def samples(self) -> list[tuple[datetime | None, float]]:
        """Each value with its own time; only the last, when the rate is not known."""
        if self.rate is None or self.time is None:
            return [(self.time, value) for value in self.values[-1:]]
        step, last = 1 / self.rate, len(self.values) - 1
        return [(self.time - timedelta(seconds=step * (last - at)), value) for at, value in enumerate(self.values)]


class ConditionLine(msgspec.Struct, frozen=True):
    key: str
    level: str
    code: str
    severity: str
    qualifier: str
    text: str
    time: datetime | None


class Asset(msgspec.Struct, frozen=True):
    """An asset added, changed or removed (cutting tools); `body` is its XML, empty when removed."""

    command: str
    asset_id: str
    body: str
    time: datetime | None


class Command(msgspec.Struct, frozen=True):
    """An adapter's line that begins with ``*``: PONG, or what it says of itself."""

    text: str


class Garbage(msgspec.Struct, frozen=True):
    """A line, or the end of one, that is no SHDR; `why` in words."""

    why: str


Item: TypeAlias = Observation | Series | ConditionLine | Asset | Command | Garbage


class LineSplitter:
    """Bytes as they come to whole lines. A line over `limit` bytes is dropped to its end and counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""
        self._skipping = False
        self.too_long = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that this piece completes, without their ends."""
        *whole, rest = (self._rest + data).split(b"\n")
        lines = []
        for line in whole:
            if self._skipping:
                self._skipping = False
            elif len(line) > self._limit:
                self.too_long += 1
            else:
                lines.append(line.removesuffix(b"\r"))
        if len(rest) > self._limit or self._skipping:
            self.too_long += not self._skipping
            self._skipping = True
            rest = b""
        self._rest = rest
        return lines


def parse_time(text: str) -> datetime | None:
    """An ISO timestamp with up to 7 (or more) decimals and optional ``@duration``, aware UTC. Raises ValueError."""
    text = text.partition("@")[0].strip()
    if not text:
        return None
    head, dot, fraction = text.rstrip("Zz").partition(".")
    if dot and not fraction.isdigit():  # an offset after the decimals: "….123+02:00"
        return datetime.fromisoformat(text).astimezone(UTC)
    moment = datetime.fromisoformat(head)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).replace(microsecond=int(fraction[:6].ljust(6, "0")) if fraction else 0)


def duration_of(stamp: str) -> float | None:
    """The seconds behind the ``@`` of a timestamp; None when there are none, or none that can be read."""
    _, at, seconds = stamp.partition("@")
    try:
        return float(seconds) if at else None
    except ValueError:
        return None


def data_set(text: str) -> dict[str, str | None]:
    """The entries of a data set, ``a=1 b={x y} c="d" gone``; an entry without value was removed, and is None."""
    found: dict[str, str | None] = {}
    for match in _ENTRY.finditer(text):
        value = next((part for part in match.groups()[1:] if part is not None), None)
        found[match[1]] = None if value == "" and match[5] is not None else value
    return found


def _split(line: str) -> list[str]:
    """The fields of a line; in a quoted field ``|`` is a character, and a backslash takes the next as it is."""
    if '"' not in line:
        return line.split("|")
    fields, at = [], 0
    while True:
        quoted = _QUOTED.match(line, at)
        if quoted:
            fields.append(re.sub(r"\\(.)", r"\1", quoted[1]))
            at = quoted.end()
        else:
            end = line.find("|", at)
            fields.append(line[at:] if end < 0 else line[at:end])
            at = len(line) if end < 0 else end
        if at >= len(line):
            return fields
        at += 1


def _item(key: str, kind: str, fields: list[str], time: datetime | None, duration: float | None) -> Item:
    """What the fields behind a key say."""
    value = fields[0]
    if kind == "condition":
        code, severity, qualifier, text = fields[1:5] + [""] * (5 - len(fields))
        return ConditionLine(key, value.upper(), code, severity, qualifier, text, time)
    if kind == "series":
        return _series(key, fields, time)
    again = _RESET.fullmatch(value) or (_SET_RESET.match(value) if value.startswith(":") else None)
    if again:
        return Observation(key, again["value"] or "", time, again["why"].upper(), duration)
    return Observation(key, value, time, "", duration)


def _series(key: str, fields: list[str], time: datetime | None) -> Item:
    if fields[0].upper() == "UNAVAILABLE":
        return Observation(key, fields[0], time)
    try:
        values = [float(value) for value in (fields[2] if len(fields) > 2 else "").split()]
        rate = float(fields[1]) if len(fields) > 1 and fields[1] else 0.0
    except ValueError:
        return Garbage(f"time series {key[:40]!r} with what is no number")
    if fields[0].isdigit() and int(fields[0]) != len(values):
        return Garbage(f"time series {key[:40]!r} announces {fields[0][:9]} values and has {len(values)}")
    return Series(key, values, rate if rate > 0 else None, time)


class Parser:
    """Lines to items; remembers the multi-line asset that it is in.

    `conditions` and `series` are patterns of keys. A key not among them is known as a condition's from the first line
    on which only that reading leaves no key empty (``ts|logic|FAULT|12|||text``), as in the logs of MTConnect agents.
    With `device`, keys of other devices on the same line are passed over.
    """

    def __init__(self, conditions: Sequence[str], device: str | None = None, series: Sequence[str] = ()) -> None:
        self._conditions = tuple(conditions)
        self._series = tuple(series)
        self._kinds: dict[str, str] = {}
        self._device = device
        self._asset: tuple[Asset, str, list[str]] | None = None

    def parse(self, raw: bytes) -> Iterator[Item]:
        """What one line says; a garbage line never raises."""
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            line = raw.decode("latin-1")  # older adapters speak the controller's code page
        if self._asset is not None:
            yield from self._more_of_asset(line)
            return
        line = line.strip()
        if not line:
            return
        if line.startswith("*"):
            yield Command(line[1:].strip())
            return
        fields = _split(line)
        try:
            time = parse_time(fields[0])
        except ValueError:
            yield Garbage("no timestamp at the beginning")
            return
        if len(fields) < 2:
            yield Garbage("a timestamp and nothing else")
        elif fields[1].startswith("@"):
            yield from self._asset_line(fields, time)
        else:
            yield from self._observations(fields, time)

    def _observations(self, fields: list[str], time: datetime | None) -> Iterator[Item]:
        at, duration = 1, duration_of(fields[0]) if "@" in fields[0] else None
        while at < len(fields):
            key, ours = self._key(fields[at].strip())
            if at + 1 >= len(fields):
                yield Garbage(f"key {key[:40]!r} without a value")
                return
            kind = self._kind(key, fields, at)
            taken = {"condition": 6, "series": 4}.get(kind, 2)
            if not key:
                yield Garbage("a value without a key")
            elif ours:
                yield _item(key, kind, [field.strip() for field in fields[at + 1 : at + taken]], time, duration)
            at += taken

    def _key(self, written: str) -> tuple[str, bool]:
        """The key without its device, and whether it is of our device."""
        if self._device is None or ":" not in written:
            return written, True
        device, _, key = written.partition(":")
        return key, device == self._device

    def _kind(self, key: str, fields: list[str], at: int) -> str:
        known = self._kinds.get(key)
        if known is None:
            known = (
                "condition"
                if any(fnmatchcase(key, pattern) for pattern in self._conditions)
                else "series"
                if any(fnmatchcase(key, pattern) for pattern in self._series)
                else ""
            )
            if len(self._kinds) < 10_000:
                self._kinds[key] = known
        level = fields[at + 1].strip().upper()
        if known == "condition":
            return known if level in _LEVELS else ""
        if known == "series":
            alone = level == "UNAVAILABLE" and any(field.strip() for field in fields[at + 2 : at + 4])
            return "" if alone else known
        if level in _LEVELS and len(fields) == at + 6 and "" in (fields[at + 2].strip(), fields[at + 4].strip()):
            if len(self._kinds) < 10_000:
                self._kinds[key] = "condition"
            return "condition"
        return known

    def _asset_line(self, fields: list[str], time: datetime | None) -> Iterator[Item]:
        asset = Asset(fields[1].strip("@"), fields[2] if len(fields) > 2 else "", "", time)
        opened = _MULTILINE.search(fields[-1])
        if opened:
            self._asset = (asset, f"--multiline--{opened[1]}", [])
            return
        body = "|".join(fields[4:]) if len(fields) > 4 else ""
        yield Asset(asset.command, asset.asset_id, body, time)

    def _more_of_asset(self, line: str) -> Iterator[Item]:
        assert self._asset is not None
        asset, end, body = self._asset
        if line.strip() == end:
            self._asset = None
            yield Asset(asset.command, asset.asset_id, "\n".join(body), asset.time)
            return
        body.append(line)
        if sum(map(len, body)) > MAX_ASSET:
            self._asset = None
            yield Garbage(f"asset {asset.asset_id[:40]!r} has no end")
