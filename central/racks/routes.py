"""``/api/racks``: what agents bring and fetch (pictures, descriptions, models), labels for training, commands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from central.core.access import acting, devices, need
from central.core.keyfile import KeyFileError
from central.core.uow import Units
from central.racks import rollout, service
from central.racks.crops import MAX_BODY, BadCropsError, sealed
from central.racks.pictures import MAX_PICTURE, BadPictureError, Pictures
from central.racks.vault import KeyLostError

router = APIRouter(prefix="/api/racks", tags=["racks"])

Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
CropsId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Rack = Annotated[str, Path(max_length=120)]
By = Annotated[str | None, Query(min_length=1, max_length=120)]
"""Person id of who asks, from those who speak for others (`acting`)."""
_NO_STORE = {"Cache-Control": "no-store"}


class ModeIn(BaseModel):
    mode: Literal["counting", "restocking"]


class TrustIn(BaseModel):
    klass: Annotated[str, Field(min_length=1, max_length=40)]
    automatic: bool


@router.get("", dependencies=[need("rayonnages", "lire")])
async def racks(request: Request) -> list[service.RackView]:
    async with _units(request).reading() as uow:
        return await service.racks(uow)


@router.get("/privacy", dependencies=[need("vie_privee", "lire")])
async def privacy(request: Request) -> service.PrivacyView:
    async with _units(request).reading() as uow:
        return await service.privacy(uow)


@router.get("/labels", response_class=Response, dependencies=[need("rayonnages", "valider")])
async def labels(
    request: Request,
    rack: Annotated[str | None, Query(max_length=120)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    by: By = None,
    *,
    pictures: bool = False,
) -> Response:
    """Outcomes, newest first, msgpack: what ``copeau vision labels`` fetches. With `pictures`, those still kept; each
    is a viewing by `by`.
    """
    rows = []
    async with _units(request).begin() as uow:
        for outcome in await service.outcomes(uow, rack, limit):
            row = msgspec.to_builtins(outcome) | {"before": None, "after": None}
            if pictures and outcome.crops is not None:
                try:
                    found = await service.crops(uow, outcome.crops, acting(request, by))
                except KeyLostError:
                    found = None
                if found is not None:
                    row |= {"before": found.before, "after": found.after}
            rows.append(row)
    return Response(msgspec.msgpack.encode(rows), media_type="application/msgpack", headers=_NO_STORE)


@router.put("/crops/{crops_id}", status_code=201, dependencies=[devices(only="agent")])
async def bring_crops(request: Request, crops_id: CropsId) -> dict[str, bool]:
    """The pictures before and after of one saying, msgpack ``{before, after, observed}``; 201 once committed.

    Bringing them again changes nothing; the fact may come before or after.
    """
    units = _units(request)
    body = await _body(request, MAX_BODY, "Deux images")
    try:
        crops = await asyncio.to_thread(sealed, units.settings, crops_id, body)
    except BadCropsError as error:
        raise HTTPException(422, str(error)) from error
    except KeyFileError as error:
        raise HTTPException(503, "Le centre ne peut pas chiffrer les images : vérifier son fichier de clé.") from error
    async with units.begin() as uow:
        return {"new": await service.take_crops(uow, crops)}


@router.get("/crops/{crops_id}/{moment}.jpg", response_class=Response, dependencies=[need("rayonnages", "valider")])
async def show_crops(
    request: Request, crops_id: CropsId, moment: Literal["before", "after"], by: By = None
) -> Response:
    try:
        async with _units(request).begin() as uow:
            found = await service.crops(uow, crops_id, acting(request, by))
    except KeyLostError as error:
        raise HTTPException(410, str(error)) from error
    picture = None if found is None else found.before if moment == "before" else found.after
    if picture is None:
        raise HTTPException(404, "Plus d'image : sa durée de conservation est passée, ou elle n'est pas arrivée.")
    return Response(picture, media_type="image/jpeg", headers=_NO_STORE)


@router.get("/descriptions/{sha256}", dependencies=[devices(("rayonnages", "lire"), only="agent")])
async def description(request: Request, sha256: Sha256) -> Response:
    """The bytes of that hash, for agents."""
    async with _units(request).reading() as uow:
        found = await service.document(uow, sha256)
    if found is None:
        raise HTTPException(404, "Aucune description n'a cette empreinte.")
    return Response(found.encode(), media_type="application/json", headers=_NO_STORE)


@router.get("/models", dependencies=[need("rayonnages", "lire")])
async def models(request: Request) -> list[service.ModelView]:
    async with _units(request).reading() as uow:
        return await service.models(uow)


@router.get(
    "/models/{sha256}.sig", response_class=Response, dependencies=[devices(("rayonnages", "lire"), only="agent")]
)
async def model_signature(request: Request, sha256: Sha256) -> Response:
    """Who signed the file of that hash, hexadecimal: agents check it against their own key."""
    async with _units(request).reading() as uow:
        signature = await rollout.signature_of(uow, sha256)
    if signature is None:
        raise HTTPException(404, "Aucun modèle n'a cette empreinte.")
    return Response(signature, media_type="text/plain", headers=_NO_STORE)


@router.get("/models/{sha256}", response_class=Response, dependencies=[devices(("rayonnages", "lire"), only="agent")])
async def model(request: Request, sha256: Sha256) -> Response:
    """The file of that hash, for agents."""
    file = rollout.file_of(_units(request).settings, sha256)
    if not file.is_file():
        raise HTTPException(404, "Aucun modèle n'a cette empreinte.")
    return FileResponse(file, media_type="application/octet-stream", headers=_NO_STORE)


@router.put("/models/{version}", status_code=201, dependencies=[need("reglages", "modifier")])
async def bring_model(
    request: Request,
    version: Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9_.+-]{0,119}$")],
    signature: Annotated[str, Query(pattern="^[0-9a-f]{128}$")],
    by: By = None,
    note: Annotated[str, Query(max_length=400)] = "",
) -> dict[str, str]:
    """A model file, with its Ed25519 signature over its SHA-256 (hex)."""
    units = _units(request)
    body = await _body(request, rollout.MAX_MODEL, "Un modèle")
    with _said_in_french():
        sha256 = await rollout.keep_file(units.settings, body, signature)
        async with units.begin() as uow:
            await service.add_model(uow, version, sha256, len(body), signature, by=acting(request, by), note=note)
    return {"sha256": sha256}


@router.post("/{rack}/model", status_code=202, dependencies=[need("reglages", "modifier")])
async def roll_out(
    request: Request, rack: Rack, version: Annotated[str, Query(max_length=120)] = "", by: By = None
) -> dict[str, str]:
    """Let the rack use that version; without one, go back to the version before."""
    with _said_in_french():
        async with _units(request).begin() as uow:
            if version:
                return {"command": await service.roll_out(uow, rack, version, by=acting(request, by))}
            return {"command": await service.roll_back(uow, rack, by=acting(request, by))}


@router.put("/{rack}/picture", status_code=201, dependencies=[devices(only="agent")])
async def bring_picture(request: Request, rack: Rack) -> None:
    """The rack's newest picture, JPEG: its outline only. The one before is forgotten."""
    body = await _body(request, MAX_PICTURE, "Une image de rack")
    pictures: Pictures = request.app.state.rack_pictures
    async with _units(request).begin() as uow:
        if not await service.known(uow, {rack}):
            raise HTTPException(404, f"Rack inconnu : {rack}")
        try:
            pictures.bring(rack, body, uow.now)
        except BadPictureError as error:
            raise HTTPException(422, str(error)) from error
        uow.tell(f"rack-picture:{rack}")


@router.get("/{rack}/picture", response_class=Response, dependencies=[need("rayonnages", "modifier")])
async def picture(request: Request, rack: Rack, by: By = None) -> Response:
    pictures: Pictures = request.app.state.rack_pictures
    newest = pictures.newest(rack, _units(request).clock.now())
    if newest is None:
        raise HTTPException(404, "Aucune image de ce rack n'est arrivée depuis une heure.")
    async with _units(request).begin() as uow:
        await service.note_viewing(uow, rack, acting(request, by))
    return Response(newest.jpeg, media_type="image/jpeg", headers=_NO_STORE)


@router.put("/{rack}/description", status_code=201, dependencies=[need("rayonnages", "modifier")])
async def teach(request: Request, rack: Rack, by: By = None) -> dict[str, int | str]:
    """The next version of the rack's description, the JSON of ``rack.json``."""
    body = await _body(request, 2**20, "Une description")
    with _said_in_french():
        async with _units(request).begin() as uow:
            taught = await service.teach(uow, rack, body, by=acting(request, by))
            return {"number": taught.number, "sha256": taught.sha256}


@router.post("/{rack}/mode", status_code=202, dependencies=[need("rayonnages", "modifier")])
async def set_mode(request: Request, rack: Rack, body: ModeIn, by: By = None) -> dict[str, str]:
    with _said_in_french():
        async with _units(request).begin() as uow:
            return {"command": await service.set_mode(uow, rack, body.mode, by=acting(request, by))}


@router.get("/{rack}/places", dependencies=[need("rayonnages", "lire")])
async def places(request: Request, rack: Rack) -> list[service.PlaceView]:
    async with _units(request).reading() as uow:
        return await service.places(uow, rack)


@router.get("/{rack}/trust", dependencies=[need("rayonnages", "lire")])
async def trust(request: Request, rack: Rack) -> list[service.TrustView]:
    async with _units(request).reading() as uow:
        return await service.trust(uow, rack)


@router.post("/{rack}/trust", status_code=204, dependencies=[need("rayonnages", "valider")])
async def set_trust(request: Request, rack: Rack, body: TrustIn, by: By = None) -> None:
    with _said_in_french():
        async with _units(request).begin() as uow:
            await service.set_trust(uow, rack, body.klass, automatic=body.automatic, by=acting(request, by))


async def _body(request: Request, most: int, what: str) -> bytes:
    """The whole body, refused as soon as it is more than it may be."""
    length = request.headers.get("content-length", "")
    refusal = HTTPException(413, f"{what} : {most} octets au plus.")
    if length.isdigit() and int(length) > most:
        raise refusal
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise refusal
        pieces.append(piece)
    return b"".join(pieces)


def _units(request: Request) -> Units:
    units: Units = request.app.state.units
    return units


@contextmanager
def _said_in_french() -> Iterator[None]:
    """The service's own sentence, as an HTTP error; the transaction is rolled back."""
    try:
        yield
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
    except service.RefusedError as error:
        raise HTTPException(409, str(error)) from error
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
