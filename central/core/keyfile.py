"""Keys of the centre: 32 random bytes in a file beside the database, readable by the centre's user only."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from central.core.secrets import write_secret

KEY_BYTES: Final = 32


class KeyFileError(RuntimeError):
    """The key file cannot be used; the text says what to do."""


def make_key(path: Path) -> bool:
    """Make the key where there is none yet; whether it was made now. Raises `KeyFileError`, OSError."""
    try:
        read_key(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_secret(path, secrets.token_bytes(KEY_BYTES))
        return True
    return False


def read_key(path: Path) -> bytes:
    """Raises FileNotFoundError, `KeyFileError`."""
    with path.open("rb") as file:
        if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise KeyFileError(f"{path} can be read by others: chmod 600 it, then start again")
        key = file.read()
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{path} is no key of {KEY_BYTES} bytes: restore it, or remove it (what it sealed is gone)")
    return key
