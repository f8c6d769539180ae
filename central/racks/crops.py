"""Pictures before and after a saying: taken in, claimed by their fact, shown, purged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import delete, func, select, update

from central.audit import service as audit
from central.core.database import insert_ignore
from central.core.keyfile import KeyFileError
from central.core.settings import Settings
from central.core.uow import UnitOfWork
from central.racks.jpeg import is_jpeg
from central.racks.models import RackCrops, RackCropsUse, RackPurge
from central.racks.schemas import CropsView
from central.racks.vault import KeyLostError, Vault, key_id
from contracts.envelope import Aware

MAX_PICTURE: Final = 1_000_000
"""Bytes of one picture; a slot's crop is some tens of kilobytes."""
MAX_BODY: Final = 2 * MAX_PICTURE + 1000
_UNCLAIMED_USES: Final = timedelta(days=31)


class BadCropsError(ValueError):
    """What was brought is no pair of pictures. The text is French."""


class _Brought(msgspec.Struct, frozen=True):
    observed: Aware
    before: bytes | None = None
    after: bytes | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """Pictures, checked and encrypted, before any transaction."""

    id: str
    before: bytes | None
    after: bytes | None
    size: int
    key_id: str
    observed: datetime


@dataclass(frozen=True, slots=True)
class Use:
    """A fact names these pictures."""

    id: str
    rack: str
    doubtful: bool
    at: datetime


def sealed(settings: Settings, crops_id: str, body: bytes) -> Sealed:
    """What the agent brought, checked and encrypted. Raises `BadCropsError`, `KeyFileError`."""
    try:
        brought = msgspec.msgpack.decode(body, type=_Brought)
    except msgspec.MsgspecError as error:
        raise BadCropsError(f"Corps illisible ({error}) : une table msgpack before, after, observed.") from error
    pictures = {"before": brought.before or None, "after": brought.after or None}
    if not any(pictures.values()):
        raise BadCropsError("Aucune image : before ou after est attendu.")
    for moment, picture in pictures.items():
        if picture is None:
            continue
        if len(picture) > MAX_PICTURE:
            raise BadCropsError(f"Image {moment} : {len(picture)} octets, {MAX_PICTURE} au plus.")
        if not is_jpeg(picture):
            raise BadCropsError(f"Image {moment} : ce n'est pas un JPEG entier.")
    vault = Vault(settings)
    done = {m: None if p is None else vault.seal(p, f"{crops_id}/{m}") for m, p in pictures.items()}
    size = sum(len(p) for p in done.values() if p is not None)
    return Sealed(crops_id, done["before"], done["after"], size, vault.key_id, brought.observed)


async def take_crops(uow: UnitOfWork, crops: Sealed) -> bool:
    """Keep them; whether they were new. Those whose time is over already are taken, and not kept."""
    use = await uow.session.get(RackCropsUse, crops.id)
    expires = _expiry(uow, use, uow.now, crops.observed)
    if expires <= uow.now:
        return False
    values = {
        "id": crops.id, "before": crops.before, "after": crops.after, "size": crops.size, "key_id": crops.key_id,
        "agent": None, "observed_at": crops.observed, "received_at": uow.now, "expires_at": expires,
    }  # fmt: skip
    found = await uow.session.execute(
        insert_ignore(uow.session, RackCrops.__table__, [values]).returning(RackCrops.id)  # type: ignore[arg-type]  # __table__ is typed FromClause
    )
    new = found.first() is not None
    if new:
        uow.tell(f"crops:{crops.id}")
        uow.tell("proposals")
        if use is not None:
            uow.tell(f"rack:{use.rack}")
    return new


async def claim_crops(uow: UnitOfWork, uses: Sequence[Use]) -> None:
    """Say what facts tell of their pictures, whether these are here yet or not."""
    if not uses:
        return
    rows = {
        use.id: {
            "id": use.id, "rack": use.rack, "doubtful": use.doubtful, "at": use.at, "recorded_at": uow.now,
        }
        for use in uses
    }  # fmt: skip
    await uow.session.execute(insert_ignore(uow.session, RackCropsUse.__table__, list(rows.values())))  # type: ignore[arg-type]  # as above
    await _set_expiry(uow, list(rows))


async def keep_longer(uow: UnitOfWork, crops_id: str) -> None:
    """« Pas ça » was said: the pictures are those of a doubt now."""
    await uow.session.execute(update(RackCropsUse).where(RackCropsUse.id == crops_id).values(doubtful=True))
    await _set_expiry(uow, [crops_id])


async def _set_expiry(uow: UnitOfWork, ids: Sequence[str]) -> None:
    uses = {use.id: use for use in await uow.session.scalars(
        select(RackCropsUse).where(RackCropsUse.id.in_(ids)).execution_options(populate_existing=True)
    )}  # fmt: skip
    for row in await uow.session.scalars(select(RackCrops).where(RackCrops.id.in_(ids))):
        row.expires_at = _expiry(uow, uses.get(row.id), row.received_at, row.observed_at)
    await uow.session.flush()


def _expiry(uow: UnitOfWork, use: RackCropsUse | None, received: datetime, observed: datetime) -> datetime:
    """Of a doubt so long after the event itself, days in an agent's spool included; of an automatic movement as long
    as « Pas ça » can be said, which is counted from when it was known here.
    """
    # A clock that runs ahead keeps nothing longer.
    event = min(observed, received) if use is None else min(use.at, use.recorded_at)
    longest = event + timedelta(hours=uow.settings.racks_doubtful_hours)
    if use is not None and not use.doubtful:
        known = max(use.recorded_at, received)
        return min(known + timedelta(minutes=uow.settings.racks_automatic_minutes), longest)
    return longest


async def crops(uow: UnitOfWork, crops_id: str, who: str) -> CropsView | None:
    """The pictures, opened; who looked at them is written down. None when there are none (any more).

    Raises `KeyLostError`. Wants a unit that writes.
    """
    row = await uow.session.get(RackCrops, crops_id)
    if row is None or row.expires_at <= uow.now:
        return None
    try:
        vault = Vault(uow.settings)
    except KeyFileError as error:
        raise KeyLostError("Image illisible : sa clé de chiffrement n'existe plus.") from error
    before, after = await asyncio.to_thread(_opened, vault, row)
    await audit.record(uow, who=who, what="racks.view_crops", subject=f"crops:{crops_id}")
    return CropsView(row.id, before, after, row.observed_at, row.expires_at)


def _opened(vault: Vault, row: RackCrops) -> tuple[bytes | None, bytes | None]:
    before = None if row.before is None else vault.open(row.before, f"{row.id}/before")
    after = None if row.after is None else vault.open(row.after, f"{row.id}/after")
    return before, after


async def held(uow: UnitOfWork, ids: Sequence[str]) -> set[str]:
    """Of these, those whose pictures can be shown."""
    c = RackCrops
    return set(
        await uow.session.scalars(
            select(c.id).where(c.id.in_(set(ids)), c.expires_at > uow.now, c.key_id == (key_id(uow.settings) or ""))
        )
    )


async def purge(uow: UnitOfWork) -> None:
    """Sweep: what is over its time goes, also when that was made shorter since; what went is written down."""
    oldest = uow.now - timedelta(hours=uow.settings.racks_doubtful_hours)
    await _purge(uow, (RackCrops.expires_at <= uow.now) | (RackCrops.observed_at <= oldest), "expired")
    await uow.session.execute(delete(RackCropsUse).where(RackCropsUse.recorded_at < uow.now - _UNCLAIMED_USES))


async def purge_lost(uow: UnitOfWork) -> int:
    """At the start: pictures sealed under a key that is gone can never be shown again; how many went."""
    return await _purge(uow, RackCrops.key_id != (key_id(uow.settings) or ""), "key_lost")


async def purge_all(uow: UnitOfWork, by: str) -> int:
    """A person wants all pictures gone, now."""
    gone = await _purge(uow, RackCrops.id.is_not(None), "asked")
    await audit.record(uow, who=by, what="racks.purge", subject="crops", pictures=gone)
    return gone


async def _purge(uow: UnitOfWork, which: object, why: str) -> int:
    c = RackCrops
    count, oldest = (
        await uow.session.execute(select(func.count(), func.min(c.observed_at)).where(which))  # type: ignore[arg-type]  # a column expression
    ).one()
    if count:
        await uow.session.execute(delete(c).where(which).execution_options(synchronize_session="fetch"))  # type: ignore[arg-type]  # as above
        uow.session.add(RackPurge(at=uow.now, pictures=count, oldest=oldest, why=why))
        await uow.session.flush()
        uow.tell("privacy")
    return int(count)
