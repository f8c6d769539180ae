"""Agents as they last stated themselves, their sources' last status, and the devices that may speak at all."""

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
    disk_free: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes free where the outbox lies."""
    cert_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """End of the certificate that the agent uses."""
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


class FleetDevice(Base):
    """An agent or a terminal that may speak. Its name is never given to another device as long as this row stands."""

    __tablename__ = "fleet_devices"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    """``agent`` (client certificate) or ``terminal`` (a secret in its browser)."""
    label: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    enrolled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Last time it proved over HTTP who it is, to the minute."""
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    secret_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    """SHA-256 of a terminal's secret."""


class FleetInvitation(Base):
    """A one-time token: 256 bit, of which only the SHA-256 lies here."""

    __tablename__ = "fleet_invitations"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[str] = mapped_column(String(63), index=True)
    site: Mapped[str] = mapped_column(String(63))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FleetCertificate(Base):
    """A client certificate that was signed; the list of revoked ones is made from here."""

    __tablename__ = "fleet_certificates"

    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    device: Mapped[str] = mapped_column(String(63), index=True)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    not_after: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    why: Mapped[str] = mapped_column(String(200), default="")
    dropped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the broker was seen to refuse it, and its session was ended."""
