"""The key of the accounts: signs session cookies and seals the secrets of second factors.

Without it every session ends and codes of authenticators no longer count; passwords and recovery codes still do.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from central.core.keyfile import make_key, read_key
from central.core.settings import Settings

_NONCE_BYTES: Final = 12
_MAC_BYTES: Final = 16


def key_path(settings: Settings) -> Path:
    return settings.data_dir / "accounts.key"


class Keys:
    """Of use once opened."""

    def __init__(self, settings: Settings) -> None:
        self._path = key_path(settings)

    def open(self) -> None:
        """Read the key, made at the first start. Raises `KeyFileError`, OSError."""
        make_key(self._path)
        key = read_key(self._path)
        self._mac = hashlib.blake2b(b"copeau cookies", key=key).digest()
        self._cipher = AESGCM(hashlib.blake2b(b"copeau factors", key=key, digest_size=32).digest())

    def signed(self, purpose: str, value: str) -> str:
        """`value` with what proves that this centre wrote it for `purpose`: ``value.mac``."""
        return f"{value}.{self._tag(purpose, value)}"

    def checked(self, purpose: str, signed: str) -> str | None:
        """The value, when this centre signed it for `purpose`."""
        value, _, tag = signed.rpartition(".")
        whole = tag.isascii() and hmac.compare_digest(tag, self._tag(purpose, value))
        return value if whole else None

    def seal(self, secret: bytes, person: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, person.encode())

    def unseal(self, sealed: bytes, person: str) -> bytes | None:
        """None when it was sealed for another person or under a key that is lost."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], person.encode())
        except InvalidTag:
            return None

    def _tag(self, purpose: str, value: str) -> str:
        digest = hashlib.blake2b(f"{purpose}:{value}".encode(), key=self._mac, digest_size=_MAC_BYTES).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
