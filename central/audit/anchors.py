"""Anchors: the end of the chain, signed each day and exported; and the last known end, in a file beside the database.

An anchor that lies elsewhere (a share, a stick, printed in a binder) proves what the journal was on that day, against
whoever holds the database. The file ``fin.json`` proves it against whoever holds only the database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select

from central.audit import rules
from central.audit.models import AuditAnchor, AuditEntry
from central.core.secrets import read_secret, write_public, write_secret
from central.core.settings import Settings
from central.core.uow import UnitOfWork

HEAD: Final = "fin.json"
EXPORTED: Final = "ancres.jsonl"
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")


def folder(settings: Settings) -> Path:
    """Where the journal's files lie: beside the data, one folder for each database."""
    name = settings.database_url.partition("?")[0].rpartition("/")[2].removesuffix(".db")
    return settings.data_dir / "journal" / (_NOT_IN_A_NAME.sub("-", name) or "copeau")


@dataclass(frozen=True, slots=True)
class Anchor:
    """One signed line."""

    site: str
    at: datetime
    id: int
    hash: str
    key: str
    """Public key, hexadecimal."""
    signature: str

    @property
    def line(self) -> str:
        return rules.canonical(
            _covered(self.site, self.at, self.id, self.hash, self.key) | {"signature": self.signature}
        )

    @property
    def is_signed(self) -> bool:
        covered = _covered(self.site, self.at, self.id, self.hash, self.key)
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key))
            public.verify(bytes.fromhex(self.signature), rules.canonical(covered).encode())
        except (ValueError, InvalidSignature):
            return False
        return True


def _covered(site: str, at: datetime, entry_id: int, found: str, key: str) -> dict[str, Any]:
    moment = at.astimezone(UTC).isoformat(timespec="seconds")
    return {"v": 1, "site": site, "at": moment, "id": entry_id, "hash": found, "key": key}


def parse(line: str) -> Anchor:
    """Raises ValueError when it is no anchor; says nothing of its signature."""
    try:
        found = json.loads(line)
        return Anchor(
            str(found["site"]), datetime.fromisoformat(found["at"]), int(found["id"]), str(found["hash"]),
            str(found["key"]), str(found["signature"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no anchor: {line[:80]!r}") from error


class Signer:
    """The centre's own key, made at its first use: ``ancres.key``, mode 0600. Raises OSError, `OpenFileError`."""

    def __init__(self, settings: Settings) -> None:
        path = key_path(settings)
        try:
            raw = read_secret(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            raw = Ed25519PrivateKey.generate().private_bytes_raw()
            write_secret(path, raw)
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.key = self._key.public_key().public_bytes_raw().hex()
        self.site = settings.site

    def sign(self, at: datetime, entry_id: int, found: str) -> Anchor:
        covered = _covered(self.site, at, entry_id, found, self.key)
        signature = self._key.sign(rules.canonical(covered).encode()).hex()
        return Anchor(self.site, datetime.fromisoformat(covered["at"]), entry_id, found, self.key, signature)


def key_path(settings: Settings) -> Path:
    return folder(settings) / "ancres.key"


def present_key(settings: Settings) -> str | None:
    """The public half, without making one."""
    try:
        raw = read_secret(key_path(settings))
    except FileNotFoundError:
        return None
    return Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw().hex()


async def end_of_chain(uow: UnitOfWork) -> tuple[int, str] | None:
    e = AuditEntry
    row = (await uow.session.execute(select(e.id, e.hash).order_by(e.id.desc()).limit(1))).one_or_none()
    return None if row is None else (row.id, row.hash)


async def hash_of(uow: UnitOfWork, entry_id: int) -> str | None:
    return await uow.session.scalar(select(AuditEntry.hash).where(AuditEntry.id == entry_id))


async def anchors(uow: UnitOfWork, limit: int | None = None) -> list[Anchor]:
    """Newest first."""
    rows = await uow.session.scalars(select(AuditAnchor.document).order_by(AuditAnchor.entry_id.desc()).limit(limit))
    return [parse(row) for row in rows]


async def drop_anchor(uow: UnitOfWork, signer: Signer) -> Anchor | None:
    """Anchor the present end; None when the last anchor is there already."""
    end = await end_of_chain(uow)
    if end is None or await uow.session.get(AuditAnchor, end[0]) is not None:
        return None
    anchor = signer.sign(uow.now, *end)
    uow.session.add(AuditAnchor(entry_id=anchor.id, at=anchor.at, document=anchor.line))
    await uow.session.flush()
    return anchor


def export(folders: Iterable[Path], lines: Sequence[str]) -> list[str]:
    """Add what is missing to the file of anchors in each folder; what could not be written, in English."""
    failed = []
    for folder in folders:
        path = folder / EXPORTED
        try:
            there = set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()
            missing = [line for line in lines if line not in there]
            if missing:
                with path.open("a", encoding="utf-8") as file:
                    file.writelines(f"{line}\n" for line in missing)
        except OSError as error:
            failed.append(f"{path}: {error}")
    return failed


def write_head(settings: Settings, anchor: Anchor) -> None:
    """Raises OSError."""
    write_public(folder(settings) / HEAD, f"{anchor.line}\n".encode())


def read_head(settings: Settings) -> Anchor | None:
    """The last known end; None when none was written. Raises ValueError when it is unreadable."""
    try:
        return parse((folder(settings) / HEAD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def put_head_aside(settings: Settings, now: datetime) -> None:
    """Keep a last known end that the database does not agree with: it is evidence, and stays a finding."""
    head = folder(settings) / HEAD
    head.rename(head.with_name(f"fin.{now:%Y%m%dT%H%M%S}.json"))


def heads(settings: Settings) -> list[Path]:
    """The last known end and those that were put aside."""
    return sorted(folder(settings).glob("fin*.json"))
