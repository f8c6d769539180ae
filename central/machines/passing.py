"""Signals against their limits: when a threshold was passed, asked of rollups and of few raw minutes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.alerts import service as alerts
from central.alerts.rules import Level
from central.alerts.service import Cause
from central.core.uow import UnitOfWork
from central.machines import sample_store
from central.machines.models import Machine, MachineLimit, MachineSignal, SampleRollup
from central.machines.rules import MINUTE_S, watch
from central.machines.rules.watch import Limit, Passed
from central.machines.sample_store import Arrived
from central.machines.settings import limit_key, limits_of
from central.machines.wording import amount, signal

STALE = timedelta(hours=1)
"""A value older than this says nothing about now."""
LOOK_BACK = timedelta(days=7)
"""How far back the beginning is looked for."""
_MINUTE = timedelta(seconds=MINUTE_S)
_LEVELS: dict[Literal["warning", "limit"], Level] = {"limit": "high", "warning": "medium"}


async def on_values(uow: UnitOfWork, arrived: Collection[Arrived]) -> None:
    """These values were just stored. One query when no limit stirs: most values are nobody's alert."""
    limits = await limits_of(uow, {one.machine for one in arrived})
    for code, found in limits.items():
        for limit, standing in found:
            lists = [one.v for one in arrived if one.machine == code and one.signal == limit.signal and one.v]
            if lists and limit.changes(standing, min(map(min, lists)), max(map(max, lists))):
                await judge(uow, limit)


async def judge_standing(uow: UnitOfWork, codes: Collection[str]) -> None:
    """A limit that was passed is over when no value came for long."""
    for found in (await limits_of(uow, codes)).values():
        for limit, standing in found:
            if standing is not None:
                await judge(uow, limit)


async def judge(uow: UnitOfWork, limit: Limit) -> None:
    """Let the alert of one limit follow what is stored."""
    standing: Literal["warning", "limit"] | None = None
    at: Passed | None = None
    for grade in ("limit", "warning"):
        threshold = limit.threshold(grade)
        if threshold is not None:
            at = await _passed(uow, limit, threshold)
            if at is not None:
                standing = grade
                break
    await uow.session.execute(
        update(MachineLimit)
        .where(
            MachineLimit.machine == limit.machine,
            MachineLimit.signal == limit.signal,
            MachineLimit.side == limit.side,
        )
        .values(standing=standing)
    )
    cause = None
    if standing is not None and at is not None:
        label = await uow.session.scalar(select(Machine.label).where(Machine.code == limit.machine)) or limit.machine
        unit = (
            await uow.session.scalar(
                select(MachineSignal.unit).where(
                    MachineSignal.machine == limit.machine, MachineSignal.signal == limit.signal
                )
            )
            or ""
        )
        threshold = limit.limit if standing == "limit" else limit.warning
        assert threshold is not None, "what is passed has a threshold"
        over = "au-dessus" if limit.side == "high" else "au-dessous"
        what = "la limite" if standing == "limit" else "l'avertissement"
        cause = Cause(
            _LEVELS[standing],
            f"{label} : {signal(limit.signal)} {over} de {what} ({amount(threshold, unit)})",
            f"{amount(at.value, unit)} au moment du dépassement.",
            f"machine:{limit.machine}",
            at.at,
        )
    await alerts.follow(uow, limit_key(limit.machine, limit.signal, limit.side), cause)
    uow.tell(f"machine:{limit.machine}")


async def _passed(uow: UnitOfWork, limit: Limit, threshold: float) -> Passed | None:
    """`watch.passed` over what is stored, reading raw only the minutes that decide."""
    row = SampleRollup
    newest = await uow.session.scalar(
        select(MachineSignal.at).where(MachineSignal.machine == limit.machine, MachineSignal.signal == limit.signal)
    )
    if newest is None or uow.now - newest > STALE:
        return None
    towards: ColumnElement[bool]
    if limit.side == "high":
        towards, back = row.high >= threshold, row.low < threshold - limit.hysteresis
    else:
        towards, back = row.low <= threshold, row.high > threshold + limit.hysteresis
    since = uow.now - LOOK_BACK
    minutes = _minutes_of(limit.machine, limit.signal, since)
    last_back = await uow.session.scalar(select(func.max(row.start)).where(*minutes, back))
    first = select(func.min(row.start)).where(*minutes, towards)
    if last_back is not None:
        # in the minute of the last value that was back, both may have happened
        found = watch.passed(limit, threshold, await _raw(uow.session, limit.machine, limit.signal, [last_back]))
        if found is not None:
            return found
        first = first.where(row.start > last_back)
    first_over = await uow.session.scalar(first)
    if first_over is None:
        return None
    return watch.passed(limit, threshold, await _raw(uow.session, limit.machine, limit.signal, [first_over]))


async def still_since(
    session: AsyncSession, machine: str, name: str, threshold: float, since: datetime
) -> datetime | None:
    """Since when, after `since`, the newest values of the signal `name` are at most `threshold`; None when it moves."""
    newest = await session.scalar(
        select(MachineSignal.value).where(MachineSignal.machine == machine, MachineSignal.signal == name)
    )
    if newest is None or abs(newest) > threshold:
        return None
    row = SampleRollup
    minutes = _minutes_of(machine, name, since)
    moved = await session.scalar(
        select(func.max(row.start)).where(*minutes, (row.high > threshold) | (row.low < -threshold))
    )
    if moved is None:
        return since
    after = await session.scalar(select(func.min(row.start)).where(*minutes, row.start > moved))
    values = await _raw(session, machine, name, [moved] if after is None else [moved, after])
    return watch.still_since(values, threshold)


def _minutes_of(machine: str, name: str, since: datetime) -> tuple[ColumnElement[bool], ...]:
    row = SampleRollup
    return row.machine == machine, row.signal == name, row.span_s == MINUTE_S, row.start > since - _MINUTE


async def _raw(
    session: AsyncSession, machine: str, name: str, minutes: Iterable[datetime]
) -> list[tuple[datetime, float]]:
    found: list[tuple[datetime, Any]] = []
    for minute in minutes:
        found += await sample_store.values(session, machine, name, minute, minute + _MINUTE)
    return found
