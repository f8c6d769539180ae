"""Persons and their badge scans. A person is an opaque id everywhere else; the name and the badge live in one row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, UtcDateTime


class Person(Base):
    """The only row that holds a name. Erasing empties it; the id stays, so that the books still add up."""

    __tablename__ = "person"

    id: Mapped[str] = mapped_column(String(120), primary_key=True)
    """Opaque, for example ``p-7k3f``."""
    name: Mapped[str | None] = mapped_column(String(120))
    badge: Mapped[str | None] = mapped_column(String(32), unique=True)
    """What is printed after ``PE:``, upper case."""
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    left_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Works here no longer since then."""
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BadgeScan(Base):
    """A badge read at a post. `person` is filled as soon as the badge is known, so that a badge can be given later."""

    __tablename__ = "badge_scan"
    __table_args__ = (Index("ix_badge_scan_post_at", "post", "at"),)

    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    post: Mapped[str] = mapped_column(String(120))
    badge: Mapped[str] = mapped_column(String(120), index=True)
    person: Mapped[str | None] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
