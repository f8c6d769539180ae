"""CN programmes, their versions and what was asked of machines. Texts are files, by SHA-256 (`texts`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, Json, UtcDateTime


class CnProgramme(Base):
    """What a shop calls a programme; its texts are versions. `machine` null: not bound to one."""

    __tablename__ = "cn_programme"
    __table_args__ = (Index("ix_cn_programme_machine_name", "machine", "name", unique=True),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(255))
    """As the controller knows it, ``O1234``."""
    label: Mapped[str] = mapped_column(String(200), default="")
    machine: Mapped[str | None] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(120))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class CnVersion(Base):
    """One text, never changed; only its status moves. At most one of a programme is validated."""

    __tablename__ = "cn_version"
    __table_args__ = (
        UniqueConstraint("programme_id", "number"),
        Index("ix_cn_version_sha256", "sha256"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    programme_id: Mapped[int] = mapped_column(ForeignKey("cn_programme.id"))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigId)
    status: Mapped[str] = mapped_column(String(12))
    origin: Mapped[str] = mapped_column(String(8))
    """``upload``, or ``machine``: it came back from there."""
    file_name: Mapped[str] = mapped_column(String(255), default="")
    comment: Mapped[str] = mapped_column(default="")
    reading: Mapped[Any] = mapped_column(Json)
    """`rules.Reading` of the text."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(120))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(120))


class CnTransfer(Base):
    """A sending to, or a reading from, a machine: asked here, or told by its agent."""

    __tablename__ = "cn_transfer"
    __table_args__ = (Index("ix_cn_transfer_machine_name", "machine", "name", "asked_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The command's id; of what an agent told unasked, the fact's."""
    kind: Mapped[str] = mapped_column(String(8))
    """``send``, ``read``, or ``changed``."""
    programme_id: Mapped[int | None] = mapped_column(ForeignKey("cn_programme.id"), index=True)
    version_id: Mapped[int | None] = mapped_column(ForeignKey("cn_version.id"))
    machine: Mapped[str] = mapped_column(String(120))
    agent: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(255))
    person: Mapped[str] = mapped_column(String(120))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(10), index=True)
    """``asked``, ``done``, ``unread`` (sent whole, nobody read it back), ``refused``, ``broken`` (half a text may lie
    there), ``expired``.
    """
    detail: Mapped[str] = mapped_column(default="")
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Event time of the newest fact of it."""
    whole: Mapped[bool | None]
    """What lies in the machine since `whole_at` (event time): a whole text, new or former, or False; null: unknown."""
    whole_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
