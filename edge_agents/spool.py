"""Pictures that wait for the centre: encrypted files beside the outbox, gone by themselves after their hours.

A picture never decides about a fact: whatever fails here, the fact goes out without it (docs/decisions/0015).
One file for each pair, ``<expiry>-<crops id>``: the expiry is in the name, so that a purge needs no key.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge_agents.files import sync_folder, write_durably
from edge_agents.sections import MAX_HOURS

_log = logging.getLogger(__name__)

AUTOMATIC_KEPT: Final = timedelta(minutes=10)
"""Pictures of a movement that needed nobody: as long as "Pas ça" may be said."""
_MAGIC = b"CPC1"
_NONCE = 12
_NAME = re.compile(r"^(\d{10,11})-([0-9a-f]{32})$")
_HALF = re.compile(_NAME.pattern[:-1] + r"\.part$")
_AHEAD_S = MAX_HOURS * 3600 + 3600


class Pair(msgspec.Struct, frozen=True):
    """The body of ``PUT /api/racks/crops/{id}``: JPEGs (empty: there is none), and when it was observed."""

    before: bytes
    after: bytes
    observed: datetime


class SpoolError(Exception):
    """A picture could not be kept, or cannot be read; the text says why."""


class Waiting(NamedTuple):
    """One file of the spool."""

    expires: int
    id: str
    path: Path
    size: int


class Spool:
    """The folder of one agent. Its methods block on the disk, and may be called from several threads."""

    def __init__(
        self, folder: Path, key_file: Path, max_bytes: int, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """The key is made when it is first needed, readable by this user alone."""
        self._folder = folder
        self._key_file = key_file
        self._max_bytes = max_bytes
        self._now = now
        self._cipher: AESGCM | None = None
        self._lock = threading.Lock()

    def keep(self, pair: Pair, kept_for: timedelta) -> str:
        """Keep a pair; its crops id, once it is on disk. Raises SpoolError, and then nothing is kept."""
        crops = secrets.token_hex(16)
        expires = round((self._now() + min(kept_for, timedelta(hours=MAX_HOURS))).timestamp())
        with self._lock:
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                nonce = os.urandom(_NONCE)
                sealed = self._sealer().encrypt(nonce, msgspec.msgpack.encode(pair), _bound(crops, expires))
                content = _MAGIC + nonce + sealed
                if not self._make_room(len(content)):
                    raise SpoolError(f"a pair of {len(content)} bytes is larger than the whole spool")
                write_durably(self._folder / f"{expires}-{crops}", content)
            except OSError as error:
                raise SpoolError(str(error)) from error
        return crops

    def waiting(self) -> list[Waiting]:
        """What waits and is not over, newest first: a person at the rack looks at the newest."""
        now = self._now().timestamp()
        with self._lock:
            found = [entry for entry in self._entries() if not _is_over(entry, now)]
        return sorted(found, key=_made, reverse=True)

    def read(self, entry: Waiting) -> Pair:
        """Raises SpoolError: it is gone, damaged, or of another key."""
        try:
            content = entry.path.read_bytes()
            if not content.startswith(_MAGIC):
                raise SpoolError(f"{entry.path.name}: not a file of this spool")
            nonce, sealed = content[len(_MAGIC) : len(_MAGIC) + _NONCE], content[len(_MAGIC) + _NONCE :]
            plain = self._sealer().decrypt(nonce, sealed, _bound(entry.id, entry.expires))
            return msgspec.msgpack.decode(plain, type=Pair)
        except (OSError, InvalidTag, ValueError) as error:
            raise SpoolError(f"{entry.path.name}: {type(error).__name__} {error}") from error

    def drop(self, crops: str) -> None:
        """Forget a pair: the centre has it, or its fact was never written."""
        try:
            with self._lock:
                for entry in list(self._entries()):
                    if entry.id == crops:
                        entry.path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s cannot be removed now, the purge will try again: %s", crops, error)

    def purge(self) -> int:
        """Remove what is over, what lies too far ahead (the clock went back) and what a power cut left; how many.

        Files that are not the spool's own are left alone. Raises OSError where one of them cannot be removed.
        """
        now = self._now().timestamp()
        removed, trouble = 0, None
        with self._lock:
            for path in list(self._files()):
                name = _NAME.match(path.name)
                over = name is not None and _is_over(Waiting(int(name[1]), name[2], path, 0), now)
                if over or _HALF.match(path.name):
                    try:
                        path.unlink(missing_ok=True)
                        removed += 1
                    except OSError as error:
                        trouble = error
            if removed:
                sync_folder(self._folder)
        if trouble is not None:
            raise trouble
        return removed

    @property
    def used(self) -> int:
        """Bytes on disk."""
        with self._lock:
            return sum(entry.size for entry in self._entries())

    def _make_room(self, size: int) -> bool:
        """The soonest to be over goes first; false when it cannot fit at all."""
        entries = sorted(self._entries())
        used = sum(entry.size for entry in entries)
        for entry in entries:
            if used + size <= self._max_bytes:
                break
            _log.warning("the spool of pictures is full: %s is given up", entry.id)
            entry.path.unlink(missing_ok=True)
            used -= entry.size
        return used + size <= self._max_bytes

    def _entries(self) -> Iterator[Waiting]:
        for path in self._files():
            name = _NAME.match(path.name)
            if name is not None:
                with contextlib.suppress(FileNotFoundError):
                    yield Waiting(int(name[1]), name[2], path, path.stat().st_size)

    def _files(self) -> Iterator[Path]:
        return self._folder.iterdir() if self._folder.is_dir() else iter(())

    def _sealer(self) -> AESGCM:
        if self._cipher is None:
            self._cipher = AESGCM(_key(self._key_file))
        return self._cipher


def _key(path: Path) -> bytes:
    """The agent's own key, made at the first start. Raises SpoolError, OSError."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return _new_key(path)
    if len(key) != 32:
        aside = path.with_name(path.name + ".damaged")
        _log.error("%s is no key of 32 bytes: kept as %s, pictures that wait cannot be read", path, aside.name)
        path.rename(aside)
        return _new_key(path)
    if path.stat().st_mode & 0o077:
        _log.warning("%s was readable by others: closed", path)
        path.chmod(0o600)
    return key


def _new_key(path: Path) -> bytes:
    key = AESGCM.generate_key(bit_length=256)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(descriptor)
    partial.replace(path)
    sync_folder(path.parent)
    return key


def _bound(crops: str, expires: int) -> bytes:
    """What is authenticated beside the pictures: a file renamed to live longer cannot be read."""
    return f"{crops}:{expires}".encode()


def _is_over(entry: Waiting, now: float) -> bool:
    return entry.expires <= now or entry.expires > now + _AHEAD_S


def _made(entry: Waiting) -> float:
    try:
        return entry.path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
