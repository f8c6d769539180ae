"""What belongs to one person's account: password, PIN, second factor, recovery codes. Hashing is done by the caller."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, update

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.people import sessions
from central.people.account_models import Account, Passkey, RecoveryCode
from central.people.accounts import account_row, person_row
from central.people.errors import RefusedError


async def set_pin(uow: UnitOfWork, person: str, hashed: str | None, *, by: str) -> None:
    """The PIN for shared terminals; None: none any more. Raises LookupError."""
    row = await uow.session.get(Account, person)
    if row is None:
        await person_row(uow, person)
        row = Account(person=person, created_at=uow.now)
        uow.session.add(row)
    row.pin = hashed
    await uow.session.flush()
    await audit.record(uow, who=by, what="people.pin", subject=f"person:{person}", there=hashed is not None)


async def set_password(uow: UnitOfWork, person: str, hashed: str, *, session: str | None) -> None:
    """The person's own act; every other session ends."""
    row = await account_row(uow, person)
    row.password, row.password_at = hashed, uow.now
    await uow.session.flush()
    await sessions.end_all(uow, person, but=session)
    await audit.record(uow, who=person, what="people.password", subject=f"person:{person}")
    uow.tell("people")


async def set_recovery_codes(uow: UnitOfWork, person: str, hashes: Sequence[str]) -> None:
    """Those before do not count any more."""
    await uow.session.execute(delete(RecoveryCode).where(RecoveryCode.person == person))
    await uow.session.execute(insert(RecoveryCode), [{"person": person, "hash": h, "used_at": None} for h in hashes])
    await audit.record(uow, who=person, what="people.recovery_codes", subject=f"person:{person}")


async def drop_factors(uow: UnitOfWork, person: str) -> None:
    """Without a word in the journal: the caller says why."""
    values = {"totp": None, "totp_confirmed": False, "totp_step": 0}
    await uow.session.execute(update(Account).where(Account.person == person).values(**values))
    for table in (RecoveryCode, Passkey):
        await uow.session.execute(delete(table).where(table.person == person))


async def forget_factors(uow: UnitOfWork, person: str, *, by: str, by_owner: bool) -> None:
    """Somebody lost the phone and the codes. Raises LookupError, `RefusedError`."""
    row = await account_row(uow, person)
    if row.owner or not by_owner:
        raise RefusedError("Seul le propriétaire retire un second facteur ; le sien : « copeau admin owner-link ».")
    await drop_factors(uow, person)
    await sessions.end_all(uow, person)
    await audit.record(uow, who=by, what="people.forget_factors", subject=f"person:{person}")
    uow.tell("people")


async def set_totp(uow: UnitOfWork, person: str, sealed: bytes, step: int) -> None:
    """The authenticator that just showed the code of `step`; one before it does not count any more."""
    row = await account_row(uow, person)
    row.totp, row.totp_confirmed, row.totp_step = sealed, True, step
    await uow.session.flush()
    await audit.record(uow, who=person, what="people.totp", subject=f"person:{person}")


async def codes_left(uow: UnitOfWork, person: str) -> int:
    """Recovery codes that were not used."""
    left = select(func.count()).select_from(RecoveryCode)
    return await uow.session.scalar(left.where(RecoveryCode.person == person, RecoveryCode.used_at.is_(None))) or 0
