"""Second factors: codes of an authenticator (RFC 6238) and recovery codes, each good once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import pyotp
import segno

STEP_S: Final = 30
_DRIFT_STEPS: Final = 1
"""A phone may be half a minute off."""
CODES: Final = 10
_GROUPS, _GROUP = 4, 4
_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"


def new_secret() -> str:
    """160 bits, base32."""
    return pyotp.random_base32()


def step_of(secret: str, code: str, now: datetime, last_step: int) -> int | None:
    """The 30 s step whose code this is; None when it is of none near `now`, or of one used already."""
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdecimal() and len(digits) == 6):
        return None
    totp = pyotp.TOTP(secret, interval=STEP_S)
    present = int(now.timestamp()) // STEP_S
    for step in range(present - _DRIFT_STEPS, present + _DRIFT_STEPS + 1):
        if step > last_step and hmac.compare_digest(totp.at(step * STEP_S), digits):
            return step
    return None


def enrolment(secret: str, login: str, site: str) -> str:
    """The ``otpauth:`` address that an authenticator reads."""
    return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=login, issuer_name=f"Copeau {site}")


def qr(address: str) -> str:
    """As an SVG element without script or style, four modules of margin."""
    drawn: str = segno.make(address, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff", omitsize=True)
    return drawn


def new_recovery_codes() -> list[str]:
    """Ten codes of 79 bits, in groups that can be read aloud."""
    return [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS)) for _ in range(CODES)
    ]


def recovery_hash(person: str, code: str) -> str:
    plain = "".join(c for c in code.lower() if c.isalnum())
    return hashlib.sha256(f"{person}:{plain}".encode()).hexdigest()


def recovery_hashes(person: str, codes: Sequence[str]) -> list[str]:
    return [recovery_hash(person, code) for code in codes]
