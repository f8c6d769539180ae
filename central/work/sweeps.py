"""What must be looked at regularly: clockings that nobody ended, machines that are asked too much."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from central.alerts import service as alerts
from central.core.sweeps import Sweeps
from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.work import rules
from central.work.load import loads
from central.work.models import ClockingInterval, Conflict
from central.work.recompute import recompute


def register(sweeps: Sweeps) -> None:
    sweeps.every(300.0, "work.forgotten", forgotten_clockings)
    sweeps.every(600.0, "work.overload", overloaded_machines)


async def forgotten_clockings(uow: UnitOfWork) -> None:
    """Open a conflict for a clocking that lasts longer than a shift can."""
    interval = ClockingInterval
    flagged = select(Conflict.operation).where(Conflict.kind == "forgotten_open", Conflict.settled_at.is_(None))
    codes = await uow.session.scalars(
        select(interval.operation)
        .where(
            interval.end.is_(None),
            interval.phase != "pause",
            interval.begin < uow.now - rules.FORGOTTEN_AFTER,
            interval.operation.not_in(flagged),
        )
        .distinct()
    )
    await recompute(uow, set(codes))


async def overloaded_machines(uow: UnitOfWork) -> None:
    """One alert for each machine whose week asks for more than it can give."""
    today = uow.now.astimezone(uow.settings.zone).date()
    monday = today - timedelta(days=today.weekday())
    labels = {m.code: m.label for m in await machines.machines(uow)}
    for code, load in (await loads(uow, monday, monday + timedelta(days=6))).items():
        key = f"work.overload:{code}:{monday.isoformat()}"
        if load.over:
            hours, can = load.load_min / 60, load.capacity_min / 60
            title = f"{labels[code]} : surcharge cette semaine ({hours:.0f} h pour {can:.0f} h)"
            why = "\n".join(f"{line.operation or line.label} : {line.why}" for line in load.lines)
            if not await alerts.is_open(uow, key):
                await alerts.raise_alert(uow, key, "medium", title, why, f"machine:{code}")
        else:
            await alerts.clear_alert(uow, key)
