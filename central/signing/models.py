"""Signatures: the very text that was signed, and its hash. Rows are only ever added."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import DDL, ForeignKey, Index, String, Text, event
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, UtcDateTime


class Signature(Base):
    """One person's signature of one operation. Whether the books still agree with it is computed, never stored."""

    __tablename__ = "signature"
    __table_args__ = (Index("ix_signature_operation_at", "operation", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("audit_entry.id"), unique=True)
    """Its line of the journal."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    operation: Mapped[str] = mapped_column(String(120))
    person: Mapped[str] = mapped_column(String(120), index=True)
    meaning: Mapped[str] = mapped_column(String(12))
    """`central.signing.rules.Meaning`."""
    text: Mapped[str] = mapped_column(Text)
    """Canonical JSON, as it was hashed."""
    hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 of `text`, hexadecimal."""


_SAYS: Final = "signatures are append-only"
APPEND_ONLY: Final[dict[str, tuple[str, ...]]] = {
    "sqlite": tuple(
        f"CREATE TRIGGER IF NOT EXISTS signature_no_{verb} BEFORE {verb} ON signature "
        f"BEGIN SELECT RAISE(ABORT, '{_SAYS}'); END"
        for verb in ("update", "delete")
    ),
    "postgresql": (
        f"""CREATE OR REPLACE FUNCTION copeau_signatures() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{_SAYS}'; END $$""",
        """CREATE OR REPLACE TRIGGER signature_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON signature
            FOR EACH STATEMENT EXECUTE FUNCTION copeau_signatures()""",
    ),
}
"""Triggers, by dialect. Who drops them is found by `central.signing.verifying`."""

_TABLE: Final[Any] = Signature.__table__
for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        _ddl = DDL(_statement.replace("%", "%%"))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
        event.listen(_TABLE, "after_create", _ddl.execute_if(dialect=_dialect))
