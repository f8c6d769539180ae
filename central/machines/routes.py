"""``/api/machines``: tiles, timelines, samples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import AwareDatetime

from central.core.access import need
from central.core.uow import UnitOfWork, Units
from central.machines import service
from central.machines.service import Series, Tile, Timeline

router = APIRouter(prefix="/api/machines", tags=["machines"], dependencies=[need("machines", "lire")])

Since = Annotated[AwareDatetime | None, Query(description="Default: eight hours before the end.")]
Until = Annotated[AwareDatetime | None, Query(description="Default: now.")]


@router.get("")
async def tiles(request: Request) -> list[Tile]:
    units: Units = request.app.state.units
    async with units.reading() as uow:
        return await service.tiles(uow)


@router.get("/{code}")
async def tile(request: Request, code: str) -> Tile:
    units: Units = request.app.state.units
    async with units.reading() as uow:
        found = await service.tile(uow, code)
        if found is None:
            raise HTTPException(404, f"Machine inconnue : {code}")
        return found


@router.get("/{code}/timeline")
async def timeline(request: Request, code: str, begin: Since = None, end: Until = None) -> Timeline:
    units: Units = request.app.state.units
    async with units.reading() as uow:
        return await service.timeline(uow, code, *_period(uow, begin, end))


@router.get("/{code}/samples/{signal}")
async def samples(
    request: Request,
    code: str,
    signal: str,
    begin: Since = None,
    end: Until = None,
    points: Annotated[int, Query(ge=1, le=5000)] = 600,
) -> Series:
    units: Units = request.app.state.units
    async with units.reading() as uow:
        return await service.samples(uow, code, signal, *_period(uow, begin, end), points)


def _period(uow: UnitOfWork, begin: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    last = uow.now if end is None else end.astimezone(UTC)
    first = last - timedelta(hours=8) if begin is None else begin.astimezone(UTC)
    if first >= last:
        raise HTTPException(422, "La fin doit être après le début.")
    return first, last
