"""Signing in: the password, then the code where there is a second factor, both slowed down for whoever guesses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

from sqlalchemy import delete, exists, select, update

from central.audit import service as audit
from central.core.uow import UnitOfWork, Units
from central.people import factors, links, passkeys, sessions
from central.people.account_models import Account, AccountSession, Passkey, RecoveryCode, SignIn
from central.people.keys import Keys
from central.people.models import Person
from central.people.passkeys import Challenges, Party
from central.people.passwords import Hashing, is_outdated
from central.people.sessions import Caller
from central.people.throttle import WINDOW, Failure, wait_until

AT_POST: Final = "poste:"
"""Begins the address of a PIN typed at a post: those failures and the ones of passwords do not slow each other down."""
_FAILED: Final = frozenset({"tried", "wrong", "code", "pin"})
_WRONG: Final = "Nom ou mot de passe inconnu."
_WRONG_CODE: Final = "Ce code n’est pas le bon, ou il a déjà servi."


class NotSignedIn(ValueError):
    """Refused; the text is French. `until`: not before then."""

    def __init__(self, text: str, until: datetime | None = None) -> None:
        super().__init__(text)
        self.until = until


class SignedIn(NamedTuple):
    person: str
    cookie: str
    """The signed token of the session."""
    must: Literal["", "code"]


@dataclass(frozen=True, slots=True)
class SignInView:
    at: datetime
    outcome: str
    address: str
    browser: str


class _Attempt(NamedTuple):
    id: int
    person: str | None
    password: str | None


class Door:
    """The one way in for persons. Hashing happens outside of transactions: the shop's writer is not held up by it."""

    def __init__(self, units: Units, keys: Keys, hashing: Hashing) -> None:
        self.units, self.keys, self.hashing = units, keys, hashing
        self.challenges = Challenges()

    async def enter(self, login: str, password: str, caller: Caller) -> SignedIn:
        """Raises `NotSignedIn`."""
        attempt = await self._try(login.strip().lower(), caller)
        fine = await self.hashing.matches(password, attempt.password)
        rehashed = await self.hashing.hash(password) if fine and is_outdated(attempt.password or "") else None
        async with self.units.begin() as uow:
            if not fine or attempt.person is None:
                await self.settle(uow, attempt.id, "wrong")
                signed = None
            else:
                signed = await self._let_in(uow, attempt.person, attempt.id, caller, rehashed)
        if signed is None:
            raise NotSignedIn(_WRONG)
        return signed

    async def show_code(self, person: str, session: str, code: str, caller: Caller) -> SignedIn:
        """The second factor of a session that still owes it: an authenticator's code or a recovery code. The session
        gets a new token. Raises `NotSignedIn`.
        """
        async with self.units.begin() as uow:
            until = await self.wait(uow, person, caller)
            if until is None:
                attempt = await self.note(uow, person, caller)
                fine = await self.is_code(uow, person, code)
                await self.settle(uow, attempt, "ok" if fine else "code")
                cookie = await self._finish(uow, person, session, caller) if fine else None
        if until is not None:
            raise _too_early(until)
        if cookie is None:
            raise NotSignedIn(_WRONG_CODE)
        return SignedIn(person, cookie, "")

    async def show_passkey(self, person: str, session: str, answer: str, party: Party, caller: Caller) -> SignedIn:
        """The same with a passkey. Raises `RefusedError`."""
        challenge = self.challenges.take(session, self.units.clock.now())
        async with self.units.begin() as uow:
            await passkeys.check(uow, person, answer, party, challenge)
            await self.settle(uow, await self.note(uow, person, caller), "ok")
            return SignedIn(person, await self._finish(uow, person, session, caller), "")

    async def _finish(self, uow: UnitOfWork, person: str, session: str, caller: Caller) -> str:
        await sessions.end(uow, person, session)
        await audit.record(uow, who=person, what="people.sign_in", subject=f"person:{person}")
        return await sessions.begin(uow, self.keys, person, caller, strong=True, finished=True)

    async def confirms(self, person: str, password: str, caller: Caller) -> bool:
        """Whether this is the password of the person who is signed in: before acts that need it again."""
        async with self.units.begin() as uow:
            until = await self.wait(uow, person, caller)
            if until is not None:
                raise _too_early(until)
            attempt = await self.note(uow, person, caller)
            hashed = await uow.session.scalar(select(Account.password).where(Account.person == person))
        fine = await self.hashing.matches(password, hashed)
        async with self.units.begin() as uow:
            if fine:
                await uow.session.execute(delete(SignIn).where(SignIn.id == attempt))
            else:
                await self.settle(uow, attempt, "wrong")
        return fine

    async def start_with_link(self, token: str, *, name: str, login: str, password: str, caller: Caller) -> SignedIn:
        """Set the password and sign in with it. Raises `RefusedError`."""
        async with self.units.reading() as uow:
            await links.link(uow, token)
        hashed = await self.hashing.hash(password)
        async with self.units.begin() as uow:
            person = await links.use_link(uow, token, name=name, login=login, hashed=hashed)
            attempt = await self.note(uow, person, caller)
            return await self._let_in(uow, person, attempt, caller, None)

    async def _try(self, login: str, caller: Caller) -> _Attempt:
        """Written down before it is judged, so that attempts side by side count each other."""
        async with self.units.begin() as uow:
            row = (
                await uow.session.execute(
                    select(Account.person, Account.password)
                    .join(Person, Person.id == Account.person)
                    .where(Account.login == login, Person.active)
                )
            ).first()
            person, password = (row[0], row[1]) if row is not None else (None, None)
            counted = person or self._nobody(login)
            until = await self.wait(uow, counted, caller)
            if until is None:
                return _Attempt(await self.note(uow, counted, caller), person, password)
        raise _too_early(until)

    def _nobody(self, login: str) -> str:
        """Stands for a name that no account has: it is slowed down as one that an account has, so that waiting tells
        nobody which names there are. 18 bits, which many names share: what was typed may be a password.
        """
        plain = login.encode("utf-8", "replace").decode()
        return f"?{self.keys.signed('nobody', plain).rpartition('.')[2][:3]}"

    async def wait(self, uow: UnitOfWork, person: str, caller: Caller) -> datetime | None:
        """When the next attempt may be made; None: now."""
        is_post = caller.address.startswith(AT_POST)
        at_post = SignIn.address.startswith(AT_POST)
        alike = at_post if is_post else ~at_post
        rows = (
            await uow.session.execute(
                select(SignIn.at, SignIn.address, SignIn.known, SignIn.outcome)
                .where(SignIn.person == person, alike, SignIn.at > uow.now - WINDOW)
                .order_by(SignIn.id)
            )
        ).all()
        known = _is_known(person, caller)
        since = max(
            (at for at, address, k, outcome in rows if outcome == "ok" and k == known and address == caller.address),
            default=None,
        )
        failures = [
            Failure(at, address, k)
            for at, address, k, outcome in rows
            if outcome in _FAILED and not (since and at <= since and k == known and address == caller.address)
        ]
        others = [] if known or is_post else await _failed_at(uow, caller.address, but=person)
        return wait_until(failures, caller.address, known=known, now=uow.now, others=others)

    async def note(self, uow: UnitOfWork, person: str, caller: Caller) -> int:
        """An attempt, before it is judged; its number."""
        row = SignIn(
            at=uow.now, person=person, outcome="tried", address=caller.address, browser=caller.browser,
            known=_is_known(person, caller),
        )  # fmt: skip
        uow.session.add(row)
        await uow.session.flush()
        return row.id

    async def settle(self, uow: UnitOfWork, attempt: int, outcome: str) -> None:
        await uow.session.execute(update(SignIn).where(SignIn.id == attempt).values(outcome=outcome))

    async def _let_in(
        self, uow: UnitOfWork, person: str, attempt: int, caller: Caller, rehashed: str | None
    ) -> SignedIn:
        if rehashed is not None:
            await uow.session.execute(update(Account).where(Account.person == person).values(password=rehashed))
        owes = await has_factor(uow, person)
        await self.settle(uow, attempt, "half" if owes else "ok")
        cookie = await sessions.begin(uow, self.keys, person, caller, strong=False, finished=not owes)
        if not owes:
            await audit.record(uow, who=person, what="people.sign_in", subject=f"person:{person}")
        return SignedIn(person, cookie, "code" if owes else "")

    async def is_code(self, uow: UnitOfWork, person: str, code: str) -> bool:
        """An authenticator's code or a recovery code of this person, which is used up by it."""
        account = await uow.session.get(Account, person)
        if account is None:
            return False
        secret = self.keys.unseal(account.totp, person) if account.totp and account.totp_confirmed else None
        step = factors.step_of(secret.decode(), code, uow.now, account.totp_step) if secret is not None else None
        if step is not None:
            account.totp_step = step
            await uow.session.flush()
            return True
        used = await uow.session.execute(
            update(RecoveryCode)
            .where(
                RecoveryCode.person == person,
                RecoveryCode.hash == factors.recovery_hash(person, code),
                RecoveryCode.used_at.is_(None),
            )
            .values(used_at=uow.now)
            .returning(RecoveryCode.hash)
        )
        return used.first() is not None


async def _failed_at(uow: UnitOfWork, address: str, *, but: str) -> list[datetime]:
    """When strangers at this address failed under other names."""
    s = SignIn
    where = (s.address == address, s.person != but, ~s.known, s.outcome.in_(_FAILED), s.at > uow.now - WINDOW)
    return list(await uow.session.scalars(select(s.at).where(*where)))


async def has_factor(uow: UnitOfWork, person: str) -> bool:
    totp = exists().where(Account.person == person, Account.totp_confirmed)
    return bool(await uow.session.scalar(select(totp | exists().where(Passkey.person == person))))


async def history(uow: UnitOfWork, person: str, limit: int = 50) -> list[SignInView]:
    """The person's own attempts, newest first."""
    rows = await uow.session.scalars(
        select(SignIn).where(SignIn.person == person).order_by(SignIn.id.desc()).limit(limit)
    )
    return [SignInView(r.at, r.outcome, r.address, r.browser) for r in rows]


async def make_strong(uow: UnitOfWork, keys: Keys, session: str) -> str:
    """The session has just shown a second factor: a new token for it. Raises LookupError when it is over."""
    row = await uow.session.get(AccountSession, session)
    if row is None:
        raise LookupError("Votre session est terminée : reconnectez-vous.")
    caller = Caller(row.address, row.browser)
    await sessions.end(uow, row.person, session)
    return await sessions.begin(uow, keys, row.person, caller, strong=True, finished=True)


def _is_known(person: str, caller: Caller) -> bool:
    return caller.known == person


def _too_early(until: datetime) -> NotSignedIn:
    return NotSignedIn("Trop d’essais : attendez un peu avant le suivant.", until)
