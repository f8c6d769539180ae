"""Racks under a camera: what was taught, what each last said of itself and of its places, what was asked of it, how far
it is trusted, and pictures for as long as they may be kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, Json, UtcDateTime


class Rack(Base):
    """A rack as its agent calls it; added when it first speaks, or when it is described."""

    __tablename__ = "rack"

    code: Mapped[str] = mapped_column(String(120), primary_key=True)
    label: Mapped[str] = mapped_column(String(200), default="")
    agent: Mapped[str | None] = mapped_column(String(63))
    """Who obeys for it; null until it spoke."""
    mode: Mapped[str] = mapped_column(String(12), default="unknown")
    """``counting``, ``restocking``, ``blind``, or ``unknown`` until it spoke."""
    mode_code: Mapped[str] = mapped_column(String(120), default="ok")
    message: Mapped[str] = mapped_column(Text, default="")
    person: Mapped[str | None] = mapped_column(String(120))
    crops: Mapped[str | None] = mapped_column(String(32))
    """Of a camera that moved: before and after."""
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """From when on it has been in this mode, event time."""
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The last absolute reading."""
    model: Mapped[str | None] = mapped_column(String(120))
    """What its last saying was judged by."""


class RackModeSpan(Base):
    """From `at` on the rack was in that mode; what lasts until when follows from the next row in event time."""

    __tablename__ = "rack_mode"
    __table_args__ = (Index("ix_rack_mode_rack_at", "rack", "at"),)

    fact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    rack: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    boot: Mapped[str] = mapped_column(String(32), default="")
    seq: Mapped[int] = mapped_column(BigInteger, default=0)
    mode: Mapped[str] = mapped_column(String(12))
    code: Mapped[str] = mapped_column(String(120))
    message: Mapped[str] = mapped_column(Text, default="")
    person: Mapped[str | None] = mapped_column(String(120))
    crops: Mapped[str | None] = mapped_column(String(32))
    repeated: Mapped[bool] = mapped_column(default=False)


class RackSlot(Base):
    """One place: its last reading in event time, and the last number that the camera goes by."""

    __tablename__ = "rack_slot"

    place: Mapped[str] = mapped_column(String(120), primary_key=True)
    """As sources say it, ``rack-a/A1``."""
    rack: Mapped[str] = mapped_column(String(120), index=True)
    item: Mapped[str | None] = mapped_column(String(120))
    count: Mapped[int | None]
    """Pieces, of the last reading; null where it could not be read."""
    present: Mapped[bool | None]
    state: Mapped[str] = mapped_column(String(12), default="unknown")
    state_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """From when on it has been masked, foreign or unreadable."""
    confidence: Mapped[float] = mapped_column(default=1.0)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_id: Mapped[int] = mapped_column(BigInteger, default=0)
    """The fact of that reading: of two at one time the later number wins."""
    believed: Mapped[int | None]
    """Pieces that the camera goes by: read, counted after a session, or told by a person."""
    believed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RackDescriptionVersion(Base):
    """What was taught, never changed: a correction is the next version."""

    __tablename__ = "rack_description"
    __table_args__ = (UniqueConstraint("rack", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    rack: Mapped[str] = mapped_column(String(120))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    document: Mapped[str] = mapped_column(Text)
    """The JSON of `contracts.racks`, the bytes that the agent fetches."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(120))
    comment: Mapped[str] = mapped_column(String(400), default="")


class RackCommand(Base):
    """What was asked of a rack's agent, and what became of it."""

    __tablename__ = "rack_command"
    __table_args__ = (Index("ix_rack_command_rack_at", "rack", "asked_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    rack: Mapped[str] = mapped_column(String(120))
    agent: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(32))
    """``rack-mode``, ``rack-count``, ``rack-teach``, ``rack-picture``, ``rack-moved`` or ``rack-model``."""
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    person: Mapped[str] = mapped_column(String(120))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(8), default="asked", index=True)
    """``asked``, ``done``, ``refused`` or ``expired``."""
    detail: Mapped[str] = mapped_column(Text, default="")
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RackModel(Base):
    """A judge or detector that racks may use: a file of the centre under its SHA-256, signed by who trained it."""

    __tablename__ = "rack_model"

    version: Mapped[str] = mapped_column(String(120), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    signature: Mapped[str] = mapped_column(String(128))
    """Ed25519 over the SHA-256's 32 bytes, hex."""
    note: Mapped[str] = mapped_column(String(400), default="")
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    added_by: Mapped[str] = mapped_column(String(120))


class RackRollout(Base):
    """A rack was told to use `version` instead of `previous`."""

    __tablename__ = "rack_rollout"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    rack: Mapped[str] = mapped_column(String(120), index=True)
    version: Mapped[str] = mapped_column(String(120))
    previous: Mapped[str] = mapped_column(String(120), default="")
    """Empty: what the agent came with."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(120))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    why: Mapped[str] = mapped_column(String(400), default="")
    """Why it was taken back; empty when another followed it."""


class RackTrust(Base):
    """How far a rack's camera is believed about a class of items."""

    __tablename__ = "rack_trust"

    rack: Mapped[str] = mapped_column(String(120), primary_key=True)
    klass: Mapped[str] = mapped_column(String(40), primary_key=True)
    automatic: Mapped[bool]
    confirmed: Mapped[int]
    """Right in a row since the last wrong one."""
    wrong: Mapped[int] = mapped_column(default=0)
    """Ever."""
    reset_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """A person put it back to proposals: what was decided before counts no more."""
    forced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """A person let it act from then on, until the first wrong one."""
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RackOutcome(Base):
    """A label: what the camera said, and what a person (or a scan) knows to be true. One for each saying."""

    __tablename__ = "rack_outcome"
    __table_args__ = (
        Index("ix_rack_outcome_trust", "rack", "klass", "decided_at"),
        Index("ix_rack_outcome_model", "rack", "model"),
    )

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    """The proposal's key, ``doubt:12``."""
    rack: Mapped[str] = mapped_column(String(120))
    place: Mapped[str] = mapped_column(String(120))
    klass: Mapped[str] = mapped_column(String(40))
    item: Mapped[str] = mapped_column(String(120))
    model: Mapped[str | None] = mapped_column(String(120))
    crops: Mapped[str | None] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(8))
    """``doubt``, ``ask`` or ``read``."""
    sure: Mapped[bool]
    """The camera itself was sure: only these count for trust."""
    right: Mapped[bool]
    said: Mapped[int | None] = mapped_column(BigInteger)
    """Thousandths, signed for a movement; null when it asked without a guess."""
    truth: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(String(12))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str] = mapped_column(String(120))


class RackCrops(Base):
    """Pictures before and after, encrypted (AES-GCM), for as long as they may be kept."""

    __tablename__ = "rack_crops"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    before: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Nonce and sealed JPEG."""
    after: Mapped[bytes | None] = mapped_column(LargeBinary)
    size: Mapped[int]
    key_id: Mapped[str] = mapped_column(String(16))
    """Which key sealed them."""
    agent: Mapped[str | None] = mapped_column(String(63))
    observed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class RackCropsUse(Base):
    """What a fact says of its pictures, which may come before it or after it."""

    __tablename__ = "rack_crops_use"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    rack: Mapped[str] = mapped_column(String(120), index=True)
    doubtful: Mapped[bool]
    """Kept for people to decide; else only as long as "Pas ça" can be said."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class RackPurge(Base):
    """What a purge took away: shown on the privacy page."""

    __tablename__ = "rack_purge"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    pictures: Mapped[int]
    oldest: Mapped[datetime | None] = mapped_column(UtcDateTime)
    why: Mapped[str] = mapped_column(String(16))
    """``expired``, ``key_lost`` or ``asked``."""
