"""Machines: parameters, limits and rules of alerts, what programmes make, the guard's trips, commands and answers.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from central.core import types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("machine") as machine:
        machine.add_column(sa.Column("power_kw", sa.Double()))
        machine.add_column(sa.Column("spindle_max_rpm", sa.Integer()))
        machine.add_column(sa.Column("axes", sa.String(length=60), nullable=False, server_default=""))
        machine.add_column(sa.Column("travels", sa.String(length=200), nullable=False, server_default=""))
        machine.add_column(sa.Column("cam_software", sa.String(length=80), nullable=False, server_default=""))
        machine.add_column(sa.Column("counting", sa.String(length=8), nullable=False, server_default="counter"))
    with op.batch_alter_table("parts_assigned") as parts:
        parts.add_column(sa.Column("source", sa.String(length=8), nullable=False, server_default="counter"))
        parts.add_column(sa.Column("corrected", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    _programmes()
    op.create_table(
        "machine_limit",
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("signal", sa.String(length=120), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("warning", sa.Double()),
        sa.Column("limit_value", sa.Double(), nullable=False),
        sa.Column("hysteresis", sa.Double(), nullable=False),
        sa.Column("standing", sa.String(length=8)),
        sa.PrimaryKeyConstraint("machine", "signal", "side", name=op.f("pk_machine_limit")),
    )
    op.create_table(
        "machine_rule",
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("bound", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("machine", "rule", name=op.f("pk_machine_rule")),
    )
    _guard()
    op.create_table(
        "machine_command",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("agent", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("asked_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("answered_at", types.UtcDateTime()),
        sa.Column("done", sa.Boolean()),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine_command")),
    )
    op.create_index("ix_machine_command_machine_asked", "machine_command", ["machine", "asked_at"])


def _programmes() -> None:
    """What a programme yields moves from the work to the machine, which more than the work asks."""
    op.create_table(
        "machine_programme",
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("pattern", sa.String(length=120), nullable=False),
        sa.Column("produces", sa.Boolean(), nullable=False),
        sa.Column("parts_per_cycle", sa.Integer()),
        sa.Column("cycle_s", sa.Double()),
        sa.Column("note", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("machine", "pattern", name=op.f("pk_machine_programme")),
    )
    op.execute(
        "INSERT INTO machine_programme (machine, pattern, produces, parts_per_cycle, note) "
        "SELECT machine, programme, parts_per_cycle > 0, NULLIF(parts_per_cycle, 0), '' FROM programme_yield"
    )
    op.drop_table("programme_yield")


def _guard() -> None:
    op.create_table(
        "machine_guard_trip",
        sa.Column("fact_id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("level", sa.String(length=5), nullable=False),
        sa.Column("signal", sa.String(length=120), nullable=False),
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("limit_value", sa.Double(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("programme", sa.String(length=120)),
        sa.Column("tool", sa.String(length=120)),
        *(sa.Column(name, sa.Double()) for name in ("sample_age_ms", "latency_ms", "stop_ms", "feed", "travel_mm")),
        sa.Column("t0", types.UtcDateTime(), nullable=False),
        sa.Column("curve", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("fact_id", name=op.f("pk_machine_guard_trip")),
    )
    op.create_index("ix_machine_guard_trip_machine_at", "machine_guard_trip", ["machine", "at"])
    op.create_table(
        "machine_guard_rearm",
        sa.Column("fact_id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("person", sa.String(length=120)),
        sa.PrimaryKeyConstraint("fact_id", name=op.f("pk_machine_guard_rearm")),
    )
    op.create_index("ix_machine_guard_rearm_machine_at", "machine_guard_rearm", ["machine", "at"])


def downgrade() -> None:
    for table in ("machine_command", "machine_guard_rearm", "machine_guard_trip", "machine_rule", "machine_limit"):
        op.drop_table(table)
    op.create_table(
        "programme_yield",
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("programme", sa.String(length=120), nullable=False),
        sa.Column("parts_per_cycle", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("machine", "programme", name=op.f("pk_programme_yield")),
    )
    op.execute(
        "INSERT INTO programme_yield SELECT machine, pattern, CASE WHEN produces THEN COALESCE(parts_per_cycle, 1) "
        "ELSE 0 END FROM machine_programme WHERE machine <> ''"
    )
    op.drop_table("machine_programme")
    with op.batch_alter_table("parts_assigned") as parts:
        parts.drop_column("corrected")
        parts.drop_column("source")
    with op.batch_alter_table("machine") as machine:
        for column in ("counting", "cam_software", "travels", "axes", "spindle_max_rpm", "power_kw"):
            machine.drop_column(column)
