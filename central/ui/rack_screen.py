"""A rack's own small screen: what its camera just believed, "Pas ça" in one touch, "combien ?", the badge, the mode."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import Response

from central.core.access import acting, devices
from central.core.types import RowId
from central.core.uow import UnitOfWork
from central.people import service as people
from central.racks import service as racks
from central.stock import service as stock
from central.ui import rack_words as said
from central.ui.beliefs import contestable, say_no, whole
from central.ui.racks import asked_of, rack_or_404
from central.ui.review import LEVEL_KINDS, Way, sentence, signed
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

FRESH: Final = timedelta(seconds=20)
"""So long a belief stands on the screen; then it goes quiet."""
_SESSION: Final = timedelta(seconds=8)
"""Beliefs so near the newest belong to the same hand."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the keypad answers."""

    id: int
    label: str
    slot: str
    asked: str
    way: str
    crops: str | None


@router.get("/rack/{code}/ecran", dependencies=[devices(("rayonnages", "lire"), only="terminal")])
async def page(request: Request, code: str) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "ecran.html", "Rayonnages", **await _screen(uow, code))


@router.get("/parts/rack/{code}/ecran", dependencies=[devices(("rayonnages", "lire"), only="terminal")])
async def part(request: Request, code: str, question: Annotated[int | None, Query()] = None) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/ecran.html", **await _screen(uow, code, question))


async def _screen(uow: UnitOfWork, code: str, wanted: int | None = None, message: str = "") -> dict[str, Any]:
    """`wanted`: the question that somebody chose, or that "Pas ça" has just opened."""
    rack = await rack_or_404(uow, code)
    found = await stock.last_beliefs(uow, rack=code, limit=8)
    found_open = [p for p in await stock.proposals(uow, rack=code) if p.state == "open"]
    # « Même prise ? » is answered by yes or no, on the review page: no number answers it.
    questions = [_question(p) for p in found_open if p.kind != "pairing"]
    newest = found[0].at if found else uow.now
    found = whole(found)
    beliefs = [b for b in found if uow.now - b.at < FRESH and newest - b.at < _SESSION]
    if wanted is None:
        wanted = next((b.proposal for b in beliefs if b.state in {"ask", "contested"}), None)
    person = await people.present_at(uow, code, uow.now)
    names = await people.names(uow, {person} if person else set())
    return {
        "rack": rack,
        "beliefs": [b for b in beliefs if b.state != "ask"],
        "last": next((b for b in found if b.state != "ask"), None),
        "questions": questions,
        "question": next((q for q in questions if q.id == wanted), None),
        "person": names.get(person) if person else None,
        "slot_of": racks.slot_of,
        "levels": await stock.rack_places(uow, code),
        "contestable": lambda belief: contestable(belief, uow.now),
        "fresh_ms": int(FRESH.total_seconds() * 1000),
        "message": message,
        "said": said,
    }


def _question(p: stock.ProposalView) -> Question:
    level = p.kind in LEVEL_KINDS
    way = "level" if level else "return" if p.qty > 0 else "take"
    slot = racks.slot_of(p.place or "")
    return Question(
        p.id, p.label or p.item, slot, p.question if p.kind != "doubt" else "Combien, en vrai ?", way, p.crops
    )


def _who(request: Request, person: str | None, code: str) -> str:
    """A signed-in person, else whoever badged at the rack, else the screen itself."""
    return acting(request, person or f"screen:{code}")


@router.post("/rack/{code}/ecran/{observation}/pas-ca", dependencies=[devices(("stock", "valider"), only="terminal")])
async def not_that(request: Request, code: str, observation: RowId) -> Response:
    """One touch: what the camera did by itself is undone, what it doubted is denied; then it asks how many."""
    units = units_of(request)
    message, opened = "", None
    try:
        async with units.begin() as uow:
            person = await people.present_at(uow, code, uow.now)
            opened = await say_no(uow, observation, _who(request, person, code), rack=code)
    except (LookupError, ValueError) as error:
        message = sentence(error)
    async with units.reading() as uow:
        return render(request, "parts/ecran.html", **await _screen(uow, code, opened, message))


@router.post("/rack/{code}/ecran/{proposal}/combien", dependencies=[devices(("stock", "valider"), only="terminal")])
async def how_many(
    request: Request,
    code: str,
    proposal: RowId,
    quantity: Annotated[str, Form(max_length=12)],
    way: Annotated[Way, Form()] = "take",
) -> Response:
    units = units_of(request)
    message = "Noté, merci."
    try:
        async with units.begin() as uow:
            if await stock.rack_of_question(uow, proposal) != code:
                raise HTTPException(404, "Cette question n’est pas de ce rayonnage.")
            person = await people.present_at(uow, code, uow.now)
            await stock.correct(uow, proposal, signed(quantity, way), _who(request, person, code))
    except (LookupError, ValueError) as error:
        message = sentence(error)
    async with units.reading() as uow:
        return render(request, "parts/ecran.html", **await _screen(uow, code, None, message))


@router.post("/rack/{code}/ecran/mode/{mode}", dependencies=[devices(("rayonnages", "modifier"), only="terminal")])
async def set_mode(request: Request, code: str, mode: Literal["counting", "restocking"]) -> Response:
    """*Mode rangement* from the rack itself."""
    units = units_of(request)
    async with units.reading() as uow:
        person = await people.present_at(uow, code, uow.now)
    by = _who(request, person, code)
    refused = await asked_of(request, code, lambda uow: racks.set_mode(uow, code, mode, by=by))
    async with units.reading() as uow:
        return render(request, "parts/ecran.html", **await _screen(uow, code, None, refused))
