"""Cycle drift: the last cycles of the programme that runs, against its declared time or its first good cycles."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select

from central.alerts import service as alerts
from central.alerts.service import Cause
from central.core.uow import UnitOfWork
from central.machines.models import MachineCycle
from central.machines.programmes import yields
from central.machines.rules import watch
from central.machines.rules.watch import Drift, Setting
from central.machines.wording import amount, seconds

KEY = "machine.drift:"
_LOOKED_BACK = 60
"""Cycles among which the beginning of a drift is looked for."""
_ENOUGH = _LOOKED_BACK + watch.REFERENCE_CYCLES
"""More cycles of a programme than these change nothing: they need not be counted."""
_TIMED = (MachineCycle.completed, MachineCycle.uncertain.is_(False))
"""Cycles whose length is a cycle time."""
_STALE = timedelta(hours=24)
"""A machine that completed no cycle for so long drifts no more."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The newest cycles of one programme, and since when they drift more than the bound."""

    programme: str | None
    drift: Drift | None
    since: datetime | None


async def judge(uow: UnitOfWork, code: str, label: str, setting: Setting | None) -> None:
    """Let the alert of the machine's drift follow; `setting` None when the rule is off."""
    found = await judged(uow, code, setting.bound) if setting is not None else None
    cause = None
    if setting is not None and found is not None and found.drift is not None and found.since is not None:
        drift = found.drift
        how = "plus long" if drift.share > 0 else "plus court"
        share = amount(abs(round(drift.share * 100)), "%")
        against = "temps déclaré" if drift.declared else f"{watch.REFERENCE_CYCLES} premiers bons cycles"
        cause = Cause(
            setting.level,
            f"{label} : cycle {how} de {share}",
            f"Programme {found.programme or 'inconnu'} : {seconds(drift.recent_s)} en médiane sur les "
            f"{watch.RECENT_CYCLES} derniers cycles, {seconds(drift.reference_s)} de référence ({against}).",
            f"machine:{code}",
            found.since,
        )
    await alerts.follow(uow, KEY + code, cause)


async def judged(uow: UnitOfWork, code: str, bound: float) -> Judged | None:
    """None when the machine completed no producing cycle lately."""
    cycle = MachineCycle
    newest = (
        await uow.session.execute(
            select(cycle.programme, cycle.ended)
            .where(cycle.machine == code, *_TIMED, cycle.ended <= uow.now)
            .order_by(cycle.ended.desc(), cycle.fact_id.desc())
            .limit(1)
        )
    ).first()
    if newest is None or uow.now - newest.ended > _STALE:
        return None
    programme: str | None = newest.programme
    setting = (await yields(uow, [code]))[code].of(programme)
    if setting is not None and not setting.produces:
        return None
    same: ColumnElement[bool] = cycle.programme.is_(None) if programme is None else cycle.programme == programme
    some = select(cycle.fact_id).where(cycle.machine == code, *_TIMED, same).limit(_ENOUGH).subquery()
    count = await uow.session.scalar(select(func.count()).select_from(some)) or 0
    first = await _durations(uow, code, same, watch.REFERENCE_CYCLES, newest_first=False)
    last = await _durations(uow, code, same, _LOOKED_BACK, newest_first=True)
    declared = None if setting is None else setting.cycle_s
    since, now = _since(
        [ended for ended, _ in last], [s for _, s in last], [s for _, s in first], count, declared, bound
    )
    return Judged(programme, now, since)


async def references(uow: UnitOfWork, code: str, programmes: Collection[str | None]) -> dict[str | None, float]:
    """Seconds that a cycle of each programme should last: declared, else the median of its first good cycles; those
    seen too seldom are left out.
    """
    cycle = MachineCycle
    settings = (await yields(uow, [code]))[code]
    found: dict[str | None, float] = {}
    for programme in programmes:
        setting = settings.of(programme)
        if setting is not None and setting.cycle_s is not None:
            found[programme] = setting.cycle_s
            continue
        same = cycle.programme.is_(None) if programme is None else cycle.programme == programme
        first = await _durations(uow, code, same, watch.REFERENCE_CYCLES, newest_first=False)
        if len(first) == watch.REFERENCE_CYCLES:
            found[programme] = statistics.median(s for _, s in first)
    return found


def _since(
    ended: Sequence[datetime],
    last: Sequence[float],
    first: Sequence[float],
    count: int,
    declared: float | None,
    bound: float,
) -> tuple[datetime | None, Drift | None]:
    """Since which cycle (newest first here) they drift beyond `bound` to one side, and by how much now."""
    window = watch.RECENT_CYCLES
    now = watch.drift(first, last[:window], count, declared)
    if now is None or abs(now.share) <= bound:
        return None, now
    since = ended[0]
    for shift in range(1, len(last) - window + 1):
        then = watch.drift(first, last[shift : shift + window], count - shift, declared)
        if then is None or abs(then.share) <= bound or (then.share > 0) != (now.share > 0):
            break
        since = ended[shift]
    return since, now


async def _durations(
    uow: UnitOfWork, code: str, same: ColumnElement[bool], limit: int, *, newest_first: bool
) -> list[tuple[datetime, float]]:
    """(end, seconds) of completed cycles whose length is known."""
    cycle = MachineCycle
    order = (cycle.ended.desc(), cycle.fact_id.desc()) if newest_first else (cycle.ended, cycle.fact_id)
    rows = await uow.session.execute(
        select(cycle.began, cycle.ended).where(cycle.machine == code, *_TIMED, same).order_by(*order).limit(limit)
    )
    return [(ended, (ended - began).total_seconds()) for began, ended in rows]
