"""What the shop decided of each automatic act."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, UtcDateTime


class AutomationSetting(Base):
    """An act without a row has its safe default."""

    __tablename__ = "automation_setting"

    act: Mapped[str] = mapped_column(String(24), primary_key=True)
    mode: Mapped[str] = mapped_column(String(10))
    """``automatic`` or ``validated`` (a person decides each time)."""
    by: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
