"""Cycles during which contact was lost: what they lasted is no cycle time. An index for the cycles of one programme.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("machine_cycle") as cycle:
        cycle.add_column(sa.Column("uncertain", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.create_index("ix_machine_cycle_machine_programme_ended", "machine_cycle", ["machine", "programme", "ended"])


def downgrade() -> None:
    op.drop_index("ix_machine_cycle_machine_programme_ended", "machine_cycle")
    with op.batch_alter_table("machine_cycle") as cycle:
        cycle.drop_column("uncertain")
