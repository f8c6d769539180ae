"""Tables of the inbox: streams and how far they are settled, facts as received, clocks of runs, quarantine."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, Json, UtcDateTime
from contracts.envelope import Stream

FactState: TypeAlias = Literal["accepted", "quarantined"]
QuarantineState: TypeAlias = Literal["open", "accepted", "dismissed"]


class FactStream(Base):
    """One (site, agent, boot, stream) and its high-water mark: outlives the facts, since it is what dedupes them."""

    __tablename__ = "fact_streams"
    __table_args__ = (UniqueConstraint("site", "agent", "boot", "stream"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    site: Mapped[str] = mapped_column(String(63))
    agent: Mapped[str] = mapped_column(String(63))
    boot: Mapped[str] = mapped_column(String(32))
    stream: Mapped[Stream] = mapped_column(String(8))
    upto: Mapped[int] = mapped_column(BigInteger)
    spans: Mapped[list[list[int]]] = mapped_column(Json)
    """Settled ranges above the first hole, ``[[first, last], …]``."""
    heard_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StoredFact(Base):
    """A fact as it was received: inbox and evidence. The truth is in the ledgers that its consumers write."""

    __tablename__ = "facts"
    __table_args__ = (UniqueConstraint("stream_id", "seq"), Index("ix_facts_at", "at"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    stream_id: Mapped[int] = mapped_column(ForeignKey("fact_streams.id"))
    seq: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(48))
    ts: Mapped[datetime] = mapped_column(UtcDateTime)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    uncertain: Mapped[bool]
    run: Mapped[str] = mapped_column(String(40))
    mono: Mapped[int] = mapped_column(BigInteger)
    off: Mapped[int | None] = mapped_column(BigInteger)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    body: Mapped[str | None] = mapped_column(Text)
    """The body's JSON; null for samples (kept as blocks by their consumer) and while in quarantine."""
    hash: Mapped[int] = mapped_column(BigInteger)
    """First 64 bits of `Envelope.body_hash`: tells a resend from another fact under the same identity."""
    state: Mapped[str] = mapped_column(String(12))


class SourceRun(Base):
    """The centre's time when a run's monotonic clock read 0."""

    __tablename__ = "source_runs"

    agent: Mapped[str] = mapped_column(String(63), primary_key=True)
    run: Mapped[str] = mapped_column(String(40), primary_key=True)
    anchor: Mapped[datetime] = mapped_column(UtcDateTime)
    measured: Mapped[bool]
    """True when the source measured its offset; false when only guessed from the arrival of a heartbeat."""


class StreamSettlement(Base):
    """A range that was settled without facts: lost, withdrawn or thinned."""

    __tablename__ = "stream_settlements"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    stream_id: Mapped[int] = mapped_column(ForeignKey("fact_streams.id"), index=True)
    kind: Mapped[str] = mapped_column(String(48))
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    why: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class CentreMark(Base):
    """What the centre remembers about itself, for example the version that last ran the quarantine again."""

    __tablename__ = "centre_marks"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Quarantined(Base):
    """What could not be accepted, kept whole up to 64 KiB, with the reason a person can act on."""

    __tablename__ = "quarantine"
    __table_args__ = (Index("ix_quarantine_state", "state", "last_seen"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    digest: Mapped[str] = mapped_column(String(32), unique=True)
    """Hash over who sent it and the whole payload: the same thing sent again is one row."""
    sender: Mapped[str] = mapped_column(String(127))
    """``site/agent`` of the topic or terminal it came by."""
    agent: Mapped[str | None] = mapped_column(String(63))
    boot: Mapped[str | None] = mapped_column(String(32))
    stream: Mapped[str | None] = mapped_column(String(8))
    seq: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str | None] = mapped_column(String(48))
    cause: Mapped[str] = mapped_column(String(16))
    """``illegible`` · ``stranger`` · ``kind`` · ``body`` · ``clock`` · ``consumer`` · ``conflict``."""
    reason: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    length: Mapped[int]
    """Bytes that arrived; more than ``len(payload)`` when it was cut."""
    first_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    times: Mapped[int]
    state: Mapped[str] = mapped_column(String(12))
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
