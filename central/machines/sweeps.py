"""What must be looked at regularly: machines that nobody speaks of any more, and what else time alone brings."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from central.core.sweeps import Sweeps
from central.core.uow import UnitOfWork
from central.machines import guard, passing, service, watching
from central.machines.models import MachineTile


def register(sweeps: Sweeps) -> None:
    sweeps.every(5.0, "machines.stale", stale_machines)
    sweeps.every(5.0, "machines.watch", watch_machines)
    sweeps.every(60.0, "machines.again", watching.judge_again)


async def stale_machines(uow: UnitOfWork) -> None:
    """Mark those not heard for `stale_after_s`, so that the pages turn by themselves."""
    limit = uow.now - timedelta(seconds=uow.settings.stale_after_s)
    stale = await uow.session.scalars(
        select(MachineTile.machine).where(MachineTile.silent_since.is_(None), MachineTile.heard_at < limit)
    )
    await service.mark_silent(uow, stale.all(), uow.now)


async def watch_machines(uow: UnitOfWork) -> None:
    """Stops that last, tools that stand still, silence; limits and verdicts of the guard that are over."""
    machines = await watching.watched(uow)
    await watching.judge(uow, machines)
    await passing.judge_standing(uow, [machine.code for machine in machines])
    await guard.judge_standing(uow)
