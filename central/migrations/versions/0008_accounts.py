"""Persons sign in: accounts, roles, exceptions, sessions, second factors; who opened a shared terminal.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from central.core import types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.add_column(sa.Column("left_at", types.UtcDateTime(), nullable=True))

    op.create_table(
        "sign_in",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("browser", sa.String(length=120), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in")),
    )

    with op.batch_alter_table("sign_in", schema=None) as batch_op:
        batch_op.create_index("ix_sign_in_address_at", ["address", "at"], unique=False)
        batch_op.create_index(batch_op.f("ix_sign_in_at"), ["at"], unique=False)
        batch_op.create_index("ix_sign_in_person_at", ["person", "at"], unique=False)

    op.create_table(
        "account",
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=True),
        sa.Column("password", sa.String(length=200), nullable=True),
        sa.Column("owner", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("password_at", types.UtcDateTime(), nullable=True),
        sa.Column("totp", sa.LargeBinary(), nullable=True),
        sa.Column("totp_confirmed", sa.Boolean(), nullable=False),
        sa.Column("totp_step", sa.BigInteger(), nullable=False),
        sa.Column("pin", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_account_person")),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )

    op.create_table(
        "account_exception",
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("module", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=12), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"], ["account.person"], name=op.f("fk_account_exception_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person", "module", "action", name=op.f("pk_account_exception")),
    )

    op.create_table(
        "account_link",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"], ["account.person"], name=op.f("fk_account_link_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_account_link")),
    )

    op.create_table(
        "account_machine",
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("since", types.UtcDateTime(), nullable=False),
        sa.Column("until", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person"], ["account.person"], name=op.f("fk_account_machine_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person", "machine", "since", name=op.f("pk_account_machine")),
    )

    op.create_table(
        "account_operation",
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("operation", sa.String(length=120), nullable=False),
        sa.Column("how", sa.String(length=8), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"], ["account.person"], name=op.f("fk_account_operation_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person", "operation", name=op.f("pk_account_operation")),
    )

    op.create_table(
        "account_role",
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"], ["account.person"], name=op.f("fk_account_role_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person", "role", name=op.f("pk_account_role")),
    )

    op.create_table(
        "account_session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("strong", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("seen_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("browser", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"], ["account.person"], name=op.f("fk_account_session_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_session")),
    )

    with op.batch_alter_table("account_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_session_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_account_session_person"), ["person"], unique=False)

    op.create_table(
        "passkey",
        sa.Column("id", sa.String(length=1400), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("used_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["account.person"], name=op.f("fk_passkey_person"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
    )

    with op.batch_alter_table("passkey", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passkey_person"), ["person"], unique=False)

    op.create_table(
        "post_session",
        sa.Column("post", sa.String(length=120), nullable=False),
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("opened_at", types.UtcDateTime(), nullable=False),
        sa.Column("until", types.UtcDateTime(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"], ["account.person"], name=op.f("fk_post_session_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("post", "person", name=op.f("pk_post_session")),
    )

    op.create_table(
        "recovery_code",
        sa.Column("person", sa.String(length=120), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person"], ["account.person"], name=op.f("fk_recovery_code_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person", "hash", name=op.f("pk_recovery_code")),
    )


def downgrade() -> None:
    op.drop_table("recovery_code")
    op.drop_table("post_session")
    with op.batch_alter_table("passkey", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_passkey_person"))
    op.drop_table("passkey")
    with op.batch_alter_table("account_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_session_person"))
        batch_op.drop_index(batch_op.f("ix_account_session_expires_at"))
    op.drop_table("account_session")
    op.drop_table("account_role")
    op.drop_table("account_operation")
    op.drop_table("account_machine")
    op.drop_table("account_link")
    op.drop_table("account_exception")
    op.drop_table("account")
    with op.batch_alter_table("sign_in", schema=None) as batch_op:
        batch_op.drop_index("ix_sign_in_person_at")
        batch_op.drop_index(batch_op.f("ix_sign_in_at"))
        batch_op.drop_index("ix_sign_in_address_at")
    op.drop_table("sign_in")
    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.drop_column("left_at")
