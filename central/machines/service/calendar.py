"""When machines can work: opening hours, days that differ, planned maintenance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from central.core.uow import UnitOfWork
from central.machines import rules
from central.machines.models import CalendarException, Machine, MaintenanceWindow
from central.machines.rules import Calendar, Span


async def capacities(uow: UnitOfWork, codes: Collection[str], days: Sequence[date]) -> dict[str, dict[date, float]]:
    """Minutes that each machine can work on each day: opening hours less planned maintenance. Unknown machines: 0."""
    zone = uow.settings.zone
    found = {code: dict.fromkeys(days, 0.0) for code in codes}
    if not codes or not days:
        return found
    closed = await _maintenance(uow, codes, min(days), max(days), zone)
    for code, calendar in (await _calendars(uow, codes, days)).items():
        found[code] = {day: calendar.capacity_minutes(day, zone, closed.get(code, ())) for day in days}
    return found


async def open_now(uow: UnitOfWork, codes: Collection[str]) -> set[str]:
    """Those whose opening hours say that somebody works there now."""
    zone = uow.settings.zone
    today = uow.now.astimezone(zone).date()
    days = [today - timedelta(days=1), today]  # a night shift belongs to the day on which it began
    return {
        code
        for code, calendar in (await _calendars(uow, codes, days)).items()
        if any(s.begin <= uow.now < s.end for day in days for s in calendar.openings(day, zone))
    }


async def in_maintenance(uow: UnitOfWork, codes: Collection[str]) -> set[str]:
    """Those under planned maintenance now."""
    window = MaintenanceWindow
    return set(
        await uow.session.scalars(
            select(window.machine).where(window.machine.in_(codes), window.begin <= uow.now, window.end > uow.now)
        )
    )


async def _calendars(uow: UnitOfWork, codes: Collection[str], days: Sequence[date]) -> dict[str, Calendar]:
    exceptions: dict[str | None, dict[date, Any]] = {}
    query = select(CalendarException).where(
        CalendarException.day.in_(days),
        CalendarException.machine.in_(codes) | CalendarException.machine.is_(None),
    )
    for one in await uow.session.scalars(query):
        exceptions.setdefault(one.machine, {})[one.day] = one.hours
    rows = await uow.session.execute(select(Machine.code, Machine.weekly).where(Machine.code.in_(codes)))
    # the machine's own exception goes before the shop's
    return {
        code: Calendar.from_json(weekly, exceptions.get(None, {}) | exceptions.get(code, {})) for code, weekly in rows
    }


async def add_exception(
    uow: UnitOfWork, day: date, hours: Sequence[Sequence[str]], *, machine: str | None = None, reason: str = ""
) -> None:
    """Other hours on `day` (none: closed), for one machine or for the whole shop."""
    rules.hours_from_json(hours)
    uow.session.add(CalendarException(machine=machine, day=day, hours=[list(h) for h in hours], reason=reason))
    await uow.session.flush()


async def add_maintenance(uow: UnitOfWork, code: str, begin: datetime, end: datetime, reason: str = "") -> None:
    if end <= begin:
        raise ValueError("La maintenance se termine avant de commencer.")
    uow.session.add(MaintenanceWindow(machine=code, begin=begin, end=end, reason=reason))
    await uow.session.flush()


async def _maintenance(
    uow: UnitOfWork, codes: Collection[str], first: date, last: date, zone: ZoneInfo
) -> dict[str, list[Span]]:
    begin = rules.day_span(first, zone).begin
    end = rules.day_span(last + timedelta(days=1), zone).end
    window = MaintenanceWindow
    rows = await uow.session.execute(
        select(window.machine, window.begin, window.end).where(
            window.machine.in_(codes), window.begin < end, window.end > begin
        )
    )
    found: dict[str, list[Span]] = {}
    for code, b, e in rows:
        found.setdefault(code, []).append(Span(b, e))
    return found
