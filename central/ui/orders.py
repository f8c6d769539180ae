"""*OF*: the orders, and for whom they are made. A marked one asks for signatures (`central.ui.signing`)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import Response

from central.core.access import acting, need
from central.core.uow import UnitOfWork
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of
from central.work import service as work

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_MOST = 100
Wanted = Annotated[str, Query(max_length=120)]


@router.get("/of", dependencies=[need("atelier", "lire")])
async def page(request: Request, q: Wanted = "") -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "of.html", "OF", **await _shown(uow, q))


@router.post("/of/secteur", dependencies=[need("atelier", "modifier")])
async def set_sector(
    request: Request,
    order: Annotated[str, Form(min_length=1, max_length=120)],
    sector: Annotated[work.Sector, Form()],
    q: Annotated[str, Form(max_length=120)] = "",
) -> Response:
    async with units_of(request).begin() as uow:
        try:
            await work.set_sector(uow, order, sector, by=acting(request))
        except LookupError as error:
            raise HTTPException(404, str(error)) from error
        said = f"{order} : {work.SECTORS[sector]}. Enregistré, et noté au journal."
        return render(request, "parts/of.html", **await _shown(uow, q, said))


async def _shown(uow: UnitOfWork, q: str, message: str = "") -> dict[str, Any]:
    orders = await work.find_orders(uow, q, _MOST)
    return {"orders": orders, "sectors": work.SECTORS, "q": q, "message": message, "most": _MOST}
