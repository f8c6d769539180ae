"""The journal becomes a chain: what was written before is chained in its order, its free texts go into their own rows.

The ledger lets the link between a movement and a person be cut, and nothing else; runs of the retention table.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

from central.audit.models import APPEND_ONLY
from central.core import types
from central.stock.models import APPEND_ONLY_POSTGRESQL, APPEND_ONLY_SQLITE

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_FREE = ("comment",)
"""Keys of a detail that hold what a person typed."""
_REFUSED = "the stock ledger is append-only"
_FORMER_SQLITE = tuple(
    f"CREATE TRIGGER stock_movements_no_{verb} BEFORE {verb} ON stock_movements "
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
    for verb in ("UPDATE", "DELETE")
)
_FORMER_POSTGRESQL = (
    """CREATE TRIGGER stock_movements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stock_movements
       FOR EACH STATEMENT EXECUTE FUNCTION copeau_append_only()""",
)


def upgrade() -> None:
    _tables()
    _chain()
    _triggers()
    _ledger(APPEND_ONLY_SQLITE, APPEND_ONLY_POSTGRESQL)
    op.create_table(
        "retention_run",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("rule", sa.String(24), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_run")),
    )
    op.create_index("ix_retention_run_rule_at", "retention_run", ["rule", "at"])
    op.create_table(
        "automation_setting",
        sa.Column("act", sa.String(24), nullable=False),
        sa.Column("mode", sa.String(10), nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("act", name=op.f("pk_automation_setting")),
    )


def downgrade() -> None:
    op.drop_table("automation_setting")
    op.drop_table("retention_run")
    _ledger(_FORMER_SQLITE, _FORMER_POSTGRESQL)
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for name in connection.scalars(
            sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit_%'")
        ).all():
            op.execute(f"DROP TRIGGER {name}")
    rows = _rows("audit_entry")
    notes = {(row["entry_id"], row["name"]): row["text"] for row in _rows("audit_note")}
    op.drop_table("audit_anchor")
    op.drop_table("audit_note")
    op.drop_table("audit_entry")
    if connection.dialect.name == "postgresql":
        op.execute("DROP FUNCTION copeau_journal()")
    former = _former()
    for row in rows:
        detail = json.loads(row["detail"])
        for name, value in detail.items():
            if isinstance(value, dict) and set(value) == {"sealed"}:
                detail[name] = notes.get((row["id"], name)) or ""
        kept = {key: row[key] for key in ("id", "at", "who", "what", "subject")}
        connection.execute(former.insert().values(**kept, detail=detail))
    if rows and connection.dialect.name == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('audit_entry', 'id'), (SELECT max(id) FROM audit_entry))")


def _tables() -> None:
    op.rename_table("audit_entry", "audit_entry_former")
    for name in ("ix_audit_entry_at", "ix_audit_entry_subject_at"):
        op.drop_index(name, "audit_entry_former")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE audit_entry_former RENAME CONSTRAINT pk_audit_entry TO pk_audit_entry_former")
    op.create_table(
        "audit_entry",
        sa.Column("id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("who", sa.String(120), nullable=False),
        sa.Column("what", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"])
    for column in ("subject", "who", "what"):
        op.create_index(f"ix_audit_entry_{column}_at", "audit_entry", [column, "at"])
    op.create_table(
        "audit_note",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("entry_id", types.BigId, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("salt", sa.String(32)),
        sa.Column("text", sa.Text()),
        sa.Column("erased_by", types.BigId),
        sa.ForeignKeyConstraint(["entry_id"], ["audit_entry.id"], name=op.f("fk_audit_note_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_note")),
        sa.UniqueConstraint("entry_id", "name", name=op.f("uq_audit_note_entry_id_name")),
    )
    op.create_table(
        "audit_anchor",
        sa.Column("entry_id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_anchor")),
    )


def _chain() -> None:
    """As `central.audit.rules` has it, frozen here."""
    connection = op.get_bind()
    entry = sa.table(
        "audit_entry",
        sa.column("id", types.BigId), sa.column("at", types.UtcDateTime()), sa.column("who", sa.String),
        sa.column("what", sa.String), sa.column("subject", sa.String), sa.column("detail", sa.Text),
        sa.column("hash", sa.String),
    )  # fmt: skip
    note = sa.table(
        "audit_note", *(sa.column(name, sa.Text) for name in ("name", "salt", "text")), sa.column("entry_id")
    )
    before = "0" * 64
    for number, row in enumerate(_rows("audit_entry_former", with_json=True), 1):
        detail = row["detail"] if isinstance(row["detail"], dict) else {}
        notes = {}
        for name in _FREE:
            if isinstance(detail.get(name), str) and detail[name]:
                salt, text = secrets.token_hex(16), detail[name]
                notes[name] = (salt, text)
                sealed = hashlib.sha256(b"copeau journal note 1\n" + _canonical([salt, text]).encode()).hexdigest()
                detail = detail | {name: {"sealed": sealed}}
        said = _canonical(detail)
        at = (row["at"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        covered = _canonical([before, number, at, row["who"], row["what"], row["subject"], said])
        before = hashlib.sha256(b"copeau journal 1\n" + covered.encode()).hexdigest()
        kept = {key: row[key] for key in ("at", "who", "what", "subject")}
        connection.execute(entry.insert().values(id=number, detail=said, hash=before, **kept))
        for name, (salt, text) in notes.items():
            connection.execute(note.insert().values(entry_id=number, name=name, salt=salt, text=text))
    op.drop_table("audit_entry_former")


def _ledger(sqlite: tuple[str, ...], postgresql: tuple[str, ...]) -> None:
    """Other triggers on the stock ledger."""
    if op.get_bind().dialect.name == "sqlite":
        for name in ("no_UPDATE", "no_DELETE", "forget_only"):
            op.execute(f"DROP TRIGGER IF EXISTS stock_movements_{name}")
    else:
        for name in ("append_only", "forget_only"):
            op.execute(f"DROP TRIGGER IF EXISTS stock_movements_{name} ON stock_movements")
    for statement in sqlite if op.get_bind().dialect.name == "sqlite" else postgresql:
        op.execute(statement)


def _triggers() -> None:
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def _rows(table: str, *, with_json: bool = False) -> list[dict[str, Any]]:
    """In the order of their ids."""
    columns = {
        "audit_entry": ("id", "at", "who", "what", "subject", "detail"),
        "audit_entry_former": ("id", "at", "who", "what", "subject", "detail"),
        "audit_note": ("id", "entry_id", "name", "text"),
    }[table]
    kinds: dict[str, Any] = {"at": types.UtcDateTime(), "detail": types.Json if with_json else sa.Text()}
    found = sa.table(table, *(sa.column(name, kinds.get(name)) for name in columns))
    return [dict(row) for row in op.get_bind().execute(sa.select(found).order_by(found.c.id)).mappings()]


def _former() -> sa.Table:
    made = op.create_table(
        "audit_entry",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("who", sa.String(120), nullable=False),
        sa.Column("what", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("detail", types.Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"])
    op.create_index("ix_audit_entry_subject_at", "audit_entry", ["subject", "at"])
    assert made is not None
    return made


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
