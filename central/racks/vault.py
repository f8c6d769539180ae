"""The key under which pictures rest: one file beside the database, readable by the centre's user only.

Without it the pictures are gone, and that is its use: a stolen database or backup shows nobody's hands.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from central.core.settings import Settings

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class KeyLostError(LookupError):
    """The picture was sealed under a key that is no longer there. The text is French."""


class KeyFileError(RuntimeError):
    """The key file cannot be used; the text says what to do."""


def key_path(settings: Settings) -> Path:
    return settings.data_dir / "pictures.key"


def make_key(settings: Settings) -> bool:
    """Make the key at the first start; whether it was made now. Raises `KeyFileError`, OSError."""
    path = key_path(settings)
    try:
        _read(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".new")
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        return True
    return False


def key_id(settings: Settings) -> str | None:
    """What tells the present key from another, without telling it; None when there is none."""
    try:
        return _id(_read(key_path(settings)))
    except FileNotFoundError:
        return None


class Vault:
    """Seals and opens with the present key. Raises `KeyFileError` when there is none that can be used."""

    def __init__(self, settings: Settings) -> None:
        try:
            key = _read(key_path(settings))
        except FileNotFoundError as error:
            raise KeyFileError(f"{key_path(settings)} is missing: restart the centre, it makes a new one") from error
        self.key_id = _id(key)
        self._cipher = AESGCM(key)

    def seal(self, picture: bytes, name: str) -> bytes:
        """`name` is bound to it: a picture put under another name does not open."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, picture, name.encode())

    def open(self, sealed: bytes, name: str) -> bytes:
        """Raises `KeyLostError`."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except InvalidTag as error:
            raise KeyLostError("Image illisible : sa clé de chiffrement n'existe plus.") from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise KeyFileError(f"{path} can be read by others: chmod 600 it, then start again")
        key = file.read()
    if len(key) != _KEY_BYTES:
        raise KeyFileError(f"{path} is no key of {_KEY_BYTES} bytes: restore it, or remove it (its pictures are gone)")
    return key


def _id(key: bytes) -> str:
    return hashlib.sha256(b"copeau pictures " + key).hexdigest()[:16]
