"""The retention table, enforced: each rule once a night, again within the hour while there is more to forget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select

from central.audit import service as audit
from central.core.sweeps import Sweeps
from central.core.uow import UnitOfWork
from central.privacy import forgetting
from central.privacy.models import RetentionRun
from central.privacy.retention import Rule, rules

_HOUR: Final = 2
"""From two in the morning on, the shop's time: nobody waits for the writer then."""


@dataclass(frozen=True, slots=True)
class RuleView:
    """One line of the table, with what it last did."""

    rule: Rule
    at: datetime | None
    gone: int
    """At the last turn that found something."""
    gone_at: datetime | None
    total: int


def register(sweeps: Sweeps) -> None:
    sweeps.every(600.0, "privacy.enforce", nightly)


async def nightly(uow: UnitOfWork) -> None:
    """Sweep: what is due of the table."""
    await enforce(uow)


async def enforce(uow: UnitOfWork, *, now_due: bool = False) -> dict[str, int]:
    """One rule that is due and finds something (`now_due`: all of them, whatever the hour); rows gone by rule."""
    found = rules(uow.settings.data_dir)
    local = uow.now.astimezone(uow.settings.zone)
    last = await _last(uow)
    gone: dict[str, int] = {}
    for rule in found:
        run = last.get(rule.key)
        ran_today = run is not None and run.at.astimezone(uow.settings.zone).date() == local.date()
        if not now_due and (local.hour < _HOUR or (ran_today and run is not None and run.done)):
            continue
        gone[rule.key] = await _apply(uow, rule)
        if gone[rule.key] and not now_due:
            break
    return gone


async def table(uow: UnitOfWork) -> list[RuleView]:
    """For the page."""
    r = RetentionRun
    last = await _last(uow)
    totals = {
        key: (total or 0, at)
        for key, total, at in await uow.session.execute(
            select(r.rule, func.sum(r.gone), func.max(r.at)).where(r.gone > 0).group_by(r.rule)
        )
    }
    views = []
    for rule in rules(uow.settings.data_dir):
        total, gone_at = totals.get(rule.key, (0, None))
        run = last.get(rule.key)
        newest = 0 if gone_at is None else await _gone_at(uow, rule.key, gone_at)
        views.append(RuleView(rule, None if run is None else run.at, newest, gone_at, int(total)))
    return views


async def _apply(uow: UnitOfWork, rule: Rule) -> int:
    r = RetentionRun
    before = rule.before(uow.now)
    gone = await forgetting.BY_KEY[rule.key](uow, before)
    await uow.session.execute(
        delete(r).where(r.rule == rule.key, r.gone == 0).execution_options(synchronize_session=False)
    )
    uow.session.add(RetentionRun(rule=rule.key, at=uow.now, gone=gone, done=gone < forgetting.MOST))
    await uow.session.flush()
    if gone:
        await audit.record(
            uow, who="system", what="privacy.enforce", subject=f"retention:{rule.key}", gone=gone,
            before=before.isoformat(timespec="seconds"), days=rule.days,
        )  # fmt: skip
        uow.tell("privacy")
    return gone


async def _last(uow: UnitOfWork) -> dict[str, RetentionRun]:
    r = RetentionRun
    newest = select(func.max(r.id)).group_by(r.rule)
    return {run.rule: run for run in await uow.session.scalars(select(r).where(r.id.in_(newest)))}


async def _gone_at(uow: UnitOfWork, key: str, at: datetime) -> int:
    r = RetentionRun
    return await uow.session.scalar(select(r.gone).where(r.rule == key, r.at == at)) or 0
