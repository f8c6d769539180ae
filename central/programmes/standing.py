"""The alerts about what lies in a machine: half a programme, one that was changed there.

Judged from all that is stored, in event time: a fact that comes late raises nothing that is over, and ends nothing that
came after it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

from sqlalchemy import select

from central.alerts import service as alerts
from central.alerts.rules import Level
from central.alerts.service import Cause
from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.programmes.models import CnTransfer, CnVersion

HALF: Final = "programme-half:"
CHANGED: Final = "programme-changed:"
_LONGEST: Final = 120


async def judge(uow: UnitOfWork, machine: str, name: str) -> None:
    """Let both alerts of that programme of that machine follow what was told."""
    row = CnTransfer
    here = select(row).where(row.machine == machine, row.name == name).limit(1)
    newest = here.where(row.told_at.is_not(None)).order_by(row.told_at.desc(), row.id.desc())
    sendings = here.where(row.kind == "send", row.whole_at.is_not(None))
    last = await uow.session.scalar(sendings.order_by(row.whole_at.desc(), row.id.desc()))
    known = await machines.machine(uow, machine)
    label = known.label if known is not None else machine
    half = None
    if last is not None and last.whole is False:
        half = _cause("critical", f"{label} : ne pas lancer « {name} »", last, last.whole_at)
    await alerts.follow(uow, key(HALF, machine, name), half, at=None if last is None else last.whole_at)

    sent = await uow.session.scalar(newest.where(row.kind == "send", row.state == "done"))
    changed = await uow.session.scalar(newest.where(row.kind == "changed"))
    over_at = None if sent is None else sent.told_at
    found = None
    if changed is not None and changed.told_at is not None and (over_at is None or over_at < changed.told_at):
        over_at = None
        if not await _taken_over(uow, changed):
            title = f"{label} : programme « {name} » changé à la machine"
            found = _cause("medium", title, changed, changed.told_at)
    await alerts.follow(uow, key(CHANGED, machine, name), found, at=over_at)


async def judge_versions(uow: UnitOfWork, programme_id: int) -> None:
    """The same after a version of the programme was decided."""
    row = CnTransfer
    query = select(row.machine, row.name).where(row.programme_id == programme_id, row.kind == "changed").distinct()
    for machine, name in (await uow.session.execute(query)).all():
        await judge(uow, machine, name)


def key(prefix: str, machine: str, name: str) -> str:
    """Of an alert; names of files may be longer than its column."""
    return f"{prefix}{machine}:{name if len(name) <= _LONGEST else hashlib.sha256(name.encode()).hexdigest()}"


async def _taken_over(uow: UnitOfWork, changed: CnTransfer) -> bool:
    """Whether the text that was found there is the validated one, or has been followed by one."""
    if changed.version_id is None:
        return False
    version = await uow.session.get_one(CnVersion, changed.version_id)
    valid = await uow.session.scalar(
        select(CnVersion.number).where(CnVersion.programme_id == version.programme_id, CnVersion.status == "validated")
    )
    return valid == version.number or (version.status == "obsolete" and valid is not None and valid > version.number)


def _cause(level: Level, title: str, row: CnTransfer, since: datetime | None) -> Cause:
    assert since is not None, "only rows that were told are asked for"
    return Cause(level, title, row.detail, f"machine:{row.machine}", since)
