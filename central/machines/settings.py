"""What is set for the alerts of each machine: its rules' bounds and levels, the limits of its signals."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import cast

from sqlalchemy import delete, select

from central.alerts import service as alerts
from central.alerts.rules import Level
from central.audit import service as audit
from central.core.bulk import among
from central.core.uow import UnitOfWork
from central.machines.models import Machine, MachineLimit, MachineRule
from central.machines.rules.watch import RULES, Limit, RuleName, Setting, Side, checked, checked_limit, default
from central.machines.store import upsert


async def rules_of(uow: UnitOfWork, codes: Collection[str]) -> dict[str, dict[RuleName, Setting]]:
    """Every rule of every machine, by its own setting or by default."""
    found = {code: {rule: default(rule) for rule in RULES} for code in codes}
    query = select(MachineRule).where(among(uow.session, MachineRule.machine, codes))
    for row in await uow.session.scalars(query):
        name = cast("RuleName", row.rule)
        if name in RULES:
            found[row.machine][name] = Setting(name, row.active, cast("Level", row.level), row.bound)
    return found


async def set_rule(uow: UnitOfWork, code: str, setting: Setting, *, by: str) -> None:
    """Raises LookupError, ValueError."""
    setting = checked(setting)
    await _require(uow, code)
    before = (await rules_of(uow, [code]))[code][setting.rule]
    if before == setting:
        return
    await upsert(uow.session, MachineRule, [{"machine": code} | asdict(setting)])
    await audit.record(
        uow,
        who=by,
        what="machines.rule",
        subject=f"machine:{code}",
        rule=setting.rule,
        before=_told(before),
        after=_told(setting),
    )
    uow.tell(f"machine:{code}")


async def limits_of(uow: UnitOfWork, codes: Collection[str]) -> dict[str, list[tuple[Limit, str | None]]]:
    """Limits by machine, each with what stands ("warning", "limit" or None)."""
    table = MachineLimit
    found: dict[str, list[tuple[Limit, str | None]]] = {}
    query = select(table).where(among(uow.session, table.machine, codes)).order_by(table.signal, table.side)
    for row in await uow.session.scalars(query.execution_options(populate_existing=True)):
        limit = Limit(row.machine, row.signal, cast("Side", row.side), row.warning, row.limit_value, row.hysteresis)
        found.setdefault(row.machine, []).append((limit, row.standing))
    return found


async def set_limit(uow: UnitOfWork, limit: Limit, *, by: str) -> None:
    """Raises LookupError, ValueError. `passing.judge` says what stands by it."""
    limit = checked_limit(limit)
    await _require(uow, limit.machine)
    before = await _limit(uow, limit.machine, limit.signal, limit.side)
    row = limit._asdict() | {"limit_value": limit.limit, "standing": None}
    del row["limit"]
    await upsert(uow.session, MachineLimit, [row])
    subject = f"machine:{limit.machine}"
    await audit.record(uow, who=by, what="machines.limit", subject=subject, before=before, after=limit._asdict())
    uow.tell(subject)


async def forget_limit(uow: UnitOfWork, code: str, signal: str, side: str, *, by: str) -> None:
    """Its alert ends with it. Raises LookupError."""
    before = await _limit(uow, code, signal, side)
    if before is None:
        raise LookupError(f"Aucune limite de {signal} sur cette machine.")
    table = MachineLimit
    await uow.session.execute(delete(table).where(table.machine == code, table.signal == signal, table.side == side))
    await alerts.follow(uow, limit_key(code, signal, side), None)
    subject = f"machine:{code}"
    await audit.record(uow, who=by, what="machines.limit_forgotten", subject=subject, before=before)
    uow.tell(subject)


def limit_key(code: str, signal: str, side: str) -> str:
    """Key of the alert of a passed limit."""
    return f"machine.limit:{code}:{signal}:{side}"


async def _limit(uow: UnitOfWork, code: str, signal: str, side: str) -> dict[str, str | float | None] | None:
    """As it is set now, for the audit."""
    found = (await limits_of(uow, [code])).get(code, [])
    return next((limit._asdict() for limit, _ in found if (limit.signal, limit.side) == (signal, side)), None)


async def _require(uow: UnitOfWork, code: str) -> None:
    if await uow.session.get(Machine, code) is None:
        raise LookupError(f"Machine inconnue : {code}")


def _told(setting: Setting) -> dict[str, bool | float | str]:
    return {"active": setting.active, "level": setting.level, "bound": setting.bound}
