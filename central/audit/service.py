"""Append-only record of what persons do on pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from central.audit.models import AuditEntry
from central.core.uow import UnitOfWork


@dataclass(frozen=True, slots=True)
class AuditView:
    id: int
    at: datetime
    who: str
    what: str
    subject: str
    detail: dict[str, Any]


async def record(uow: UnitOfWork, *, who: str, what: str, subject: str, **detail: Any) -> None:
    """Write down that `who` did `what` to `subject`, in the same transaction as the act. `detail` must be JSON."""
    await uow.session.execute(insert(AuditEntry).values(at=uow.now, who=who, what=what, subject=subject, detail=detail))


async def entries(uow: UnitOfWork, *, subject: str | None = None, limit: int = 200) -> list[AuditView]:
    """Newest first."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(AuditEntry.subject == subject)
    found = await uow.session.scalars(query)
    return [AuditView(e.id, e.at, e.who, e.what, e.subject, e.detail) for e in found]
