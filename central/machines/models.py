"""Machines, what they said, and what pages show of it.

Machine codes are the keys: facts carry them, and a batch of a thousand facts then needs no look-up.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, text
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
    power_kw: Mapped[float | None]
    spindle_max_rpm: Mapped[int | None]
    axes: Mapped[str] = mapped_column(String(60), default="", server_default="")
    """``X Y Z B C``."""
    travels: Mapped[str] = mapped_column(String(200), default="", server_default="")
    """Of each axis, mm or degrees: ``X 600, Y 500, Z 450``."""
    cam_software: Mapped[str] = mapped_column(String(80), default="", server_default="")
    counting: Mapped[str] = mapped_column(String(8), default="counter", server_default="counter")
    """What its parts are counted from: the controller's own ``counter``, or completed ``cycles``."""
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
    __table_args__ = (
        Index("ix_machine_cycle_machine_ended", "machine", "ended"),
        Index("ix_machine_cycle_machine_programme_ended", "machine", "programme", "ended"),
    )

    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    machine: Mapped[str] = mapped_column(String(120))
    began: Mapped[datetime] = mapped_column(UtcDateTime)
    ended: Mapped[datetime] = mapped_column(UtcDateTime)
    programme: Mapped[str | None] = mapped_column(String(120))
    completed: Mapped[bool]
    uncertain: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Contact was lost in between: one run at least, and its length is not a cycle time."""


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


class MachineProgramme(Base):
    """What one cycle of the programmes called `pattern` makes; `machine` empty is for all machines (MCH-10)."""

    __tablename__ = "machine_programme"

    machine: Mapped[str] = mapped_column(String(120), primary_key=True)
    pattern: Mapped[str] = mapped_column(String(120), primary_key=True)
    """A name, or with ``*`` and ``?``; case is indifferent."""
    produces: Mapped[bool]
    """False for warm-up, probing."""
    parts_per_cycle: Mapped[int | None]
    """Null: what the operation says."""
    cycle_s: Mapped[float | None]
    """Declared seconds of a cycle, which drift is judged by; null: the first good cycles are the reference."""
    note: Mapped[str] = mapped_column(String(120), default="")


class MachineLimit(Base):
    """What a signal should stay below (`side` ``high``) or above (``low``), in its own unit."""

    __tablename__ = "machine_limit"

    machine: Mapped[str] = mapped_column(String(120), primary_key=True)
    signal: Mapped[str] = mapped_column(String(120), primary_key=True)
    side: Mapped[str] = mapped_column(String(4), primary_key=True)
    warning: Mapped[float | None]
    limit_value: Mapped[float]
    hysteresis: Mapped[float] = mapped_column(default=0.0)
    """How far back inside it must come before it counts as over."""
    standing: Mapped[str | None] = mapped_column(String(8))
    """``warning`` or ``limit`` while it is passed."""


class MachineRule(Base):
    """How one alert rule is set for one machine; what has no row has the rule's defaults."""

    __tablename__ = "machine_rule"

    machine: Mapped[str] = mapped_column(String(120), primary_key=True)
    rule: Mapped[str] = mapped_column(String(20), primary_key=True)
    active: Mapped[bool]
    level: Mapped[str] = mapped_column(String(8))
    bound: Mapped[float]
    """Seconds; for ``cycle_drift`` a share."""


class GuardTrip(Base):
    """One verdict of the collision guard, with what it saw."""

    __tablename__ = "machine_guard_trip"
    __table_args__ = (Index("ix_machine_guard_trip_machine_at", "machine", "at"),)

    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    machine: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    level: Mapped[str] = mapped_column(String(5))
    signal: Mapped[str] = mapped_column(String(120))
    unit: Mapped[str] = mapped_column(String(40), default="")
    value: Mapped[float]
    limit_value: Mapped[float]
    why: Mapped[str]
    outcome: Mapped[str] = mapped_column(String(8))
    programme: Mapped[str | None] = mapped_column(String(120))
    tool: Mapped[str | None] = mapped_column(String(120))
    sample_age_ms: Mapped[float | None]
    latency_ms: Mapped[float | None]
    stop_ms: Mapped[float | None]
    feed: Mapped[float | None]
    """mm/min."""
    travel_mm: Mapped[float | None]
    t0: Mapped[datetime] = mapped_column(UtcDateTime)
    curve: Mapped[bytes] = mapped_column(LargeBinary)
    """See `rules.guard.Curve.pack`."""


class GuardRearm(Base):
    __tablename__ = "machine_guard_rearm"
    __table_args__ = (Index("ix_machine_guard_rearm_machine_at", "machine", "at"),)

    fact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    machine: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    person: Mapped[str | None] = mapped_column(String(120))


class MachineCommand(Base):
    """What a person asked of a machine's agent, and its answer."""

    __tablename__ = "machine_command"
    __table_args__ = (Index("ix_machine_command_machine_asked", "machine", "asked_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    machine: Mapped[str] = mapped_column(String(120))
    agent: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(40))
    """As on the wire, for example ``guard-rearm``."""
    person: Mapped[str] = mapped_column(String(120))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done: Mapped[bool | None]
    detail: Mapped[str] = mapped_column(default="")
