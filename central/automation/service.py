"""Automatic, or validated by a person: asked before each automatic act, changed on one page, each change recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from central.audit import service as audit
from central.automation.models import AutomationSetting
from central.automation.rules import ACTS, BY_ACT, Act, Described, Mode
from central.core.uow import UnitOfWork


@dataclass(frozen=True, slots=True)
class AutomationView:
    described: Described
    mode: Mode
    by: str | None
    """None: the default, nobody chose."""
    at: datetime | None


async def is_automatic(uow: UnitOfWork, act: Act) -> bool:
    """Whether Copeau may do it by itself. A mode that cannot be read is no permission."""
    mode = await uow.session.scalar(select(AutomationSetting.mode).where(AutomationSetting.act == act))
    return (BY_ACT[act].default if mode is None else mode) == "automatic"


async def settings(uow: UnitOfWork) -> list[AutomationView]:
    """All acts, in the order of the page."""
    rows = {row.act: row for row in await uow.session.scalars(select(AutomationSetting))}
    views = []
    for described in ACTS:
        row = rows.get(described.act)
        if row is None:
            views.append(AutomationView(described, described.default, None, None))
        else:
            mode: Mode = "automatic" if row.mode == "automatic" else "validated"
            views.append(AutomationView(described, mode, row.by, row.at))
    return views


async def choose(uow: UnitOfWork, act: str, mode: Mode, *, by: str) -> None:
    """Raises LookupError for an act that nobody knows, ValueError for one not set here. The texts are French."""
    described = BY_ACT.get(act)
    if described is None:
        raise LookupError(f"Acte automatique inconnu : {act}")
    if described.standing == "agent":
        raise ValueError("Ce réglage se fait sur l'agent de la machine, à son pied.")
    if described.standing == "later" and mode == "automatic":
        raise ValueError("Cet acte n'existe pas encore : rien ne peut être automatique.")
    row = await uow.session.get(AutomationSetting, act)
    before = described.default if row is None else row.mode
    if row is None:
        row = AutomationSetting(act=act)
        uow.session.add(row)
    row.mode, row.by, row.at = mode, by, uow.now
    await uow.session.flush()
    await audit.record(uow, who=by, what="automation.set", subject=f"automation:{act}", before=before, after=mode)
    uow.tell("automation")
