"""Shared terminals: who has opened a post with the PIN. Several may be there, one is active; all are released.

A PIN is asked for where a person has one; without one the badge is enough. Facts need neither: they are judged later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.people.account_models import Account, PostSession
from central.people.models import Person
from central.people.sessions import Caller
from central.people.signing_in import AT_POST, Door, NotSignedIn

_WRONG: Final = "Ce n’est pas le bon code."


@dataclass(frozen=True, slots=True)
class PostPerson:
    person: str
    until: datetime
    active: bool


async def with_pin(uow: UnitOfWork) -> set[str]:
    """The persons who are asked for a PIN."""
    return set(await uow.session.scalars(select(Account.person).where(Account.pin.is_not(None))))


async def enter(door: Door, post: str, person: str, pin: str) -> PostPerson:
    """`person` opens the post and becomes the active one. Raises `NotSignedIn`, for a while after many wrong PINs."""
    caller = Caller(f"{AT_POST}{post}"[:64], "")
    async with door.units.begin() as uow:
        until = await door.wait(uow, person, caller)
        attempt = await door.note(uow, person, caller) if until is None else 0
        hashed = await uow.session.scalar(
            select(Account.pin).join(Person, Person.id == Account.person).where(Account.person == person, Person.active)
        )
    if until is not None:
        raise NotSignedIn("Trop d’essais : attendez un peu avant le suivant.", until)
    fine = await door.hashing.matches(pin, hashed)
    async with door.units.begin() as uow:
        await door.settle(uow, attempt, "ok" if fine else "pin")
        opened = await _open(uow, post, person) if fine else None
    if opened is None:
        raise NotSignedIn(_WRONG)
    return opened


async def speaks_for(uow: UnitOfWork, post: str, person: str) -> bool:
    """Whether what the post asks in the person's name is the person's: the PIN was shown there, or there is none."""
    if await uow.session.scalar(select(Account.pin).where(Account.person == person)) is None:
        return True
    return any(one.person == person for one in await present(uow, post))


async def activate(uow: UnitOfWork, post: str, person: str) -> bool:
    """Somebody who has opened the post takes it over again; whether that was so."""
    open_here = {one.person for one in await present(uow, post)}
    if person in open_here:
        await _make_active(uow, post, person)
    return person in open_here


async def present(uow: UnitOfWork, post: str) -> list[PostPerson]:
    """Who has opened the post and was not released, the active one first."""
    s = PostSession
    rows = await uow.session.scalars(
        select(s).where(s.post == post, s.until > uow.now).order_by(s.active.desc(), s.opened_at)
    )
    return [PostPerson(row.person, row.until, row.active) for row in rows]


async def leave(uow: UnitOfWork, post: str, person: str | None = None) -> None:
    """Release one person, or everybody, from the post."""
    s = PostSession
    theirs = () if person is None else (s.person == person,)
    await uow.session.execute(delete(s).where(s.post == post, *theirs))


async def release_ended(uow: UnitOfWork) -> None:
    """The shift in which they had opened it is over."""
    await uow.session.execute(delete(PostSession).where(PostSession.until <= uow.now))


async def _open(uow: UnitOfWork, post: str, person: str) -> PostPerson:
    await leave(uow, post, person)
    until = uow.now + timedelta(seconds=uow.settings.operator_presence_s)
    uow.session.add(PostSession(post=post, person=person, opened_at=uow.now, until=until, active=True))
    await uow.session.flush()
    await _make_active(uow, post, person)
    await audit.record(uow, who=person, what="people.post", subject=f"post:{post}")
    return PostPerson(person, until, active=True)


async def _make_active(uow: UnitOfWork, post: str, person: str) -> None:
    s = PostSession
    await uow.session.execute(update(s).where(s.post == post).values(active=s.person == person))
