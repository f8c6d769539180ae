"""What a person sets of a machine: its parameters, the bounds of its alerts, what its programmes make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import Response

from central.alerts.rules import LABELS, Level
from central.core.access import acting, need
from central.core.uow import UnitOfWork
from central.machines import passing, programmes, watching
from central.machines import service as machines
from central.machines import settings as machine_settings
from central.machines.rules import watch
from central.machines.rules.parameters import KINDS, Parameters
from central.machines.rules.programmes import COUNTING, Programme
from central.machines.rules.watch import RULES, Limit, RuleName, Setting
from central.ui.numbers import number_in, required, whole_in
from central.ui.routing import PageRoute
from central.ui.templating import render, units_of
from central.work import service as work

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("machines", "lire")])

Text = Annotated[str, Form(max_length=200)]
Tick = Annotated[bool, Form()]
Side = Literal["high", "low"]
Act = Callable[[UnitOfWork], Awaitable[None]]


async def parameters_parts(uow: UnitOfWork, code: str) -> dict[str, Any]:
    machine = await machines.machine(uow, code)
    if machine is None:
        raise HTTPException(404, f"Aucune machine ne porte le code {code}.")
    return {"code": code, "machine": machine, "kinds": KINDS}


async def limits_parts(uow: UnitOfWork, code: str) -> dict[str, Any]:
    tile = await machines.tile(uow, code)
    if tile is None:
        raise HTTPException(404, f"Aucune machine ne porte le code {code}.")
    return {
        "code": code,
        "limits": (await machine_settings.limits_of(uow, [code])).get(code, []),
        "rules_set": (await machine_settings.rules_of(uow, [code]))[code],
        "rules": RULES,
        "levels": LABELS,
        "signals": tile.signals,
        "values": {s.signal: s for s in tile.signals},
    }


async def programmes_parts(uow: UnitOfWork, code: str) -> dict[str, Any]:
    found = (await programmes.yields(uow, [code]))[code]
    return {"code": code, "programmes": found.programmes, "counting": found.counting, "ways": COUNTING}


_PARTS: dict[str, Callable[[UnitOfWork, str], Awaitable[dict[str, Any]]]] = {
    "parametres": parameters_parts,
    "limites": limits_parts,
    "programmes": programmes_parts,
}


@router.get("/parts/machine-{name}")
async def part(
    request: Request, name: Literal["parametres", "limites", "programmes"], code: Annotated[str, Query(max_length=120)]
) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, f"parts/machine_{name}.html", message="", refused="", **await _PARTS[name](uow, code))


@router.post("/machines/{code}/parametres", dependencies=[need("machines", "modifier")])
async def set_parameters(
    request: Request,
    code: str,
    label: Text = "",
    kind: Text = "",
    controller: Text = "",
    cam_software: Text = "",
    power_kw: Text = "",
    spindle_max_rpm: Text = "",
    axes: Text = "",
    travels: Text = "",
) -> Response:
    async def act(uow: UnitOfWork) -> None:
        new = Parameters(
            label, kind, controller, cam_software, number_in(power_kw), whole_in(spindle_max_rpm), axes, travels
        )
        await machines.set_parameters(uow, code, new, by=acting(request))

    return await _answer(request, "parametres", code, act, "Paramètres enregistrés.")


@router.post("/machines/{code}/regles/{rule}", dependencies=[need("machines", "modifier")])
async def set_rule(
    request: Request, code: str, rule: str, bound: Text = "", level: Text = "", active: Tick = False
) -> Response:
    async def act(uow: UnitOfWork) -> None:
        name = cast("RuleName", rule)
        scale = 100 if name in RULES and RULES[name].unit == "%" else 1
        value = required(bound, "le seuil") / scale
        await machine_settings.set_rule(
            uow, code, Setting(name, active, cast("Level", level), value), by=acting(request)
        )
        await watching.judge_again(uow, [code])

    label = RULES[rule].label if rule in RULES else rule
    return await _answer(request, "limites", code, act, f"{label} : réglage enregistré.")


@router.post("/machines/{code}/limites", dependencies=[need("machines", "modifier")])
async def set_limit(
    request: Request,
    code: str,
    signal: Text = "",
    side: Annotated[Side, Form()] = "high",
    limit: Text = "",
    warning: Text = "",
    hysteresis: Text = "",
) -> Response:
    async def act(uow: UnitOfWork) -> None:
        if not signal.strip():
            raise ValueError("Choisissez le signal.")
        new = Limit(
            machine=code,
            signal=signal.strip(),
            side=side,
            warning=number_in(warning),
            limit=required(limit, "la limite"),
            hysteresis=number_in(hysteresis) or 0.0,
        )
        await machine_settings.set_limit(uow, watch.checked_limit(new), by=acting(request))
        await passing.judge(uow, new)

    return await _answer(request, "limites", code, act, "Limite enregistrée.")


@router.post("/machines/{code}/limites/oublier", dependencies=[need("machines", "modifier")])
async def forget_limit(request: Request, code: str, signal: Text, side: Annotated[Side, Form()]) -> Response:
    async def act(uow: UnitOfWork) -> None:
        await machine_settings.forget_limit(uow, code, signal, side, by=acting(request))

    return await _answer(request, "limites", code, act, "Limite retirée.")


@router.post("/machines/{code}/programmes", dependencies=[need("machines", "modifier")])
async def set_programme(
    request: Request,
    code: str,
    pattern: Text = "",
    parts_per_cycle: Text = "",
    cycle_s: Text = "",
    note: Text = "",
    produces: Tick = False,
    everywhere: Tick = False,
) -> Response:
    async def act(uow: UnitOfWork) -> None:
        machine = "" if everywhere else code
        setting = Programme(machine, pattern, produces, whole_in(parts_per_cycle), number_in(cycle_s), note)
        await work.set_programme(uow, setting, by=acting(request))
        await watching.judge_again(uow, None if everywhere else [code])

    return await _answer(request, "programmes", code, act, "Enregistré : les pièces sont recomptées.")


@router.post("/machines/{code}/programmes/oublier", dependencies=[need("machines", "modifier")])
async def forget_programme(request: Request, code: str, pattern: Text, machine: Text = "") -> Response:
    async def act(uow: UnitOfWork) -> None:
        await work.forget_programme(uow, machine, pattern, by=acting(request))
        await watching.judge_again(uow, [machine] if machine else None)

    return await _answer(request, "programmes", code, act, "Retiré : les pièces sont recomptées.")


@router.post("/machines/{code}/comptage", dependencies=[need("machines", "modifier")])
async def set_counting(request: Request, code: str, counting: Text) -> Response:
    async def act(uow: UnitOfWork) -> None:
        await work.set_counting(uow, code, counting, by=acting(request))

    return await _answer(request, "programmes", code, act, "Enregistré : les pièces sont recomptées.")


async def _answer(request: Request, name: str, code: str, act: Act, done: str) -> Response:
    """The part again with what was done, or why it was refused."""
    units = units_of(request)
    try:
        async with units.begin() as uow:
            await act(uow)
    except (LookupError, ValueError) as error:
        # what was typed stays in its form: only the sentence comes back
        answer = render(request, "parts/said.html", message="", refused=str(error))
        answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = f"#dit-{name}", "innerHTML"
        return answer
    async with units.reading() as uow:
        parts = await _PARTS[name](uow, code)
        return render(request, f"parts/machine_{name}.html", message=done, refused="", **parts)
