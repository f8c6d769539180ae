"""Devices that may speak: one-time invitations, certificates, terminals' secrets.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from central.core import types

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fleet_devices",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("label", sa.String(120), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("enrolled_at", types.UtcDateTime()),
        sa.Column("seen_at", types.UtcDateTime()),
        sa.Column("retired_at", types.UtcDateTime()),
        sa.Column("secret_hash", sa.String(64)),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fleet_devices")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_fleet_devices_secret_hash")),
    )
    op.create_table(
        "fleet_invitations",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("used_at", types.UtcDateTime()),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_fleet_invitations")),
    )
    op.create_index(op.f("ix_fleet_invitations_device"), "fleet_invitations", ["device"])
    op.create_table(
        "fleet_certificates",
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("not_before", types.UtcDateTime(), nullable=False),
        sa.Column("not_after", types.UtcDateTime(), nullable=False),
        sa.Column("revoked_at", types.UtcDateTime()),
        sa.Column("why", sa.String(200), nullable=False),
        sa.Column("dropped_at", types.UtcDateTime()),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_fleet_certificates")),
    )
    op.create_index(op.f("ix_fleet_certificates_device"), "fleet_certificates", ["device"])
    with op.batch_alter_table("fleet_agents") as agents:
        agents.add_column(sa.Column("disk_free", sa.BigInteger()))
        agents.add_column(sa.Column("cert_until", types.UtcDateTime()))


def downgrade() -> None:
    with op.batch_alter_table("fleet_agents") as agents:
        agents.drop_column("cert_until")
        agents.drop_column("disk_free")
    op.drop_table("fleet_certificates")
    op.drop_table("fleet_invitations")
    op.drop_table("fleet_devices")
