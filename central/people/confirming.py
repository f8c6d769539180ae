"""A signed-in person is asked again who it is, in the very request that needs it: password, and the second factor."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import delete, select

from central.core.uow import UnitOfWork
from central.people import passkeys
from central.people.account_models import Account, SignIn
from central.people.errors import RefusedError
from central.people.models import Person
from central.people.passkeys import Party
from central.people.sessions import Caller
from central.people.signing_in import Door, NotSignedIn, has_factor

_WRONG: Final = "Ce n’est pas votre mot de passe."
_WRONG_FACTOR: Final = "Ce second facteur n’est pas le bon, ou il a déjà servi."


class Proof(NamedTuple):
    """What the person showed in this request."""

    password: str
    code: str = ""
    """Of the authenticator, or a recovery code."""
    key: str = ""
    """What a passkey answered, JSON."""


async def confirm(door: Door, person: str, session: str, proof: Proof, party: Party, caller: Caller) -> tuple[str, ...]:
    """By what it was proved: ``password``, and ``code`` or ``passkey`` where the account has a second factor.

    Raises `NotSignedIn`. Failures count as those of signing in do, and slow down both.
    """
    async with door.units.begin() as uow:
        until = await door.wait(uow, person, caller)
        attempt = await door.note(uow, person, caller) if until is None else 0
        hashed = await uow.session.scalar(
            select(Account.password)
            .join(Person, Person.id == Account.person)
            .where(Account.person == person, Person.active)
        )
    if until is not None:
        raise NotSignedIn("Trop d’essais : attendez un peu avant le suivant.", until)
    fine = await door.hashing.matches(proof.password, hashed)
    async with door.units.begin() as uow:
        shown = await _factor(door, uow, person, session, proof, party) if fine else None
        if shown is None:
            await door.settle(uow, attempt, "code" if fine else "wrong")
        else:
            await uow.session.execute(delete(SignIn).where(SignIn.id == attempt))
    if shown is None:
        raise NotSignedIn(_WRONG_FACTOR if fine else _WRONG)
    return ("password", *shown)


async def _factor(
    door: Door, uow: UnitOfWork, person: str, session: str, proof: Proof, party: Party
) -> tuple[str, ...] | None:
    """None: the second factor is owed and was not shown."""
    if not await has_factor(uow, person):
        return ()
    if not proof.key:
        return ("code",) if await door.is_code(uow, person, proof.code) else None
    try:
        challenge = door.challenges.take(session, uow.now)
        await passkeys.check(uow, person, proof.key, party, challenge)
    except RefusedError:
        return None
    return ("passkey",)
