"""The journal: who did what, as a chain; texts that may be erased, beside it; the anchors. Rows are only ever added."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import DDL, ForeignKey, Index, String, Text, UniqueConstraint, event
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, UtcDateTime


class AuditEntry(Base):
    """One act. `hash` covers every column and the hash of the entry before (`central.audit.rules`)."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_subject_at", "subject", "at"),
        Index("ix_audit_entry_who_at", "who", "at"),
        Index("ix_audit_entry_what_at", "what", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    """1, 2, 3 …: a hole is an entry that somebody took away."""
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    who: Mapped[str] = mapped_column(String(120))
    """Opaque person id, ``device:<agent>``, ``page`` (a demo without log-in) or ``system``."""
    what: Mapped[str] = mapped_column(String(64))
    """A verb of the feature, for example ``work.clock``."""
    subject: Mapped[str] = mapped_column(String(160))
    detail: Mapped[str] = mapped_column(Text)
    """Canonical JSON, the very text that was hashed: a JSON column would give other bytes back."""
    hash: Mapped[str] = mapped_column(String(64))
    """SHA-256, hexadecimal."""


class AuditNote(Base):
    """A text of an entry that names, or may name, somebody. The entry holds its salted hash; erasing leaves that."""

    __tablename__ = "audit_note"
    __table_args__ = (UniqueConstraint("entry_id", "name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("audit_entry.id"))
    name: Mapped[str] = mapped_column(String(40))
    """Key of the entry's detail."""
    salt: Mapped[str | None] = mapped_column(String(32))
    text: Mapped[str | None] = mapped_column(Text)
    erased_by: Mapped[int | None] = mapped_column(BigId)
    """The entry that says so; null while the text is there."""


class AuditAnchor(Base):
    """The end of the chain on one day, signed. A copy kept elsewhere proves what the journal was."""

    __tablename__ = "audit_anchor"

    entry_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    document: Mapped[str] = mapped_column(Text)
    """The signed line, as it is exported."""


_SAYS: Final = "the journal is append-only"
_ABORT: Final = f"BEGIN SELECT RAISE(ABORT, '{_SAYS}'); END"
_NOT_ERASING: Final = (
    "NEW.text IS NOT NULL OR NEW.salt IS NOT NULL OR OLD.erased_by IS NOT NULL OR NEW.erased_by IS NULL "
    "OR NEW.id <> OLD.id OR NEW.entry_id <> OLD.entry_id OR NEW.name <> OLD.name"
)
_SQLITE: Final = (
    f"CREATE TRIGGER IF NOT EXISTS audit_entry_no_update BEFORE UPDATE ON audit_entry {_ABORT}",
    f"CREATE TRIGGER IF NOT EXISTS audit_entry_no_delete BEFORE DELETE ON audit_entry {_ABORT}",
    f"CREATE TRIGGER IF NOT EXISTS audit_anchor_no_update BEFORE UPDATE ON audit_anchor {_ABORT}",
    f"CREATE TRIGGER IF NOT EXISTS audit_anchor_no_delete BEFORE DELETE ON audit_anchor {_ABORT}",
    f"CREATE TRIGGER IF NOT EXISTS audit_note_no_delete BEFORE DELETE ON audit_note {_ABORT}",
    f"CREATE TRIGGER IF NOT EXISTS audit_note_erase_only BEFORE UPDATE ON audit_note WHEN {_NOT_ERASING} {_ABORT}",
)
_REFUSES: Final = "FOR EACH STATEMENT EXECUTE FUNCTION copeau_journal()"
_POSTGRESQL: Final = (
    f"""CREATE OR REPLACE FUNCTION copeau_journal() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '{_SAYS}'; END $$""",
    f"""CREATE OR REPLACE TRIGGER audit_entry_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry {_REFUSES}""",
    f"""CREATE OR REPLACE TRIGGER audit_anchor_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_anchor {_REFUSES}""",
    f"CREATE OR REPLACE TRIGGER audit_note_append_only BEFORE DELETE OR TRUNCATE ON audit_note {_REFUSES}",
    f"""CREATE OR REPLACE TRIGGER audit_note_erase_only BEFORE UPDATE ON audit_note
        FOR EACH ROW WHEN ({_NOT_ERASING}) EXECUTE FUNCTION copeau_journal()""",
)
APPEND_ONLY: Final[dict[str, tuple[str, ...]]] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
"""Triggers, by dialect: an honest program cannot rewrite the journal by mistake. Who can drop them is found by the
chain.
"""


def _listen(statement: str, dialect: str) -> None:
    # after the last of the three tables
    table: Any = AuditNote.metadata
    ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        _listen(_statement, _dialect)
