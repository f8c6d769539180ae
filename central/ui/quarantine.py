"""*Quarantaine*: what was refused and why, run again or put away; codes that nobody knows, to assign."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from central.core.uow import UnitOfWork
from central.inbox import quarantine
from central.inbox.service import Inbox
from central.items import service as items
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _parts(uow: UnitOfWork, message: str = "") -> dict[str, object]:
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


@router.post("/quarantaine/ranger")
async def dismiss(request: Request, id: int) -> Response:  # noqa: A002  # the word of the address
    async with units_of(request).begin() as uow:
        await quarantine.dismiss(uow, [id])
        return render(request, "parts/quarantaine.html", **await _parts(uow, "Rangé. Il reste dans l’historique."))
