"""Sessions: a row at the centre and a signed token in the browser's cookie. Ending the row ends the session at once."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update

from central.core.uow import UnitOfWork
from central.people.account_models import AccountSession
from central.people.keys import Keys

UNFINISHED: Final = timedelta(minutes=10)
"""Between the password and the code of the second factor."""
_PURPOSE: Final = "session"


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from, as the sign-in history keeps it."""

    address: str
    browser: str
    """What it calls itself, shortened."""
    known: str = ""
    """The person that this browser's own cookie names."""


@dataclass(frozen=True, slots=True)
class SessionView:
    id: str
    address: str
    browser: str
    created_at: datetime
    seen_at: datetime


async def begin(uow: UnitOfWork, keys: Keys, person: str, caller: Caller, *, strong: bool, finished: bool) -> str:
    """A new session; the signed token for its cookie."""
    token = secrets.token_urlsafe(32)
    lasting = timedelta(days=uow.settings.session_days) if finished else UNFINISHED
    uow.session.add(
        AccountSession(
            id=_id(token), person=person, strong=strong, created_at=uow.now, seen_at=uow.now,
            expires_at=uow.now + lasting, address=caller.address, browser=caller.browser,
        )
    )  # fmt: skip
    await uow.session.flush()
    return keys.signed(_PURPOSE, token)


async def find(uow: UnitOfWork, keys: Keys, cookie: str, seen: dict[str, datetime]) -> AccountSession | None:
    """The session of this cookie while it lasts. `seen`: when it was last used, as far as that is not written yet."""
    token = keys.checked(_PURPOSE, cookie)
    if token is None:
        return None
    row = await uow.session.get(AccountSession, _id(token))
    if row is None:
        return None
    used = max(row.seen_at, seen.get(row.id, row.seen_at))
    idle = timedelta(hours=uow.settings.session_idle_h)
    return row if uow.now < row.expires_at and uow.now - used < idle else None


async def of(uow: UnitOfWork, person: str) -> list[SessionView]:
    """The person's open sessions, the last used first."""
    rows = await uow.session.scalars(
        select(AccountSession)
        .where(AccountSession.person == person, AccountSession.expires_at > uow.now)
        .order_by(AccountSession.seen_at.desc())
    )
    return [SessionView(s.id, s.address, s.browser, s.created_at, s.seen_at) for s in rows]


async def end(uow: UnitOfWork, person: str, session: str) -> None:
    """End one session of the person; the streams it holds open end with it."""
    await uow.session.execute(
        delete(AccountSession).where(AccountSession.id == session, AccountSession.person == person)
    )


async def end_all(uow: UnitOfWork, person: str, *, but: str | None = None) -> None:
    kept = () if but is None else (AccountSession.id != but,)
    await uow.session.execute(delete(AccountSession).where(AccountSession.person == person, *kept))


async def write_seen(uow: UnitOfWork, seen: dict[str, datetime]) -> None:
    """Write down when sessions were last used, and drop those that are over. What comes into `seen` meanwhile waits."""
    written = dict(seen)
    for session, at in written.items():
        await uow.session.execute(update(AccountSession).where(AccountSession.id == session).values(seen_at=at))
        if seen.get(session) == at:
            del seen[session]
    idle = timedelta(hours=uow.settings.session_idle_h)
    await uow.session.execute(
        delete(AccountSession).where((AccountSession.expires_at < uow.now) | (AccountSession.seen_at < uow.now - idle))
    )


def _id(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
