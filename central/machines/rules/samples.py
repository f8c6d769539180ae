"""Sample blocks, their rollups, and the points of a curve. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

MINUTE_MS: Final = 60_000
MINUTE_S: Final = 60
HOUR_S: Final = 3600


class Summary(NamedTuple):
    """Rollup of some values: `low` and `high` are the extremes, `total` their sum over `n`."""

    n: int
    low: float
    high: float
    total: float


@dataclass(slots=True)
class Block:
    """The values of one signal in one minute: milliseconds in the minute (0–59 999) and readings, in time order."""

    offsets: array[int] = field(default_factory=lambda: array("H"))
    readings: array[float] = field(default_factory=lambda: array("d"))

    @classmethod
    def unpack(cls, offsets: bytes, readings: bytes) -> Self:
        block = cls()
        block.offsets.frombytes(offsets)
        block.readings.frombytes(readings)
        return block

    def pack(self) -> tuple[bytes, bytes]:
        return self.offsets.tobytes(), self.readings.tobytes()

    def add(self, offsets: Sequence[int], readings: Sequence[float]) -> None:
        """Merge values in. One that is already there at the same millisecond is replaced: adding twice is harmless."""
        # compared in C: this runs for every value that a machine ever sends
        in_order = sorted(set(offsets)) == list(offsets)
        if in_order and (not self.offsets or not offsets or self.offsets[-1] < offsets[0]):
            self.offsets.extend(offsets)
            self.readings.extend(readings)
            return
        merged = dict(zip(self.offsets, self.readings, strict=True))
        merged.update(zip(offsets, readings, strict=True))
        ordered = sorted(merged)
        self.offsets = array("H", ordered)
        self.readings = array("d", map(merged.__getitem__, ordered))

    def summary(self) -> Summary:
        return Summary(len(self.readings), min(self.readings), max(self.readings), sum(self.readings))


def split_minutes(
    t0_ms: int, dt: Sequence[int], v: Sequence[float]
) -> Mapping[int, tuple[Sequence[int], Sequence[float]]]:
    """Values by minute since 1970 → (milliseconds in that minute, values). Unequal lengths raise ValueError."""
    if len(dt) != len(v):
        raise ValueError(f"{len(dt)} times for {len(v)} values")
    if not dt:
        return {}
    first, last = (t0_ms + min(dt)) // MINUTE_MS, (t0_ms + max(dt)) // MINUTE_MS
    if first == last:
        base = t0_ms - first * MINUTE_MS
        return {first: ([base + d for d in dt], v)}
    if last == first + 1 and sorted(dt) == list(dt):  # the usual batch that passes a minute: two slices
        base = t0_ms - first * MINUTE_MS
        cut = bisect_left(dt, MINUTE_MS - base)
        early, late = [base + d for d in dt[:cut]], [base + d - MINUTE_MS for d in dt[cut:]]
        return {first: (early, v[:cut]), last: (late, v[cut:])}
    minutes: dict[int, tuple[list[int], list[float]]] = {}
    for d, value in zip(dt, v, strict=True):
        minute, offset = divmod(t0_ms + d, MINUTE_MS)
        offsets, values = minutes.setdefault(minute, ([], []))
        offsets.append(offset)
        values.append(value)
    return minutes


class Bucket(NamedTuple):
    """One point of a drawn curve."""

    at: datetime
    low: float
    mean: float
    high: float


def buckets(points: Iterable[tuple[datetime, Summary]], begin: datetime, end: datetime, count: int) -> list[Bucket]:
    """At most `count` points over [begin, end); an empty bucket gives none (a hole stays a hole)."""
    width = (end - begin) / max(1, count)
    if width <= timedelta(0):
        return []
    merged: dict[int, Summary] = {}
    for at, s in points:
        index = (at - begin) // width
        if not 0 <= index < count:
            continue
        have = merged.get(index)
        merged[index] = s if have is None else merge(have, s)
    return [
        Bucket(begin + index * width, s.low, s.total / s.n, s.high) for index, s in sorted(merged.items()) if s.n > 0
    ]


def merge(one: Summary, other: Summary) -> Summary:
    return Summary(one.n + other.n, min(one.low, other.low), max(one.high, other.high), one.total + other.total)
