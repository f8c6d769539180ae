"""*Agents*: who is connected, what still waits in their outboxes, which source is in trouble."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from central.core.access import need
from central.core.uow import UnitOfWork
from central.fleet import service as fleet
from central.ui.devices import devices_parts
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("agents", "lire")])

OFFSET_SHOWN_MS = 1000
"""A clock that is further off is pointed at; facts are corrected by it in any case."""


async def _parts(uow: UnitOfWork) -> dict[str, Any]:
    return {"agents": await fleet.agents(uow), "troubles": await fleet.sources(uow), "offset_shown_ms": OFFSET_SHOWN_MS}


@router.get("/agents")
async def page(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(
            request, uow, "agents.html", "Agents", **await _parts(uow), **await devices_parts(request, uow)
        )


@router.get("/parts/agents")
async def part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/agents.html", **await _parts(uow))
