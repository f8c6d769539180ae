"""Raise, clear, acknowledge, list. Raising is idempotent by key while the alert is open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import select

from central.alerts.models import Alert
from central.alerts.rules import LABELS, LEVELS, Level, graver
from central.core.uow import UnitOfWork


@dataclass(frozen=True, slots=True)
class AlertView:
    id: int
    key: str
    level: Level
    level_label: str
    title: str
    detail: str
    subject: str | None
    raised_at: datetime
    last_at: datetime
    repeats: int
    """How many times it was raised again while open."""
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    cleared_at: datetime | None


async def raise_alert(
    uow: UnitOfWork,
    key: str,
    level: Level,
    title: str,
    detail: str = "",
    subject: str | None = None,
    *,
    at: datetime | None = None,
) -> int:
    """Open the alert `key`, or count a repeat if it is open already (its level can only grow). Returns its id."""
    moment = at or uow.now
    alert = await _open(uow, key)
    if alert is None:
        alert = Alert(
            key=key,
            level=level,
            title=title,
            detail=detail,
            subject=subject,
            raised_at=moment,
            last_at=moment,
            repeats=0,
        )
        uow.session.add(alert)
    else:
        alert.level = graver(level, cast("Level", alert.level))
        alert.title, alert.detail = title, detail
        alert.raised_at, alert.last_at = min(alert.raised_at, moment), max(alert.last_at, moment)
        alert.repeats += 1
    await uow.session.flush()
    uow.tell("alerts")
    return alert.id


async def clear_alert(uow: UnitOfWork, key: str, *, at: datetime | None = None) -> bool:
    """Close the open alert `key`; False when there is none."""
    alert = await _open(uow, key)
    if alert is None:
        return False
    alert.cleared_at = at or uow.now
    await uow.session.flush()
    uow.tell("alerts")
    return True


async def is_open(uow: UnitOfWork, key: str) -> bool:
    return await _open(uow, key) is not None


async def acknowledge(uow: UnitOfWork, alert_id: int, by: str) -> None:
    """Somebody has seen it; it stays open until its cause is gone. The row itself keeps by whom. Raises LookupError."""
    alert = await uow.session.get(Alert, alert_id)
    if alert is None:
        raise LookupError(f"Alerte inconnue : {alert_id}")
    if alert.acknowledged_at is not None:
        return
    alert.acknowledged_at, alert.acknowledged_by = uow.now, by
    await uow.session.flush()
    uow.tell("alerts")


async def open_alerts(uow: UnitOfWork, *, limit: int = 200) -> list[AlertView]:
    """Not yet acknowledged first, then the gravest, then the newest."""
    query = select(Alert).where(Alert.cleared_at.is_(None)).order_by(Alert.id.desc()).limit(limit)
    views = [_view(alert) for alert in await uow.session.scalars(query)]
    return sorted(views, key=lambda v: (v.acknowledged_at is not None, LEVELS.index(v.level), -v.last_at.timestamp()))


async def history(uow: UnitOfWork, *, limit: int = 200) -> list[AlertView]:
    """Closed alerts, newest first."""
    query = select(Alert).where(Alert.cleared_at.is_not(None)).order_by(Alert.cleared_at.desc()).limit(limit)
    return [_view(alert) for alert in await uow.session.scalars(query)]


async def _open(uow: UnitOfWork, key: str) -> Alert | None:
    found: Alert | None = await uow.session.scalar(select(Alert).where(Alert.key == key, Alert.cleared_at.is_(None)))
    return found


def _view(a: Alert) -> AlertView:
    level = cast("Level", a.level)
    return AlertView(
        id=a.id,
        key=a.key,
        level=level,
        level_label=LABELS[level],
        title=a.title,
        detail=a.detail,
        subject=a.subject,
        raised_at=a.raised_at,
        last_at=a.last_at,
        repeats=a.repeats,
        acknowledged_at=a.acknowledged_at,
        acknowledged_by=a.acknowledged_by,
        cleared_at=a.cleared_at,
    )
