"""SHDR, line by line: bytes to lines, lines to what they say. No input or output.

``timestamp|key|value|key|value…``; a condition takes five fields (``level|code|severity|qualifier|text``);
``* …`` is a command; ``@ASSET@ … --multiline--TAG`` runs to the line that repeats the tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TypeAlias

import msgspec

MAX_ASSET = 2**20
_LEVELS = frozenset({"NORMAL", "WARNING", "FAULT", "UNAVAILABLE"})
_MULTILINE = re.compile(r"--multiline--(\S*)$")
_BAR = re.compile(r"(?<!\\)\|")


class Observation(msgspec.Struct, frozen=True):
    """One key and its value, as text."""

    key: str
    value: str
    time: datetime | None


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


Item: TypeAlias = Observation | ConditionLine | Asset | Command | Garbage


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


class Parser:
    """Lines to items; remembers the multi-line asset that it is in."""

    def __init__(self, conditions: Sequence[str], device: str | None = None) -> None:
        self._conditions = tuple(conditions)
        self._is_condition: dict[str, bool] = {}
        self._prefix = f"{device}:" if device else ""
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
        fields = _BAR.split(line) if "\\" in line else line.split("|")
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
        at = 1
        while at < len(fields):
            key = fields[at].strip().removeprefix(self._prefix)
            if at + 1 >= len(fields):
                yield Garbage(f"key {key[:40]!r} without a value")
                return
            value = fields[at + 1].strip()
            if not key:
                yield Garbage("a value without a key")
                at += 2
            elif self._condition(key) and value.upper() in _LEVELS:
                rest = [field.strip() for field in fields[at + 2 : at + 6]]
                code, severity, qualifier, text = rest + [""] * (4 - len(rest))
                yield ConditionLine(key, value.upper(), code, severity, qualifier, text, time)
                at += 6
            else:
                yield Observation(key, value, time)
                at += 2

    def _condition(self, key: str) -> bool:
        known = self._is_condition.get(key)
        if known is None:
            known = any(fnmatchcase(key, pattern) for pattern in self._conditions)
            if len(self._is_condition) < 10_000:
                self._is_condition[key] = known
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
