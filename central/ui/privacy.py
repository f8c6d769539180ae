"""*Vie privée*: what is kept of pictures and for how long, what was purged, who looked, and the notice to print."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from central.core.access import acting, need
from central.core.uow import UnitOfWork
from central.people import service as people
from central.racks import service as racks
from central.racks.schemas import ViewingView
from central.ui.formats import plural
from central.ui.programme_words import person as by_words
from central.ui.programme_words import size
from central.ui.racks import pictures_of
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("vie_privee", "lire")])


@router.get("/vie-privee")
async def page(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "vie_privee.html", "Vie privée", **await _kept(uow))


@router.get("/parts/vie-privee")
async def part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/vie_privee.html", **await _kept(uow))


@router.post("/vie-privee/effacer", dependencies=[need("vie_privee", "supprimer")])
async def purge(request: Request) -> Response:
    """A person wants all pictures gone, now. The books stay: they hold no picture."""
    units = units_of(request)
    pictures_of(request).forget()
    async with units.begin() as uow:
        gone = await racks.purge_all(uow, acting(request))
    async with units.reading() as uow:
        message = (
            f"{plural(gone, 'paire d’images effacée', 'paires d’images effacées')}." if gone else "Rien à effacer."
        )
        return render(request, "parts/vie_privee.html", **await _kept(uow, message))


async def _kept(uow: UnitOfWork, message: str = "") -> dict[str, Any]:
    kept = await racks.privacy(uow)
    return {
        "kept": kept,
        "looks": _looks(kept.viewings),
        "names": await people.names(uow, {v.who for v in kept.viewings}),
        "by": by_words,
        "size": size,
        "message": message,
    }


def _looks(viewings: list[ViewingView]) -> list[ViewingView]:
    """Before and after of one saying are one look: the newest row."""

    def same(viewing: ViewingView) -> tuple[str, str, str]:
        return viewing.who, viewing.what, viewing.subject

    return [next(group) for _, group in groupby(viewings, key=same)]
