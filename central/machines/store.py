"""Upserts of many rows in the dialect of the session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from central.core.types import Base


async def insert_new(session: AsyncSession, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert what is not there yet; rows with a known primary key are left alone (a fact applied twice is harmless)."""
    if rows:
        await session.execute(_dialect(session).insert(_table(model)).on_conflict_do_nothing(), list(rows))


async def upsert(session: AsyncSession, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert, or replace the columns given of the row with the same primary key. All rows name the same columns."""
    if not rows:
        return
    table = _table(model)
    keys = [column.name for column in table.primary_key]
    statement = _dialect(session).insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    await session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(rows))


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


def _dialect(session: AsyncSession) -> Any:
    return postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
