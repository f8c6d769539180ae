"""What sources said, the append-only ledger, the links between both, and what waits for a person.

Observations are never changed; movements are never changed (triggers refuse it); links and proposals are
recomputed. `levels` is a projection of the ledger and can be rebuilt at any time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DDL, BigInteger, ForeignKey, Index, String, UniqueConstraint, event, text
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, Json, Milli, UtcDateTime

NO_PLACE = 0
"""Place of what nobody could place; a real id is never 0."""

SEEN = text("nature IN ('read', 'there', 'ask')")
"""What only cameras say of places. Queries say it word for word, so that both databases use the partial indexes."""


class Observation(Base):
    """One saying of one source about one item."""

    __tablename__ = "stock_observations"
    __table_args__ = (
        Index("ix_stock_observations_item_at", "item_id", "at"),
        Index("ix_stock_observations_item_operation", "item_id", "operation"),
        Index("ix_stock_observations_seen", "item_id", "place_id", sqlite_where=SEEN, postgresql_where=SEEN),
        Index("ix_stock_observations_seen_at", "place_id", "at", sqlite_where=SEEN, postgresql_where=SEEN),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(160), unique=True)
    """What makes two sayings the same: ``fact:<id>``, or the key that the caller gave."""
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    place_id: Mapped[int] = mapped_column(BigInteger, default=NO_PLACE)
    nature: Mapped[str] = mapped_column(String(8))
    """``move``, ``count`` (``qty`` is what lies there), ``receipt``; of a camera also ``ask`` (it cannot say how much),
    ``read`` and ``there`` (absolute: how much, or only whether something, lies there).
    """
    source: Mapped[str] = mapped_column(String(16))
    channel: Mapped[str] = mapped_column(String(80))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    qty: Mapped[int] = mapped_column(Milli)
    operation: Mapped[str | None] = mapped_column(String(120))
    person: Mapped[str | None] = mapped_column(String(120))
    post: Mapped[str | None] = mapped_column(String(120))
    confidence: Mapped[float] = mapped_column(default=1.0)
    review: Mapped[bool] = mapped_column(default=False)
    session: Mapped[str | None] = mapped_column(String(120))
    count_before: Mapped[int | None] = mapped_column(Milli)
    """What the camera counted in the place, in thousandths like `qty`."""
    count_after: Mapped[int | None] = mapped_column(Milli)
    during_absence: Mapped[bool] = mapped_column(default=False)
    uncertain: Mapped[bool] = mapped_column(default=False)
    model: Mapped[str | None] = mapped_column(String(120))
    reason: Mapped[str | None] = mapped_column(String(12))
    """Why an ``ask`` asks."""


class Comment(Base):
    """A free comment, in its own row so that it can be erased."""

    __tablename__ = "stock_comments"

    observation_id: Mapped[int] = mapped_column(ForeignKey("stock_observations.id"), primary_key=True)
    text: Mapped[str] = mapped_column(String(2000))


class Sight(Base):
    """What a camera gave with a saying: its pictures' name (`central.racks` keeps them), its reason, the transfer."""

    __tablename__ = "stock_sights"
    __table_args__ = (Index("ix_stock_sights_rack_at", "rack", "at"),)

    observation_id: Mapped[int] = mapped_column(ForeignKey("stock_observations.id"), primary_key=True)
    crops: Mapped[str | None] = mapped_column(String(32))
    why: Mapped[str] = mapped_column(String(2000), default="")
    transfer: Mapped[str | None] = mapped_column(String(120))
    """The other place, when one item went from one place to another in one session."""
    misplaced: Mapped[bool] = mapped_column(default=False)
    """The other place belongs to another item."""
    blank: Mapped[bool] = mapped_column(default=False)
    """The camera was sure; its rack is not trusted with this class yet."""
    rack: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    """As the observation's."""


class Charge(Base):
    """Who took it and for what, joined by `central.work` in event time. A link beside the observation, never in it."""

    __tablename__ = "stock_charges"

    observation_id: Mapped[int] = mapped_column(ForeignKey("stock_observations.id"), primary_key=True)
    person: Mapped[str | None] = mapped_column(String(120), index=True)
    operation: Mapped[str | None] = mapped_column(String(120), index=True)
    """Null: à imputer."""
    how: Mapped[str] = mapped_column(String(10))
    """``badge``, ``planned``, ``hand`` or ``none``."""
    likely: Mapped[list[str]] = mapped_column(Json)
    """Operations that may have been it, of those who may have taken it."""
    by: Mapped[str | None] = mapped_column(String(120))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Movement(Base):
    """A row of the ledger. The rows of one `event` add up to what that event moved."""

    __tablename__ = "stock_movements"
    __table_args__ = (
        Index("ix_stock_movements_item_at", "item_id", "at"),
        Index("ix_stock_movements_event", "event"),
        Index("ix_stock_movements_at", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    event: Mapped[str] = mapped_column(String(40))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    place_id: Mapped[int] = mapped_column(BigInteger, default=NO_PLACE)
    qty: Mapped[int] = mapped_column(Milli)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(12))
    """``pick``, ``return``, ``receipt``, ``adjust`` (a count) or ``compensate`` (a late re-pairing, a decision)."""
    operation: Mapped[str | None] = mapped_column(String(120))
    person: Mapped[str | None] = mapped_column(String(120))
    uncertain: Mapped[bool] = mapped_column(default=False)


class Link(Base):
    """`qty` of this observation tells of this event."""

    __tablename__ = "stock_links"
    __table_args__ = (UniqueConstraint("observation_id", "event"), Index("ix_stock_links_event", "event"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    observation_id: Mapped[int] = mapped_column(ForeignKey("stock_observations.id"))
    event: Mapped[str] = mapped_column(String(40))
    qty: Mapped[int] = mapped_column(Milli)


class Proposal(Base):
    """Something that a person should decide, in one tap."""

    __tablename__ = "stock_proposals"
    __table_args__ = (
        Index("ix_stock_proposals_state", "state", "at"),
        Index("ix_stock_proposals_item", "item_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(8))
    """``doubt``, ``pairing``, ``ecart``, ``unplaced``, ``ask`` (combien ?), ``read`` (a reading differs), ``former``
    (booked where another item is read now), or ``contest`` (« Pas ça » was said of an automatic saying, which is a
    doubt since).
    """
    state: Mapped[str] = mapped_column(String(10))
    """``open``, ``confirmed``, ``corrected``, ``refused``, or ``settled`` (later facts answered it)."""
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    place_id: Mapped[int] = mapped_column(BigInteger, default=NO_PLACE)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    qty: Mapped[int] = mapped_column(Milli)
    """What is in doubt: the movement (doubt), a second movement (pairing), the difference (écart)."""
    observation_id: Mapped[int] = mapped_column(ForeignKey("stock_observations.id"))
    other_id: Mapped[int | None] = mapped_column(ForeignKey("stock_observations.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(120))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_qty: Mapped[int | None] = mapped_column(Milli)
    undone: Mapped[int] = mapped_column(default=0)
    """How often a decision was taken back."""


class Level(Base):
    """Projection: what the ledger adds up to, and what open doubts would change."""

    __tablename__ = "stock_levels"

    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    place_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    qty: Mapped[int] = mapped_column(Milli, default=0)
    pending: Mapped[int] = mapped_column(Milli, default=0)
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The first time of anything known about this item at this place."""


_REFUSED = "the stock ledger is append-only"
_KEPT = "id, event, item_id, place_id, qty, at, recorded_at, kind, operation, uncertain"
"""Everything of a movement but the person, whose link to it is cut one day (`central.privacy`)."""
APPEND_ONLY_SQLITE = (
    f"""CREATE TRIGGER IF NOT EXISTS stock_movements_no_UPDATE BEFORE UPDATE OF {_KEPT} ON stock_movements
        BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END""",
    f"""CREATE TRIGGER IF NOT EXISTS stock_movements_forget_only BEFORE UPDATE OF person ON stock_movements
        WHEN NEW.person IS NOT NULL BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END""",
    f"""CREATE TRIGGER IF NOT EXISTS stock_movements_no_DELETE BEFORE DELETE ON stock_movements
        BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END""",
)
APPEND_ONLY_POSTGRESQL = (
    f"""CREATE OR REPLACE FUNCTION copeau_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$""",
    """CREATE OR REPLACE TRIGGER stock_movements_append_only BEFORE DELETE OR TRUNCATE ON stock_movements
       FOR EACH STATEMENT EXECUTE FUNCTION copeau_append_only()""",
    """CREATE OR REPLACE TRIGGER stock_movements_forget_only BEFORE UPDATE ON stock_movements FOR EACH ROW
       WHEN (NEW.person IS NOT NULL
             OR to_jsonb(NEW.*) - 'person'::text IS DISTINCT FROM to_jsonb(OLD.*) - 'person'::text)
       EXECUTE FUNCTION copeau_append_only()""",
)
"""Run where the ledger is created, and by migration 0010 where it stands already."""


def _listen(statement: str, dialect: str) -> None:
    table: Any = Movement.__table__
    ddl = DDL(statement)  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


for _statement in APPEND_ONLY_SQLITE:
    _listen(_statement, "sqlite")
for _statement in APPEND_ONLY_POSTGRESQL:
    _listen(_statement, "postgresql")
