"""The post's own door: a badge or a name, then the PIN of whoever has one; several at a post, one active."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from central.core.access import devices, identity_of
from central.people import posts
from central.people.signing_in import NotSignedIn
from central.ui.cookies import door_of
from central.ui.routing import PageRoute, refusal
from central.ui.templating import units_of

_POST = devices(only="terminal")
router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[_POST])

Name = Annotated[str, Form(min_length=1, max_length=120)]


@router.post("/api/poste/ouvrir")
async def enter(request: Request, poste: Name, person: Name, pin: Annotated[str, Form(max_length=40)] = "") -> Response:
    """Without a PIN: take over again what the person has opened before; ``{open: false}`` asks for the PIN."""
    _check_is(request, poste)
    if not pin:
        async with units_of(request).begin() as uow:
            return JSONResponse({"open": await posts.activate(uow, poste, person)})
    try:
        opened = await posts.enter(door_of(request), poste, person, pin)
    except NotSignedIn as refused:
        return refusal(str(refused))
    return JSONResponse({"open": True, "until": opened.until.timestamp() * 1000})


@router.post("/api/poste/quitter")
async def leave(request: Request, poste: Name, person: Name) -> Response:
    _check_is(request, poste)
    async with units_of(request).begin() as uow:
        await posts.leave(uow, poste, person)
    return Response(status_code=204)


def _check_is(request: Request, post: str) -> None:
    """A terminal opens and leaves its own post: no other one's persons are released, no other one's tries used up."""
    identity = identity_of(request)
    if identity is not None and identity.device is not None and identity.device != post:
        raise HTTPException(403, f"Ce poste est inscrit sous le nom « {identity.device} », pas « {post} ».")
