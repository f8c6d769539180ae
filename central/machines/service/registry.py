"""Machines as they are described: label, kind, parameters, post, opening hours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from central.audit import service as audit
from central.core.bulk import among
from central.core.uow import UnitOfWork
from central.machines.models import Machine, MachineTile
from central.machines.rules import SHOP_WEEK, Calendar
from central.machines.rules.parameters import Parameters
from central.machines.store import insert_new


@dataclass(frozen=True, slots=True)
class MachineView:
    code: str
    label: str
    kind: str
    controller: str
    post: str | None
    declared: bool
    """False for a machine that spoke before anybody described it."""
    counting: str
    parameters: Parameters


async def add_machine(
    uow: UnitOfWork,
    code: str,
    label: str = "",
    *,
    kind: str = "",
    controller: str = "",
    post: str | None = None,
    weekly: Sequence[Sequence[Sequence[str]]] = SHOP_WEEK,
) -> MachineView:
    """Describe a machine, also one that already spoke. Raises ValueError on bad opening hours."""
    Calendar.from_json(weekly)
    machine = await uow.session.get(Machine, code)
    if machine is None:
        machine = Machine(code=code, active=True)
        uow.session.add(machine)
    machine.label, machine.kind, machine.controller, machine.post = label or code, kind, controller, post
    machine.weekly = [[list(pair) for pair in day] for day in weekly]
    machine.declared = True
    await uow.session.flush()
    await insert_new(uow.session, MachineTile, [_new_tile(code)])
    uow.tell("machines")
    return _view(machine)


async def ensure(uow: UnitOfWork, codes: Collection[str]) -> None:
    """A machine that speaks exists, described or not."""
    missing = set(codes) - set(
        await uow.session.scalars(select(MachineTile.machine).where(among(uow.session, MachineTile.machine, codes)))
    )
    if not missing:
        return
    known = set(await uow.session.scalars(select(Machine.code).where(Machine.code.in_(missing))))
    rows = [
        {"code": c, "label": c, "kind": "", "controller": "", "weekly": SHOP_WEEK, "declared": False, "active": True}
        | {"axes": "", "travels": "", "cam_software": "", "counting": "counter"}
        for c in sorted(missing - known)
    ]
    await insert_new(uow.session, Machine, rows)
    await insert_new(uow.session, MachineTile, [_new_tile(code) for code in sorted(missing)])
    uow.tell("machines")


async def machines(uow: UnitOfWork) -> list[MachineView]:
    found = await uow.session.scalars(select(Machine).where(Machine.active).order_by(Machine.label))
    return [_view(machine) for machine in found]


async def machine(uow: UnitOfWork, code: str) -> MachineView | None:
    found = await uow.session.get(Machine, code)
    return None if found is None else _view(found)


async def set_parameters(uow: UnitOfWork, code: str, new: Parameters, *, by: str) -> None:
    """Describe the machine (MCH-5); the audit keeps what changed. Raises LookupError, ValueError."""
    row = await uow.session.get(Machine, code)
    if row is None:
        raise LookupError(f"Machine inconnue : {code}")
    new = new.checked()
    before = asdict(_view(row).parameters)
    changed = {name: [before[name], value] for name, value in asdict(new).items() if before[name] != value}
    if not changed and row.declared:
        return
    for name in changed:
        setattr(row, name, changed[name][1])
    row.declared = True
    await uow.session.flush()
    await audit.record(uow, who=by, what="machines.parameters", subject=f"machine:{code}", **changed)
    uow.tell(f"machine:{code}")
    uow.tell("machines")


def _new_tile(code: str) -> dict[str, Any]:
    return {"machine": code, "state": "silent", "state_seq": 0, "state_fact": 0, "detail": "", "uncertain": False} | {
        "source_status": "ok",
        "source_message": "",
    }


def _view(m: Machine) -> MachineView:
    return MachineView(
        code=m.code,
        label=m.label,
        kind=m.kind,
        controller=m.controller,
        post=m.post,
        declared=m.declared,
        counting=m.counting,
        parameters=Parameters(
            label=m.label,
            kind=m.kind,
            controller=m.controller,
            cam_software=m.cam_software,
            power_kw=m.power_kw,
            spindle_max_rpm=m.spindle_max_rpm,
            axes=m.axes,
            travels=m.travels,
        ),
    )
