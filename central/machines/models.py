"""Machines, what they said, and what pages show of it.

Machine codes are the keys: facts carry them, and a batch of a thousand facts then needs no look-up.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, Json, UtcDateTime


class Machine(Base):
    """`declared` is False for a machine that spoke before anybody described it."""

    __tablename__ = "machine"

    code: Mapped[str] = mapped_column(String(120), primary_key=True)
    label: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(40), default="")
    """Tour, fraiseuse, scie…"""
    controller: Mapped[str] = mapped_column(String(80), default="")
    post: Mapped[str | None] = mapped_column(String(120))
    """The operator post that stands at it."""
    weekly: Mapped[Any] = mapped_column(Json)
    """Opening hours, see `rules.Calendar.from_json`."""
    declared: Mapped[bool] = mapped_column(default=True)
    active: Mapped[bool] = mapped_column(default=True)


class MachineTile(Base):
    """The present of one machine: newest state in event time, when it was last heard, whether its source is lost."""

    __tablename__ = "machine_tile"

    machine: Mapped[str] = mapped_column(String(120), primary_key=True)
    agent: Mapped[str | None] = mapped_column(String(63), index=True)
    state: Mapped[str] = mapped_column(String(10), default="silent")
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    state_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Event time, number and id of the newest state fact: what an older one is compared with."""
    state_seq: Mapped[int] = mapped_column(BigId, default=0)
    state_fact: Mapped[int] = mapped_column(BigId, default=0)
    execution: Mapped[str | None] = mapped_column(String(120))
    programme: Mapped[str | None] = mapped_column(String(120))
    tool: Mapped[str | None] = mapped_column(String(120))
    detail: Mapped[str] = mapped_column(default="")
    uncertain: Mapped[bool] = mapped_column(default=False)
    heard_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the centre last heard of the machine, on the centre's clock."""
    silent_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Set when its agent is gone or nothing was heard for long."""
    source_status: Mapped[str] = mapped_column(String(10), default="ok")
    source_message: Mapped[str] = mapped_column(default="")
    source_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class MachineStateEvent(Base):
    """One state fact. A state lasts until the next one in event time: these rows *are* the intervals."""

    __tablename__ = "machine_state"
    __table_args__ = (Index("ix_machine_state_machine_at", "machine", "at", "seq", "fact_id"),)

    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    machine: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    seq: Mapped[int] = mapped_column(BigId)
    """Orders the events of one source at one instant."""
    state: Mapped[str] = mapped_column(String(10))
    execution: Mapped[str | None] = mapped_column(String(120))
    programme: Mapped[str | None] = mapped_column(String(120))
    tool: Mapped[str | None] = mapped_column(String(120))
    detail: Mapped[str] = mapped_column(default="")


class MachineAlarmEvent(Base):
    __tablename__ = "machine_alarm"
    __table_args__ = (Index("ix_machine_alarm_machine_code_at", "machine", "code", "at"),)

    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    machine: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    code: Mapped[str] = mapped_column(String(120))
    text: Mapped[str] = mapped_column(default="")
    severity: Mapped[str] = mapped_column(String(8))
    active: Mapped[bool]


class MachineCycle(Base):
    __tablename__ = "machine_cycle"
    __table_args__ = (Index("ix_machine_cycle_machine_ended", "machine", "ended"),)

    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    machine: Mapped[str] = mapped_column(String(120))
    began: Mapped[datetime] = mapped_column(UtcDateTime)
    ended: Mapped[datetime] = mapped_column(UtcDateTime)
    programme: Mapped[str | None] = mapped_column(String(120))
    completed: Mapped[bool]


class MachineCount(Base):
    """The controller's counter moved by `delta` cycles. What parts that makes, and whose, is told by ``work``."""

    __tablename__ = "machine_count"
    __table_args__ = (Index("ix_machine_count_machine_at", "machine", "at"),)

    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    machine: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    first: Mapped[int] = mapped_column(BigId)
    last: Mapped[int] = mapped_column(BigId)
    delta: Mapped[int] = mapped_column(BigId)
    programme: Mapped[str | None] = mapped_column(String(120))
    reset: Mapped[bool] = mapped_column(default=False)
    during_absence: Mapped[bool] = mapped_column(default=False)


class MachineSignal(Base):
    """A signal that a machine sends, with its newest value."""

    __tablename__ = "machine_signal"

    machine: Mapped[str] = mapped_column(String(120), primary_key=True)
    signal: Mapped[str] = mapped_column(String(120), primary_key=True)
    unit: Mapped[str] = mapped_column(String(40), default="")
    value: Mapped[float]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class SampleBlock(Base):
    """What one fact says of one signal in one minute: ``offsets`` uint16 milliseconds in the minute, ``readings``
    float64, little endian, in time order. The minute is all of its rows; of two values at one millisecond the one of
    the higher `fact_id` counts.
    """

    __tablename__ = "sample_block"

    machine: Mapped[str] = mapped_column(String(120), primary_key=True)
    signal: Mapped[str] = mapped_column(String(120), primary_key=True)
    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    offsets: Mapped[bytes] = mapped_column(LargeBinary)
    readings: Mapped[bytes] = mapped_column(LargeBinary)


class SampleRollup(Base):
    """`span_s` is 60 or 3600."""

    __tablename__ = "sample_rollup"

    machine: Mapped[str] = mapped_column(String(120), primary_key=True)
    signal: Mapped[str] = mapped_column(String(120), primary_key=True)
    span_s: Mapped[int] = mapped_column(primary_key=True)
    start: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    n: Mapped[int] = mapped_column(BigId)
    low: Mapped[float]
    high: Mapped[float]
    total: Mapped[float]


class CalendarException(Base):
    """Other hours on one day (none: closed); `machine` null is for the whole shop."""

    __tablename__ = "calendar_exception"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    machine: Mapped[str | None] = mapped_column(String(120), index=True)
    day: Mapped[date] = mapped_column(index=True)
    hours: Mapped[Any] = mapped_column(Json)
    reason: Mapped[str] = mapped_column(String(120), default="")


class MaintenanceWindow(Base):
    __tablename__ = "maintenance_window"
    __table_args__ = (Index("ix_maintenance_window_machine_begin", "machine", "begin"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    machine: Mapped[str] = mapped_column(String(120))
    begin: Mapped[datetime] = mapped_column(UtcDateTime)
    end: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(120), default="")
