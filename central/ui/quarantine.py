"""*Quarantaine*: what was refused and why, run again or put away; codes that nobody knows, to assign."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from central.core.access import need
from central.core.uow import UnitOfWork
from central.inbox import quarantine
from central.inbox.service import Inbox
from central.items import service as items
from central.stock import service as stock
from central.ui.formats import plural
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("quarantaine", "lire")])


async def _parts(uow: UnitOfWork, message: str = "") -> dict[str, Any]:
    return {
        "rows": await quarantine.listing(uow),
        "unknown": await items.unknown_codes(uow),
        "items": await items.items(uow),
        "message": message,
    }


@router.get("/quarantaine")
async def page(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "quarantaine.html", "Quarantaine", **await _parts(uow))


@router.get("/parts/quarantaine")
async def part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/quarantaine.html", **await _parts(uow))


@router.post("/quarantaine/ranger", dependencies=[need("quarantaine", "modifier")])
async def dismiss(request: Request, id: int) -> Response:  # noqa: A002  # the word of the address
    async with units_of(request).begin() as uow:
        await quarantine.dismiss(uow, [id])
        return render(request, "parts/quarantaine.html", **await _parts(uow, "Rangé. Il reste dans l’historique."))


@router.post("/quarantaine/rejouer", dependencies=[need("quarantaine", "modifier")])
async def run_again(request: Request, id: int | None = None) -> Response:  # noqa: A002  # the word of the address
    """One row, or all that have an identity: a fact that a newer version understands is accepted under its own name."""
    units = units_of(request)
    inbox: Inbox = request.app.state.inbox
    async with units.reading() as uow:
        rows = await quarantine.listing(uow, limit=1000)
    ids = [row.id for row in rows if row.identity is not None and id in {None, row.id}]
    done = await inbox.rerun(ids)
    left = len(ids) - done
    message = f"{plural(done, 'accepté')}" + (
        f", {plural(left, 'toujours refusé', 'toujours refusés')}." if left else "."
    )
    async with units.reading() as uow:
        return render(request, "parts/quarantaine.html", **await _parts(uow, message))


@router.post("/codes/affecter", dependencies=[need("quarantaine", "modifier")])
async def assign(
    request: Request,
    code: Annotated[str, Form(min_length=1, max_length=120)],
    item: Annotated[str, Form(min_length=1, max_length=120)],
) -> Response:
    """From now on the code means this item, and so did every earlier scan of it."""
    units = units_of(request)
    try:
        async with units.begin() as uow:
            count = await stock.assign_code(uow, code, item)
            message = f"{code} désigne {item}. {plural(count, 'scan repris', 'scans repris')}."
    except (LookupError, ValueError) as error:
        message = str(error)
    async with units.reading() as uow:
        return render(request, "parts/quarantaine.html", **await _parts(uow, message))
