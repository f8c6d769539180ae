"""Orders, operations, clockings. Events are kept as they came; intervals, conflicts and quantities are rebuilt."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, UtcDateTime


class WorkOrder(Base):
    """An OF."""

    __tablename__ = "work_order"

    code: Mapped[str] = mapped_column(String(120), primary_key=True)
    article: Mapped[str] = mapped_column(String(120), default="")
    label: Mapped[str] = mapped_column(String(200), default="")
    quantity: Mapped[int]
    due: Mapped[date | None]
    sector: Mapped[str] = mapped_column(String(12), default="civil", server_default="civil")
    """`central.work.sectors.Sector`."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Operation(Base):
    """One step of an order's gamme. Status and quantities are a projection of its clocking events."""

    __tablename__ = "operation"

    code: Mapped[str] = mapped_column(String(120), primary_key=True)
    """As printed on the gamme, for example ``OF118-20``."""
    printed_code: Mapped[str | None] = mapped_column(String(120), unique=True)
    """Another barcode that already stands on the gamme (an ERP's)."""
    order: Mapped[str] = mapped_column("order_code", String(120), index=True)
    sequence: Mapped[int]
    label: Mapped[str] = mapped_column(String(200), default="")
    machine: Mapped[str | None] = mapped_column(String(120), index=True)
    kind: Mapped[str] = mapped_column(String(10), default="normal")
    """normal, debit or external."""
    quantity: Mapped[int]
    setup_min: Mapped[float] = mapped_column(default=0.0)
    run_min: Mapped[float] = mapped_column(default=0.0)
    """Planned minutes a piece."""
    parts_per_cycle: Mapped[int] = mapped_column(default=1)
    planned_on: Mapped[date | None] = mapped_column(index=True)
    debit_item: Mapped[str | None] = mapped_column(String(120))
    debit_length: Mapped[int] = mapped_column(BigId, default=0)
    debit_kerf: Mapped[int] = mapped_column(BigId, default=0)
    debit_allowance: Mapped[int] = mapped_column(BigId, default=0)
    """Thousandths of a millimetre, a piece."""
    debit_count: Mapped[int] = mapped_column(default=0)

    status: Mapped[str] = mapped_column(String(10), default="planned", index=True)
    phase: Mapped[str | None] = mapped_column(String(8))
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    good: Mapped[int] = mapped_column(BigId, default=0)
    scrap: Mapped[int] = mapped_column(BigId, default=0)
    rework: Mapped[int] = mapped_column(BigId, default=0)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class PlannedItem(Base):
    """An operation plans to use this item (its tools, its inserts): what a pick at a rack may be for."""

    __tablename__ = "planned_item"

    operation: Mapped[str] = mapped_column(String(120), primary_key=True)
    item: Mapped[str] = mapped_column(String(120), primary_key=True, index=True)
    """Item code, upper case."""


class ClockingEvent(Base):
    """What was clocked, by a fact or on a page. `person` may be found later, by a badge scan that arrives late."""

    __tablename__ = "clocking_event"
    __table_args__ = (Index("ix_clocking_event_operation_at", "operation", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    fact_id: Mapped[int | None] = mapped_column(BigId, unique=True)
    operation: Mapped[str] = mapped_column(String(120))
    person: Mapped[str | None] = mapped_column(String(120))
    person_given: Mapped[bool] = mapped_column(default=True)
    """False when the person is the one who badged at the post."""
    post: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    seq: Mapped[int] = mapped_column(BigId, default=0)
    """Orders the events of one source at one instant."""
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    uncertain: Mapped[bool] = mapped_column(default=False)
    action: Mapped[str] = mapped_column(String(12))
    terminal: Mapped[str] = mapped_column(String(8))
    phase: Mapped[str | None] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(String(120))
    good: Mapped[int] = mapped_column(BigId, default=0)
    scrap: Mapped[int] = mapped_column(BigId, default=0)
    rework: Mapped[int] = mapped_column(BigId, default=0)
    tool_change: Mapped[bool] = mapped_column(default=False)
    comment_hash: Mapped[str | None] = mapped_column(String(64))
    entered_by: Mapped[str | None] = mapped_column(String(120))
    """Who entered it on a page; null for what was clocked at a post."""


class WorkComment(Base):
    """Free text may name somebody: it lies apart, so that it can be erased while its hash stays in the event."""

    __tablename__ = "work_comment"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    text: Mapped[str | None]


class ClockingInterval(Base):
    """One person on one operation, in one phase: setup, run or pause. An open end is null. Durations are computed."""

    __tablename__ = "clocking_interval"
    __table_args__ = (Index("ix_clocking_interval_operation_begin", "operation", "begin"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    person: Mapped[str] = mapped_column(String(120), index=True)
    operation: Mapped[str] = mapped_column(String(120))
    begin: Mapped[datetime] = mapped_column(UtcDateTime)
    end: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    phase: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(String(120))
    post: Mapped[str] = mapped_column(String(120))
    forgotten: Mapped[bool] = mapped_column(default=False)
    """Its end was never clocked: it is shown, not counted, until somebody enters it."""
    corrected: Mapped[bool] = mapped_column(default=False)
    """Recomputed by a fact that arrived late or was entered by hand."""


class Conflict(Base):
    """A rule that a recorded fact breaks. Closes by itself when a later fact explains it, or by a person."""

    __tablename__ = "work_conflict"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(300), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    operation: Mapped[str | None] = mapped_column(String(120), index=True)
    person: Mapped[str | None] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    message: Mapped[str] = mapped_column(String(400))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    settled_by: Mapped[str | None] = mapped_column(String(120))


class PartsAssigned(Base):
    """Whose parts a machine count made. `operation` null waits "à affecter"; `by` is the person who assigned it."""

    __tablename__ = "parts_assigned"
    __table_args__ = (
        Index("ix_parts_assigned_machine_at", "machine", "at"),
        Index("ix_parts_assigned_operation_at", "operation", "at"),
    )

    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    machine: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    programme: Mapped[str | None] = mapped_column(String(120))
    cycles: Mapped[int] = mapped_column(BigId)
    parts: Mapped[int] = mapped_column(BigId)
    operation: Mapped[str | None] = mapped_column(String(120))
    why: Mapped[str] = mapped_column(String(160), default="")
    by: Mapped[str | None] = mapped_column(String(120))
    source: Mapped[str] = mapped_column(String(8), default="counter", server_default="counter")
    """``counter`` or ``cycles``; a machine's parts are those of the one that it is set to."""
    corrected: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Its parts changed after it was counted, because a setting did."""


class DebitCharge(Base):
    """Pieces whose material was charged to the stock for a débit operation; corrections are further rows."""

    __tablename__ = "debit_charge"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    operation: Mapped[str] = mapped_column(String(120), index=True)
    pieces: Mapped[int] = mapped_column(BigId)
    qty_milli: Mapped[int] = mapped_column(BigId)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
