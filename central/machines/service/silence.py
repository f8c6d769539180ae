"""When nothing is known of a machine any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update

from central.core.uow import UnitOfWork
from central.machines.models import MachineTile

_LOST = frozenset({"lost", "error"})


async def mark_silent(uow: UnitOfWork, machine_codes: Collection[str], at: datetime) -> None:
    """Nothing is known of these machines any more (their agent is gone). The next fact, or `heard`, ends it."""
    if not machine_codes:
        return
    changed = await uow.session.scalars(
        update(MachineTile)
        .where(MachineTile.machine.in_(set(machine_codes)), MachineTile.silent_since.is_(None))
        .values(silent_since=at)
        .returning(MachineTile.machine)
    )
    _tell(uow, changed.all())


async def agent_lost(uow: UnitOfWork, agent: str, at: datetime) -> None:
    """`mark_silent` for the machines that `agent` last spoke for."""
    codes = await uow.session.scalars(select(MachineTile.machine).where(MachineTile.agent == agent))
    await mark_silent(uow, codes.all(), at)


async def agent_heard(uow: UnitOfWork, agent: str, at: datetime) -> None:
    """The agent is there: its machines were heard, also those that have nothing to say."""
    silent = await uow.session.scalars(
        select(MachineTile.machine).where(MachineTile.agent == agent, MachineTile.silent_since.is_not(None))
    )
    _tell(uow, silent.all())
    await uow.session.execute(
        update(MachineTile).where(MachineTile.agent == agent).values(heard_at=at, silent_since=None)
    )


def is_silent(row: MachineTile, uow: UnitOfWork) -> bool:
    stale = uow.now - timedelta(seconds=uow.settings.stale_after_s)
    return (
        row.state == "silent"
        or row.silent_since is not None
        or row.source_status in _LOST
        or row.heard_at is None
        or row.heard_at < stale
    )


def silent_from(row: MachineTile) -> datetime | None:
    """Since when nothing is known: the loss that its agent reported, else when it was last heard."""
    return row.source_at if row.source_status in _LOST else row.heard_at or row.silent_since


def _tell(uow: UnitOfWork, codes: Sequence[str]) -> None:
    for code in codes:
        uow.tell(f"machine:{code}")
    if codes:
        uow.tell("machines")


def lost_since(row: MachineTile, now: datetime, bound: timedelta) -> datetime | None:
    """Since when nothing is known of the machine, once that lasts longer than `bound`."""
    if row.source_status in _LOST:
        since = row.source_at
    elif row.state == "silent" and row.state_at is not None:
        since = row.since
    else:
        since = row.heard_at
    return since if since is not None and now - since > bound else None
