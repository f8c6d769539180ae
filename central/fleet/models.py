"""Agents as they last stated themselves, and their sources' last status."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, Json, UtcDateTime


class FleetAgent(Base):
    __tablename__ = "fleet_agents"

    agent: Mapped[str] = mapped_column(String(63), primary_key=True)
    online: Mapped[bool]
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    """When `online` last changed."""
    heard_at: Mapped[datetime] = mapped_column(UtcDateTime)
    boot: Mapped[str] = mapped_column(String(32))
    version: Mapped[str] = mapped_column(String(120))
    off_ms: Mapped[int | None] = mapped_column(BigInteger)
    """Milliseconds to add to the agent's clock to get ours; null when never measured."""
    facts_pending: Mapped[int]
    samples_pending: Mapped[int]
    disk_used: Mapped[float | None]
    """Share of the outbox's allowed size, 0–1."""
    parts: Mapped[list[dict[str, Any]]] = mapped_column(Json)


class FleetSource(Base):
    """The last ``source.status`` of a camera, controller or scanner."""

    __tablename__ = "fleet_sources"

    agent: Mapped[str] = mapped_column(String(63), primary_key=True)
    source: Mapped[str] = mapped_column(String(120), primary_key=True)
    status: Mapped[str] = mapped_column(String(12))
    code: Mapped[str] = mapped_column(String(120))
    message: Mapped[str] = mapped_column(Text)
    machine: Mapped[str | None] = mapped_column(String(120))
    rack: Mapped[str | None] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    boot: Mapped[str] = mapped_column(String(32))
    seq: Mapped[int] = mapped_column(BigInteger)
