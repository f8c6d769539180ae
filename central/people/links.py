"""Links that set a password once: the owner's first one, an invitation, a lost password."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, exists, select, update

from central.audit import service as audit
from central.core.rights import ALL_GRANTS, Grants, grants_of
from central.core.uow import UnitOfWork
from central.people import own, service, sessions
from central.people.account_models import Account, AccountLink
from central.people.accounts import exceptions_of, person_row, roles_of
from central.people.errors import RefusedError

SETUP_LASTS: Final = timedelta(days=1)
INVITATION_LASTS: Final = timedelta(days=3)
_LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
_OVER: Final = "Ce lien n’est plus valable : il a déjà servi, ou son délai est passé. Demandez-en un autre."


@dataclass(frozen=True, slots=True)
class LinkView:
    """For whom a link is; `person` None: for the first owner."""

    person: str | None
    name: str
    login: str
    expires_at: datetime


async def has_owner(uow: UnitOfWork) -> bool:
    return bool(await uow.session.scalar(select(exists().where(Account.owner, Account.password.is_not(None)))))


async def setup_token(uow: UnitOfWork) -> str | None:
    """The token of a fresh link for the first owner, those before are over; None once there is an owner."""
    if await has_owner(uow):
        return None
    await uow.session.execute(delete(AccountLink).where(AccountLink.person.is_(None)))
    return await _link(uow, None, SETUP_LASTS)


async def owner_token(uow: UnitOfWork, *, forget_factors: bool) -> str | None:
    """A new password for the owner, for whoever may run commands on the centre itself; None: there is no owner yet."""
    person = await uow.session.scalar(select(Account.person).where(Account.owner))
    if person is None:
        return None
    if forget_factors:
        await own.drop_factors(uow, person)
    await audit.record(uow, who="system", what="people.owner_link", subject=f"person:{person}", factors=forget_factors)
    return await _link(uow, person, SETUP_LASTS)


async def invite(uow: UnitOfWork, person: str, *, by: str, by_owner: bool, within: Grants = ALL_GRANTS) -> str:
    """A link by which the person chooses a password, a first or a new one. Its second factor stays. Who holds the link
    may become the person: `within`, the rights of whoever makes it, must hold all of the person's.

    Raises LookupError, `RefusedError`.
    """
    await person_row(uow, person)
    account = await uow.session.get(Account, person)
    if not within.hold(grants_of(await roles_of(uow, person), await exceptions_of(uow, person))):
        raise RefusedError("Cette personne a des droits que vous n’avez pas : le lien est fait par le propriétaire.")
    if account is None:
        uow.session.add(Account(person=person, created_at=uow.now))
        await uow.session.flush()
    elif account.owner and not by_owner:
        raise RefusedError("Le mot de passe du propriétaire se refait sur le centre : « copeau admin owner-link ».")
    await uow.session.execute(delete(AccountLink).where(AccountLink.person == person))
    await audit.record(uow, who=by, what="people.invite", subject=f"person:{person}")
    return await _link(uow, person, INVITATION_LASTS)


async def link(uow: UnitOfWork, token: str) -> LinkView:
    """Raises `RefusedError` when it is over."""
    row = await uow.session.get(AccountLink, _hash(token))
    if row is None or row.expires_at <= uow.now:
        raise RefusedError(_OVER)
    if row.person is None:
        return LinkView(None, "", "", row.expires_at)
    person = await person_row(uow, row.person)
    account = await uow.session.get(Account, row.person)
    return LinkView(person.id, person.name or person.id, (account and account.login) or "", row.expires_at)


async def use_link(uow: UnitOfWork, token: str, *, name: str, login: str, hashed: str) -> str:
    """Set the account's name and password, once; the person's id. All its sessions end. Raises `RefusedError`."""
    found = await link(uow, token)
    if found.person is None:
        if await has_owner(uow):
            raise RefusedError(_OVER)
        if not name.strip():
            raise RefusedError("Dites votre nom.")
        await uow.session.execute(delete(Account).where(Account.owner))
        person = (await service.add_person(uow, name.strip()[:120])).id
        uow.session.add(Account(person=person, created_at=uow.now, owner=True))
        await uow.session.flush()
    else:
        person = found.person
    login = checked_login(login)
    taken = await uow.session.scalar(select(Account.person).where(Account.login == login, Account.person != person))
    if taken is not None:
        raise RefusedError("Ce nom de connexion est déjà pris.")
    await uow.session.execute(delete(AccountLink).where(AccountLink.hash == _hash(token)))
    values = {"login": login, "password": hashed, "password_at": uow.now}
    await uow.session.execute(update(Account).where(Account.person == person).values(**values))
    await sessions.end_all(uow, person)
    what = "people.owner" if found.person is None else "people.password"
    await audit.record(uow, who=person, what=what, subject=f"person:{person}")
    uow.tell("people")
    return person


def checked_login(login: str) -> str:
    """Raises `RefusedError`."""
    plain = login.strip().lower()
    if not _LOGIN.fullmatch(plain):
        raise RefusedError("Le nom de connexion : 2 à 64 lettres sans accent, chiffres, points ou tirets.")
    return plain


async def _link(uow: UnitOfWork, person: str | None, lasting: timedelta) -> str:
    token = secrets.token_urlsafe(32)
    uow.session.add(AccountLink(hash=_hash(token), person=person, created_at=uow.now, expires_at=uow.now + lasting))
    await uow.session.flush()
    return token


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
