"""Alerts: one open row for each key, repeats counted."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, UtcDateTime


class Alert(Base):
    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "uq_alert_open_key",
            "key",
            unique=True,
            sqlite_where=text("cleared_at IS NULL"),
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(300))
    level: Mapped[str] = mapped_column(String(8))
    title: Mapped[str] = mapped_column(String(300))
    detail: Mapped[str] = mapped_column(default="")
    subject: Mapped[str | None] = mapped_column(String(160))
    """What it is about, for example ``machine:tour-1``."""
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    repeats: Mapped[int] = mapped_column(default=0)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by: Mapped[str | None] = mapped_column(String(120))
    cleared_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
