"""Orders are marked civil, aeronautic or military; signatures of operations of those that are not civil.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from central.core import types
from central.signing.models import APPEND_ONLY

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("work_order") as order:
        order.add_column(sa.Column("sector", sa.String(12), nullable=False, server_default="civil"))
    op.create_table(
        "signature",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("entry_id", types.BigId, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("operation", sa.String(120), nullable=False),
        sa.Column("person", sa.String(120), nullable=False),
        sa.Column("meaning", sa.String(12), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["audit_entry.id"], name=op.f("fk_signature_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signature")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_signature_entry_id")),
    )
    op.create_index("ix_signature_operation_at", "signature", ["operation", "at"])
    op.create_index("ix_signature_person", "signature", ["person"])
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("signature")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION copeau_signatures()")
    with op.batch_alter_table("work_order") as order:
        order.drop_column("sector")
