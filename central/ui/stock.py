"""*Stock*: levels, movements with their evidence, and what waits at *À vérifier*."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from central.core.access import need
from central.core.uow import UnitOfWork
from central.items.service import NotFound
from central.people import service as people
from central.stock import service as stock
from central.stock.schemas import MovementView
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("stock", "lire")])

Query_ = Annotated[str, Query(max_length=120)]


async def names_in(uow: UnitOfWork, movements: list[MovementView]) -> dict[str, str]:
    """What may be shown of the persons of these movements."""
    ids = {m.person for m in movements} | {s.person for m in movements for s in m.sources}
    return await people.names(uow, {person for person in ids if person})


async def _movements(uow: UnitOfWork, item: str | None = None, limit: int = 40) -> dict[str, Any]:
    found = await stock.movements(uow, item, limit)
    return {"movements": found, "names": await names_in(uow, found), "item": item}


async def _waiting(uow: UnitOfWork) -> dict[str, Any]:
    return {"waiting_list": [p for p in await stock.proposals(uow) if p.state == "open"]}


@router.get("/stock")
async def page(request: Request, q: Query_ = "") -> Response:
    async with units_of(request).reading() as uow:
        levels = await stock.levels(uow, q or None)
        parts = await _movements(uow) | await _waiting(uow)
        return await full_page(request, uow, "stock.html", "Stock", levels=levels, query=q, **parts)


@router.get("/parts/niveaux")
async def levels_part(request: Request, q: Query_ = "") -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/levels.html", levels=await stock.levels(uow, q or None), query=q)


@router.get("/parts/mouvements")
async def movements_part(request: Request, item: Query_ | None = None) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/movements.html", **await _movements(uow, item))


@router.get("/parts/a-verifier")
async def waiting_part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/to_check.html", **await _waiting(uow))


@router.get("/parts/article")
async def article_part(request: Request, item: Query_) -> Response:
    async with units_of(request).reading() as uow:
        try:
            found = await stock.level(uow, item)
        except NotFound as error:
            raise HTTPException(404, f"{str(error).capitalize()}.") from error
        return render(request, "parts/article.html", article=found)


@router.get("/stock/{code:path}")
async def article(request: Request, code: str) -> Response:
    async with units_of(request).reading() as uow:
        try:
            found = await stock.level(uow, code)
        except NotFound as error:
            raise HTTPException(404, f"{str(error).capitalize()}.") from error
        return await full_page(
            request, uow, "article.html", "Stock", article=found, **await _movements(uow, found.item)
        )
