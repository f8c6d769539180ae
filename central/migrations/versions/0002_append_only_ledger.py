"""The stock ledger refuses to be rewritten.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER stock_movements_no_{verb} BEFORE {verb} ON stock_movements "
                "BEGIN SELECT RAISE(ABORT, 'the stock ledger is append-only'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION copeau_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the stock ledger is append-only'; END $$"
    )
    op.execute(
        "CREATE OR REPLACE TRIGGER stock_movements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stock_movements "
        "FOR EACH STATEMENT EXECUTE FUNCTION copeau_append_only()"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(f"DROP TRIGGER stock_movements_no_{verb}")
        return
    op.execute("DROP TRIGGER stock_movements_append_only ON stock_movements")
    op.execute("DROP FUNCTION copeau_append_only()")
