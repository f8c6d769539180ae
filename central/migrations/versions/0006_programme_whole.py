"""What lies in a machine after a sending: whole, or neither the new text nor the former one.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from central.core import types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("cn_transfer") as transfer:
        transfer.add_column(sa.Column("whole", sa.Boolean()))
        transfer.add_column(sa.Column("whole_at", types.UtcDateTime()))
    told = "UPDATE cn_transfer SET whole_at = told_at, whole ="
    op.execute(f"{told} true WHERE kind = 'send' AND state = 'done' AND told_at IS NOT NULL")
    op.execute(f"{told} false WHERE kind = 'send' AND state = 'broken' AND told_at IS NOT NULL")


def downgrade() -> None:
    with op.batch_alter_table("cn_transfer") as transfer:
        transfer.drop_column("whole_at")
        transfer.drop_column("whole")
