"""``/api/programmes``: lists, acts, loading from a post, and the texts by hash for agents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import FileResponse, Response

from central.core.access import acting, devices, need
from central.core.uow import Units
from central.programmes import service, transfers
from central.programmes.actors import actor
from central.programmes.rules import Act, NotYoursError
from central.programmes.schemas import Asked, By, Loading, Reading
from central.programmes.service import ProgrammeView, VersionView
from central.programmes.texts import OtherTextError, Texts, TooLargeError
from central.programmes.transfers import RefusedError, Scanned, TransferView
from contracts.programmes import MAX_BYTES

router = APIRouter(prefix="/api/programmes", tags=["programmes"])

Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.get("/blobs/{sha256}", response_class=Response, dependencies=[devices(("programmes", "lire"))])
async def text(request: Request, sha256: Sha256) -> Response:
    """The bytes of that hash, for agents; the one that asks checks them."""
    file = Texts(_units(request).settings).file(sha256)
    if not file.is_file():
        raise HTTPException(404, "Aucun texte n'a cette empreinte.")
    return FileResponse(file, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})


@router.put("/blobs/{sha256}", status_code=201, dependencies=[devices(only="agent")])
async def bring_text(request: Request, sha256: Sha256) -> None:
    """Bring a text before telling of it; however often, it is kept once. Unnamed, it goes after a month."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BYTES:
        raise HTTPException(413, f"Un programme fait {MAX_BYTES // 2**20} Mo au plus.")
    try:
        await Texts(_units(request).settings).put_stream(request.stream(), sha256)
    except TooLargeError as error:
        raise HTTPException(413, f"Un programme fait {MAX_BYTES // 2**20} Mo au plus.") from error
    except OtherTextError as error:
        raise HTTPException(422, "Le texte reçu n'a pas l'empreinte annoncée.") from error


@router.get("", dependencies=[need("programmes", "lire")])
async def listing(
    request: Request,
    q: Annotated[str, Query(max_length=120)] = "",
    machine: Annotated[str, Query(max_length=120)] = "",
) -> list[ProgrammeView]:
    async with _units(request).reading() as uow:
        return await service.programmes(uow, q, machine)


@router.get("/transfers/{transfer_id}", dependencies=[devices(("programmes", "lire"), only="terminal")])
async def transfer(request: Request, transfer_id: Annotated[str, Path(max_length=32)]) -> TransferView:
    async with _units(request).reading() as uow:
        found = await transfers.transfer(uow, transfer_id)
    if found is None:
        raise HTTPException(404, "Ce chargement n'existe pas.")
    return found


@router.post("/read", status_code=202, dependencies=[need("programmes", "modifier")])
async def read_back(request: Request, body: Reading) -> Asked:
    """Bring programmes from a machine."""
    with _said_in_french():
        async with _units(request).begin() as uow:
            return Asked(
                transfer=await transfers.read_back(uow, actor(request, body.by, body.role), body.machine, body.name)
            )


@router.post("/versions/{version_id}/{act}", status_code=204, dependencies=[need("programmes", "modifier")])
async def act(request: Request, version_id: int, act: Act, body: By) -> None:
    with _said_in_french():
        async with _units(request).begin() as uow:
            await service.act(uow, actor(request, body.by, body.role), version_id, act, body.comment)


@router.get("/{programme_id}", dependencies=[need("programmes", "lire")])
async def one(request: Request, programme_id: int) -> list[VersionView]:
    """Its versions, newest first."""
    with _said_in_french():
        async with _units(request).reading() as uow:
            return await service.versions(uow, programme_id)


@router.get("/{programme_id}/scan", dependencies=[devices(("programmes", "lire"), only="terminal")])
async def scan(request: Request, programme_id: int, post: Annotated[str, Query(max_length=120)] = "") -> Scanned:
    """What a post shows when its QR was read."""
    with _said_in_french():
        async with _units(request).reading() as uow:
            return await transfers.scanned(uow, programme_id, post)


@router.post("/{programme_id}/load", status_code=202, dependencies=[devices(("machines", "modifier"), only="terminal")])
async def load(request: Request, programme_id: int, body: Loading) -> Asked:
    """Put the validated version into the machine. 409 says why not, in French."""
    with _said_in_french():
        async with _units(request).begin() as uow:
            return Asked(
                transfer=await transfers.load(uow, programme_id, body.machine, person=acting(request, body.person))
            )


def _units(request: Request) -> Units:
    units: Units = request.app.state.units
    return units


@contextmanager
def _said_in_french() -> Iterator[None]:
    """The service's own sentence, as an HTTP error; the transaction is rolled back."""
    try:
        yield
    except NotYoursError as error:
        raise HTTPException(403, str(error)) from error
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
    except RefusedError as error:
        raise HTTPException(409, str(error)) from error
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
