"""Passwords and PINs: Argon2id at OWASP's parameters, hashed beside the event loop, a few at a time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, type=Type.ID)
"""OWASP Password Storage Cheat Sheet: m = 19 MiB, t = 2, p = 1."""
_AT_ONCE: Final = 2
"""More would let whoever guesses take the machine's memory and cores from the shop."""
SHORTEST: Final = 12
LONGEST: Final = 128
PIN_DIGITS: Final = range(4, 9)
_COMMON: Final = ("motdepasse", "password", "azerty", "qwerty", "123456", "copeau", "atelier", "administrateur")
_NOBODY: Final = _HASHER.hash("nobody has this password")
"""Verified when no account has the name, so that both answers take as long."""


class Hashing:
    """One for each running centre: its semaphore belongs to one event loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, secret: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(_HASHER.hash, secret)

    async def matches(self, secret: str, hashed: str | None) -> bool:
        """False as slowly for an account that has none."""
        async with self._turns:
            return await asyncio.to_thread(_matches, secret, hashed)


def _matches(secret: str, hashed: str | None) -> bool:
    try:
        _HASHER.verify(hashed or _NOBODY, secret)
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None


def is_outdated(hashed: str) -> bool:
    """Hashed with other parameters than today's."""
    return _HASHER.check_needs_rehash(hashed)


def checked_password(password: str, login: str = "") -> str:
    """The password, if it may be used. Raises ValueError, in French. Length counts, mixtures do not (NIST 800-63B)."""
    if len(password) < SHORTEST:
        raise ValueError(f"Le mot de passe est trop court : {SHORTEST} caractères au moins, une phrase fait très bien.")
    if len(password) > LONGEST:
        raise ValueError(f"Le mot de passe est trop long : {LONGEST} caractères au plus.")
    plain = "".join(password.lower().split())
    rest = plain
    for word in (*_COMMON, *([login] if len(login) > 2 else [])):
        rest = rest.replace(word, "")
    if len(set(plain)) < 5 or len(rest) < SHORTEST // 2:
        raise ValueError("Ce mot de passe se devine : choisissez plusieurs mots sans rapport entre eux.")
    return password


def checked_pin(pin: str) -> str:
    """Raises ValueError, in French."""
    if not (pin.isascii() and pin.isdecimal() and len(pin) in PIN_DIGITS):
        raise ValueError(f"Le code est fait de {PIN_DIGITS.start} à {PIN_DIGITS.stop - 1} chiffres.")
    steps = {(int(b) - int(a)) % 10 for a, b in itertools.pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise ValueError("Ce code se devine : ni le même chiffre, ni une suite.")
    return pin
