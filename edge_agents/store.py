"""The outbox's file: tables and SQL, one connection, no threads. Every method is a step of the caller's transaction.

A row's ``seq`` is its id less the `base` of its boot, so giving unsent rows a new boot rewrites none of them. Ids are
never used twice (AUTOINCREMENT) and have no gaps except where rows were deleted or thinned; a row that settles several
numbers carries its `span`.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from contracts.control import SETTLEMENTS
from contracts.envelope import STREAMS, Envelope, Stream
from edge_agents.clock import Moment, offset

SCHEMA_VERSION: Final = 1
WINDOW: Final = 2000
"""Rows that may be unacknowledged on the way. Rows farther than this beyond the ack were never sent."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ROWS = """
CREATE TABLE IF NOT EXISTS {stream} (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ts INTEGER NOT NULL, run TEXT NOT NULL, mono INTEGER NOT NULL, off INTEGER,
    kind TEXT NOT NULL, body BLOB NOT NULL, span INTEGER NOT NULL DEFAULT 0
);
"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boots (
    number INTEGER NOT NULL, stream TEXT NOT NULL, boot TEXT NOT NULL, base INTEGER NOT NULL,
    acked INTEGER NOT NULL DEFAULT 0, highest INTEGER NOT NULL DEFAULT 0, floor INTEGER,
    PRIMARY KEY (number, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (source TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, anchor INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acks (
    stream TEXT NOT NULL, at INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (stream, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aside (
    stream TEXT NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, body BLOB NOT NULL, why TEXT NOT NULL
);
"""


class NewerFileError(Exception):
    """A newer agent wrote this file."""


class MalformedError(Exception):
    """The file's content is damaged."""


class Row(NamedTuple):
    """A fact, stamped and encoded, on its way to the disk."""

    stream: Stream
    moment: Moment
    run: str
    off: int | None
    kind: str
    body: bytes


class Position(NamedTuple):
    """Where a stream of the present boot stands, in its own sequence numbers.

    `last`: newest row. `acked`: the centre's last word. `highest`: its highest word ever. `floor`: the newest row when
    the file was first opened since the centre was last heard; None once it was heard. `first`: oldest row kept or 0.
    """

    last: int
    acked: int
    highest: int
    floor: int | None
    first: int


class Store:
    """An open outbox file. Raises `sqlite3.Error` as it comes; the outbox gives it its meaning."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            self._prepare(max_bytes)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, max_bytes: int) -> None:
        execute = self._db.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        page = int(self._scalar("PRAGMA page_size"))
        self._max_pages = max(max_bytes // page, 64)
        # beyond the size at which facts are refused, SQLite keeps some room for acks and for thinning
        execute(f"PRAGMA max_page_count = {self._max_pages + self._max_pages // 20 + 64}")
        self._db.executescript(_SCHEMA + "".join(_ROWS.format(stream=stream) for stream in STREAMS))
        version = self.meta("schema")
        if version is not None and int(version) > SCHEMA_VERSION:
            raise NewerFileError(f"outbox schema {version}, this agent knows {SCHEMA_VERSION}")
        self.was_clean = self.meta("clean") != "0"
        if not self.was_clean and self._scalar("PRAGMA quick_check(1)") != "ok":
            raise MalformedError("quick_check found the file malformed")
        self.begin()
        self.set_meta("schema", str(SCHEMA_VERSION))
        self.set_meta("clean", "0")
        self._boots()
        self.commit()

    def _boots(self) -> None:
        if self._scalar("SELECT count(*) FROM boots") == 0:
            boot = secrets.token_hex(8)
            for stream in STREAMS:
                self._db.execute("INSERT INTO boots (number, stream, boot, base) VALUES (1, ?, ?, 0)", (stream, boot))
        self._load_boot()
        for stream in STREAMS:
            self._db.execute(
                "UPDATE boots SET floor = ? WHERE number = ? AND stream = ? AND floor IS NULL",
                (self.last_id(stream) - self.base[stream], self._number, stream),
            )

    def _load_boot(self) -> None:
        rows = self._db.execute("SELECT number, stream, boot, base FROM boots ORDER BY number DESC LIMIT 2").fetchall()
        self._number: int = rows[0][0]
        self.boot: str = rows[0][2]
        self.base: dict[str, int] = {stream: base for _, stream, _, base in rows}

    def close(self) -> None:
        try:
            self.begin()
            self.set_meta("clean", "1")
            self.commit()
        finally:
            self._db.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._db.close()

    # Transactions

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._load_boot()

    # Rows in

    def append(self, row: Row) -> int:
        """The new row's seq."""
        at = (row.moment.wall - _EPOCH) // _MICROSECOND
        cursor = self._db.execute(
            f"INSERT INTO {row.stream} (ts, run, mono, off, kind, body) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608  # nosec B608  # one of two table names
            (at, row.run, row.moment.mono, row.off, row.kind, row.body),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid - self.base[row.stream]

    def save_cursor(self, source: str, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO cursors (source, value) VALUES (?, ?)", (source, value))

    def cursor(self, source: str) -> bytes | None:
        found = self._db.execute("SELECT value FROM cursors WHERE source = ?", (source,)).fetchone()
        return None if found is None else bytes(found[0])

    def save_anchor(self, run: str, anchor: int) -> None:
        """The centre's time at this run's zero, for rows that were stamped before it was known."""
        self._db.execute("INSERT OR IGNORE INTO runs (run, anchor) VALUES (?, ?)", (run, anchor))

    # Rows out

    def read(
        self, site: str, agent: str, stream: Stream, boot: str, after: int, limit: int, upto: int | None = None
    ) -> list[Envelope]:
        """At most `limit` envelopes of `boot` with `after` < seq (≤ `upto`), in order, without a gap.

        Numbers whose rows are no longer here come as one ``stream.lost`` that covers them.
        """
        base, end = self._span_of(boot, stream)
        if end is None:
            return []
        last = end if upto is None else min(base + upto, end)
        rows = self._db.execute(
            f"SELECT id, ts, run, mono, off, kind, body, span, (SELECT anchor FROM runs WHERE runs.run = {stream}.run) "  # noqa: S608  # nosec B608  # one of two table names
            f"FROM {stream} WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (base + after, end, limit),
        ).fetchall()
        made = _Maker(site, agent, boot, stream, base)
        expected = base + after + 1
        out: list[Envelope] = []
        for row in rows:
            first = row[0] - row[7] + 1 if row[7] else row[0]
            if first > expected:
                out.append(made.lost(expected, min(first - 1, last)))
            if first > last:
                return out
            out.append(made.envelope(row))
            expected = row[0] + 1
        if len(rows) < limit and expected <= last:
            out.append(made.lost(expected, last))
        return out

    def _span_of(self, boot: str, stream: Stream) -> tuple[int, int | None]:
        """(base, last id) of a boot's rows; the last id is None when this file never had that boot."""
        found = self._db.execute(
            "SELECT number, base FROM boots WHERE boot = ? AND stream = ?", (boot, stream)
        ).fetchone()
        if found is None:
            return 0, None
        following = self._db.execute(
            "SELECT base FROM boots WHERE number = ? AND stream = ?", (found[0] + 1, stream)
        ).fetchone()
        return found[1], self.last_id(stream) if following is None else following[0]

    def older_boots(self) -> list[str]:
        """Boots before the present one, oldest first."""
        rows = self._db.execute(
            "SELECT boot FROM boots WHERE number < ? AND stream = 'facts' ORDER BY number", (self._number,)
        )
        return [boot for (boot,) in rows]

    def last_id(self, stream: Stream) -> int:
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (stream,)).fetchone()
        return 0 if found is None else int(found[0])

    def position(self, stream: Stream) -> Position:
        base = self.base[stream]
        acked, highest, floor = self._db.execute(
            "SELECT acked, highest, floor FROM boots WHERE number = ? AND stream = ?", (self._number, stream)
        ).fetchone()
        first = self._db.execute(f"SELECT min(id) FROM {stream} WHERE id > ?", (base,)).fetchone()[0]  # noqa: S608  # nosec B608  # one of two table names
        return Position(self.last_id(stream) - base, acked, highest, floor, 0 if first is None else first - base)

    def lasts(self) -> dict[Stream, int]:
        """Newest seq of each stream of the present boot."""
        return {stream: self.last_id(stream) - self.base[stream] for stream in STREAMS}

    # What the centre says

    def heard(self, stream: Stream) -> None:
        """The centre was heard on this boot: what is written from now on may be sent."""
        self._db.execute("UPDATE boots SET floor = NULL WHERE number = ? AND stream = ?", (self._number, stream))

    def acknowledge(self, stream: Stream, upto: int, now: datetime) -> None:
        self._db.execute(
            "UPDATE boots SET acked = ?, highest = max(highest, ?) WHERE number = ? AND stream = ?",
            (upto, upto, self._number, stream),
        )
        hour = now.replace(minute=0, second=0, microsecond=0)
        self._db.execute(
            "INSERT INTO acks (stream, at, id) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET id = max(id, excluded.id)",
            (stream, (hour - _EPOCH) // _MICROSECOND, self.base[stream] + upto),
        )

    def new_boot(self, cuts: dict[Stream, int]) -> str:
        """Take a new boot; rows with a seq above the cut of their stream become its rows from 1. Returns its id."""
        boot = secrets.token_hex(8)
        for stream in STREAMS:
            self._db.execute(
                "INSERT INTO boots (number, stream, boot, base, floor) VALUES (?, ?, ?, ?, NULL)",
                (self._number + 1, stream, boot, self.base[stream] + cuts[stream]),
            )
        self._load_boot()
        return boot

    def withdraw(self, stream: Stream, seq: int, why: str) -> bool:
        """Keep the row aside and put ``stream.withdrawn`` in its place. False when there is no such row."""
        if seq < 1:
            return False  # below 1 are the rows of the boot before
        row_id = self.base[stream] + seq
        cursor = self._db.execute(
            f"INSERT INTO aside SELECT ?, ?, ?, kind, body, ? FROM {stream} WHERE id = ? AND span = 0",  # noqa: S608  # nosec B608  # one of two table names
            (stream, self.boot, seq, why, row_id),
        )
        if cursor.rowcount == 0:
            return False
        self._settle(stream, row_id, 1, "stream.withdrawn", why)
        return True

    def _settle(self, stream: Stream, row_id: int, span: int, kind: str, why: str) -> None:
        self._db.execute(
            f"UPDATE {stream} SET kind = ?, body = ?, span = ? WHERE id = ?",  # noqa: S608  # nosec B608  # one of two table names
            (kind, why.encode(), span, row_id),
        )

    # Room

    @property
    def used(self) -> float:
        """Share of the allowed size that holds data, 0-1 (the write-ahead log, at most some MB, comes on top)."""
        return (int(self._scalar("PRAGMA page_count")) - int(self._scalar("PRAGMA freelist_count"))) / self._max_pages

    def thin(self, rows: int, why: str) -> int:
        """Give up at most `rows` of the oldest samples that were never sent. Returns how many were given up."""
        at = self.position("samples")
        start = self.base["samples"] + max(at.acked, at.highest) + WINDOW
        ids: list[tuple[int, int]] = self._db.execute(
            "SELECT id, span FROM samples WHERE id > ? ORDER BY id LIMIT ?", (start, rows + 1)
        ).fetchall()
        if len(ids) < 2:
            return 0
        first = ids[0][0] - max(ids[0][1], 1) + 1
        last = ids[-1][0]
        self._db.execute("DELETE FROM samples WHERE id >= ? AND id < ?", (ids[0][0], last))
        self._settle("samples", last, last - first + 1, "stream.thinned", why)
        return len(ids) - 1

    def forget(self, stream: Stream, limit: int, before: datetime | None = None) -> int:
        """Delete at most `limit` of the oldest acknowledged rows (only those acknowledged before a time, if given)."""
        acked = self.base[stream] + self.position(stream).acked
        if before is not None:
            found = self._db.execute(
                "SELECT max(id) FROM acks WHERE stream = ? AND at < ?", (stream, (before - _EPOCH) // _MICROSECOND)
            ).fetchone()[0]
            acked = min(acked, found or 0)
        cursor = self._db.execute(
            f"DELETE FROM {stream} WHERE id IN (SELECT id FROM {stream} WHERE id <= ? ORDER BY id LIMIT ?)",  # noqa: S608  # nosec B608  # one of two table names
            (acked, limit),
        )
        return cursor.rowcount

    # Small things

    def meta(self, key: str) -> str | None:
        found = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def aside(self) -> list[tuple[str, str, int, str, str]]:
        """(stream, boot, seq, kind, why) of the rows that were withdrawn."""
        return list(self._db.execute("SELECT stream, boot, seq, kind, why FROM aside"))

    def _scalar(self, sql: str) -> Any:
        return self._db.execute(sql).fetchone()[0]


class _Maker:
    """Rows to envelopes of one boot and stream."""

    def __init__(self, site: str, agent: str, boot: str, stream: Stream, base: int) -> None:
        self._who = (site, agent, boot, stream)
        self._base = base

    def envelope(self, row: Sequence[Any]) -> Envelope:
        row_id, at, run, mono, off, kind, body, span, anchor = row
        wall = _EPOCH + at * _MICROSECOND
        if off is None:
            off = offset(anchor, Moment(wall, mono))
        seq = row_id - self._base
        if span:
            body = _settlement(kind, max(seq - span + 1, 1), seq, bytes(body).decode())
        return self._make(seq, wall, run, mono, off, kind, body)

    def lost(self, first_id: int, last_id: int) -> Envelope:
        """What is said of rows that are gone; made when asked, the same at each asking."""
        return self.settling(first_id - self._base, last_id - self._base, "stream.lost", "rows no longer in the outbox")

    def settling(self, first: int, last: int, kind: str, why: str) -> Envelope:
        return self._make(last, _EPOCH, "0000", 0, None, kind, _settlement(kind, first, last, why))

    def _make(self, seq: int, wall: datetime, run: str, mono: int, off: int | None, kind: str, body: bytes) -> Envelope:
        site, agent, boot, stream = self._who
        return Envelope(
            site=site, agent=agent, boot=boot, stream=stream, seq=seq, ts=wall, run=run, mono=mono, off=off, kind=kind,
            body=msgspec.Raw(body),
        )  # fmt: skip


def settling(site: str, agent: str, stream: Stream, boot: str, first: int, last: int, *, moved: bool) -> Envelope:
    """What settles numbers of a boot that have no row in this file: lost, or withdrawn when a newer boot has them."""
    kind, why = ("stream.withdrawn", "sent under a newer boot") if moved else ("stream.lost", "this outbox is gone")
    return _Maker(site, agent, boot, stream, 0).settling(first, last, kind, why)


def _settlement(kind: str, first: int, last: int, why: str) -> bytes:
    return msgspec.json.encode(SETTLEMENTS[kind](first=first, last=last, why=why))
