"""Raise, clear, follow a cause, acknowledge, list. One alert of a key is open at a time.

What will send alerts elsewhere (e-mail, push, escalation; ALR-2) belongs in `_changed`: everything that opens, grows,
is seen or ends passes there, inside the transaction, so a channel's message is a row of the same commit. Escalation is
a sweep over `open_alerts` that nobody has acknowledged, `rules.ESCALATION` after `raised_at`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import case, func, select

from central.alerts import rules
from central.alerts.models import Alert
from central.alerts.rules import LABELS, LEVELS, Level, graver
from central.audit import service as audit
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
    overdue: bool
    """Nobody has seen it for longer than its level allows."""


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
    moment, title = at or uow.now, title[:300]
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
    _changed(uow, alert)
    return alert.id


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an alert stands, as the stored facts say it now."""

    level: Level
    title: str
    detail: str
    subject: str
    since: datetime
    last: datetime | None = None
    count: int = 1
    """Occurrences since `since`."""


async def follow(uow: UnitOfWork, key: str, cause: Cause | None, *, at: datetime | None = None) -> None:
    """Make the alert `key` what its cause is: opened, changed, or cleared (None) as of `at`.

    Saying the same again changes nothing, so that rules may be judged as often as one likes. The level goes down with
    the cause too; one that grows asks to be seen again.
    """
    alert = await _open(uow, key)
    if cause is None:
        if alert is not None:
            await clear_alert(uow, key, at=at)
        return
    values = {
        "level": cause.level,
        "title": cause.title[:300],
        "detail": cause.detail,
        "subject": cause.subject,
        "raised_at": cause.since,
        "last_at": cause.last or cause.since,
        "repeats": cause.count - 1,
    }
    if alert is None:
        alert = Alert(key=key, **values)
        uow.session.add(alert)
    elif all(getattr(alert, name) == value for name, value in values.items()):
        return
    else:
        if LEVELS.index(cause.level) < LEVELS.index(cast("Level", alert.level)):
            alert.acknowledged_at = alert.acknowledged_by = None
        for name, value in values.items():
            setattr(alert, name, value)
    await uow.session.flush()
    _changed(uow, alert)


async def open_keys(uow: UnitOfWork, prefix: str) -> list[str]:
    """Keys of the open alerts that begin with `prefix`."""
    query = select(Alert.key).where(Alert.cleared_at.is_(None), Alert.key.startswith(prefix, autoescape=True))
    return list(await uow.session.scalars(query))


async def open_among(uow: UnitOfWork, keys: Collection[str]) -> set[str]:
    """Those of `keys` whose alert is open."""
    return set(await uow.session.scalars(select(Alert.key).where(Alert.cleared_at.is_(None), Alert.key.in_(keys))))


async def clear_alert(uow: UnitOfWork, key: str, *, at: datetime | None = None) -> bool:
    """Close the open alert `key`; False when there is none."""
    alert = await _open(uow, key)
    if alert is None:
        return False
    alert.cleared_at = at or uow.now
    await uow.session.flush()
    _changed(uow, alert)
    return True


async def is_open(uow: UnitOfWork, key: str) -> bool:
    return await _open(uow, key) is not None


async def acknowledge(uow: UnitOfWork, alert_id: int, by: str) -> None:
    """Somebody has seen it; it stays open until its cause is gone. Raises LookupError."""
    alert = await uow.session.get(Alert, alert_id)
    if alert is None:
        raise LookupError(f"Alerte inconnue : {alert_id}")
    if alert.acknowledged_at is not None:
        return
    alert.acknowledged_at, alert.acknowledged_by = uow.now, by
    await audit.record(uow, who=by, what="alerts.acknowledge", subject=f"alert:{alert.id}", key=alert.key)
    await uow.session.flush()
    _changed(uow, alert)


async def open_alerts(uow: UnitOfWork, *, limit: int = 200) -> list[AlertView]:
    """Not yet acknowledged first, then the gravest, then the newest: what `limit` leaves out is what matters least."""
    grave = case({level: place for place, level in enumerate(LEVELS)}, value=Alert.level)
    query = select(Alert).where(Alert.cleared_at.is_(None)).limit(limit)
    query = query.order_by(Alert.acknowledged_at.is_not(None), grave, Alert.last_at.desc(), Alert.id.desc())
    return [_view(alert, uow.now) for alert in await uow.session.scalars(query)]


async def count_open(uow: UnitOfWork) -> int:
    return await uow.session.scalar(select(func.count()).select_from(Alert).where(Alert.cleared_at.is_(None))) or 0


async def history(uow: UnitOfWork, *, limit: int = 200) -> list[AlertView]:
    """Closed alerts, newest first."""
    query = select(Alert).where(Alert.cleared_at.is_not(None)).order_by(Alert.cleared_at.desc()).limit(limit)
    return [_view(alert, uow.now) for alert in await uow.session.scalars(query)]


def _changed(uow: UnitOfWork, alert: Alert) -> None:
    uow.tell("alerts", id=alert.id, level=alert.level)


async def _open(uow: UnitOfWork, key: str) -> Alert | None:
    found: Alert | None = await uow.session.scalar(select(Alert).where(Alert.key == key, Alert.cleared_at.is_(None)))
    return found


def _view(a: Alert, now: datetime) -> AlertView:
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
        overdue=rules.overdue(level, a.raised_at, now) and a.acknowledged_at is None and a.cleared_at is None,
    )
