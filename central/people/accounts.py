"""Accounts: who holds one, and what the owner gave: roles, exceptions, machines."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update

from central.audit import service as audit
from central.core.rights import ACTIONS, MODULES, ROLES, Exceptional, Right, Role
from central.core.uow import UnitOfWork
from central.people import service, sessions
from central.people.account_models import (
    Account,
    AccountException,
    AccountLink,
    AccountMachine,
    AccountRole,
    Passkey,
)
from central.people.errors import RefusedError
from central.people.models import Person


@dataclass(frozen=True, slots=True)
class AccountView:
    person: str
    name: str
    badge_code: str | None
    active: bool
    login: str | None
    owner: bool
    has_account: bool
    has_password: bool
    factors: tuple[str, ...]
    """``totp``, ``passkey``."""
    has_pin: bool
    roles: tuple[Role, ...]
    exceptions: tuple[Exceptional, ...]
    machines: tuple[str, ...]


async def accounts(uow: UnitOfWork) -> list[AccountView]:
    """All persons who are not erased, those without an account too, by name."""
    rows = await uow.session.scalars(select(Person.id).where(Person.erased_at.is_(None)).order_by(Person.name))
    return [await account(uow, person) for person in rows]


async def account(uow: UnitOfWork, person_id: str) -> AccountView:
    """Raises LookupError."""
    person = await person_row(uow, person_id)
    row = await uow.session.get(Account, person_id)
    keys = await uow.session.scalar(select(func.count()).select_from(Passkey).where(Passkey.person == person_id))
    factors = [name for name, there in (("totp", row and row.totp_confirmed), ("passkey", keys)) if there]
    badge = (await service.badge_codes(uow, {person_id})).get(person_id)
    return AccountView(
        person_id, person.name or person_id, badge, person.active,
        row.login if row else None, bool(row and row.owner), row is not None, bool(row and row.password),
        tuple(factors), bool(row and row.pin), await roles_of(uow, person_id), await exceptions_of(uow, person_id),
        await machines_of(uow, person_id),
    )  # fmt: skip


async def roles_of(uow: UnitOfWork, person: str) -> tuple[Role, ...]:
    found = set(await uow.session.scalars(select(AccountRole.role).where(AccountRole.person == person)))
    return tuple(role for role in ROLES if role in found)


async def exceptions_of(uow: UnitOfWork, person: str) -> tuple[Exceptional, ...]:
    e = AccountException
    rows = await uow.session.execute(select(e.module, e.action, e.allowed).where(e.person == person))
    known = ((m, a, allowed) for m, a, allowed in rows if m in MODULES and a in ACTIONS)
    return tuple(Exceptional(Right(m, a), allowed) for m, a, allowed in known)


async def machines_of(uow: UnitOfWork, person: str) -> tuple[str, ...]:
    """For which the person is qualified now."""
    m = AccountMachine
    return tuple(await uow.session.scalars(select(m.machine).where(m.person == person, m.until.is_(None)).distinct()))


async def set_roles(uow: UnitOfWork, person: str, roles: Collection[str], *, by: str) -> None:
    """The owner's act. Takes effect with the next request. Raises LookupError, ValueError."""
    unknown = set(roles) - set(ROLES)
    if unknown:
        raise ValueError(f"Rôle inconnu : {', '.join(sorted(unknown))}")
    await account_row(uow, person)
    before = await roles_of(uow, person)
    await uow.session.execute(delete(AccountRole).where(AccountRole.person == person))
    if roles:
        await uow.session.execute(insert(AccountRole), [{"person": person, "role": role} for role in set(roles)])
    await audit.record(
        uow, who=by, what="people.roles", subject=f"person:{person}", before=list(before), after=sorted(roles)
    )
    uow.tell("people")


async def set_exception(uow: UnitOfWork, person: str, right: Right, allowed: bool | None, *, by: str) -> None:
    """Give (True), take away (False), or leave it to the roles (None). The owner's act. Raises LookupError."""
    await account_row(uow, person)
    e = AccountException
    await uow.session.execute(delete(e).where(e.person == person, e.module == right.module, e.action == right.action))
    if allowed is not None:
        await uow.session.execute(insert(e).values(person=person, **right._asdict(), allowed=allowed))
    await audit.record(uow, who=by, what="people.right", subject=f"person:{person}", **right._asdict(), allowed=allowed)
    uow.tell("people")


async def set_machines(uow: UnitOfWork, person: str, machines: Collection[str], *, by: str) -> None:
    """For which machines the person is qualified from now on. Raises LookupError."""
    await account_row(uow, person)
    before = set(await machines_of(uow, person))
    m = AccountMachine
    gone = before - set(machines)
    if gone:
        await uow.session.execute(
            update(m).where(m.person == person, m.machine.in_(gone), m.until.is_(None)).values(until=uow.now)
        )
    for machine in set(machines) - before:
        uow.session.add(AccountMachine(person=person, machine=machine, since=uow.now))
    await uow.session.flush()
    await audit.record(
        uow, who=by, what="people.machines", subject=f"person:{person}", before=sorted(before), after=sorted(machines)
    )
    uow.tell("people")


async def add(uow: UnitOfWork, name: str, *, by: str) -> str:
    """A new person with a random badge, without an account; the opaque id."""
    person = (await service.add_person(uow, name[:120])).id
    await audit.record(uow, who=by, what="people.add", subject=f"person:{person}")
    return person


async def set_badge(uow: UnitOfWork, person_id: str, *, new: bool, by: str) -> None:
    """A fresh random badge, or none; the former one is unknown from now on. Raises LookupError."""
    person = await person_row(uow, person_id)
    if new:
        await service.give_badge(uow, person_id, service.random_badge())
    else:
        person.badge, person.updated_at = None, uow.now
        await uow.session.flush()
        uow.tell("people")
    await audit.record(uow, who=by, what="people.badge", subject=f"person:{person_id}", there=new)


async def set_active(uow: UnitOfWork, person_id: str, active: bool, *, by: str) -> None:
    """Somebody left, or is back. Leaving ends sessions and revokes the badge. Raises LookupError, `RefusedError`."""
    person = await person_row(uow, person_id)
    row = await uow.session.get(Account, person_id)
    if row is not None and row.owner and not active:
        raise RefusedError("Le propriétaire ne peut pas être désactivé.")
    person.active, person.updated_at = active, uow.now
    person.left_at = None if active else uow.now
    if not active:
        person.badge = None
        await sessions.end_all(uow, person_id)
        await uow.session.execute(delete(AccountLink).where(AccountLink.person == person_id))
    await uow.session.flush()
    await audit.record(uow, who=by, what="people.active", subject=f"person:{person_id}", active=active)
    uow.tell("people")


async def person_row(uow: UnitOfWork, person_id: str) -> Person:
    person = await uow.session.get(Person, person_id)
    if person is None or person.erased_at is not None:
        raise LookupError(f"Personne inconnue : {person_id}")
    return person


async def account_row(uow: UnitOfWork, person: str) -> Account:
    row = await uow.session.get(Account, person)
    if row is None:
        raise LookupError("Cette personne n’a pas encore de compte : envoyez-lui d’abord un lien.")
    return row
