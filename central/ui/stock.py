"""*Stock*: levels, movements with their evidence, and the review list."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import FileResponse, Response

from central.core.uow import UnitOfWork
from central.items.service import NotFound
from central.people import service as people
from central.stock import service as stock
from central.stock.schemas import MovementView
from central.ui.routing import PageRoute
from central.ui.shell import USER, full_page
from central.ui.templating import STATIC, render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Query_ = Annotated[str, Query(max_length=120)]


async def names_in(uow: UnitOfWork, movements: list[MovementView]) -> dict[str, str]:
    """What may be shown of the persons of these movements."""
    ids = {m.person for m in movements} | {s.person for m in movements for s in m.sources}
    return await people.names(uow, {person for person in ids if person})


async def _movements(uow: UnitOfWork, item: str | None = None, limit: int = 40) -> dict[str, Any]:
    found = await stock.movements(uow, item, limit)
    return {"movements": found, "names": await names_in(uow, found), "item": item}


async def _review(uow: UnitOfWork, message: str = "") -> dict[str, Any]:
    found = await stock.proposals(uow)
    return {
        "open": [p for p in found if p.state == "open"],
        "decided": [p for p in found if p.state != "open"],
        "message": message,
    }


@router.get("/stock")
async def page(request: Request, q: Query_ = "") -> Response:
    async with units_of(request).reading() as uow:
        levels = await stock.levels(uow, q or None)
        parts = await _movements(uow) | await _review(uow)
        return await full_page(request, uow, "stock.html", "Stock", levels=levels, query=q, **parts)


@router.get("/parts/niveaux")
async def levels_part(request: Request, q: Query_ = "") -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/levels.html", levels=await stock.levels(uow, q or None), query=q)


@router.get("/parts/mouvements")
async def movements_part(request: Request, item: Query_ | None = None) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/movements.html", **await _movements(uow, item))


@router.get("/parts/revue")
async def review_part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/review.html", **await _review(uow))


@router.get("/parts/article")
async def article_part(request: Request, item: Query_) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/article.html", article=await stock.level(uow, item))


@router.get("/stock/preuves/{observation}/{moment}.jpg")
async def picture(request: Request, observation: int, moment: Literal["avant", "apres"]) -> Response:
    async with units_of(request).reading() as uow:
        evidence = await stock.evidence(uow, observation)
    image = None if evidence is None else evidence.before if moment == "avant" else evidence.after
    if image is None:
        return FileResponse(STATIC / "no-picture.svg", media_type="image/svg+xml")
    return Response(image, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


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


@router.post("/revue/{proposal}/{act}")
async def decide(
    request: Request,
    proposal: int,
    act: Literal["confirmer", "refuser", "corriger", "annuler"],
    quantity: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """One tap; what cannot be done any more (somebody else answered, ten minutes are over) is said on the list."""
    units = units_of(request)
    message = ""
    try:
        async with units.begin() as uow:
            if act == "confirmer":
                await stock.confirm(uow, proposal, USER)
            elif act == "refuser":
                await stock.refuse(uow, proposal, USER)
            elif act == "corriger":
                await stock.correct(uow, proposal, milli(quantity), USER)
            else:
                await stock.undo(uow, proposal, USER)
    except (LookupError, ValueError) as error:
        message = str(error)
    async with units.reading() as uow:
        return render(request, "parts/review.html", **await _review(uow, message))


def milli(text: str) -> int:
    """What a person typed, ``−1`` or ``1 250,5``, in thousandths. Raises ValueError with the sentence to show."""
    plain = "".join(text.split()).replace("−", "-").replace(",", ".").lstrip("+")
    sign, digits = (-1, plain[1:]) if plain.startswith("-") else (1, plain)
    whole, _, decimals = digits.partition(".")
    if not whole.isdecimal() or (decimals and not decimals.isdecimal()) or len(decimals) > 3 or len(whole) > 9:
        raise ValueError(f"« {text} » n’est pas une quantité : écrivez par exemple −1 ou 12,5.")
    return sign * int(whole + decimals.ljust(3, "0"))
