"""The outbox: what happened is on this disk before anything else, and stays until the centre has it.

One thread owns the file. Callers that come together share one transaction and one fsync (group commit); `put` returns
after it, and only then may anybody say "enregistré".
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from contracts import facts
from contracts.envelope import MAX_FACT_BYTES, STREAMS, Envelope, Stream
from edge_agents.clock import Clock, Moment
from edge_agents.store import MalformedError, NewerFileError, Position, Row, Store, settling

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

ALERT_AT: Final = 0.80
MAKE_ROOM_AT: Final = 0.85
REFUSE_SAMPLES_AT: Final = 0.95
KEEP_SENT: Final = timedelta(days=7)
_MOST_JOBS = 1000
_ACKS_EVERY_S = 1.0
_CLEAN_EVERY_S = 900.0
_CHUNK = 2000


class OutboxError(Exception):
    """`french` is for the person at the post: what failed, the next step."""

    def __init__(self, message: str, french: str) -> None:
        super().__init__(message)
        self.french = french


class OutboxFullError(OutboxError):
    """Nothing was written: the file reached its size, or the disk is full."""


class OutboxBrokenError(OutboxError):
    """Nothing was written: the disk or the file is damaged."""


class OutboxLockedError(OutboxError):
    """Another agent uses this file."""


class FactRefusedError(ValueError):
    """The fact is not of its kind's form, or larger than 64 KiB."""


class Fact(NamedTuple):
    """Something that happened: the struct of its kind, and when (None: now)."""

    body: msgspec.Struct
    at: Moment | None = None


class _Job(Generic[_T]):
    """A step in the file, and who waits for it."""

    def __init__(self, run: Callable[[Store], _T], future: asyncio.Future[_T], *, writes: bool) -> None:
        self.run = run
        self.future = future
        self.writes = writes
        self.result: _T | None = None

    def resolve(self) -> None:
        if not self.future.done():
            self.future.set_result(self.result)  # type: ignore[arg-type]  # set by the writer before it resolves

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Outbox:
    """An open outbox. Use `async with Outbox.open(…)`; all methods are called from that event loop."""

    def __init__(self, path: Path, site: str, agent: str, clock: Clock, max_bytes: int) -> None:
        self.path = path
        self.site = site
        self.agent = agent
        self.clock = clock
        self.on_put: Callable[[], None] = lambda: None
        self.set_aside: Path | None = None
        """Where a damaged file was put when this one was opened in its place."""
        self._lock_file = _locked(path)
        try:
            self._store = self._open_store(max_bytes)
        except BaseException:
            os.close(self._lock_file)
            raise
        self.was_clean = self._store.was_clean
        self.boot = self._store.boot
        self.last: dict[Stream, int] = self._store.lasts()
        """Newest committed seq of each stream."""
        self.used = self._store.used
        self._loop = asyncio.get_running_loop()
        self._condition = threading.Condition()
        self._jobs: list[_Job[Any]] = []
        self._acks: dict[Stream, int] = {}
        self._acks_due = 0.0
        self._clean_due = time.monotonic()
        self._closing = False
        self._thread = threading.Thread(target=self._write, name="outbox", daemon=True)
        self._thread.start()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path, *, site: str, agent: str, clock: Clock, max_bytes: int = 512 * 1024 * 1024) -> Any:
        """Open or create the file. Raises OutboxLockedError, OutboxBrokenError, OutboxFullError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        outbox = cls(path, site, agent, clock, max_bytes)
        try:
            yield outbox
        finally:
            await outbox.close()

    def _open_store(self, max_bytes: int) -> Store:
        try:
            return Store(self.path, max_bytes=max_bytes)
        except NewerFileError as error:
            raise OutboxBrokenError(
                f"{self.path}: {error}",
                "Le fichier de l'agent vient d'une version plus récente : mettre l'agent à jour.",
            ) from error
        except MalformedError as error:
            return self._start_afresh(error, max_bytes)
        except sqlite3.Error as error:
            if _code(error) not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise _meaning(error, self.path) from error
            return self._start_afresh(error, max_bytes)

    def _start_afresh(self, error: Exception, max_bytes: int) -> Store:
        stamp = self.clock.now().wall.strftime("%Y%m%dT%H%M%S")
        self.set_aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        for ending in ("", "-wal", "-shm"):
            source = self.path.with_name(self.path.name + ending)
            if source.exists():
                source.rename(self.set_aside.with_name(self.set_aside.name + ending))
        _log.error("%s is damaged (%s): kept as %s, a new outbox begins", self.path, error, self.set_aside.name)
        return Store(self.path, max_bytes=max_bytes)

    # Facts in

    @property
    def disk_free(self) -> int | None:
        """Bytes free on the disk of the file; None when the system does not say."""
        try:
            found = os.statvfs(self.path)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    async def put(self, new: Sequence[Fact], cursors: Mapping[str, Any] | None = None) -> list[int]:
        """Write facts, and the cursors of the sources that gave rise to them, in one transaction.

        Returns their seqs once they are on disk. Raises FactRefusedError, OutboxFullError or OutboxBrokenError; then
        nothing at all was written.
        """
        rows = [self._stamped(fact) for fact in new]
        saved = {source: msgspec.json.encode(value) for source, value in (cursors or {}).items()}

        def write(store: Store) -> list[int]:
            self._refuse_when_full(store, rows)
            seqs = [store.append(row) for row in rows]
            for source, value in saved.items():
                store.save_cursor(source, value)
            return seqs

        return await self._do(write)

    def _stamped(self, fact: Fact) -> Row:
        kind = facts.KIND_OF.get(type(fact.body))
        if kind is None:
            raise FactRefusedError(f"{type(fact.body).__name__} is not a kind of fact")
        body = msgspec.json.encode(fact.body)
        if len(body) > MAX_FACT_BYTES - 1024:  # the envelope around it takes less than 1 KiB
            raise FactRefusedError(f"{kind}: {len(body)} bytes, limit {MAX_FACT_BYTES - 1024}")
        try:
            facts.decode_body(kind, body)
        except msgspec.ValidationError as error:
            raise FactRefusedError(f"{kind}: {error}") from error
        moment = fact.at or self.clock.now()
        stream: Stream = "samples" if kind in facts.SAMPLES else "facts"
        return Row(stream, moment, self.clock.run, self.clock.off(moment), kind, body)

    @staticmethod
    def _refuse_when_full(store: Store, rows: list[Row]) -> None:
        limit = REFUSE_SAMPLES_AT if all(row.stream == "samples" for row in rows) else 1.0
        if rows and store.used >= limit:
            raise OutboxFullError(
                f"the outbox is full ({store.used:.0%} of its allowed size)",
                "Mémoire de l'agent pleine : ce fait N'EST PAS enregistré. Rétablir la liaison avec le centre.",
            )

    async def cursor(self, source: str) -> bytes | None:
        """The JSON last saved for this source."""
        return await self._do(lambda store: store.cursor(source), writes=False)

    # Facts out

    async def pending(self, stream: Stream, after: int, limit: int) -> list[Envelope]:
        """The next envelopes of the present boot after a seq, without a gap (what is gone comes as ``stream.lost``)."""
        return await self.range(self.boot, stream, after, limit)

    async def range(self, boot: str, stream: Stream, after: int, limit: int, upto: int | None = None) -> list[Envelope]:
        """The same for any boot of this file, up to a seq."""
        return await self._do(
            lambda store: store.read(self.site, self.agent, stream, boot, after, limit, upto), writes=False
        )

    async def save_anchor(self) -> None:
        """Keep how far the centre's clock is: it corrects the rows that this run stamped before it knew."""
        anchor = self.clock.anchor
        if anchor is not None:
            await self._do(lambda store: store.save_anchor(self.clock.run, anchor))

    def gone(self, boot: str, stream: Stream, first: int, last: int, *, moved: bool = False) -> Envelope:
        """What settles numbers of another boot: ``stream.lost``, or withdrawn when they were `moved` to a newer one."""
        return settling(self.site, self.agent, stream, boot, first, last, moved=moved)

    async def position(self, stream: Stream) -> Position:
        return await self._do(lambda store: store.position(stream))

    async def older_boots(self) -> list[str]:
        return await self._do(lambda store: store.older_boots(), writes=False)

    # The centre's word

    def ack(self, stream: Stream, upto: int) -> None:
        """Every seq ≤ `upto` is settled at the centre. Written within a second: losing it costs a repetition."""
        with self._condition:
            if not self._acks:
                self._acks_due = time.monotonic() + _ACKS_EVERY_S
            self._acks[stream] = upto
            self._condition.notify()

    async def heard(self, stream: Stream) -> None:
        """The centre's ack of this boot was heard and fits: rows above the floor may be sent."""
        await self._do(lambda store: store.heard(stream))

    async def new_boot(self, cuts: dict[Stream, int]) -> str:
        """This file went back in time: rows above the cuts get a new identity."""

        def renew(store: Store) -> tuple[str, dict[Stream, int]]:
            boot = store.new_boot(cuts)
            return boot, store.lasts()

        self.boot, self.last = await self._do(renew)
        return self.boot

    async def withdraw(self, stream: Stream, seq: int, why: str) -> bool:
        """Put the row aside; ``stream.withdrawn`` takes its place."""
        return await self._do(lambda store: store.withdraw(stream, seq, why))

    async def aside(self) -> list[tuple[str, str, int, str, str]]:
        """(stream, boot, seq, kind, why) of the rows that were withdrawn."""
        return await self._do(lambda store: store.aside(), writes=False)

    async def close(self) -> None:
        """Write what waits, mark the file as closed in order, release it."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        await asyncio.to_thread(self._thread.join)
        os.close(self._lock_file)

    # The writer

    async def _do(self, run: Callable[[Store], _T], *, writes: bool = True) -> _T:
        future: asyncio.Future[_T] = self._loop.create_future()
        with self._condition:
            if self._closing:
                raise OutboxBrokenError("the outbox is closed", "L'agent s'arrête : ce fait n'est pas enregistré.")
            self._jobs.append(_Job(run, future, writes=writes))
            self._condition.notify()
        return await future

    def _write(self) -> None:
        for jobs in self._batches():
            try:
                self._transact(jobs)
            finally:
                self._make_room_when_needed()
        try:
            self._store.close()
        except sqlite3.Error:
            _log.exception("%s: closing failed", self.path)
            self._store.abandon()

    def _batches(self) -> Iterator[list[_Job[Any]]]:
        while True:
            with self._condition:
                while not self._jobs and not self._closing:
                    now = time.monotonic()
                    due = min(self._clean_due, self._acks_due if self._acks else self._clean_due)
                    if due <= now:
                        break
                    self._condition.wait(due - now)
                jobs, self._jobs = self._jobs[:_MOST_JOBS], self._jobs[_MOST_JOBS:]
                if self._closing and not jobs and not self._acks:
                    return
            yield jobs

    def _transact(self, jobs: list[_Job[Any]], *, with_acks: bool = True) -> None:
        """Run jobs in one transaction; when something fails, each alone and without the acks, which can wait."""
        acks = self._acks_to_write(jobs) if with_acks else {}
        try:
            self._store.begin()
            for stream, upto in acks.items():
                self._store.acknowledge(stream, upto, self.clock.now().wall)
            for job in jobs:
                job.result = job.run(self._store)
            last = self._store.lasts() if any(job.writes for job in jobs) else None
            self._store.commit()
        except Exception as error:  # noqa: BLE001 - whatever a job raises belongs to its caller, not to this thread
            self._roll_back()
            if acks:
                self._keep_for_later(acks, error)
            if len(jobs) > 1 or (jobs and acks):
                for job in jobs:
                    self._transact([job], with_acks=False)
            elif jobs:
                meant = _meaning(error, self.path) if isinstance(error, sqlite3.Error) else error
                self._loop.call_soon_threadsafe(jobs[0].fail, meant)
            return
        self._tell(jobs, last)

    def _acks_to_write(self, jobs: list[_Job[Any]]) -> dict[Stream, int]:
        with self._condition:
            due = self._closing or time.monotonic() >= self._acks_due or any(job.writes for job in jobs)
            if not self._acks or not due:
                return {}
            acks, self._acks = self._acks, {}
            return acks

    def _keep_for_later(self, acks: dict[Stream, int], error: Exception) -> None:
        with self._condition:
            if self._closing:
                _log.warning("%s: last acks not written (%s); these rows will be sent again", self.path, error)
                return
            self._acks = acks | self._acks
            self._acks_due = time.monotonic() + _ACKS_EVERY_S

    def _roll_back(self) -> None:
        try:
            self._store.rollback()
        except sqlite3.Error:
            _log.exception("%s: rolling back failed", self.path)

    def _tell(self, jobs: list[_Job[Any]], last: dict[Stream, int] | None) -> None:
        if not jobs:
            return

        def resolve() -> None:
            grown = last is not None and last != self.last
            if last is not None:
                self.last = last
            for job in jobs:
                job.resolve()
            if grown:
                self.on_put()

        self._loop.call_soon_threadsafe(resolve)

    # Room

    def _make_room_when_needed(self) -> None:
        try:
            self.used = self._store.used
            clean = time.monotonic() >= self._clean_due
            if clean:
                self._clean_due = time.monotonic() + _CLEAN_EVERY_S
                self._in_steps(lambda stream: self._store.forget(stream, _CHUNK, self.clock.now().wall - KEEP_SENT))
            if self.used > MAKE_ROOM_AT:
                self._in_steps(lambda stream: self._store.forget(stream, _CHUNK), until=ALERT_AT)
                self._in_steps(self._thin, until=MAKE_ROOM_AT)
            self.used = self._store.used
        except sqlite3.Error:
            self._roll_back()
            _log.exception("%s: making room failed", self.path)

    def _thin(self, stream: Stream) -> int:
        return self._store.thin(_CHUNK, "outbox nearly full") if stream == "samples" else 0

    def _in_steps(self, step: Callable[[Stream], int], until: float = -1.0) -> None:
        """Repeat in short transactions, samples first, until nothing is left to do or the file is `until` full."""
        for stream in reversed(STREAMS):
            while self._store.used > until:
                self._store.begin()
                done = step(stream)
                self._store.commit()
                if not done:
                    break


def _locked(path: Path) -> int:
    """Hold the file's lock for as long as this descriptor is open, whatever becomes of the process."""
    lock = path.with_name(path.name + ".lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "?"
        os.close(descriptor)
        raise OutboxLockedError(
            f"{path} is in use by another agent (process {holder})",
            f"Un autre agent (processus {holder}) utilise déjà ce fichier : l'arrêter, ou changer [outbox] path.",
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _meaning(error: sqlite3.Error, path: Path) -> OutboxError:
    if _code(error) == sqlite3.SQLITE_FULL:
        return OutboxFullError(
            f"{path}: {error}",
            "Disque de l'agent plein : ce fait N'EST PAS enregistré. Libérer de la place ou rétablir la liaison.",
        )
    return OutboxBrokenError(
        f"{path}: {error}",
        "Le disque de l'agent refuse l'écriture : ce fait N'EST PAS enregistré. Vérifier ou remplacer la carte SD.",
    )
