"""Many rows of one model in one statement, see `central.core.bulk`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import JSON

from central.core.bulk import write_rows
from central.core.types import Base


async def insert_new(session: AsyncSession, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert what is not there yet; rows with a known unique key are left alone (a fact applied twice is harmless).

    All rows name the same columns.
    """
    if rows:
        await _write(session, table_of(model), rows, update=False)


async def upsert(session: AsyncSession, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert, or replace the columns given of the row with the same primary key.

    All rows name the same columns, each primary key once.
    """
    if rows:
        await _write(session, table_of(model), rows, update=True)


def table_of(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


async def _write(session: AsyncSession, table: Table, rows: Sequence[dict[str, Any]], *, update: bool) -> None:
    names = tuple(rows[0])
    keys = [column.name for column in table.primary_key]
    if any(isinstance(c.type, JSON) for c in table.c):
        await _write_any(session, table, rows, keys, update=update)
        return
    conflict = "DO NOTHING"
    if update:
        changed = ", ".join(f'"{n}" = excluded."{n}"' for n in names if n not in keys)
        conflict = f"({', '.join(keys)}) DO UPDATE SET {changed}"  # nosec B608  # names of our own tables
    await write_rows(session, table, names, [tuple(row.values()) for row in rows], conflict)


async def _write_any(
    session: AsyncSession, table: Table, rows: Sequence[dict[str, Any]], keys: list[str], *, update: bool
) -> None:
    """The ordinary statement, which takes any type."""
    is_postgres = session.get_bind().dialect.name == "postgresql"
    statement = (postgresql if is_postgres else sqlite).insert(table)
    if not update:
        await session.execute(statement.on_conflict_do_nothing(), list(rows))
        return
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    await session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(rows))
