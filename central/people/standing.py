"""Whose operation it is, at a time: given to the person, handed over, or queued on a machine of the person's.

Only persons whose rights are limited to their own operations are judged; a shop that gave nobody such rights sees none
of this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias, cast

from sqlalchemy import delete, select

from central.audit import service as audit
from central.core.database import insert_ignore
from central.core.rights import Role, grants_of
from central.core.uow import UnitOfWork
from central.people.account_models import AccountMachine, AccountOperation, AccountRole
from central.people.accounts import account_row, exceptions_of
from central.people.models import Person

How: TypeAlias = Literal["given", "relayed"]
Breach: TypeAlias = Literal["left", "not_theirs"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides for one person."""

    limited: bool = False
    """May only work on own operations."""
    left_at: datetime | None = None
    machines: tuple[tuple[str, datetime, datetime | None], ...] = ()
    """Qualified for the machine, from, until."""
    operations: Mapping[str, datetime] = field(default_factory=dict)
    """Given or handed over, since."""

    def breach(self, operation: str, machine: str | None, at: datetime) -> Breach | None:
        """Why work on `operation`, queued on `machine`, was not this person's at `at`; None: it was."""
        if self.left_at is not None and at >= self.left_at:
            return "left"
        if not self.limited:
            return None
        given = self.operations.get(operation)
        if given is not None and at >= given:
            return None
        qualified = any(
            m == machine and since <= at and (until is None or at < until) for m, since, until in self.machines
        )
        return None if qualified else "not_theirs"


async def standings(uow: UnitOfWork, persons: Collection[str]) -> dict[str, Standing]:
    """Of each person that is known, as of now back to the beginning (roles: those of today)."""
    wanted = set(persons)
    rows = (await uow.session.execute(select(Person.id, Person.left_at).where(Person.id.in_(wanted)))).all()
    left = {row[0]: row[1] for row in rows}
    roles: dict[str, list[Role]] = {}
    for person, role in await uow.session.execute(
        select(AccountRole.person, AccountRole.role).where(AccountRole.person.in_(wanted))
    ):
        roles.setdefault(person, []).append(cast("Role", role))
    limited = set()
    for person, held in roles.items():
        grants = grants_of(held, await exceptions_of(uow, person))
        if not grants.allows("atelier", "creer") and grants.allows("atelier", "creer", own=True):
            limited.add(person)
    if not limited:
        return {person: Standing(left_at=at) for person, at in left.items()}
    m, o = AccountMachine, AccountOperation
    machines: dict[str, list[tuple[str, datetime, datetime | None]]] = {}
    for person, machine, since, until in await uow.session.execute(
        select(m.person, m.machine, m.since, m.until).where(m.person.in_(limited))
    ):
        machines.setdefault(person, []).append((machine, since, until))
    operations: dict[str, dict[str, datetime]] = {}
    for person, operation, at in await uow.session.execute(
        select(o.person, o.operation, o.at).where(o.person.in_(limited))
    ):
        operations.setdefault(person, {})[operation] = at
    return {
        person: Standing(person in limited, at, tuple(machines.get(person, ())), operations.get(person, {}))
        for person, at in left.items()
    }


async def give_operation(uow: UnitOfWork, person: str, operation: str, how: How, *, by: str) -> None:
    """It is this person's from now on; again: nothing changes. Raises LookupError when the person has no account."""
    await account_row(uow, person)
    row = {"person": person, "operation": operation, "how": how, "at": uow.now, "by": by}
    await uow.session.execute(insert_ignore(uow.session, AccountOperation.metadata.tables["account_operation"], [row]))
    await audit.record(uow, who=by, what=f"people.operation_{how}", subject=f"operation:{operation}", person=person)
    uow.tell("people")


async def take_operation(uow: UnitOfWork, person: str, operation: str, *, by: str) -> None:
    o = AccountOperation
    await uow.session.execute(delete(o).where(o.person == person, o.operation == operation))
    await audit.record(uow, who=by, what="people.operation_taken", subject=f"operation:{operation}", person=person)
    uow.tell("people")
