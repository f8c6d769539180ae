"""The post's live side of racks: what a camera believed that the badge's operator took, what is to be charged.

Only while the centre answers: the post works without it.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from central.core.access import acting, devices, who
from central.core.types import RowId
from central.core.uow import UnitOfWork
from central.people import posts
from central.stock import service as stock
from central.ui.beliefs import contestable, say_no, whole
from central.ui.review import Way, sentence, signed
from central.ui.routing import PageRoute, refusal
from central.ui.templating import units_of
from central.work import service as work

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Person = Annotated[str, Form(min_length=1, max_length=120)]
_FRESH_S: Final = 120.0
"""So long what was taken stands on the post."""


async def speaking(request: Request, uow: UnitOfWork, said: str) -> str:
    """Who acts: a signed-in person, or whoever the post says, if that one has shown the PIN there. Raises 403."""
    identity = await who(request)
    if identity.device is not None and not await posts.speaks_for(uow, identity.device, said):
        raise HTTPException(403, "Votre code personnel d’abord : touchez votre nom sur le poste.")
    return acting(request, said)


@router.get("/api/poste/rayonnages", dependencies=[devices(("poste", "lire"), only="terminal")])
async def beliefs(request: Request, personne: Annotated[str, Query(min_length=1, max_length=120)]) -> Response:
    """What this person was last seen to take, newest first, and what of theirs is to be charged."""
    personne = acting(request, personne)
    async with units_of(request).reading() as uow:
        found = whole(await stock.last_beliefs(uow, person=personne, limit=6))
        charges = await work.to_charge(uow, personne)
        body = {
            "beliefs": [
                {
                    "observation": b.observation,
                    "proposal": b.proposal,
                    "state": b.state,
                    "contestable": contestable(b, uow.now),
                    "qty": b.qty,
                    "label": b.label or b.item,
                    "place": b.place,
                    "to": b.to_place,
                    "operation": b.operation,
                    "at": b.at.timestamp() * 1000,
                }
                for b in found
                if (uow.now - b.at).total_seconds() < _FRESH_S
            ],
            "charges": [
                {
                    "observation": c.observation,
                    "qty": c.qty,
                    "label": c.label or c.item,
                    "place": c.place,
                    "likely": c.likely,
                    "at": c.at.timestamp() * 1000,
                }
                for c in charges
            ],
        }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


@router.post("/api/poste/rayonnages/{observation}/pas-ca", dependencies=[devices(("poste", "creer"), only="terminal")])
async def not_that(request: Request, observation: RowId, person: Person) -> Response:
    """One touch; the question that is open then."""
    try:
        async with units_of(request).begin() as uow:
            person = await speaking(request, uow, person)
            return JSONResponse({"proposal": await say_no(uow, observation, person, person=person)})
    except (LookupError, ValueError) as error:
        return refusal(sentence(error))


@router.post("/api/poste/questions/{proposal}", dependencies=[devices(("poste", "creer"), only="terminal")])
async def how_many(
    request: Request,
    proposal: RowId,
    person: Person,
    quantity: Annotated[str, Form(max_length=12)],
    way: Annotated[Way, Form()] = "take",
) -> Response:
    try:
        async with units_of(request).begin() as uow:
            person = await speaking(request, uow, person)
            await stock.correct(uow, proposal, signed(quantity, way), person)
    except (LookupError, ValueError) as error:
        return refusal(sentence(error))
    return JSONResponse({"done": True})


@router.post("/api/poste/imputer/{observation}", dependencies=[devices(("poste", "creer"), only="terminal")])
async def charge(
    request: Request, observation: RowId, person: Person, operation: Annotated[str, Form(max_length=120)] = ""
) -> Response:
    """For which operation it was taken; empty: for none."""
    try:
        async with units_of(request).begin() as uow:
            person = await speaking(request, uow, person)
            await work.charge_to(uow, observation, operation or None, person)
    except (LookupError, ValueError) as error:
        return refusal(sentence(error))
    return JSONResponse({"done": True})
