"""What must be looked at regularly: machines that nobody speaks of any more."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from central.core.sweeps import Sweeps
from central.core.uow import UnitOfWork
from central.machines import service
from central.machines.models import MachineTile


def register(sweeps: Sweeps) -> None:
    sweeps.every(5.0, "machines.stale", stale_machines)


async def stale_machines(uow: UnitOfWork) -> None:
    """Mark those not heard for `stale_after_s`, so that the pages turn by themselves."""
    limit = uow.now - timedelta(seconds=uow.settings.stale_after_s)
    stale = await uow.session.scalars(
        select(MachineTile.machine).where(MachineTile.silent_since.is_(None), MachineTile.heard_at < limit)
    )
    await service.mark_silent(uow, stale.all(), uow.now)
