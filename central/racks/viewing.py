"""Who looked at what. A live view is one viewing, however many pictures it shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from central.audit import service as audit
from central.audit.models import AuditEntry
from central.core.uow import UnitOfWork

_ONE_VIEWING: Final = timedelta(minutes=10)


async def note_viewing(uow: UnitOfWork, rack: str, who: str) -> None:
    """`who` looks at the rack's picture."""
    subject, e = f"rack:{rack}", AuditEntry
    last = await uow.session.scalar(
        select(func.max(e.at)).where(e.subject == subject, e.who == who, e.what == "racks.view_picture")
    )
    if last is None or uow.now - last >= _ONE_VIEWING:
        await audit.record(uow, who=who, what="racks.view_picture", subject=subject)
