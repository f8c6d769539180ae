"""Programme texts on disk, a file for each SHA-256: written whole or not at all, never changed, stored once.

Beside the database and not in it: a text of 40 MB must not hold up the facts that the one writer commits meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from central.core.settings import Settings
from contracts.programmes import MAX_BYTES

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class TooLargeError(ValueError):
    """More than MAX_BYTES."""


class OtherTextError(ValueError):
    """The bytes do not have the hash that was said."""


class Texts:
    """The folder of one centre."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.data_dir / "programmes"

    def file(self, sha256: str) -> Path:
        """Where that text lies, or would lie. Raises ValueError on what is no hash."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError("not a SHA-256")
        return self._root / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        return self.file(sha256).is_file()

    async def get(self, sha256: str) -> bytes:
        """Raises LookupError, in French, when the file is missing or is not what its name says."""
        return await asyncio.to_thread(self._get, sha256)

    async def put(self, content: bytes) -> str:
        """Its hash. Raises TooLargeError."""

        async def once() -> AsyncIterator[bytes]:
            yield content

        return await self.put_stream(once())

    async def put_stream(self, pieces: AsyncIterator[bytes], expected: str = "") -> str:
        """Keep what comes; its hash. Raises TooLargeError, and OtherTextError when it is not `expected`."""
        self._root.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._root, suffix=".part")
        partial = Path(name)
        digest = hashlib.sha256()
        size = 0
        try:
            with os.fdopen(handle, "wb") as file:
                async for piece in pieces:
                    size += len(piece)
                    if size > MAX_BYTES:
                        raise TooLargeError(f"more than {MAX_BYTES} bytes")
                    digest.update(piece)
                    await asyncio.to_thread(file.write, piece)
                await asyncio.to_thread(_to_disk, file.fileno(), file.flush)
            found = digest.hexdigest()
            if expected and found != expected:
                raise OtherTextError(f"{found} instead of {expected}")
            await asyncio.to_thread(self._place, partial, self.file(found))
        finally:
            await asyncio.to_thread(partial.unlink, missing_ok=True)
        return found

    def orphans(self, known: set[str], now: datetime, older_than: timedelta) -> list[Path]:
        """Files that no version names, and half-written ones, last touched longer ago than `older_than`."""
        limit = (now - older_than).timestamp()
        files = [*self._root.glob("??/*"), *self._root.glob("*.part")]
        return [file for file in files if file.name not in known and file.stat().st_mtime < limit]

    def _get(self, sha256: str) -> bytes:
        try:
            content = self.file(sha256).read_bytes()
        except FileNotFoundError as error:
            raise LookupError("Le texte de cette version manque sur le disque du centre.") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise LookupError("Le texte de cette version est abîmé sur le disque du centre.")
        return content

    @staticmethod
    def _place(partial: Path, target: Path) -> None:
        target.parent.mkdir(exist_ok=True)
        if target.is_file():
            os.utime(target, (datetime.now(UTC).timestamp(),) * 2)
            return
        partial.chmod(0o444)
        partial.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _to_disk(descriptor: int, flush: object) -> None:
    assert callable(flush)
    flush()
    os.fsync(descriptor)
