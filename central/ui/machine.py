"""*Machine*: the day as a band of states, its stops and cycles, the signals, the load with its why, alarms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from central.core.access import need
from central.core.uow import UnitOfWork
from central.machines import drifting, settings
from central.machines import service as machines
from central.machines.rules import day_span
from central.machines.rules.parameters import is_robot
from central.machines.service import CycleView, Tile, Timeline
from central.ui.machine_guard import guard_parts
from central.ui.machine_settings import limits_parts, parameters_parts, programmes_parts
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of
from central.ui.working import loads_of
from central.work import service as work

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("machines", "lire")])

CLOCK_OFFSET = "clock_offset"
"""The signal by which an agent tells how far the controller's clock is off, in milliseconds."""
BAND_WIDTH = 960
"""Units of the drawing; it scales to the page."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the band: x and width in drawing units, what a pointer or a reader is told."""

    x: float
    width: float
    state: str
    begin: datetime
    end: datetime
    programme: str | None


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Band:
    segments: list[Segment]
    ticks: list[Tick]
    now: float
    minutes: list[tuple[str, float]]
    """State and minutes, longest first."""


def band(found: Timeline, begin: datetime, end: datetime, now: datetime, zone: Any) -> Band:
    """The timeline of [begin, end) laid out on `BAND_WIDTH`; hours are the shop's, also when the clocks change."""
    span = (end - begin).total_seconds()

    def x(at: datetime) -> float:
        return round(max(0.0, min(1.0, (at - begin).total_seconds() / span)) * BAND_WIDTH, 1)

    segments = [
        Segment(x(i.begin), max(0.8, x(i.end or now) - x(i.begin)), i.state, i.begin, i.end or now, i.programme)
        for i in found.intervals
    ]
    quarters = [begin + (end - begin) * step / 4 for step in range(5)]
    ticks = [Tick(x(at), _hour(at.astimezone(zone), last=at == end)) for at in quarters]
    minutes = sorted(found.minutes.items(), key=lambda pair: -pair[1])
    return Band(segments, ticks, x(now), minutes)


def _hour(at: datetime, *, last: bool) -> str:
    """``6 h``; on the two days that change the clocks a quarter of the day is not a whole hour."""
    if last:
        return "24 h"
    return f"{at.hour} h {at.minute:02d}" if at.minute else f"{at.hour} h"


async def _require(uow: UnitOfWork, code: str) -> Tile:
    tile = await machines.tile(uow, code)
    if tile is None:
        raise HTTPException(404, f"Aucune machine ne porte le code {code}.")
    return tile


@dataclass(frozen=True, slots=True)
class CycleRow:
    """A cycle, and how much longer (positive, a share) than its programme's reference it was."""

    cycle: CycleView
    drift: float | None


async def _parts(uow: UnitOfWork, code: str) -> dict[str, Any]:
    zone = uow.settings.zone
    tile = await _require(uow, code)
    today = day_span(uow.now.astimezone(zone).date(), zone)
    found = await machines.timeline(uow, code, today.begin, today.end)
    limits = (await settings.limits_of(uow, [code])).get(code, [])
    offset = next((s for s in tile.signals if s.signal == CLOCK_OFFSET), None)
    return {
        "tile": tile,
        "band": band(found, today.begin, today.end, uow.now, zone),
        "width": BAND_WIDTH,
        "figures": [s for s in tile.signals if s.signal != CLOCK_OFFSET],
        "clock_offset_ms": None if offset is None else offset.value,
        "passed": {limit.signal: standing for limit, standing in limits if standing is not None},
        "stops": await machines.unexpected_stops(uow, code, today.begin, today.end),
        "parts": await work.parts_of(uow, code, today.begin, today.end),
        "is_robot": is_robot(tile.kind),
    }


async def _cycles(uow: UnitOfWork, code: str) -> dict[str, Any]:
    cycles = await machines.last_cycles(uow, code)
    references = await drifting.references(uow, code, {c.programme for c in cycles})
    rows = []
    for cycle in cycles:
        reference = references.get(cycle.programme) if cycle.completed and not cycle.uncertain else None
        rows.append(CycleRow(cycle, cycle.seconds / reference - 1 if reference else None))
    bound = (await settings.rules_of(uow, [code]))[code]["cycle_drift"].bound
    return {"code": code, "cycles": rows, "bound": bound}


async def _load(uow: UnitOfWork, code: str) -> dict[str, Any]:
    return {"code": code, "load": (await loads_of(uow, [code]))[code]}


@router.get("/machines/{code}")
async def page(request: Request, code: str) -> Response:
    async with units_of(request).reading() as uow:
        parts: dict[str, Any] = {"message": "", "refused": ""}
        for found in (_parts, _cycles, _load, guard_parts, limits_parts, programmes_parts, parameters_parts):
            parts |= await found(uow, code)
        return await full_page(request, uow, "machine.html", "Atelier", **parts)


@router.get("/parts/machine")
async def part(request: Request, code: Annotated[str, Query(max_length=120)]) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/machine.html", **await _parts(uow, code))


@router.get("/parts/cycles")
async def cycles_part(request: Request, code: Annotated[str, Query(max_length=120)]) -> Response:
    async with units_of(request).reading() as uow:
        await _require(uow, code)
        return render(request, "parts/machine_cycles.html", **await _cycles(uow, code))


@router.get("/parts/charge")
async def load_part(request: Request, code: Annotated[str, Query(max_length=120)]) -> Response:
    async with units_of(request).reading() as uow:
        await _require(uow, code)
        return render(request, "parts/machine_load.html", **await _load(uow, code))


@router.get("/api/machines/{code}/series")
async def series(
    request: Request,
    code: str,
    signal: Annotated[str, Query(max_length=120)],
    minutes: Annotated[int, Query(ge=1, le=60 * 24 * 31)] = 60,
) -> Response:
    """The last `minutes` of one signal for the chart: seconds since 1970, means, lows and highs."""
    async with units_of(request).reading() as uow:
        await _require(uow, code)
        found = await machines.samples(uow, code, signal, uow.now - timedelta(minutes=minutes), uow.now, 600)
    points = found.points
    return JSONResponse(
        {
            "signal": found.signal,
            "unit": found.unit,
            "at": [p.at.timestamp() for p in points],
            "mean": [round(p.mean, 3) for p in points],
            "low": [round(p.low, 3) for p in points],
            "high": [round(p.high, 3) for p in points],
        }
    )
