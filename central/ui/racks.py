"""*Rayonnages*: all racks, and one: live view, state, mode rangement, écarts, trust, what it believed last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Header, HTTPException, Path, Query, Request
from fastapi.responses import FileResponse, Response

from central.core.access import acting, devices, need
from central.core.uow import UnitOfWork
from central.items import service as items
from central.people import service as people
from central.racks import service as racks
from central.racks.pictures import Pictures
from central.racks.reads import commands
from central.racks.schemas import PlaceView
from central.stock import service as stock
from central.stock.schemas import PlaceStock
from central.ui import formats
from central.ui import rack_words as said
from central.ui.beliefs import whole
from central.ui.routing import PageRoute, refusal
from central.ui.shell import full_page
from central.ui.templating import STATIC, render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

WATCH_S: Final = 30.0
"""How long a camera sends its picture for one person's look; the page asks again while it is open."""
_NOT_KEPT: Final = {"Cache-Control": "no-store"}
_MASKED: Final = frozenset({"masked", "foreign", "unlike", "unreadable", "stacked"})


@dataclass(frozen=True, slots=True)
class Drawn:
    """A place over the picture; `said` is the same in words."""

    slot: str
    kind: str
    points: str
    x: float
    y: float
    font: float
    text: str
    under: str
    said: str
    masked: bool
    pending: bool
    ecart: bool


def pictures_of(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.rack_pictures
    return pictures


async def rack_or_404(uow: UnitOfWork, code: str) -> racks.RackView:
    found = await racks.rack(uow, code)
    if found is None:
        raise HTTPException(404, f"Aucun rayonnage ne s’appelle {code}.")
    return found


@router.get("/racks", dependencies=[need("rayonnages", "lire")])
async def page(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "racks.html", "Rayonnages", **await _all(uow))


@router.get("/parts/racks", dependencies=[need("rayonnages", "lire")])
async def part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/racks.html", **await _all(uow))


async def _all(uow: UnitOfWork) -> dict[str, Any]:
    return {"racks": await racks.racks(uow), "ecarts": await stock.rack_ecarts(uow), "said": said}


@router.get("/rack/{code}", dependencies=[need("rayonnages", "lire")])
async def one(request: Request, code: str) -> Response:
    async with units_of(request).reading() as uow:
        rack = await rack_or_404(uow, code)
        parts = await _state(uow, rack) | await _places(uow, rack) | await _side(uow, rack) | await _below(uow, rack)
        return await full_page(request, uow, "rack.html", "Rayonnages", **parts)


@router.get("/parts/rack/{code}/{which}", dependencies=[need("rayonnages", "lire")])
async def rack_part(request: Request, code: str, which: Literal["etat", "cases", "cote", "dessous"]) -> Response:
    async with units_of(request).reading() as uow:
        rack = await rack_or_404(uow, code)
        if which == "etat":
            return render(request, "parts/rack_state.html", **await _state(uow, rack))
        if which == "cases":
            return render(request, "parts/rack_places.html", **await _places(uow, rack))
        if which == "cote":
            return render(request, "parts/rack_side.html", **await _side(uow, rack))
        return render(request, "parts/rack_below.html", **await _below(uow, rack))


async def _state(uow: UnitOfWork, rack: racks.RackView, message: str = "", refused: str = "") -> dict[str, Any]:
    """Its mode, and the last command if a person still waits for its answer or should know that it failed."""
    asked = next((c for c in await commands(uow, rack.code) if c.name in {"rack-mode", "rack-moved"}), None)
    if asked is not None and (asked.state == "done" or (uow.now - asked.asked_at).total_seconds() > 600):
        asked = None
    names = await people.names(uow, {rack.person} if rack.person else set())
    return {"rack": rack, "asked": asked, "names": names, "said": said, "message": message, "refused": refused}


async def _places(uow: UnitOfWork, rack: racks.RackView) -> dict[str, Any]:
    described = await racks.description(uow, rack.code)
    places = await racks.places(uow, rack.code)
    levels = await stock.rack_places(uow, rack.code)
    differs = {d.place for d in await stock.differences(uow, rack.code)}
    size = _size(described.description.picture if described else None, places)
    drawn = [_drawn(place, levels.get(place.place), place.place in differs) for place in places if place.polygon]
    return {"rack": rack, "size": size, "drawn": drawn, "said": said}


def _size(picture: tuple[int, int] | None, places: list[PlaceView]) -> tuple[float, float] | None:
    if picture is not None:
        return picture
    corners = [corner for place in places for corner in place.polygon]
    return (max(x for x, _ in corners), max(y for _, y in corners)) if corners else None


def _drawn(place: PlaceView, level: PlaceStock | None, differs: bool) -> Drawn:
    xs, ys = [x for x, _ in place.polygon], [y for _, y in place.polygon]
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    text = place.slot if level is None else formats.quantity(level.qty, level.unit)
    under = place.slot if level is not None else ""
    pending = level.pending if level is not None else 0
    if level is not None and pending:
        under = f"{formats.quantity(pending, level.unit, signed=True)} ?"
    word = said.state(place.state)
    sentence = [f"Case {place.slot}", place.item or "sans article"]
    if level is not None:
        sentence.append(f"{formats.quantity(level.qty, level.unit)} en stock")
    if pending and level is not None:
        sentence.append(f"{formats.quantity(pending, level.unit, signed=True)} à confirmer")
    sentence += [said.kind(place.kind).text.lower(), word.text.lower()]
    if differs:
        sentence.append("écart ouvert")
    return Drawn(
        slot=place.slot,
        kind=place.kind or "countable",
        points=" ".join(f"{x:.1f},{y:.1f}" for x, y in place.polygon),
        x=round(sum(xs) / len(xs), 1),
        y=round(sum(ys) / len(ys), 1),
        font=round(max(8.0, min(width / 2.6, height / 2.6, 60.0)), 1),
        text=text,
        under=under,
        said=", ".join(sentence),
        masked=place.state in _MASKED,
        pending=bool(pending),
        ecart=differs,
    )


async def _side(uow: UnitOfWork, rack: racks.RackView) -> dict[str, Any]:
    beliefs = whole(await stock.last_beliefs(uow, rack=rack.code, limit=8))[:6]
    return {
        "rack": rack,
        "trust": await racks.trust(uow, rack.code),
        "beliefs": beliefs,
        "names": await people.names(uow, {b.person for b in beliefs if b.person}),
        "slot_of": racks.slot_of,
        "said": said,
    }


async def _below(uow: UnitOfWork, rack: racks.RackView, message: str = "", refused: str = "") -> dict[str, Any]:
    labels = {item.code: item.label for item in await items.items(uow)}
    return {
        "rack": rack,
        "ecarts": await stock.differences(uow, rack.code),
        "places": await racks.places(uow, rack.code),
        "levels": await stock.rack_places(uow, rack.code),
        "labels": labels,
        "slot_of": racks.slot_of,
        "said": said,
        "message": message,
        "refused": refused,
    }


@router.post("/rack/{code}/regarder", dependencies=[need("rayonnages", "modifier")])
async def watch(request: Request, code: str) -> Response:
    """Somebody looks: the camera sends its picture for `WATCH_S`, and the look is written down."""
    async with units_of(request).begin() as uow:
        await rack_or_404(uow, code)
        try:
            await racks.show(uow, code, by=acting(request), seconds=WATCH_S)
        except ValueError as error:
            return refusal(str(error))
        await racks.note_viewing(uow, code, acting(request))
    return Response(status_code=204)


@router.get("/rack/{code}/image.jpg", dependencies=[need("rayonnages", "modifier")])
async def picture(
    request: Request, code: str, if_none_match: Annotated[str | None, Header(max_length=80)] = None
) -> Response:
    """The newest picture with its time, 204 when none came lately. Whoever is given one is written down."""
    units = units_of(request)
    newest = pictures_of(request).newest(code, units.clock.now())
    if newest is None:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    mark = f'"{newest.at.timestamp():.3f}"'
    headers = {"Cache-Control": "no-store", "ETag": mark, "X-Taken": f"{newest.at.timestamp():.3f}"}
    if if_none_match == mark:
        return Response(status_code=304, headers=headers)
    async with units.begin() as uow:
        await racks.note_viewing(uow, code, acting(request))
    return Response(newest.jpeg, media_type="image/jpeg", headers=headers)


@router.get("/racks/images/{crops}/{moment}.jpg", dependencies=[devices(("rayonnages", "valider"), only="terminal")])
async def crop(
    request: Request,
    crops: str,
    moment: Literal["avant", "apres"],
    ecran: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """One picture of a pair; who looked is written down. `ecran`: the rack whose own screen shows it."""
    async with units_of(request).begin() as uow:
        try:
            found = await racks.crops(uow, crops, acting(request, f"screen:{ecran}" if ecran else None))
        except racks.KeyLostError:
            found = None
    image = None if found is None else found.before if moment == "avant" else found.after
    if image is None:
        return FileResponse(
            STATIC / "no-picture.svg", media_type="image/svg+xml", headers={"Cache-Control": "no-store"}
        )
    return Response(image, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.post("/rack/{code}/mode/{mode}", dependencies=[need("rayonnages", "modifier")])
async def set_mode(request: Request, code: str, mode: Literal["counting", "restocking"]) -> Response:
    """Begin or end the *mode rangement*; the rack's own answer changes what the page says."""
    units = units_of(request)
    refused = await asked_of(request, code, lambda uow: racks.set_mode(uow, code, mode, by=acting(request)))
    async with units.reading() as uow:
        return render(request, "parts/rack_state.html", **await _state(uow, await rack_or_404(uow, code), "", refused))


@router.post("/rack/{code}/deplacee/{answer}", dependencies=[need("rayonnages", "valider")])
async def settle_move(request: Request, code: str, answer: Literal["accepter", "refuser"]) -> Response:
    """A person looked at before and after of a camera that moved."""
    units = units_of(request)
    accept = answer == "accepter"
    refused = await asked_of(request, code, lambda uow: racks.settle_move(uow, code, accept=accept, by=acting(request)))
    async with units.reading() as uow:
        return render(request, "parts/rack_state.html", **await _state(uow, await rack_or_404(uow, code), "", refused))


async def asked_of(request: Request, code: str, ask: Callable[[UnitOfWork], Awaitable[object]]) -> str:
    """Ask something of a rack; why it was refused, empty when it was not."""
    async with units_of(request).begin() as uow:
        await rack_or_404(uow, code)
        try:
            await ask(uow)
        except ValueError as error:
            return str(error)
    return ""


@router.post("/rack/{code}/differences", dependencies=[need("stock", "valider")])
async def accept(
    request: Request, code: str, proposal: Annotated[list[int] | None, Form(max_length=400)] = None
) -> Response:
    """One tap: what was seen is right, for these or for all of this rack."""
    units = units_of(request)
    message = refused = ""
    try:
        async with units.begin() as uow:
            await rack_or_404(uow, code)
            done = await stock.accept_differences(uow, code, acting(request), proposal)
            words = formats.plural(done, "différence acceptée", "différences acceptées")
            message = f"{words} : le stock suit ce qui est vu."
    except (LookupError, ValueError) as error:
        refused = str(error)
    async with units.reading() as uow:
        rack = await rack_or_404(uow, code)
        return render(request, "parts/rack_below.html", **await _below(uow, rack, message, refused))


@router.post("/rack/{code}/confiance/{klass}/{how}", dependencies=[need("rayonnages", "valider")])
async def set_trust(
    request: Request, code: str, klass: Annotated[str, Path(max_length=40)], how: Literal["blanc", "automatique"]
) -> Response:
    """A person puts a class back to proposals, or lets it act."""
    units = units_of(request)
    async with units.begin() as uow:
        await rack_or_404(uow, code)
        await racks.set_trust(uow, code, klass, automatic=how == "automatique", by=acting(request))
    async with units.reading() as uow:
        return render(request, "parts/rack_side.html", **await _side(uow, await rack_or_404(uow, code)))
