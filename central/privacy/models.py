"""What the retention table took away, and when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, UtcDateTime


class RetentionRun(Base):
    """One turn of one rule. Those that found nothing replace each other."""

    __tablename__ = "retention_run"
    __table_args__ = (Index("ix_retention_run_rule_at", "rule", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    rule: Mapped[str] = mapped_column(String(24))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    gone: Mapped[int]
    """Rows deleted, or whose link to a person was cut."""
    done: Mapped[bool]
    """False: there was more than one turn takes; the next turn goes on."""
