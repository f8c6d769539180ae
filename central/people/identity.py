"""Who asks, at a centre with accounts: a person by the session cookie, a device by what it was given when enrolled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import exists, select
from starlette.requests import HTTPConnection

from central.core.access import Identity, Must, who
from central.core.rights import administers, grants_of
from central.core.uow import UnitOfWork, Units
from central.people import accounts, sessions
from central.people.account_models import Account, AccountSession, Passkey
from central.people.keys import Keys
from central.people.models import Person
from central.people.sessions import Caller

__all__ = ["Identity", "PersonGate", "who"]

_SHOWN: Final = 120


def cookie_name(what: Literal["session", "known"], *, secure: bool) -> str:
    """Over HTTPS the browser itself refuses such a cookie from another host or a plain connection (``__Host-``)."""
    return f"{'__Host-' if secure else ''}copeau-{what}"


class PersonGate:
    open = False

    def __init__(self, units: Units, keys: Keys) -> None:
        self.devices: Callable[[HTTPConnection], Awaitable[Identity | None]] | None = None
        """Finds the enrolled device that a request comes from, where it carries no session."""
        self.seen: dict[str, datetime] = {}
        """When sessions were last used, until `write_seen` writes it down."""
        self._units, self._keys = units, keys

    async def identify(self, request: HTTPConnection) -> Identity | None:
        cookie = request.cookies.get(cookie_name("session", secure=request.url.scheme == "https"))
        if cookie is not None:
            async with self._units.reading() as uow:
                session = await sessions.find(uow, self._keys, cookie, self.seen)
                found = await _identity(uow, session) if session is not None else None
                if found is not None and session is not None:
                    self.seen[session.id] = uow.now
                    return found
        return await self.device(request)

    async def device(self, request: HTTPConnection) -> Identity | None:
        return await self.devices(request) if self.devices is not None else None

    def caller(self, request: HTTPConnection) -> Caller:
        known = request.cookies.get(cookie_name("known", secure=request.url.scheme == "https"), "")
        value = self._keys.checked("known", known) or ""
        return Caller(
            request.client.host if request.client is not None else "",
            request.headers.get("user-agent", "")[:_SHOWN],
            value.partition(":")[0],
        )

    async def write_seen(self, uow: UnitOfWork) -> None:
        await sessions.write_seen(uow, self.seen)


async def _identity(uow: UnitOfWork, session: AccountSession) -> Identity | None:
    passkey = exists().where(Passkey.person == session.person)
    row = (
        await uow.session.execute(
            select(Person.name, Account.owner, Account.totp_confirmed | passkey)
            .join(Account, Account.person == Person.id)
            .where(Person.id == session.person, Person.active)
        )
    ).first()
    if row is None:
        return None
    name, owner, has_factor = row
    roles = await accounts.roles_of(uow, session.person)
    grants = grants_of(roles, await accounts.exceptions_of(uow, session.person), owner=owner)
    must: Must = ""
    if has_factor and not session.strong:
        must = "code"
    elif not has_factor and administers(grants):
        must = "factor"
    return Identity(
        "person", session.person, None, frozenset(roles), name or session.person, session.id, grants, owner, must
    )
