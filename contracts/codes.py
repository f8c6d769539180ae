"""Codes that Copeau prints: ``TYPE:ID:C`` with a check character, short enough for a small QR and typed without fear.

The check is ISO/IEC 7064 MOD 37,36 over the type and the id: it catches every single wrong character and nearly every
swap of two neighbours. Codes that are already on boxes or gammes (EAN, the ERP's own) stay as they are and are
looked up
as text.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

CodeType: TypeAlias = Literal["OP", "IT", "PL", "PE", "MA", "PROG"]
"""Operation, item, place, person (badge), machine, CN programme."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TYPES: Final[dict[str, CodeType]] = {
    "OP": "OP", "IT": "IT", "PL": "PL", "PE": "PE", "MA": "MA", "PROG": "PROG",
}  # fmt: skip


class OwnCode(NamedTuple):
    type: CodeType
    id: str


class BadCheck(ValueError):
    """It has our form, but its check character is wrong: misread or mistyped."""


def format_code(code_type: CodeType, identifier: str) -> str:
    """`identifier` is upper-cased; letters, digits and ``-/._`` (the latter do not take part in the check)."""
    identifier = identifier.upper()
    if not identifier or any(c not in _ALPHABET and c not in "-/._" for c in identifier):
        raise ValueError(f"a code may hold letters, digits and - / . _ only: {identifier!r}")
    return f"{code_type}:{identifier}:{_check(code_type + identifier)}"


def parse_code(text: str) -> OwnCode | None:
    """Our own code in `text`, None when it is somebody else's; raises `BadCheck` when it is ours but misread."""
    parts = text.strip().upper().split(":")
    if len(parts) != 3 or parts[0] not in _TYPES or not parts[1]:
        return None
    if parts[2] != _check(parts[0] + parts[1]):
        raise BadCheck(f"code {text!r}: wrong check character")
    return OwnCode(_TYPES[parts[0]], parts[1])


def _check(text: str) -> str:
    remainder = 36
    for character in text:
        if character in _ALPHABET:
            remainder = (remainder + _ALPHABET.index(character)) % 36 or 36
            remainder = remainder * 2 % 37
    return _ALPHABET[(37 - remainder) % 36]
