"""What can be moved, where it lies, and the texts by which both are known."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, Json, Milli, UtcDateTime

ItemClass: TypeAlias = Literal["insert", "drill", "endmill", "tool", "holder", "instrument", "ppe", "material", "other"]
Handling: TypeAlias = Literal["consume", "lend"]


class Place(Base):
    """A compartment, drawer, bin or zone. ``code`` is what sources say, for example ``rack-a/A1``."""

    __tablename__ = "places"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    code: Mapped[str] = mapped_column(String(120), unique=True)
    label: Mapped[str] = mapped_column(String(200), default="")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("places.id"))


class Item(Base):
    """An article of the stock. Quantities are thousandths of `unit`."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    code: Mapped[str] = mapped_column(String(120), unique=True)
    label: Mapped[str] = mapped_column(String(200))
    item_class: Mapped[str] = mapped_column(String(16))
    unit: Mapped[str] = mapped_column(String(16), default="pce")
    handling: Mapped[str] = mapped_column(String(8))
    """``consume`` (insert, EPI) or ``lend`` (tool, holder, instrument: owned, at a machine or a person)."""
    minimum: Mapped[int] = mapped_column(Milli, default=0)
    per_box: Mapped[int] = mapped_column(Milli, default=1000)
    place_id: Mapped[int | None] = mapped_column(ForeignKey("places.id"))
    """Where it usually lies: a saying without place is booked there."""


class Code(Base):
    """A text on a label (EAN, maker's reference, our own code) and the item or place that it names."""

    __tablename__ = "codes"

    text: Mapped[str] = mapped_column(String(120), primary_key=True)
    item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id"))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("places.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UnknownSaying(Base):
    """A fact that names something unknown, kept whole until somebody says what the code is."""

    __tablename__ = "unknown_sayings"
    __table_args__ = (Index("ix_unknown_sayings_open", "code", "settled_at"),)

    fact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(48))
    code: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    source_time: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    uncertain: Mapped[bool]
    site: Mapped[str] = mapped_column(String(64))
    agent: Mapped[str] = mapped_column(String(64))
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
