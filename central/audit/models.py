"""Who did what on a page. Rows are only ever added."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, Json, UtcDateTime


class AuditEntry(Base):
    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_subject_at", "subject", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    who: Mapped[str] = mapped_column(String(120))
    """Opaque person id, or ``system``."""
    what: Mapped[str] = mapped_column(String(64))
    """A verb of the feature, for example ``work.clock``."""
    subject: Mapped[str] = mapped_column(String(160))
    detail: Mapped[Any] = mapped_column(Json)
