"""*Apprendre*: the still picture, the places drawn on it, what belongs in each, and the versions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from central.core.access import acting, need
from central.core.uow import UnitOfWork
from central.items import service as items
from central.people import service as people
from central.racks import service as racks
from central.racks.reads import commands
from central.ui import rack_words as said
from central.ui.programme_words import person as by_words
from central.ui.racks import rack_or_404
from central.ui.routing import PageRoute, refusal
from central.ui.shell import full_page
from central.ui.templating import render, units_of
from contracts.racks import MIN_PX_PER_ITEM, RackDescription, RackDescriptionError, SlotKind, parse

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("rayonnages", "lire")])

_MOST_CODES: Final = 400
_MOST_NAMED: Final = 8


class Codes(BaseModel):
    codes: list[str] = Field(max_length=_MOST_CODES)


class Taught(BaseModel):
    """`base`: the version that the page was made from; null when there was none."""

    description: dict[str, Any]
    base: int | None = None
    comment: str = Field(default="", max_length=200)


@router.get("/rack/{code}/apprendre")
async def page(request: Request, code: str) -> Response:
    async with units_of(request).reading() as uow:
        rack = await rack_or_404(uow, code)
        known = await items.items(uow)
        versions = await _versions(uow, code)
        return await full_page(
            request, uow, "apprendre.html", "Rayonnages", rack=rack, items=known, least_px=MIN_PX_PER_ITEM, **versions
        )


@router.get("/parts/rack/{code}/versions")
async def versions_part(request: Request, code: str) -> Response:
    async with units_of(request).reading() as uow:
        rack = await rack_or_404(uow, code)
        return render(request, "parts/rack_versions.html", rack=rack, **await _versions(uow, code))


async def _versions(uow: UnitOfWork, code: str) -> dict[str, Any]:
    versions = await racks.descriptions(uow, code)
    given = {c.body.get("sha256"): c for c in reversed(await commands(uow, code)) if c.name == "rack-teach"}
    return {
        "versions": versions,
        "given": given,
        "said": said,
        "by": by_words,
        "names": await people.names(uow, {v.by for v in versions}),
    }


@router.get("/rack/{code}/description.json")
async def described(request: Request, code: str) -> Response:
    """The newest description, with the names of its items; an empty one when nothing was taught here."""
    async with units_of(request).reading() as uow:
        await rack_or_404(uow, code)
        newest = await racks.description(uow, code)
        slots = newest.description.slots if newest else []
        known = await _known(uow, {slot.item for slot in slots if slot.item})
    body = {
        "version": newest.number if newest else None,
        "description": msgspec.to_builtins(newest.description) if newest else {"slots": []},
        "labels": {code: item["label"] for code, item in known.items()},
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


@router.post("/rack/{code}/articles", dependencies=[need("rayonnages", "modifier")])
async def articles(request: Request, code: str, asked: Codes) -> Response:
    """What these codes mean: as in stock, or on a label. Those that nobody knows are not in the answer."""
    async with units_of(request).reading() as uow:
        await rack_or_404(uow, code)
        return JSONResponse({"items": await _known(uow, asked.codes)})


async def _known(uow: UnitOfWork, codes: Collection[str]) -> dict[str, dict[str, str]]:
    found = await items.resolve_many(uow, [code for code in codes if code.strip()])
    return {
        text: {"code": one.item.code, "label": one.item.label, "item_class": one.item.item_class}
        for text, one in found.items()
        if one.item is not None
    }


@router.post("/rack/{code}/photo", dependencies=[need("rayonnages", "modifier")])
async def photo(request: Request, code: str) -> Response:
    """Ask for one still picture."""
    async with units_of(request).begin() as uow:
        await rack_or_404(uow, code)
        try:
            await racks.show(uow, code, by=acting(request))
        except ValueError as error:
            return refusal(str(error))
        await racks.note_viewing(uow, code, acting(request))
    return JSONResponse({"asked": True})


@router.post("/rack/{code}/apprendre", dependencies=[need("rayonnages", "modifier")])
async def teach(request: Request, code: str, taught: Taught) -> Response:
    """The next version, sent to the rack's agent. Somebody else's newer version is never overwritten unseen."""
    async with units_of(request).begin() as uow:
        rack = await rack_or_404(uow, code)
        newest = await racks.description(uow, code)
        if (newest.number if newest else None) != taught.base:
            return refusal(
                f"Quelqu’un a enregistré la version {newest.number if newest else '–'} entre-temps : "
                "rechargez la page, puis refaites ce changement."
            )
        try:
            described = checked(taught.description)
            done = await racks.teach(uow, code, described, by=acting(request), label=rack.label, comment=taught.comment)
        except ValueError as error:
            return refusal(str(error))
    if rack.agent is None:
        message = (
            f"Version {done.number} enregistrée. Aucune carte ne parle pour ce rayonnage : elle la recevra ensuite."
        )
    else:
        message = f"Version {done.number} enregistrée et envoyée à la caméra."
    return JSONResponse({"version": done.number, "message": message})


@router.post("/rack/{code}/versions/{number}/reprendre", dependencies=[need("rayonnages", "modifier")])
async def restore(request: Request, code: str, number: Annotated[int, Path(ge=0, le=2**31 - 1)]) -> Response:
    """An earlier version becomes the newest."""
    units = units_of(request)
    async with units.begin() as uow:
        rack = await rack_or_404(uow, code)
        try:
            await racks.restore(uow, code, number, by=acting(request))
        except LookupError as error:
            raise HTTPException(404, str(error)) from error
    async with units.reading() as uow:
        return render(request, "parts/rack_versions.html", rack=rack, **await _versions(uow, code))


def checked(description: dict[str, Any]) -> RackDescription:
    """The description, if a camera can work with it. Raises ValueError in French, naming the places."""
    try:
        described = parse(description)
    except RackDescriptionError as error:
        raise ValueError(f"Ces cases ne peuvent pas être enregistrées : {error}") from error
    countable = [slot for slot in described.slots if slot.kind is SlotKind.COUNTABLE]
    unmeasured = [slot.id for slot in countable if slot.px_per_item is None]
    if unmeasured:
        raise ValueError(f"Mesurez un article : {_named(unmeasured)} sans taille d’article.")
    small = [slot.id for slot in countable if (slot.px_per_item or 0.0) < MIN_PX_PER_ITEM]
    if small:
        raise ValueError(
            f"{_named(small)} : un article y fait moins de {MIN_PX_PER_ITEM:.0f} px, trop petit pour être compté. "
            "Approchez la caméra, ou passez ces cases en « présence seule »."
        )
    if described.picture is not None:
        width, height = described.picture
        outside = [
            s.id for s in described.slots if any(not (0 <= x <= width and 0 <= y <= height) for x, y in s.polygon)
        ]
        if outside:
            raise ValueError(f"{_named(outside)} : hors de l’image de {width} × {height} px.")
    return described


def _named(slots: list[str]) -> str:
    word = "case" if len(slots) == 1 else "cases"
    more = f" et {len(slots) - _MOST_NAMED} autres" if len(slots) > _MOST_NAMED else ""
    return f"{word} {', '.join(slots[:_MOST_NAMED])}{more}"
