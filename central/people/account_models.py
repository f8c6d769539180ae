"""Accounts: how a person signs in, and what the owner gave the person."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from central.core.types import Base, BigId, UtcDateTime


class Account(Base):
    """Erasing the person deletes it with all that hangs on it."""

    __tablename__ = "account"

    person: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    login: Mapped[str | None] = mapped_column(String(64), unique=True)
    """Lower case; null until the link was used."""
    password: Mapped[str | None] = mapped_column(String(200))
    """Argon2id in its own notation, parameters and salt included."""
    owner: Mapped[bool] = mapped_column(default=False)
    """At most one: the only one who grants."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    password_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    totp: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The shared secret, sealed under the key of `people.keys`."""
    totp_confirmed: Mapped[bool] = mapped_column(default=False)
    totp_step: Mapped[int] = mapped_column(BigInteger, default=0)
    """The last 30 s step whose code was used: no code counts twice."""
    pin: Mapped[str | None] = mapped_column(String(200))
    """Argon2id, for shared terminals."""


class AccountRole(Base):
    __tablename__ = "account_role"

    person: Mapped[str] = mapped_column(ForeignKey("account.person", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(20), primary_key=True)


class AccountException(Base):
    """A right that this person has, or has not, whatever the roles say."""

    __tablename__ = "account_exception"

    person: Mapped[str] = mapped_column(ForeignKey("account.person", ondelete="CASCADE"), primary_key=True)
    module: Mapped[str] = mapped_column(String(20), primary_key=True)
    action: Mapped[str] = mapped_column(String(12), primary_key=True)
    allowed: Mapped[bool]


class AccountMachine(Base):
    """The person is qualified for the machine: from `since`, and until `until` where that is past."""

    __tablename__ = "account_machine"

    person: Mapped[str] = mapped_column(ForeignKey("account.person", ondelete="CASCADE"), primary_key=True)
    machine: Mapped[str] = mapped_column(String(120), primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AccountLink(Base):
    """A link that sets a password once: the owner's first one, an invitation, or a lost password."""

    __tablename__ = "account_link"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the 256 bits in the link, hexadecimal."""
    person: Mapped[str | None] = mapped_column(ForeignKey("account.person", ondelete="CASCADE"))
    """Null: whoever opens it becomes the owner."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AccountSession(Base):
    __tablename__ = "account_session"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the cookie's token: a stolen database opens no session."""
    person: Mapped[str] = mapped_column(ForeignKey("account.person", ondelete="CASCADE"), index=True)
    strong: Mapped[bool]
    """The second factor was shown."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    address: Mapped[str] = mapped_column(String(64))
    browser: Mapped[str] = mapped_column(String(120))


class SignIn(Base):
    """One attempt to sign in: the person's own history, and what slows down whoever guesses."""

    __tablename__ = "sign_in"
    __table_args__ = (Index("ix_sign_in_person_at", "person", "at"), Index("ix_sign_in_address_at", "address", "at"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    person: Mapped[str | None] = mapped_column(String(120))
    """``?…``: no account has that name. The name typed is not kept: it may be a password."""
    outcome: Mapped[str] = mapped_column(String(12))
    """``tried`` until it is known, then ``ok``, ``half`` (the code is to come), ``wrong``, or ``code`` or ``pin``
    (a wrong one)."""
    address: Mapped[str] = mapped_column(String(64))
    browser: Mapped[str] = mapped_column(String(120))
    known: Mapped[bool] = mapped_column(default=False)
    """From a browser in which this person had signed in before."""


class RecoveryCode(Base):
    __tablename__ = "recovery_code"

    person: Mapped[str] = mapped_column(ForeignKey("account.person", ondelete="CASCADE"), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of 80 random bits."""
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Passkey(Base):
    __tablename__ = "passkey"

    id: Mapped[str] = mapped_column(String(1400), primary_key=True)
    """The credential's id, base64url."""
    person: Mapped[str] = mapped_column(ForeignKey("account.person", ondelete="CASCADE"), index=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AccountOperation(Base):
    """The operation was given to the person, or handed over by a colleague."""

    __tablename__ = "account_operation"

    person: Mapped[str] = mapped_column(ForeignKey("account.person", ondelete="CASCADE"), primary_key=True)
    operation: Mapped[str] = mapped_column(String(120), primary_key=True)
    how: Mapped[str] = mapped_column(String(8))
    """``given`` or ``relayed``."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(120))


class PostSession(Base):
    """Who opened a shared terminal with badge and PIN. Several may be there; one is active."""

    __tablename__ = "post_session"

    post: Mapped[str] = mapped_column(String(120), primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("account.person", ondelete="CASCADE"), primary_key=True)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    """The end of the shift in which it was opened."""
    active: Mapped[bool]
