"""Which version lay in a machine at a time, as far as anybody knows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from central.core.uow import UnitOfWork
from central.programmes.models import CnTransfer, CnVersion


class Asked(NamedTuple):
    machine: str
    name: str
    """As the controller knows it."""
    at: datetime


class Lying(NamedTuple):
    programme: int
    version: int
    sha256: str


async def versions_at(uow: UnitOfWork, asked: Collection[Asked]) -> dict[Asked, Lying]:
    """The version that was sent whole there, or came back from there, last before. Missing: nobody knows."""
    t, v = CnTransfer, CnVersion
    if not asked:
        return {}
    rows = (
        await uow.session.execute(
            select(t.machine, t.name, t.told_at, t.kind, t.state, v.programme_id, v.number, v.sha256)
            .outerjoin(v, v.id == t.version_id)
            .where(
                t.machine.in_({a.machine for a in asked}),
                t.name.in_({a.name for a in asked}),
                t.told_at.is_not(None),
                (t.kind == "changed") | ((t.kind == "send") & t.state.in_(("done", "unread", "broken"))),
            )
            .order_by(t.told_at.desc(), t.id.desc())
        )
    ).all()
    found: dict[Asked, Lying] = {}
    for one in asked:
        last = next((r for r in rows if (r.machine, r.name) == one[:2] and r.told_at <= one.at), None)
        if last is not None and last.number is not None and last.state != "broken":
            found[one] = Lying(last.programme_id, last.number, last.sha256)
    return found
