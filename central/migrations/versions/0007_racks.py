"""Racks, their trust and their pictures; who a pick is charged to. Unencrypted pictures of observations are dropped.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from central.core import types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "planned_item",
        sa.Column("operation", sa.String(length=120), nullable=False),
        sa.Column("item", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("operation", "item", name=op.f("pk_planned_item")),
    )
    with op.batch_alter_table("planned_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_planned_item_item"), ["item"], unique=False)

    op.create_table(
        "rack",
        sa.Column("code", sa.String(length=120), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("agent", sa.String(length=63), nullable=True),
        sa.Column("mode", sa.String(length=12), nullable=False),
        sa.Column("mode_code", sa.String(length=120), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=True),
        sa.Column("crops", sa.String(length=32), nullable=True),
        sa.Column("since", types.UtcDateTime(), nullable=True),
        sa.Column("read_at", types.UtcDateTime(), nullable=True),
        sa.Column("model", sa.String(length=120), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_rack")),
    )
    op.create_table(
        "rack_command",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("agent", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("body", types.Json, nullable=False),
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("asked_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("published_at", types.UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("told_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rack_command")),
    )
    with op.batch_alter_table("rack_command", schema=None) as batch_op:
        batch_op.create_index("ix_rack_command_rack_at", ["rack", "asked_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_rack_command_state"), ["state"], unique=False)

    op.create_table(
        "rack_crops",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=True),
        sa.Column("after", sa.LargeBinary(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("agent", sa.String(length=63), nullable=True),
        sa.Column("observed_at", types.UtcDateTime(), nullable=False),
        sa.Column("received_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rack_crops")),
    )
    with op.batch_alter_table("rack_crops", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rack_crops_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "rack_crops_use",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("doubtful", sa.Boolean(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("recorded_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rack_crops_use")),
    )
    with op.batch_alter_table("rack_crops_use", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rack_crops_use_rack"), ["rack"], unique=False)
        batch_op.create_index(batch_op.f("ix_rack_crops_use_recorded_at"), ["recorded_at"], unique=False)

    op.create_table(
        "rack_description",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("comment", sa.String(length=400), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rack_description")),
        sa.UniqueConstraint("rack", "number", name=op.f("uq_rack_description_rack_number")),
    )
    with op.batch_alter_table("rack_description", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rack_description_sha256"), ["sha256"], unique=False)

    op.create_table(
        "rack_mode",
        sa.Column("fact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("boot", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.String(length=12), nullable=False),
        sa.Column("code", sa.String(length=120), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=True),
        sa.Column("crops", sa.String(length=32), nullable=True),
        sa.Column("repeated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("fact_id", name=op.f("pk_rack_mode")),
    )
    with op.batch_alter_table("rack_mode", schema=None) as batch_op:
        batch_op.create_index("ix_rack_mode_rack_at", ["rack", "at"], unique=False)

    op.create_table(
        "rack_model",
        sa.Column("version", sa.String(length=120), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("note", sa.String(length=400), nullable=False),
        sa.Column("added_at", types.UtcDateTime(), nullable=False),
        sa.Column("added_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_rack_model")),
    )
    op.create_table(
        "rack_outcome",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("klass", sa.String(length=40), nullable=False),
        sa.Column("item", sa.String(length=120), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=True),
        sa.Column("crops", sa.String(length=32), nullable=True),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("sure", sa.Boolean(), nullable=False),
        sa.Column("right", sa.Boolean(), nullable=False),
        sa.Column("said", sa.BigInteger(), nullable=True),
        sa.Column("truth", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=12), nullable=True),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("decided_at", types.UtcDateTime(), nullable=False),
        sa.Column("decided_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rack_outcome")),
    )
    with op.batch_alter_table("rack_outcome", schema=None) as batch_op:
        batch_op.create_index("ix_rack_outcome_model", ["rack", "model"], unique=False)
        batch_op.create_index("ix_rack_outcome_trust", ["rack", "klass", "decided_at"], unique=False)

    op.create_table(
        "rack_purge",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("oldest", types.UtcDateTime(), nullable=True),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rack_purge")),
    )
    with op.batch_alter_table("rack_purge", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rack_purge_at"), ["at"], unique=False)

    op.create_table(
        "rack_rollout",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("version", sa.String(length=120), nullable=False),
        sa.Column("previous", sa.String(length=120), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.Column("why", sa.String(length=400), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rack_rollout")),
    )
    with op.batch_alter_table("rack_rollout", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rack_rollout_rack"), ["rack"], unique=False)

    op.create_table(
        "rack_slot",
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("item", sa.String(length=120), nullable=True),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("present", sa.Boolean(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("state_since", types.UtcDateTime(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("read_at", types.UtcDateTime(), nullable=True),
        sa.Column("read_id", sa.BigInteger(), nullable=False),
        sa.Column("believed", sa.Integer(), nullable=True),
        sa.Column("believed_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_rack_slot")),
    )
    with op.batch_alter_table("rack_slot", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rack_slot_rack"), ["rack"], unique=False)

    op.create_table(
        "rack_trust",
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("klass", sa.String(length=40), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("reset_at", types.UtcDateTime(), nullable=True),
        sa.Column("forced_at", types.UtcDateTime(), nullable=True),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("rack", "klass", name=op.f("pk_rack_trust")),
    )
    op.create_table(
        "stock_charges",
        sa.Column("observation_id", types.BigId, nullable=False),
        sa.Column("person", sa.String(length=120), nullable=True),
        sa.Column("operation", sa.String(length=120), nullable=True),
        sa.Column("how", sa.String(length=10), nullable=False),
        sa.Column("likely", types.Json, nullable=False),
        sa.Column("by", sa.String(length=120), nullable=True),
        sa.Column("decided_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["observation_id"], ["stock_observations.id"], name=op.f("fk_stock_charges_observation_id")
        ),
        sa.PrimaryKeyConstraint("observation_id", name=op.f("pk_stock_charges")),
    )
    with op.batch_alter_table("stock_charges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stock_charges_operation"), ["operation"], unique=False)
        batch_op.create_index(batch_op.f("ix_stock_charges_person"), ["person"], unique=False)

    op.create_table(
        "stock_sights",
        sa.Column("observation_id", types.BigId, nullable=False),
        sa.Column("crops", sa.String(length=32), nullable=True),
        sa.Column("why", sa.String(length=2000), nullable=False),
        sa.Column("transfer", sa.String(length=120), nullable=True),
        sa.Column("misplaced", sa.Boolean(), nullable=False),
        sa.Column("blank", sa.Boolean(), nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["observation_id"], ["stock_observations.id"], name=op.f("fk_stock_sights_observation_id")
        ),
        sa.PrimaryKeyConstraint("observation_id", name=op.f("pk_stock_sights")),
    )
    with op.batch_alter_table("stock_sights", schema=None) as batch_op:
        batch_op.create_index("ix_stock_sights_rack_at", ["rack", "at"], unique=False)

    op.drop_table("stock_evidence")
    with op.batch_alter_table("stock_observations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reason", sa.String(length=12), nullable=True))
        batch_op.create_index(
            "ix_stock_observations_seen",
            ["item_id", "place_id"],
            unique=False,
            sqlite_where=sa.text("nature IN ('read', 'there', 'ask')"),
            postgresql_where=sa.text("nature IN ('read', 'there', 'ask')"),
        )
        batch_op.create_index(
            "ix_stock_observations_seen_at",
            ["place_id", "at"],
            unique=False,
            sqlite_where=sa.text("nature IN ('read', 'there', 'ask')"),
            postgresql_where=sa.text("nature IN ('read', 'there', 'ask')"),
        )


def downgrade() -> None:
    with op.batch_alter_table("stock_observations", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_stock_observations_seen_at",
            sqlite_where=sa.text("nature IN ('read', 'there', 'ask')"),
            postgresql_where=sa.text("nature IN ('read', 'there', 'ask')"),
        )
        batch_op.drop_index(
            "ix_stock_observations_seen",
            sqlite_where=sa.text("nature IN ('read', 'there', 'ask')"),
            postgresql_where=sa.text("nature IN ('read', 'there', 'ask')"),
        )
        batch_op.drop_column("reason")

    op.create_table(
        "stock_evidence",
        sa.Column("observation_id", types.BigId, nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=True),
        sa.Column("after", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["observation_id"], ["stock_observations.id"], name=op.f("fk_stock_evidence_observation_id")
        ),
        sa.PrimaryKeyConstraint("observation_id", name=op.f("pk_stock_evidence")),
    )
    with op.batch_alter_table("stock_sights", schema=None) as batch_op:
        batch_op.drop_index("ix_stock_sights_rack_at")

    op.drop_table("stock_sights")
    with op.batch_alter_table("stock_charges", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stock_charges_person"))
        batch_op.drop_index(batch_op.f("ix_stock_charges_operation"))

    op.drop_table("stock_charges")
    op.drop_table("rack_trust")
    with op.batch_alter_table("rack_slot", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rack_slot_rack"))

    op.drop_table("rack_slot")
    with op.batch_alter_table("rack_rollout", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rack_rollout_rack"))

    op.drop_table("rack_rollout")
    with op.batch_alter_table("rack_purge", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rack_purge_at"))

    op.drop_table("rack_purge")
    with op.batch_alter_table("rack_outcome", schema=None) as batch_op:
        batch_op.drop_index("ix_rack_outcome_trust")
        batch_op.drop_index("ix_rack_outcome_model")

    op.drop_table("rack_outcome")
    op.drop_table("rack_model")
    with op.batch_alter_table("rack_mode", schema=None) as batch_op:
        batch_op.drop_index("ix_rack_mode_rack_at")

    op.drop_table("rack_mode")
    with op.batch_alter_table("rack_description", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rack_description_sha256"))

    op.drop_table("rack_description")
    with op.batch_alter_table("rack_crops_use", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rack_crops_use_recorded_at"))
        batch_op.drop_index(batch_op.f("ix_rack_crops_use_rack"))

    op.drop_table("rack_crops_use")
    with op.batch_alter_table("rack_crops", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rack_crops_expires_at"))

    op.drop_table("rack_crops")
    with op.batch_alter_table("rack_command", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rack_command_state"))
        batch_op.drop_index("ix_rack_command_rack_at")

    op.drop_table("rack_command")
    op.drop_table("rack")
    with op.batch_alter_table("planned_item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_planned_item_item"))

    op.drop_table("planned_item")
