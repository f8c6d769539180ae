"""What the pages show of the work: who is on what, and the load of each machine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from central.core.uow import UnitOfWork
from central.ui import words
from central.ui.words import Word
from central.work import service as work
from central.work.service import Load


@dataclass(frozen=True, slots=True)
class MachineLoad:
    day: Load
    week: Load
    operations: tuple[str, ...]
    """What is clocked on it now."""


@dataclass(frozen=True, slots=True)
class RunningRow:
    operation: str
    label: str
    person: str
    machine: str
    word: Word
    reason: str | None
    since: datetime
    forgotten: bool


async def loads_of(uow: UnitOfWork, machines: Collection[str]) -> dict[str, MachineLoad]:
    """Load of today and of this week, Monday to Sunday, by machine."""
    today = uow.now.astimezone(uow.settings.zone).date()
    monday = today - timedelta(days=today.weekday())
    days = await work.loads(uow, today, today, machines)
    weeks = await work.loads(uow, monday, monday + timedelta(days=6), machines)
    on: dict[str, list[str]] = {}
    for one in await work.running(uow):
        if one.machine is not None and one.operation not in on.setdefault(one.machine, []):
            on[one.machine].append(one.operation)
    return {code: MachineLoad(days[code], weeks[code], tuple(on.get(code, ()))) for code in machines}


async def running_now(uow: UnitOfWork) -> list[RunningRow]:
    return [
        RunningRow(
            r.operation, r.label, r.person_name, r.machine_label, words.phase(r.phase), r.reason, r.since, r.forgotten
        )
        for r in await work.running(uow)
    ]
