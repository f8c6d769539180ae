"""Many rows in one statement, in the dialect of the session.

PostgreSQL takes them as arrays (``unnest``), one round trip and one plan for a thousand rows; SQLite steps one
prepared statement.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlalchemy.types import JSON

from central.core.types import Base

_FEW = 8
"""Up to here the ordinary statement is as fast, and takes any type."""


async def insert_new(session: AsyncSession, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert what is not there yet; rows with a known unique key are left alone (a fact applied twice is harmless).

    All rows name the same columns.
    """
    if rows:
        await _write(session, _table(model), rows, update=False)


async def upsert(session: AsyncSession, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert, or replace the columns given of the row with the same primary key.

    All rows name the same columns, each primary key once.
    """
    if rows:
        await _write(session, _table(model), rows, update=True)


async def _write(session: AsyncSession, table: Table, rows: Sequence[dict[str, Any]], *, update: bool) -> None:
    names = tuple(rows[0])
    is_postgres = session.get_bind().dialect.name == "postgresql"
    if is_postgres and len(rows) > _FEW and not any(isinstance(c.type, JSON) for c in table.c):
        defaults = {
            c.name: c.default.arg
            for c in table.c
            if c.name not in names and isinstance(c.default, ScalarElementColumnDefault)
        }
        columns = [[row[name] for row in rows] for name in names] + [[value] * len(rows) for value in defaults.values()]
        statement = _unnest(table, names + tuple(defaults), update=update)
        await (await session.connection()).exec_driver_sql(statement, tuple(columns))
        return
    statement = (postgresql if is_postgres else sqlite).insert(table)
    if not update:
        await session.execute(statement.on_conflict_do_nothing(), list(rows))
        return
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in names if name not in keys}
    await session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(rows))


@functools.cache
def _unnest(table: Table, names: tuple[str, ...], *, update: bool) -> str:
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in names)
    arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect)}[]" for name in names)
    keys = [column.name for column in table.primary_key]
    conflict = "DO NOTHING"
    if update:
        changed = ", ".join(f"{quote(n)} = EXCLUDED.{quote(n)}" for n in names if n not in keys)
        conflict = f"({', '.join(map(quote, keys))}) DO UPDATE SET {changed}"
    return f"INSERT INTO {quote(table.name)} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT {conflict}"  # noqa: S608  # names of our own tables


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table
