"""Passkeys (WebAuthn, level 2) as a second factor: the private key stays in the phone, the PC or the stick."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import webauthn
from sqlalchemy import select
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.people.account_models import Passkey
from central.people.errors import RefusedError

_LASTS: Final = timedelta(minutes=5)
_MOST: Final = 1000
"""Challenges that may wait at once; the oldest gives way."""
_UNFIT: Final = (WebAuthnException, ValueError, TypeError, LookupError, RecursionError)
"""What the library raises over an answer that is none: its own words, and what its parsers let through."""
_REFUSED: Final = "Cette clé d’accès n’a pas été reconnue."


class Party(NamedTuple):
    """Who asks for the key, as the browser sees it: a key for one name is of no use under another."""

    host: str
    origin: str


class Challenges:
    """What was asked, by session, until it is answered once. In memory: a restart asks again."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, tuple[bytes, datetime]] = OrderedDict()

    def ask(self, session: str, now: datetime) -> bytes:
        challenge = secrets.token_bytes(32)
        self._waiting.pop(session, None)
        self._waiting[session] = (challenge, now + _LASTS)
        if len(self._waiting) > _MOST:
            self._waiting.popitem(last=False)
        return challenge

    def take(self, session: str, now: datetime) -> bytes:
        """Raises `RefusedError` when nothing was asked, or too long ago."""
        challenge, until = self._waiting.pop(session, (b"", now))
        if now >= until:
            raise RefusedError("La demande est trop ancienne : recommencez.")
        return challenge


async def creation_options(uow: UnitOfWork, person: str, login: str, party: Party, challenge: bytes) -> str:
    """What the browser needs to make a key, JSON."""
    made = webauthn.generate_registration_options(
        rp_id=party.host,
        rp_name=f"Copeau {uow.settings.site}",
        user_name=login,
        user_id=person.encode(),
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=await _descriptors(uow, person),
    )
    return webauthn.options_to_json(made)


async def add(uow: UnitOfWork, person: str, answer: str, party: Party, challenge: bytes, name: str) -> None:
    """Keep the key that the browser made. Raises `RefusedError`."""
    try:
        made = webauthn.verify_registration_response(
            credential=answer, expected_challenge=challenge, expected_rp_id=party.host, expected_origin=party.origin
        )
    except _UNFIT as error:
        raise RefusedError(_REFUSED) from error
    key = bytes_to_base64url(made.credential_id)
    if await uow.session.get(Passkey, key) is not None:
        raise RefusedError("Cette clé d’accès est déjà enregistrée.")
    uow.session.add(
        Passkey(
            id=key, person=person, public_key=made.credential_public_key, sign_count=made.sign_count,
            name=name.strip()[:60] or "Clé d’accès", created_at=uow.now,
        )
    )  # fmt: skip
    await uow.session.flush()
    await audit.record(uow, who=person, what="people.passkey", subject=f"person:{person}")


async def request_options(uow: UnitOfWork, person: str, party: Party, challenge: bytes) -> str:
    """What the browser needs to use one of the person's keys, JSON. Raises `RefusedError` when there is none."""
    known = await _descriptors(uow, person)
    if not known:
        raise RefusedError("Aucune clé d’accès n’est enregistrée pour ce compte.")
    asked = webauthn.generate_authentication_options(rp_id=party.host, challenge=challenge, allow_credentials=known)
    return webauthn.options_to_json(asked)


async def check(uow: UnitOfWork, person: str, answer: str, party: Party, challenge: bytes) -> None:
    """One of the person's keys answered. Raises `RefusedError`; a key whose counter went back was copied."""
    try:
        parsed = parse_authentication_credential_json(answer)
        row = await uow.session.get(Passkey, bytes_to_base64url(parsed.raw_id))
        if row is None or row.person != person:
            raise RefusedError(_REFUSED)
        shown = webauthn.verify_authentication_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=party.host,
            expected_origin=party.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
        )
    except _UNFIT as error:
        raise RefusedError(_REFUSED) from error
    row.sign_count, row.used_at = shown.new_sign_count, uow.now
    await uow.session.flush()


async def _descriptors(uow: UnitOfWork, person: str) -> list[PublicKeyCredentialDescriptor]:
    ids = await uow.session.scalars(select(Passkey.id).where(Passkey.person == person))
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(key)) for key in ids]
