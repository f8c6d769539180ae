"""Many rows in one statement, in the dialect of the session: what a batch of a thousand facts costs is decided here.

PostgreSQL takes the rows as arrays (``unnest``): one round trip, one plan. SQLite takes them as long ``VALUES`` lists:
its driver lets go of the interpreter at each step, and a step for each row would wait for the event loop each time.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Dialect, String, Table, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from central.core.types import UtcDateTime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTHS = (256, 64)
"""Rows of one SQLite statement: few, so that each is prepared once. What remains goes row by row, in one call."""


async def write_rows(
    session: AsyncSession, table: Table, names: tuple[str, ...], rows: Sequence[Sequence[Any]], conflict: str
) -> int:
    """Insert `rows` (values of `names`, times aware) and return how many were written.

    `conflict` is what follows ``ON CONFLICT``, for example ``DO NOTHING``. Columns with a plain default that are not
    named get it. No column may be JSON.
    """
    if not rows:
        return 0
    defaults = _defaults(table, names)
    connection = await session.connection()
    if session.get_bind().dialect.name == "postgresql":
        columns = [list(column) for column in zip(*rows, strict=True)]
        columns += [[value] * len(rows) for value in defaults.values()]
        sql = _unnest(table, names + tuple(defaults), conflict)
        return (await connection.exec_driver_sql(sql, tuple(columns))).rowcount
    every = names + tuple(defaults)
    width = len(every)
    more = list(defaults.values())
    flat: list[Any] = []
    for row in rows:
        flat += row
        flat += more
    for position in _times(table, names):
        flat[position::width] = [None if v is None else (v - _EPOCH) // _MICROSECOND for v in flat[position::width]]
    written, start = 0, 0
    for length in _LENGTHS:
        step = length * width
        while len(flat) - start >= step:
            sql = _values(table, every, conflict, length)
            written += (await connection.exec_driver_sql(sql, tuple(flat[start : start + step]))).rowcount
            start += step
    rest = [tuple(flat[at : at + width]) for at in range(start, len(flat), width)]
    if rest:
        written += (await connection.exec_driver_sql(_values(table, every, conflict, 1), rest)).rowcount
    return written


def among(session: AsyncSession, column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """``column IN (values)`` with the values as one parameter: a thousand of them cost no more to compile than one."""
    found: ColumnElement[bool]
    if session.get_bind().dialect.name == "postgresql":
        found = column == any_(bindparam(None, list(values), type_=ARRAY(String())))
    else:
        found = column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))
    return found


@functools.cache
def _defaults(table: Table, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        c.name: c.default.arg
        for c in table.c
        if c.name not in names and isinstance(c.default, ScalarElementColumnDefault)
    }


@functools.cache
def _times(table: Table, names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(index for index, name in enumerate(names) if isinstance(table.c[name].type, UtcDateTime))


@functools.cache
def _values(table: Table, names: tuple[str, ...], conflict: str, length: int) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    row = f"({', '.join('?' * len(names))})"
    return f'INSERT INTO "{table.name}" ({columns}) VALUES {", ".join([row] * length)} ON CONFLICT {conflict}'  # noqa: S608  # nosec B608  # names of our own tables


@functools.cache
def _unnest(table: Table, names: tuple[str, ...], conflict: str) -> str:
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    columns = ", ".join(f'"{name}"' for name in names)
    arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect)}[]" for name in names)
    return f'INSERT INTO "{table.name}" ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT {conflict}'  # noqa: S608  # nosec B608  # names of our own tables
