"""Samples: written as one block a minute with rollups, read as few points as a curve needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from central.machines import rules
from central.machines.models import MachineSignal, SampleBlock, SampleRollup
from central.machines.rules import HOUR_S, MINUTE_MS, MINUTE_S, Block, Bucket, Summary
from central.machines.store import upsert

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Source = Literal["raw", "minute", "hour"]


class Key(NamedTuple):
    machine: str
    signal: str
    minute: int
    """Minutes since 1970."""


class Arrived(NamedTuple):
    """The values of one fact, on the centre's clock."""

    machine: str
    signal: str
    unit: str
    t0: datetime
    dt: Sequence[int]
    v: Sequence[float]


async def write(session: AsyncSession, arrived: Iterable[Arrived]) -> None:
    """Merge values into their minutes. Two reads and four writes, whatever the number of facts."""
    pieces: dict[Key, tuple[list[int], list[float]]] = {}
    newest: dict[tuple[str, str], tuple[int, float, str]] = {}
    for one in arrived:
        t0_ms = (one.t0 - _EPOCH) // timedelta(milliseconds=1)
        for minute, (offsets, readings) in rules.split_minutes(t0_ms, one.dt, one.v).items():
            piece = pieces.setdefault(Key(one.machine, one.signal, minute), ([], []))
            piece[0].extend(offsets)
            piece[1].extend(readings)
        if one.v:
            last = one.dt.index(max(one.dt))
            value = (t0_ms + one.dt[last], one.v[last], one.unit)
            name = (one.machine, one.signal)
            if name not in newest or newest[name] <= value:
                newest[name] = value
    if not pieces:
        return
    blocks = await _blocks(session, pieces)
    changed: dict[Key, tuple[int, float, Summary]] = {}
    rows = []
    for key, (offsets, readings) in pieces.items():
        block = blocks.get(key) or Block()
        n, total = len(block.readings), sum(block.readings)
        block.add(offsets, readings)
        changed[key] = (n, total, block.summary())
        packed_offsets, packed = block.pack()
        rows.append(_where(key) | {"minute": _minute(key.minute), "offsets": packed_offsets, "readings": packed})
    await upsert(session, SampleBlock, rows)
    await _write_rollups(session, changed)
    await _write_newest(session, newest)


async def read(
    session: AsyncSession, machine: str, signal: str, begin: datetime, end: datetime, points: int
) -> tuple[Source, list[Bucket]]:
    """At most `points` points: raw values up to two hours, then minutes, then hours."""
    span_s = (end - begin).total_seconds()
    if span_s <= 2 * HOUR_S:
        return "raw", rules.buckets(await _raw(session, machine, signal, begin, end), begin, end, points)
    step = MINUTE_S if span_s <= max(points, 1) * MINUTE_S * 10 else HOUR_S
    rollup = SampleRollup
    rows = await session.execute(
        select(rollup.start, rollup.n, rollup.low, rollup.high, rollup.total).where(
            rollup.machine == machine,
            rollup.signal == signal,
            rollup.span_s == step,
            rollup.start >= begin - timedelta(seconds=step - 1),
            rollup.start < end,
        )
    )
    found = [(max(at, begin), Summary(n, low, high, total)) for at, n, low, high, total in rows]
    return "minute" if step == MINUTE_S else "hour", rules.buckets(found, begin, end, points)


async def _raw(
    session: AsyncSession, machine: str, signal: str, begin: datetime, end: datetime
) -> list[tuple[datetime, Summary]]:
    block = SampleBlock
    rows = await session.execute(
        select(block.minute, block.offsets, block.readings).where(
            block.machine == machine,
            block.signal == signal,
            block.minute > begin - timedelta(minutes=1),
            block.minute < end,
        )
    )
    points = []
    for minute, offsets, readings in rows:
        one = Block.unpack(offsets, readings)
        for offset, value in zip(one.offsets, one.readings, strict=True):
            at = minute + timedelta(milliseconds=offset)
            if begin <= at < end:
                points.append((at, Summary(1, value, value, value)))
    return points


async def _blocks(session: AsyncSession, keys: Iterable[Key]) -> dict[Key, Block]:
    wanted = set(keys)
    block = SampleBlock
    rows = await session.execute(
        select(block.machine, block.signal, block.minute, block.offsets, block.readings).where(
            block.machine.in_({k.machine for k in wanted}),
            block.signal.in_({k.signal for k in wanted}),
            block.minute.in_({_minute(k.minute) for k in wanted}),
        )
    )
    found = {}
    for machine, signal, minute, offsets, readings in rows:
        key = Key(machine, signal, (minute - _EPOCH) // timedelta(minutes=1))
        if key in wanted:
            found[key] = Block.unpack(offsets, readings)
    return found


async def _write_rollups(session: AsyncSession, changed: Mapping[Key, tuple[int, float, Summary]]) -> None:
    """Minutes are summed anew from their block; an hour gets the difference that its minutes made.

    `changed` is, for each minute, the n and total that it had, and its summary now.
    A replaced value may leave an hour's extremes too wide: two facts that disagree on one millisecond, never one fact
    applied twice.
    """
    minutes = [_rollup(key, MINUTE_S, _minute(key.minute), after) for key, (_, _, after) in changed.items()]
    hours: dict[tuple[str, str, datetime], Summary] = {}
    for key, (n, total, after) in changed.items():
        delta = after._replace(n=after.n - n, total=after.total - total)
        at = (key.machine, key.signal, _minute(key.minute // 60 * 60))
        hours[at] = rules.merge(hours[at], delta) if at in hours else delta
    rollup = SampleRollup
    rows = await session.execute(
        select(rollup.machine, rollup.signal, rollup.start, rollup.n, rollup.low, rollup.high, rollup.total).where(
            rollup.span_s == HOUR_S,
            tuple_(rollup.machine, rollup.signal).in_({(m, s) for m, s, _ in hours}),
            rollup.start.in_({start for _, _, start in hours}),
        )
    )
    for machine, signal, start, n, low, high, total in rows:
        if (machine, signal, start) in hours:
            hours[machine, signal, start] = rules.merge(hours[machine, signal, start], Summary(n, low, high, total))
    wide = [_rollup(Key(m, s, 0), HOUR_S, start, summary) for (m, s, start), summary in hours.items()]
    await upsert(session, SampleRollup, minutes + wide)


async def _write_newest(session: AsyncSession, newest: Mapping[tuple[str, str], tuple[int, float, str]]) -> None:
    signal = MachineSignal
    rows = await session.execute(
        select(signal.machine, signal.signal, signal.at).where(tuple_(signal.machine, signal.signal).in_(set(newest)))
    )
    known = {(m, s): at for m, s, at in rows}
    values = []
    for name, (ms, value, unit) in newest.items():
        at = _EPOCH + timedelta(milliseconds=ms)
        if name not in known or known[name] <= at:
            values.append({"machine": name[0], "signal": name[1], "unit": unit, "value": value, "at": at})
    await upsert(session, MachineSignal, values)


def _where(key: Key) -> dict[str, object]:
    return {"machine": key.machine, "signal": key.signal}


def _rollup(key: Key, span_s: int, start: datetime, summary: Summary) -> dict[str, object]:
    return _where(key) | {"span_s": span_s, "start": start} | summary._asdict()


def _minute(minute: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=minute * MINUTE_MS)
