"""The key under which pictures rest: one file beside the database, readable by the centre's user only.

Without it the pictures are gone, and that is its use: a stolen database or backup shows nobody's hands.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from central.core import keyfile
from central.core.keyfile import KeyFileError, read_key
from central.core.settings import Settings

_NONCE_BYTES: Final = 12


class KeyLostError(LookupError):
    """The picture was sealed under a key that is no longer there. The text is French."""


def key_path(settings: Settings) -> Path:
    return settings.data_dir / "pictures.key"


def make_key(settings: Settings) -> bool:
    """Make the key at the first start; whether it was made now. Raises `KeyFileError`, OSError."""
    return keyfile.make_key(key_path(settings))


def key_id(settings: Settings) -> str | None:
    """What tells the present key from another, without telling it; None when there is none."""
    try:
        return _id(read_key(key_path(settings)))
    except FileNotFoundError:
        return None


class Vault:
    """Seals and opens with the present key. Raises `KeyFileError` when there is none that can be used."""

    def __init__(self, settings: Settings) -> None:
        try:
            key = read_key(key_path(settings))
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


def _id(key: bytes) -> str:
    return hashlib.sha256(b"copeau pictures " + key).hexdigest()[:16]
