"""CN programmes, their versions, what was asked of machines.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from central.core import types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cn_programme",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("machine", sa.String(length=120)),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cn_programme")),
    )
    op.create_index("ix_cn_programme_machine_name", "cn_programme", ["machine", "name"], unique=True)
    op.create_index(op.f("ix_cn_programme_changed_at"), "cn_programme", ["changed_at"])
    op.create_table(
        "cn_version",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("programme_id", types.BigId, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", types.BigId, nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("reading", types.Json, nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("decided_at", types.UtcDateTime()),
        sa.Column("decided_by", sa.String(length=120)),
        sa.ForeignKeyConstraint(["programme_id"], ["cn_programme.id"], name=op.f("fk_cn_version_programme_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cn_version")),
        sa.UniqueConstraint("programme_id", "number", name=op.f("uq_cn_version_programme_id_number")),
    )
    op.create_index("ix_cn_version_sha256", "cn_version", ["sha256"])
    op.create_table(
        "cn_transfer",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("programme_id", types.BigId),
        sa.Column("version_id", types.BigId),
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("agent", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("asked_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("published_at", types.UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("told_at", types.UtcDateTime()),
        sa.ForeignKeyConstraint(["programme_id"], ["cn_programme.id"], name=op.f("fk_cn_transfer_programme_id")),
        sa.ForeignKeyConstraint(["version_id"], ["cn_version.id"], name=op.f("fk_cn_transfer_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cn_transfer")),
    )
    op.create_index("ix_cn_transfer_machine_name", "cn_transfer", ["machine", "name", "asked_at"])
    op.create_index(op.f("ix_cn_transfer_programme_id"), "cn_transfer", ["programme_id"])
    op.create_index(op.f("ix_cn_transfer_state"), "cn_transfer", ["state"])


def downgrade() -> None:
    for table in ("cn_transfer", "cn_version", "cn_programme"):
        op.drop_table(table)
