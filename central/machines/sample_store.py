"""Samples: appended as blocks within a minute, with rollups; read as few points as a curve needs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.core.bulk import write_rows
from central.machines import rules
from central.machines.models import MachineSignal, SampleBlock, SampleRollup
from central.machines.rules import HOUR_S, MINUTE_MS, MINUTE_S, Block, Bucket, Summary
from central.machines.store import table_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
Source = Literal["raw", "minute", "hour"]


class Arrived(NamedTuple):
    """The values of one fact, on the centre's clock."""

    fact_id: int
    machine: str
    signal: str
    unit: str
    t0: datetime
    dt: Sequence[int]
    v: Sequence[float]


MinuteKey: TypeAlias = tuple[str, str, int]
"""Machine, signal, minutes since 1970."""

_BLOCK = ("machine", "signal", "minute", "fact_id", "offsets", "readings")
_ROLLUP = ("machine", "signal", "span_s", "start", "n", "low", "high", "total")
_REPLACING = """(machine, signal, span_s, start) DO UPDATE
    SET n = excluded.n, low = excluded.low, high = excluded.high, total = excluded.total"""
_NEWEST = ("machine", "signal", "unit", "value", "at")
_NEWEST_WINS = """(machine, signal) DO UPDATE SET unit = excluded.unit, value = excluded.value, at = excluded.at
    WHERE machine_signal.at <= excluded.at"""


async def write(session: AsyncSession, arrived: Iterable[Arrived]) -> None:
    """Append values to their minutes and add them to the rollups, without reading anything. A fact that was there
    already (the inbox hands each over once) is left alone, and its minutes are summed anew.
    """
    blocks: list[tuple[str, str, datetime, int, bytes, bytes]] = []
    minutes: dict[MinuteKey, Summary] = {}
    newest: dict[tuple[str, str], tuple[int, float, str]] = {}
    for one in arrived:
        machine, signal = one.machine, one.signal
        t0_ms = (one.t0 - _EPOCH) // _MILLISECOND
        for minute, (offsets, readings) in rules.split_minutes(t0_ms, one.dt, one.v).items():
            block = Block()
            block.add(offsets, readings)
            blocks.append((machine, signal, _minute(minute), one.fact_id, *block.pack()))
            key = (machine, signal, minute)
            have, summary = minutes.get(key), block.summary()
            minutes[key] = summary if have is None else rules.merge(have, summary)
        if one.v:
            last = one.dt.index(max(one.dt))
            value = (t0_ms + one.dt[last], one.v[last], one.unit)
            known = newest.get((machine, signal))
            if known is None or known <= value:
                newest[machine, signal] = value
    if not blocks:
        return
    new = await write_rows(session, table_of(SampleBlock), _BLOCK, blocks, "DO NOTHING")
    if new == len(blocks):
        await _add_rollups(session, minutes)
    else:
        await _rebuild_rollups(session, minutes)
    rows = [(m, s, unit, value, _EPOCH + ms * _MILLISECOND) for (m, s), (ms, value, unit) in newest.items()]
    await write_rows(session, table_of(MachineSignal), _NEWEST, rows, _NEWEST_WINS)


async def read(
    session: AsyncSession, machine: str, signal: str, begin: datetime, end: datetime, points: int
) -> tuple[Source, list[Bucket]]:
    """At most `points` points: raw values up to two hours, then minutes, then hours."""
    span_s = (end - begin).total_seconds()
    if span_s <= 2 * HOUR_S:
        raw = await values(session, machine, signal, begin, end)
        return "raw", rules.buckets(((at, Summary(1, v, v, v)) for at, v in raw), begin, end, points)
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


async def values(
    session: AsyncSession, machine: str, signal: str, begin: datetime, end: datetime
) -> list[tuple[datetime, float]]:
    """Raw values in [begin, end)."""
    points = []
    for minute, whole in (await _minutes(session, machine, signal, begin, end)).items():
        for offset, value in zip(whole.offsets, whole.readings, strict=True):
            at = minute + offset * _MILLISECOND
            if begin <= at < end:
                points.append((at, value))
    return points


async def _minutes(
    session: AsyncSession, machine: str, signal: str, begin: datetime, end: datetime
) -> dict[datetime, Block]:
    """Whole minutes that touch [begin, end)."""
    block = SampleBlock
    rows = await session.execute(
        select(block.minute, block.offsets, block.readings)
        .where(
            block.machine == machine,
            block.signal == signal,
            block.minute > begin - timedelta(minutes=1),
            block.minute < end,
        )
        .order_by(block.minute, block.fact_id)
    )
    minutes: dict[datetime, Block] = {}
    for minute, offsets, readings in rows:
        part = Block.unpack(offsets, readings)
        minutes.setdefault(minute, Block()).add(part.offsets, part.readings)
    return minutes


async def _add_rollups(session: AsyncSession, minutes: Mapping[MinuteKey, Summary]) -> None:
    """Add to the rows of these minutes and their hours.

    Values that come again in *another* fact (an agent's file restored from a copy) count twice in `n` and `total`: the
    mean moves by what was repeated, the extremes and the raw values not at all.
    """
    hours: dict[MinuteKey, Summary] = {}
    for (machine, signal, minute), summary in minutes.items():
        key = (machine, signal, minute // 60 * 60)
        have = hours.get(key)
        hours[key] = summary if have is None else rules.merge(have, summary)
    rows = _rollups(MINUTE_S, minutes) + _rollups(HOUR_S, hours)
    await write_rows(session, table_of(SampleRollup), _ROLLUP, rows, _adding(session))


async def _rebuild_rollups(session: AsyncSession, keys: Iterable[MinuteKey]) -> None:
    """Sum these minutes anew from their blocks, then their hours from their minutes."""
    minutes: dict[MinuteKey, Summary] = {}
    for machine, signal, minute in keys:
        begin = _minute(minute)
        whole = (await _minutes(session, machine, signal, begin, begin + timedelta(minutes=1)))[begin]
        minutes[machine, signal, minute] = whole.summary()
    await write_rows(session, table_of(SampleRollup), _ROLLUP, _rollups(MINUTE_S, minutes), _REPLACING)
    hours: dict[MinuteKey, Summary] = {}
    rollup = SampleRollup
    for machine, signal, hour in {(m, s, minute // 60 * 60) for m, s, minute in minutes}:
        rows = await session.execute(
            select(rollup.n, rollup.low, rollup.high, rollup.total).where(
                rollup.machine == machine,
                rollup.signal == signal,
                rollup.span_s == MINUTE_S,
                rollup.start >= _minute(hour),
                rollup.start < _minute(hour + 60),
            )
        )
        hours[machine, signal, hour] = functools.reduce(rules.merge, (Summary(*row) for row in rows))
    await write_rows(session, table_of(SampleRollup), _ROLLUP, _rollups(HOUR_S, hours), _REPLACING)


def _rollups(span_s: int, summaries: Mapping[MinuteKey, Summary]) -> list[tuple[Any, ...]]:
    return [(m, s, span_s, _minute(at), *summary) for (m, s, at), summary in summaries.items()]


def _adding(session: AsyncSession) -> str:
    low, high = ("LEAST", "GREATEST") if session.get_bind().dialect.name == "postgresql" else ("min", "max")
    return f"""(machine, signal, span_s, start) DO UPDATE SET n = sample_rollup.n + excluded.n,
        low = {low}(sample_rollup.low, excluded.low), high = {high}(sample_rollup.high, excluded.high),
        total = sample_rollup.total + excluded.total"""  # nosec B608  # one of two fixed words


@functools.lru_cache(maxsize=1024)
def _minute(minute: int) -> datetime:
    """`minute` since 1970."""
    return _EPOCH + minute * timedelta(milliseconds=MINUTE_MS)
