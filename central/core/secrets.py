"""Files that only the centre's user may read, whole or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class OpenFileError(RuntimeError):
    """A secret lies open; the text says what to do."""


def write_secret(path: Path, content: bytes) -> None:
    """All of it, mode 0600, or the former content. Raises OSError."""
    _write(path, content, 0o600)


def write_public(path: Path, content: bytes) -> None:
    """The same for what others may read, mode 0644."""
    _write(path, content, 0o644)


def read_secret(path: Path) -> bytes:
    """Raises FileNotFoundError, `OpenFileError` when others can read it."""
    with path.open("rb") as file:
        if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise OpenFileError(f"{path} can be read by others: chmod 600 it, then start again")
        return file.read()


def private_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def _write(path: Path, content: bytes, mode: int) -> None:
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
