"""What programmes make on each machine, and what its parts are counted from: the settings that `work` counts by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import delete, select

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.machines.models import Machine, MachineCount, MachineCycle, MachineProgramme
from central.machines.rules.programmes import COUNTING, Counting, Programme, Yields, checked
from central.machines.store import upsert

SHOP = "atelier"
"""Audit subject of what is set for all machines."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One row that parts are made from: a move of the counter, or a completed cycle."""

    fact_id: int
    machine: str
    at: datetime
    programme: str | None
    cycles: int
    source: Counting


async def yields(uow: UnitOfWork, codes: Collection[str]) -> dict[str, Yields]:
    """How parts are counted on these machines; one that nobody described counts by its controller's counter."""
    table = MachineProgramme
    rows = [
        Programme(p.machine, p.pattern, p.produces, p.parts_per_cycle, p.cycle_s, p.note)
        for p in await uow.session.scalars(select(table).where(table.machine.in_([*codes, ""])))
    ]
    found = await uow.session.execute(select(Machine.code, Machine.counting).where(Machine.code.in_(codes)))
    counting = {code: cast("Counting", how) for code, how in found}
    return {code: Yields(counting.get(code, "counter"), [p for p in rows if p.machine in {"", code}]) for code in codes}


async def counted_by_cycles(uow: UnitOfWork, codes: Collection[str]) -> set[str]:
    """Those of these machines whose parts are their completed cycles."""
    found = select(Machine.code).where(Machine.counting == "cycles", Machine.code.in_(codes))
    return set(await uow.session.scalars(found))


async def set_programme(uow: UnitOfWork, setting: Programme, *, by: str) -> None:
    """Say what a cycle of these programmes makes. What was counted is `work`'s to count again. Raises LookupError,
    ValueError.
    """
    setting = checked(setting)
    if setting.machine and await uow.session.get(Machine, setting.machine) is None:
        raise LookupError(f"Machine inconnue : {setting.machine[:120]}")
    before = await _set_for(uow, setting.machine, setting.pattern)
    await upsert(uow.session, MachineProgramme, [setting._asdict()])
    subject = f"machine:{setting.machine}" if setting.machine else SHOP
    after = setting._asdict()
    await audit.record(uow, who=by, what="machines.programme", subject=subject, before=before, after=after)
    uow.tell(f"machine:{setting.machine}")


async def forget_programme(uow: UnitOfWork, machine: str, pattern: str, *, by: str) -> None:
    """Raises LookupError."""
    before = await _set_for(uow, machine, pattern)
    if before is None:
        raise LookupError(f"Rien n'est réglé pour le programme {pattern}.")
    table = MachineProgramme
    await uow.session.execute(delete(table).where(table.machine == machine, table.pattern == pattern))
    subject = f"machine:{machine}" if machine else SHOP
    await audit.record(uow, who=by, what="machines.programme_forgotten", subject=subject, before=before)
    uow.tell(f"machine:{machine}")


async def _set_for(uow: UnitOfWork, machine: str, pattern: str) -> dict[str, Any] | None:
    """As it is set now, for the audit."""
    table = MachineProgramme
    names = (table.machine, table.pattern, table.produces, table.parts_per_cycle, table.cycle_s, table.note)
    row = (await uow.session.execute(select(*names).where(table.machine == machine, table.pattern == pattern))).first()
    return None if row is None else Programme(*row)._asdict()


async def set_counting(uow: UnitOfWork, code: str, counting: str, *, by: str) -> None:
    """Raises LookupError, ValueError."""
    if counting not in COUNTING:
        raise ValueError("Les pièces se comptent d'après le compteur de la commande ou d'après les cycles terminés.")
    machine = await uow.session.get(Machine, code)
    if machine is None:
        raise LookupError(f"Machine inconnue : {code}")
    if machine.counting == counting:
        return
    before, machine.counting = machine.counting, counting
    await uow.session.flush()
    await audit.record(uow, who=by, what="machines.counting", subject=f"machine:{code}", before=before, after=counting)
    uow.tell(f"machine:{code}")


async def counted(uow: UnitOfWork, code: str, source: Counting) -> list[Counted]:
    """All that the machine ever counted by `source`, for counting it again."""
    if source == "cycles":
        cycle = MachineCycle
        query = select(cycle.fact_id, cycle.ended, cycle.programme).where(cycle.machine == code, cycle.completed)
        return [Counted(i, code, at, name, 1, source) for i, at, name in await uow.session.execute(query)]
    count = MachineCount
    rows = await uow.session.execute(
        select(count.fact_id, count.at, count.programme, count.delta).where(count.machine == code, count.delta > 0)
    )
    return [Counted(i, code, at, name, delta, source) for i, at, name, delta in rows]
