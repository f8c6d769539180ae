"""*Validation humaine*: for each automatic act, whether Copeau does it or a person decides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from central.automation import service as automation
from central.core.access import acting, need
from central.core.uow import UnitOfWork
from central.people import service as people
from central.ui import journal_words
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("reglages", "lire")])


@router.get("/automatismes")
async def page(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "automatismes.html", "Validation", **await _shown(uow))


@router.get("/parts/automatismes")
async def part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/automatismes.html", **await _shown(uow))


@router.post("/automatismes", dependencies=[need("reglages", "modifier")])
async def choose(
    request: Request,
    act: Annotated[str, Form(min_length=1, max_length=24)],
    mode: Annotated[Literal["automatic", "validated"], Form()],
) -> Response:
    units = units_of(request)
    try:
        async with units.begin() as uow:
            await automation.choose(uow, act, mode, by=acting(request))
        message = "Enregistré, et noté au journal."
    except (LookupError, ValueError) as error:
        message = str(error)
    async with units.reading() as uow:
        return render(request, "parts/automatismes.html", **await _shown(uow, message))


async def _shown(uow: UnitOfWork, message: str = "") -> dict[str, Any]:
    acts = await automation.settings(uow)
    names = await people.names(uow, {view.by for view in acts if view.by is not None})
    return {"acts": acts, "names": names, "say": journal_words, "message": message}
