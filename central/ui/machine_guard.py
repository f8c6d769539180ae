"""The collision guard of a machine: its state and verdicts, the curve of each, and letting it act again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from central.core.access import acting, need
from central.core.uow import UnitOfWork
from central.fleet import service as fleet
from central.machines import guard
from central.machines import service as machines
from central.machines.rules.guard import is_about_guard
from central.ui import words
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of
from central.ui.words import Word

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("machines", "lire")])


@dataclass(frozen=True, slots=True)
class Standing:
    """What the guard is doing, in a word and a sentence."""

    word: Word
    says: str


async def guard_parts(uow: UnitOfWork, code: str) -> dict[str, Any]:
    """What `parts/machine_guard.html` shows."""
    state = await guard.state(uow, code)
    told = next(
        (
            s
            for s in await fleet.sources(uow, problems_only=False)
            if s.machine == code and is_about_guard(s.source, s.code, code)
        ),
        None,
    )
    return {"code": code, "guard": state, "standing": _standing(state, told)}


def _standing(state: guard.GuardState, told: fleet.SourceView | None) -> Standing:
    if told is not None and told.status != "ok":
        return Standing(words.GUARD["blind"], told.message or "La garde ne voit plus rien : elle ne protège pas.")
    if state.awaits_rearming:
        return Standing(words.GUARD["tripped"], "Un arrêt a été commandé. La garde n'agit plus avant d'être réarmée.")
    mode = "" if told is None else told.code.removeprefix("guard").strip("_-.")
    if mode not in words.GUARD:
        mode = "watching" if told is not None and state.last is None else _mode_of(state.last)
    says = words.GUARD_SAYS[mode] if told is None or not told.message else told.message
    return Standing(words.GUARD[mode], says)


def _mode_of(last: guard.TripView | None) -> str:
    """Until the guard has said its mode, its last verdict tells."""
    if last is None:
        return "unknown"
    if last.outcome == "shadow":
        return "shadow"
    return "hold" if last.outcome in {"held", "deferred", "failed"} else "alert"


async def _label(uow: UnitOfWork, code: str) -> str:
    machine = await machines.machine(uow, code)
    if machine is None:
        raise HTTPException(404, f"Aucune machine ne porte le code {code}.")
    return machine.label


async def _list(uow: UnitOfWork, code: str) -> dict[str, Any]:
    label = await _label(uow, code)
    return {"label": label, "trips": await guard.trips(uow, code)} | await guard_parts(uow, code)


async def _curve(uow: UnitOfWork, code: str, trip: int) -> guard.TripCurve:
    found = await guard.trip_curve(uow, code, trip)
    if found is None:
        raise HTTPException(404, "Ce déclenchement n'existe pas sur cette machine.")
    return found


@router.get("/machines/{code}/garde")
async def page(request: Request, code: str) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "garde.html", "Atelier", **await _list(uow, code))


@router.get("/parts/declenchements")
async def trips_part(request: Request, code: Annotated[str, Query(max_length=120)]) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/guard_trips.html", **await _list(uow, code))


@router.get("/parts/garde")
async def part(request: Request, code: Annotated[str, Query(max_length=120)]) -> Response:
    async with units_of(request).reading() as uow:
        await _label(uow, code)
        return render(request, "parts/machine_guard.html", **await guard_parts(uow, code))


@router.get("/machines/{code}/garde/{trip}")
async def trip_page(request: Request, code: str, trip: int) -> Response:
    async with units_of(request).reading() as uow:
        found = await _curve(uow, code, trip)
        parts = {"label": await _label(uow, code), "found": found, "trip": found.trip}
        return await full_page(request, uow, "garde_courbe.html", "Atelier", **parts, **await guard_parts(uow, code))


@router.get("/api/machines/{code}/garde/{trip}")
async def curve(request: Request, code: str, trip: int) -> Response:
    """The curve for the chart: seconds before (negative) and after the verdict."""
    async with units_of(request).reading() as uow:
        found = await _curve(uow, code, trip)
    start = (found.t0 - found.trip.at).total_seconds()

    def after(moment: Any) -> float | None:
        return None if moment is None else round((moment - found.trip.at).total_seconds(), 4)

    curve = found.curve
    return JSONResponse(
        {
            "signal": words.signal(found.trip.signal),
            "unit": words.unit(found.trip.unit),
            "limit": found.trip.limit,
            "at": [round(start + dt / 1000, 4) for dt in curve.dt],
            "value": curve.v,
            "low": curve.low or None,
            "high": curve.high or None,
            "commanded": after(found.commanded_at),
            "stopped": after(found.stopped_at),
        }
    )


@router.post("/machines/{code}/garde/rearmer", dependencies=[need("machines", "valider")])
async def rearm(request: Request, code: str) -> Response:
    """A person's act: sent to the agent, armed when the guard says so."""
    async with units_of(request).begin() as uow:
        await _label(uow, code)
        try:
            await guard.rearm(uow, code, by=acting(request))
        except guard.NobodyThereError as error:
            raise HTTPException(409, str(error)) from error
        return render(request, "parts/machine_guard.html", **await guard_parts(uow, code))
