"""Persons, badges, and who stands at a post."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from central.core.uow import UnitOfWork
from central.people.account_models import Account, SignIn
from central.people.models import BadgeScan, Person
from central.people.rules import Presence, Scan
from contracts.codes import BadCheck, format_code, parse_code

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""No 0/o, 1/i/l: an id may be read aloud."""


@dataclass(frozen=True, slots=True)
class PersonView:
    id: str
    name: str
    """The name, or the id once it was erased."""
    badge_code: str | None
    """What the badge's QR says, for example ``PE:A17:C``."""
    active: bool


def badge_in(code: str) -> str | None:
    """The badge id in a scanned code; None when it is not a badge, or a misread one."""
    try:
        own = parse_code(code)
    except (BadCheck, ValueError):
        return None
    return own.id if own is not None and own.type == "PE" else None


async def add_person(
    uow: UnitOfWork, name: str, *, badge: str | None = None, person_id: str | None = None
) -> PersonView:
    """A new person with a fresh opaque id and badge (or those given). Past scans of that badge become theirs."""
    person = Person(
        id=person_id or "p-" + "".join(secrets.choice(_LETTERS) for _ in range(4)),
        name=name,
        badge=badge.upper() if badge else random_badge(),
        active=True,
        created_at=uow.now,
        updated_at=uow.now,
    )
    uow.session.add(person)
    await uow.session.flush()
    await _adopt_scans(uow, person)
    uow.tell("people")
    return _view(person)


def random_badge() -> str:
    """Almost 60 bits, upper case: nobody guesses somebody else's."""
    return "".join(secrets.choice(_LETTERS) for _ in range(12)).upper()


async def give_badge(uow: UnitOfWork, person_id: str, badge: str) -> PersonView:
    """Give a (new) badge. Raises LookupError when the person is not known."""
    person = await uow.session.get(Person, person_id)
    if person is None:
        raise LookupError(f"Personne inconnue : {person_id}")
    person.badge = badge.upper()
    person.updated_at = uow.now
    await uow.session.flush()
    await _adopt_scans(uow, person)
    uow.tell("people")
    return _view(person)


async def erase(uow: UnitOfWork, person_id: str) -> None:
    """Forget name, badge and account; the opaque id stays in the books."""
    person = await uow.session.get(Person, person_id)
    if person is None:
        raise LookupError(f"Personne inconnue : {person_id}")
    person.name = person.badge = None
    person.active = False
    person.erased_at = person.updated_at = uow.now
    person.left_at = person.left_at or uow.now
    await uow.session.flush()
    await uow.session.execute(delete(Account).where(Account.person == person_id))
    await uow.session.execute(delete(SignIn).where(SignIn.person == person_id))
    uow.tell("people")


async def persons(uow: UnitOfWork, *, active_only: bool = True) -> list[PersonView]:
    query = select(Person).order_by(Person.name)
    if active_only:
        query = query.where(Person.active)
    return [_view(person) for person in await uow.session.scalars(query)]


async def changed_since(uow: UnitOfWork, moment: datetime) -> list[PersonView]:
    """Changed at or after `moment`, those who left included (`active` false): what a terminal's copy must learn."""
    return [_view(person) for person in await uow.session.scalars(select(Person).where(Person.updated_at >= moment))]


async def names(uow: UnitOfWork, ids: Collection[str]) -> dict[str, str]:
    """Names to show; an unknown or erased person is shown by the id."""
    wanted = set(ids)
    if not wanted:
        return {}
    rows = await uow.session.execute(select(Person.id, Person.name).where(Person.id.in_(wanted)))
    found = {person_id: name for person_id, name in rows if name}
    return {person_id: found.get(person_id, person_id) for person_id in wanted}


async def by_badge(uow: UnitOfWork, badges: Collection[str]) -> dict[str, str]:
    """Badge id → person id, for the badges that somebody holds."""
    if not badges:
        return {}
    rows = await uow.session.execute(select(Person.badge, Person.id).where(Person.badge.in_(set(badges))))
    return {badge: person_id for badge, person_id in rows if badge is not None}


async def badge_codes(uow: UnitOfWork, ids: Collection[str]) -> dict[str, str]:
    """Person id → what the QR of the badge says, for those who hold one."""
    rows = await uow.session.execute(select(Person.id, Person.badge).where(Person.id.in_(set(ids))))
    return {person_id: format_code("PE", badge) for person_id, badge in rows if badge}


async def present_at(uow: UnitOfWork, post: str, at: datetime) -> str | None:
    """Who is at `post` at `at`, by badge scans in event time."""
    return (await present(uow, [(post, at)]))[post, at]


async def present(
    uow: UnitOfWork, questions: Iterable[tuple[str, datetime]]
) -> Mapping[tuple[str, datetime], str | None]:
    """`present_at` for many (post, time), in one query."""
    asked = set(questions)
    if not asked:
        return {}
    lasting = timedelta(seconds=uow.settings.operator_presence_s)
    times = [at for _, at in asked]
    rows = await uow.session.execute(
        select(BadgeScan.post, BadgeScan.at, BadgeScan.person).where(
            BadgeScan.post.in_({post for post, _ in asked}),
            BadgeScan.at.between(min(times) - lasting, max(times)),
            BadgeScan.person.is_not(None),
        )
    )
    scans: dict[str, list[Scan]] = {}
    for post, at, person in rows:
        if person is not None:
            scans.setdefault(post, []).append(Scan(at, person))
    presences = {post: Presence(found, lasting) for post, found in scans.items()}
    return {(post, at): presences[post].at(at) if post in presences else None for post, at in asked}


async def _adopt_scans(uow: UnitOfWork, person: Person) -> None:
    await uow.session.execute(
        update(BadgeScan).where(BadgeScan.badge == person.badge, BadgeScan.person.is_(None)).values(person=person.id)
    )


def _view(person: Person) -> PersonView:
    code = format_code("PE", person.badge) if person.badge else None
    return PersonView(person.id, person.name or person.id, code, person.active)
