"""The inbox's SQL: streams, facts and clocks of runs. Plain statements and tuples, because every fact passes here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias, cast

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.core.bulk import write_rows
from central.inbox.models import FactStream, SourceRun, StoredFact, StreamSettlement
from central.inbox.rules import Progress, Span
from contracts.envelope import Stream

StreamKey: TypeAlias = tuple[str, str, Stream]
"""Agent, boot, stream. The site is the centre's own: other sites never reach the tables."""
RunKey: TypeAlias = tuple[str, str]
"""Agent, run."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CHUNK = 500


@dataclass(slots=True)
class StreamEntry:
    """A stream as cached between batches; `progress` changes only after a commit."""

    id: int
    agent: str
    boot: str
    stream: Stream
    progress: Progress
    stored: bool


class Anchor(NamedTuple):
    at: datetime
    measured: bool


class KeptFact(NamedTuple):
    id: int
    state: str
    hash: int
    at: datetime
    uncertain: bool
    received_at: datetime


FactRow: TypeAlias = tuple[
    int, int, int, str, datetime, datetime, bool, str, int, int | None, datetime, str | None, int, str
]
"""id, stream_id, seq, kind, ts, at, uncertain, run, mono, off, received_at, body, hash, state."""

_COLUMNS = (
    *("id", "stream_id", "seq", "kind", "ts", "at", "uncertain"),
    *("run", "mono", "off", "received_at", "body", "hash", "state"),
)


class Store:
    """Reads and writes of one centre, with the streams and runs it has met kept in memory.

    The start lock makes this process the only writer, so the cache is the truth until the database goes away; `forget`
    empties it then.
    """

    def __init__(self, site: str) -> None:
        self.site = site
        self._streams: dict[StreamKey, StreamEntry] = {}
        self._runs: dict[RunKey, Anchor | None] = {}
        self._next_fact: int | None = None
        self._next_stream: int | None = None

    def forget(self) -> None:
        self._streams.clear()
        self._runs.clear()
        self._next_fact = self._next_stream = None

    async def open(self, session: AsyncSession) -> None:
        """Learn the next free ids, once."""
        if self._next_fact is None:
            self._next_fact = (await session.scalar(select(func.max(StoredFact.id))) or 0) + 1
            self._next_stream = (await session.scalar(select(func.max(FactStream.id))) or 0) + 1

    def next_fact_id(self) -> int:
        """Ids of a transaction that was rolled back are simply not used."""
        assert self._next_fact is not None
        self._next_fact += 1
        return self._next_fact - 1

    # streams

    async def know_streams(self, session: AsyncSession, keys: Iterable[StreamKey]) -> None:
        """Load the streams among `keys` that were not met yet; those without a row start at 0."""
        unknown = {key for key in keys if key not in self._streams}
        for agent in {key[0] for key in unknown}:
            found = await session.execute(
                select(FactStream.id, FactStream.boot, FactStream.stream, FactStream.upto, FactStream.spans).where(
                    FactStream.site == self.site, FactStream.agent == agent
                )
            )
            for row_id, boot, stream, upto, spans in found:
                progress = Progress(upto, tuple((first, last) for first, last in spans))
                key = (agent, boot, stream)
                self._streams.setdefault(key, StreamEntry(row_id, agent, boot, stream, progress, stored=True))
        for agent, boot, stream in unknown:
            if (agent, boot, stream) not in self._streams:
                assert self._next_stream is not None
                entry = StreamEntry(self._next_stream, agent, boot, stream, Progress(), stored=False)
                self._streams[agent, boot, stream] = entry
                self._next_stream += 1

    def stream(self, key: StreamKey) -> StreamEntry | None:
        return self._streams.get(key)

    def streams(self) -> Sequence[StreamEntry]:
        return list(self._streams.values())

    async def create_streams(self, session: AsyncSession, entries: Iterable[StreamEntry], now: datetime) -> None:
        rows: list[dict[str, Any]] = [
            {
                "id": entry.id,
                "site": self.site,
                "agent": entry.agent,
                "boot": entry.boot,
                "stream": entry.stream,
                "upto": 0,
                "spans": [],
                "heard_at": now,
            }
            for entry in entries
            if not entry.stored
        ]
        if rows:
            await session.execute(insert(FactStream.__table__), rows)  # type: ignore[arg-type]  # a Table

    async def save_progress(
        self, session: AsyncSession, progress: dict[int, Progress], now: datetime, *, sqlite: bool
    ) -> None:
        connection = await session.connection()
        heard = (now - _EPOCH) // _MICROSECOND if sqlite else now
        sql = (
            "UPDATE fact_streams SET upto = ?, spans = ?, heard_at = ? WHERE id = ?"
            if sqlite
            else "UPDATE fact_streams SET upto = %s, spans = %s::jsonb, heard_at = %s WHERE id = %s"
        )
        rows = [(p.upto, json.dumps(p.spans), heard, stream_id) for stream_id, p in progress.items()]
        await connection.exec_driver_sql(sql, rows)

    # facts

    async def insert_facts(self, session: AsyncSession, rows: list[FactRow]) -> set[int] | None:
        """Insert what is new; None when all of it was, else the ids that were."""
        inserted = await write_rows(session, cast("Table", StoredFact.__table__), _COLUMNS, rows, "DO NOTHING")
        if inserted == len(rows):
            return None
        first = min(row[0] for row in rows)
        return set(await session.scalars(select(StoredFact.id).where(StoredFact.id >= first)))

    async def hashes(self, session: AsyncSession, stream_id: int, seqs: Sequence[int]) -> dict[int, int]:
        """Seq → hash of the facts already kept among `seqs`."""
        found: dict[int, int] = {}
        for start in range(0, len(seqs), _CHUNK):
            rows = await session.execute(
                select(StoredFact.seq, StoredFact.hash).where(
                    StoredFact.stream_id == stream_id, StoredFact.seq.in_(seqs[start : start + _CHUNK])
                )
            )
            found.update((seq, value) for seq, value in rows)
        return found

    async def kept(self, session: AsyncSession, stream_id: int, seq: int) -> KeptFact | None:
        row = (
            await session.execute(
                select(
                    StoredFact.id,
                    StoredFact.state,
                    StoredFact.hash,
                    StoredFact.at,
                    StoredFact.uncertain,
                    StoredFact.received_at,
                ).where(StoredFact.stream_id == stream_id, StoredFact.seq == seq)
            )
        ).one_or_none()
        return None if row is None else KeptFact(*row)

    async def mark_quarantined(self, session: AsyncSession, ids: Sequence[int]) -> None:
        await session.execute(update(StoredFact).where(StoredFact.id.in_(ids)).values(state="quarantined", body=None))

    async def purge_samples(self, session: AsyncSession, before: datetime) -> None:
        """Only what is below its stream's mark: above a hole, the row itself is what dedupes."""
        settled = (
            select(StoredFact.id)
            .join(FactStream, FactStream.id == StoredFact.stream_id)
            .where(
                FactStream.stream == "samples",
                StoredFact.seq <= FactStream.upto,
                StoredFact.received_at < before,
                StoredFact.state == "accepted",
            )
            .limit(200_000)
        )
        await session.execute(delete(StoredFact).where(StoredFact.id.in_(settled)))

    # settlements

    async def save_settlement(
        self, session: AsyncSession, stream_id: int, kind: str, span: Span, why: str, now: datetime
    ) -> None:
        await session.execute(
            insert(StreamSettlement).values(
                stream_id=stream_id, kind=kind, first=span[0], last=span[1], why=why, at=now
            )
        )

    async def settlements(self, session: AsyncSession, stream_id: int) -> list[Span]:
        rows = await session.execute(
            select(StreamSettlement.first, StreamSettlement.last).where(StreamSettlement.stream_id == stream_id)
        )
        return [(first, last) for first, last in rows]

    # clocks of runs

    async def know_runs(self, session: AsyncSession, keys: Iterable[RunKey]) -> None:
        for agent, run in {key for key in keys if key not in self._runs}:
            row = (
                await session.execute(
                    select(SourceRun.anchor, SourceRun.measured).where(SourceRun.agent == agent, SourceRun.run == run)
                )
            ).one_or_none()
            self._runs[agent, run] = None if row is None else Anchor(row[0], row[1])

    def anchor(self, key: RunKey) -> Anchor | None:
        return self._runs.get(key)

    def remember_anchor(self, key: RunKey, anchor: Anchor) -> None:
        self._runs[key] = anchor

    async def save_anchors(self, session: AsyncSession, anchors: dict[RunKey, Anchor]) -> None:
        rows = [(agent, run, anchor.at, anchor.measured) for (agent, run), anchor in anchors.items()]
        changed = "(agent, run) DO UPDATE SET anchor = excluded.anchor, measured = excluded.measured"
        table = cast("Table", SourceRun.__table__)
        await write_rows(session, table, ("agent", "run", "anchor", "measured"), rows, changed)
