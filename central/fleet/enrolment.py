"""Which devices may speak: invited by a one-time token, enrolled under a name that the centre gave, retired at once."""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec
from sqlalchemy import CursorResult, func, select, update

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.fleet.ca import Authority, Issued
from central.fleet.models import FleetCertificate, FleetDevice, FleetInvitation
from contracts import topics
from contracts.control import Wipe
from contracts.envelope import is_name

Kind: TypeAlias = Literal["agent", "terminal"]

TOKEN_LASTS: Final = timedelta(minutes=15)
_TOKEN_BYTES: Final = 32
_SEEN_EVERY: Final = timedelta(minutes=1)
_WIPE_WITHIN: Final = timedelta(minutes=10)
_MOST_GOOD: Final = 10
"""Certificates of one agent at a time: a renewal whose answer was lost is asked for again, not without end."""
_REPLACED: Final = "remplacé par un nouvel enrôlement"


class RefusedError(ValueError):
    """Not this device, not now. The text is French."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the person hands to the device: the secret is shown once and kept nowhere."""

    device: str
    kind: Kind
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DeviceView:
    name: str
    kind: Kind
    label: str
    created_at: datetime
    enrolled_at: datetime | None
    seen_at: datetime | None
    retired_at: datetime | None
    cert_until: datetime | None
    invited_until: datetime | None
    """End of an invitation that is still open."""


async def invite(uow: UnitOfWork, name: str, kind: Kind, label: str = "", *, by: str) -> Invitation:
    """A token for a new device, or for one that gets a new key. Earlier tokens of that device end here.

    Raises `RefusedError` for a name that cannot be one, or that belongs to a device of the other kind.
    """
    if not is_name(name):
        raise RefusedError("Le nom : lettres minuscules, chiffres et tirets, par exemple « rack-1 ».")
    device = await uow.session.get(FleetDevice, name)
    if device is None:
        device = FleetDevice(name=name, kind=kind, label=label or name, created_at=uow.now)
        uow.session.add(device)
    elif device.kind != kind:
        raise RefusedError(f"« {name} » est déjà le nom d'un autre appareil : choisir un autre nom.")
    elif label:
        device.label = label
    await uow.session.execute(
        update(FleetInvitation)
        .where(FleetInvitation.device == name, FleetInvitation.used_at.is_(None), FleetInvitation.expires_at > uow.now)
        .values(expires_at=uow.now)
    )
    token = _secret()
    expires = uow.now + TOKEN_LASTS
    uow.session.add(
        FleetInvitation(
            token_hash=_hash(token), device=name, site=uow.settings.site, created_at=uow.now, expires_at=expires
        )
    )
    await audit.record(uow, who=by, what="fleet.invite", subject=f"device:{name}", kind=kind)
    uow.tell("devices")
    return Invitation(name, kind, token, expires)


async def enrol_agent(uow: UnitOfWork, authority: Authority, token: str, request_pem: bytes) -> tuple[str, Issued]:
    """Sign for the agent that this token is for; the token is over. What was signed for it before is revoked.

    Raises `RefusedError`, `central.fleet.ca.BadRequestError` (the token stays good).
    """
    device = await _invited(uow, token, "agent")
    issued = authority.sign_device(request_pem, device.name, uow.now)
    await _use(uow, token)
    await _revoke(uow, device.name, _REPLACED)
    await _keep(uow, device.name, issued)
    await _enrolled(uow, device)
    return device.name, issued


async def enrol_terminal(uow: UnitOfWork, token: str, holds: str = "") -> tuple[DeviceView, str]:
    """The terminal, and the secret that its browser keeps; an earlier one is over. `holds`: the name of facts that it
    still keeps, under which some may have been committed already: under another they would count twice.

    Raises `RefusedError`.
    """
    device = await _invited(uow, token, "terminal")
    if holds and holds != device.name:
        raise RefusedError(
            f"Ce poste garde encore des faits sous le nom « {holds} » : l'inscrire sous ce nom, ou les laisser partir."
        )
    await _use(uow, token)
    secret = _secret()
    device.secret_hash = _hash(secret)
    await _enrolled(uow, device)
    return _view(device, None, None), secret


async def renew(uow: UnitOfWork, authority: Authority, name: str, request_pem: bytes) -> Issued:
    """Another certificate for an agent that showed a good one. The former stays good until its end.

    Raises `RefusedError`, `central.fleet.ca.BadRequestError`.
    """
    device = await uow.session.get(FleetDevice, name)
    if device is None or device.retired_at is not None or device.kind != "agent":
        raise RefusedError(f"« {name} » n'est pas un agent en service.")
    good = await uow.session.scalar(
        select(func.count()).where(
            FleetCertificate.device == name,
            FleetCertificate.revoked_at.is_(None),
            FleetCertificate.not_after > uow.now,
        )
    )
    if (good or 0) >= _MOST_GOOD:
        raise RefusedError(f"« {name} » a déjà {good} certificats valables : l'enrôler de nouveau.")
    issued = authority.sign_device(request_pem, name, uow.now)
    await _keep(uow, name, issued)
    await audit.record(uow, who=f"device:{name}", what="fleet.renew", subject=f"device:{name}", serial=issued.serial)
    return issued


async def retire(uow: UnitOfWork, name: str, *, by: str) -> None:
    """It may no longer speak, from this commit on. Raises LookupError."""
    device = await uow.session.get(FleetDevice, name)
    if device is None:
        raise LookupError(f"Appareil inconnu : {name}")
    if device.retired_at is None:
        device.retired_at = uow.now
        device.secret_hash = None
        await _revoke(uow, name, "retiré du service")
        await uow.session.execute(
            update(FleetInvitation)
            .where(FleetInvitation.device == name, FleetInvitation.expires_at > uow.now)
            .values(expires_at=uow.now)
        )
        await audit.record(uow, who=by, what="fleet.retire", subject=f"device:{name}")
    uow.tell("devices")
    uow.tell("agents")


async def wipe(uow: UnitOfWork, name: str, *, by: str, force: bool = False) -> str:
    """Ask an agent to forget its key, its facts and its pictures; it is retired when it says that it does.

    Returns the command's id. Raises `RefusedError`.
    """
    device = await uow.session.get(FleetDevice, name)
    if device is None or device.kind != "agent" or device.retired_at is not None or device.enrolled_at is None:
        raise RefusedError(f"« {name} » n'est pas un agent en service.")
    asked = uuid.uuid4().hex
    command = Wipe(id=asked, expires=uow.now + _WIPE_WITHIN, force=force)
    uow.publish(topics.command(uow.settings.site, name, "wipe"), msgspec.json.encode(command))
    await audit.record(uow, who=by, what="fleet.wipe", subject=f"device:{name}", command=asked, force=force)
    return asked


async def device_of_serial(uow: UnitOfWork, serial: str) -> str | None:
    """The agent in service whose certificate this is; None when it was revoked, or never ours."""
    return await uow.session.scalar(
        select(FleetCertificate.device)
        .join(FleetDevice, FleetDevice.name == FleetCertificate.device)
        .where(
            FleetCertificate.serial == serial,
            FleetCertificate.revoked_at.is_(None),
            FleetCertificate.not_after > uow.now,
            FleetDevice.retired_at.is_(None),
        )
    )


async def device_of_secret(uow: UnitOfWork, secret: str) -> str | None:
    """The terminal in service that holds this secret."""
    return await uow.session.scalar(
        select(FleetDevice.name).where(FleetDevice.secret_hash == _hash(secret), FleetDevice.retired_at.is_(None))
    )


async def seen_is_old(uow: UnitOfWork, name: str) -> bool:
    """Whether `note_seen` would write: once a minute is enough."""
    device = await uow.session.get(FleetDevice, name)
    return device is not None and (device.seen_at is None or uow.now - device.seen_at >= _SEEN_EVERY)


async def note_seen(uow: UnitOfWork, name: str) -> None:
    """It proved who it is."""
    device = await uow.session.get(FleetDevice, name)
    if device is not None:
        device.seen_at = uow.now


async def devices(uow: UnitOfWork, *, retired: bool = False) -> list[DeviceView]:
    """By name; the retired ones only when asked for."""
    query = select(FleetDevice).order_by(FleetDevice.name)
    if not retired:
        query = query.where(FleetDevice.retired_at.is_(None))
    ends = await uow.session.execute(
        select(FleetCertificate.device, FleetCertificate.not_after)
        .where(FleetCertificate.revoked_at.is_(None))
        .order_by(FleetCertificate.not_after)
    )
    until = dict(ends.all())
    invited = {
        row.device: row.expires_at
        for row in await uow.session.scalars(
            select(FleetInvitation).where(FleetInvitation.used_at.is_(None), FleetInvitation.expires_at > uow.now)
        )
    }
    return [_view(d, until.get(d.name), invited.get(d.name)) for d in await uow.session.scalars(query)]


async def revoked(uow: UnitOfWork) -> dict[str, datetime]:
    """Serial → when, of the certificates that would still be good: what the revocation list holds."""
    rows = await uow.session.execute(
        select(FleetCertificate.serial, FleetCertificate.revoked_at).where(
            FleetCertificate.revoked_at.is_not(None), FleetCertificate.not_after > uow.now
        )
    )
    return {serial: at for serial, at in rows if at is not None}


async def to_drop(uow: UnitOfWork) -> dict[str, set[str]]:
    """Agent → revoked serials by which it may still hold a session."""
    rows = await uow.session.execute(
        select(FleetCertificate.device, FleetCertificate.serial).where(
            FleetCertificate.revoked_at.is_not(None),
            FleetCertificate.dropped_at.is_(None),
            FleetCertificate.not_after > uow.now,
        )
    )
    found: dict[str, set[str]] = {}
    for device, serial in rows:
        found.setdefault(device, set()).add(serial)
    return found


async def note_dropped(uow: UnitOfWork, serials: set[str]) -> None:
    """The broker refuses these now, and their sessions are over."""
    await uow.session.execute(
        update(FleetCertificate).where(FleetCertificate.serial.in_(serials)).values(dropped_at=uow.now)
    )
    uow.tell("devices")


async def _invited(uow: UnitOfWork, token: str, kind: Kind) -> FleetDevice:
    invitation = await uow.session.get(FleetInvitation, _hash(token))
    device = None if invitation is None else await uow.session.get(FleetDevice, invitation.device)
    if invitation is None or device is None or device.kind != kind or invitation.site != uow.settings.site:
        raise RefusedError("Ce code n'est pas d'ici : en demander un autre sur la page Agents.")
    if invitation.used_at is not None:
        raise RefusedError("Ce code a déjà servi : en demander un autre sur la page Agents.")
    if invitation.expires_at <= uow.now:
        raise RefusedError("Ce code n'est plus valable (15 minutes) : en demander un autre sur la page Agents.")
    return device


async def _use(uow: UnitOfWork, token: str) -> None:
    """Of two that come together, one."""
    used = await uow.session.execute(
        update(FleetInvitation)
        .where(FleetInvitation.token_hash == _hash(token), FleetInvitation.used_at.is_(None))
        .values(used_at=uow.now)
    )
    if cast("CursorResult[Any]", used).rowcount != 1:
        raise RefusedError("Ce code a déjà servi : en demander un autre sur la page Agents.")


async def _revoke(uow: UnitOfWork, name: str, why: str) -> None:
    await uow.session.execute(
        update(FleetCertificate)
        .where(FleetCertificate.device == name, FleetCertificate.revoked_at.is_(None))
        .values(revoked_at=uow.now, why=why)
    )


async def _keep(uow: UnitOfWork, name: str, issued: Issued) -> None:
    uow.session.add(
        FleetCertificate(
            serial=issued.serial, device=name, not_before=issued.not_before, not_after=issued.not_after, why=""
        )
    )
    await uow.session.flush()


async def _enrolled(uow: UnitOfWork, device: FleetDevice) -> None:
    device.enrolled_at, device.retired_at = uow.now, None
    await audit.record(uow, who=f"device:{device.name}", what="fleet.enrol", subject=f"device:{device.name}")
    uow.tell("devices")


def _view(device: FleetDevice, until: datetime | None, invited: datetime | None) -> DeviceView:
    return DeviceView(
        name=device.name,
        kind=cast("Kind", device.kind),
        label=device.label,
        created_at=device.created_at,
        enrolled_at=device.enrolled_at,
        seen_at=device.seen_at,
        retired_at=device.retired_at,
        cert_until=until,
        invited_until=invited,
    )


def _secret() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(_TOKEN_BYTES)).decode().rstrip("=")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
