"""The database: SQLite by default, PostgreSQL by URL; one writer, commits as durable as an agent's outbox."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Insert, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine


class DatabaseBusy(RuntimeError):
    """Another centre writes to this database."""


class Database:
    """Engine, sessions and the single writer.

    SQLite has one writer by nature: `write()` takes a lock and opens ``BEGIN IMMEDIATE``, `read()` does not
    wait for it (WAL).
    PostgreSQL keeps the same discipline for the inbox, so both behave alike.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine: AsyncEngine = _engine(url)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, autoflush=False)
        self._writer = asyncio.Lock()
        self._lock: Any = None
        self._locks = False
        """Whether the start lock was asked for, and must be held again after an outage."""

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that must not write."""
        async with self._sessions() as session:
            if self.is_sqlite:
                await session.execute(text("BEGIN"))
            yield session
            await session.rollback()

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """The one writing transaction; commits at the end, rolls back on any exception."""
        async with self._writer, self._sessions() as session:
            if self.is_sqlite:
                await session.execute(text("BEGIN IMMEDIATE"))
            try:
                yield session
                await session.commit()
            except BaseException:
                await session.rollback()
                raise

    async def take_start_lock(self) -> None:
        """Refuse a second centre on the same database. Held until `close()` or the end of the process, a kill included.

        Raises `DatabaseBusy` with the sentence to show.
        """
        if self.is_sqlite:
            self._locks = True
            self._lock = _lock_file(Path(self.url.partition(":///")[2] + ".lock"))
            return
        connection = await self.engine.connect()
        taken = await connection.scalar(text("SELECT pg_try_advisory_lock(hashtext('copeau.centre'))"))
        await connection.commit()
        if not taken:
            await connection.close()
            raise DatabaseBusy("another Copeau centre already runs on this PostgreSQL database; stop it first")
        self._lock = connection
        self._locks = True

    async def probe(self) -> None:
        """Raise SQLAlchemy's DBAPIError while nothing can be written; take the start lock again when it was lost with
        its connection (then `DatabaseBusy` means that another centre was faster).
        """
        if self.is_sqlite:
            async with self.write() as session:
                version = await session.scalar(text("PRAGMA user_version"))
                await session.execute(text(f"PRAGMA user_version = {version}"))
            return
        if self._locks:
            await self.keep_start_lock()
        async with self.write() as session:
            await session.execute(text("SELECT pg_current_xact_id()"))

    async def keep_start_lock(self) -> None:
        """Take the start lock again when it went with its connection (PostgreSQL restarted). Raises `DatabaseBusy` when
        another centre was faster.
        """
        if self.is_sqlite:
            return
        if isinstance(self._lock, AsyncConnection):
            try:
                await self._lock.scalar(text("SELECT 1"))
                await self._lock.commit()
                return
            except DBAPIError:
                await self._lock.invalidate()
                await self._lock.close()
                self._lock = None
                await self.engine.dispose()
        await self.take_start_lock()

    async def check_durability(self) -> None:
        """Commits must be as durable as what the agents promise. Raises RuntimeError saying which setting is weaker."""
        async with self.engine.connect() as connection:
            if self.is_sqlite:
                level = await connection.scalar(text("PRAGMA synchronous"))
                if level != 2:
                    raise RuntimeError(f"SQLite synchronous is {level}, expected 2 (FULL)")
                return
            for name in ("synchronous_commit", "fsync"):
                value = await connection.scalar(text(f"SHOW {name}"))
                if value not in {"on", "remote_write", "remote_apply", "local"}:
                    raise RuntimeError(
                        f"PostgreSQL {name} is {value!r}: facts would be acknowledged before they are on disk;"
                        " set it to on"
                    )

    async def close(self) -> None:
        if isinstance(self._lock, AsyncConnection):
            await self._lock.close()
        elif self._lock is not None:
            self._lock.close()
        self._lock = None
        self._locks = False
        await self.engine.dispose()


_SQLITE_OUTAGES = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_CORRUPT")
_POSTGRES_OUTAGES = ("08", "25006", "53", "57", "58")
"""SQLSTATE: connection, read only, no resources (disk full), shutdown, system error."""


def is_outage(error: BaseException) -> bool:
    """Whether the database itself failed (gone, full, locked, read only), rather than what was asked of it."""
    if isinstance(error, OSError | PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorname", None)
    if code is not None:
        return str(code).startswith(_SQLITE_OUTAGES)
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_POSTGRES_OUTAGES)
    return isinstance(error, OperationalError | InterfaceError)


def insert_ignore(session: AsyncSession, table: Table, values: Sequence[dict[str, Any]]) -> Insert:
    """``INSERT … ON CONFLICT DO NOTHING`` in the session's dialect; add ``.returning(…)`` to learn which rows are
    new.
    """
    dialect = session.get_bind().dialect.name
    module = postgresql if dialect == "postgresql" else sqlite
    return module.insert(table).values(values).on_conflict_do_nothing()  # type: ignore[no-any-return]  # two dialects' Insert


def _engine(url: str) -> AsyncEngine:
    if not url.startswith("sqlite"):
        return create_async_engine(
            url.replace("postgresql://", "postgresql+psycopg://", 1),
            pool_pre_ping=True,
            pool_size=8,
            connect_args={"connect_timeout": 5, "options": "-c synchronous_commit=on"},
        )
    path = url.partition(":///")[2]
    if path not in {"", ":memory:"}:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url.replace("sqlite://", "sqlite+aiosqlite://", 1), connect_args={"timeout": 30})
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: `write()` says BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA cache_size=-65536")
    cursor.close()


def _lock_file(path: Path) -> sqlite3.Connection:
    """An exclusive lock that the kernel drops with the process, held through a tiny SQLite file beside the database."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise DatabaseBusy(f"another Copeau centre already runs on {path.with_suffix('')}; stop it first") from error
    return connection
