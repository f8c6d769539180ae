"""Codes of an authenticator, recovery codes, passwords and PINs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from central.people import factors
from central.people.passwords import Hashing, checked_password, checked_pin

NOW = datetime(2026, 11, 2, 8, 0, 10, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(moment: datetime) -> str:
    return pyotp.TOTP(SECRET).at(moment)


def test_a_code_counts_half_a_minute_around_and_once() -> None:
    step = factors.step_of(SECRET, code(NOW), NOW, 0)
    assert step is not None
    assert factors.step_of(SECRET, code(NOW), NOW, step) is None
    assert factors.step_of(SECRET, code(NOW - timedelta(seconds=30)), NOW, 0) == step - 1
    assert factors.step_of(SECRET, code(NOW + timedelta(seconds=90)), NOW, 0) is None


@pytest.mark.parametrize("typed", ["", "12345", "abcdef", "١٢٣٤٥٦", "1234567"])
def test_what_is_no_code_is_refused(typed: str) -> None:
    assert factors.step_of(SECRET, typed, NOW, 0) is None


def test_recovery_codes_differ_and_forgive_how_they_are_typed() -> None:
    codes = factors.new_recovery_codes()
    assert len(set(codes)) == factors.CODES
    assert factors.recovery_hash("p-1", codes[0]) == factors.recovery_hash(
        "p-1", f" {codes[0].upper()} ".replace("-", " ")
    )
    assert factors.recovery_hash("p-1", codes[0]) != factors.recovery_hash("p-2", codes[0])


async def test_hashes_are_argon2id_at_owasp_parameters() -> None:
    hashed = await Hashing().hash("quatre mots sans rapport")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await Hashing().matches("quatre mots sans rapport", hashed)
    assert not await Hashing().matches("quatre mots sans rappor", hashed)
    assert not await Hashing().matches("nobody has this password", None)


@pytest.mark.parametrize(
    "password", ["court", "aaaaaaaaaaaaaaaa", "motdepasse123456", "dupont dupont dupont", "x" * 129]
)
def test_passwords_that_are_guessed_are_refused(password: str) -> None:
    with pytest.raises(ValueError, match="mot de passe"):
        checked_password(password, "dupont")


def test_a_sentence_is_a_good_password() -> None:
    assert checked_password("le tour chante quand il pleut", "dupont")


@pytest.mark.parametrize("pin", ["123", "1111", "1234", "9876", "12a4", "123456789", "٣٥٧٩"])
def test_pins_that_are_guessed_are_refused(pin: str) -> None:
    with pytest.raises(ValueError, match="code"):
        checked_pin(pin)


def test_an_ordinary_pin() -> None:
    assert checked_pin("4830") == "4830"
