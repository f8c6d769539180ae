"""*Programmes*: the list, one programme with its versions and sendings, two versions side by side, the QR label."""

from __future__ import annotations

import io
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote

import segno
from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import Response
from starlette.datastructures import UploadFile

from central.core.access import acting, need
from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.people import service as people
from central.programmes import service, transfers
from central.programmes.actors import actor
from central.programmes.rules import Act
from central.programmes.texts import Texts
from central.ui import programme_words
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of
from contracts import programmes as contract

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("programmes", "lire")])

SHOWN_LINES: Final = 3000
SHOWN_BYTES: Final = 400_000
"""Of tens of megabytes, maybe on one line, neither the centre nor a phone should lay out more."""
_MARGIN: Final = 64 * 1024
"""What a form's fields and boundaries may weigh beside the file."""
_TOO_LARGE: Final = f"Ce fichier est trop gros : un programme fait {contract.MAX_BYTES // 2**20} Mo au plus."


class Uploaded(NamedTuple):
    content: bytes
    file_name: str
    fields: dict[str, str]


async def _uploaded(request: Request) -> Uploaded:
    """The form with its file. A body that is too large is read to its end and dropped: a browser that is still
    sending would not show the answer. Raises ValueError, in French.
    """
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise ValueError("La taille de l'envoi n'est pas annoncée : envoyer le fichier depuis cette page.")
    if int(length) > contract.MAX_BYTES + _MARGIN:
        async for _ in request.stream():
            pass
        raise ValueError(_TOO_LARGE)
    async with request.form(max_files=1, max_fields=10) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        file = form.get("fichier")
        if not isinstance(file, UploadFile) or not file.filename:
            raise ValueError("Aucun fichier n'est choisi.")
        return Uploaded(await file.read(), file.filename, fields)


async def _list(uow: UnitOfWork, query: str = "", machine: str = "") -> dict[str, Any]:
    return {
        "programmes": await service.programmes(uow, query, machine),
        "machines": await machines.machines(uow),
        "query": query,
        "machine": machine,
        "said": programme_words,
    }


async def _one(request: Request, uow: UnitOfWork, programme_id: int, message: str = "") -> dict[str, Any]:
    role = actor(request).role
    shown = await service.programme(uow, programme_id, role)
    versions = await service.versions(uow, programme_id, role)
    sendings = await transfers.transfers(uow, programme_id)
    scanned = await transfers.scanned(uow, programme_id)
    ids = {v.created_by for v in versions} | {v.decided_by or "" for v in versions} | {t.person for t in sendings}
    return {
        "programme": shown,
        "versions": versions,
        "sendings": sendings,
        "scanned": scanned,
        "machines": await machines.machines(uow),
        "names": await people.names(uow, ids - {""}),
        "message": message,
        "said": programme_words,
    }


# Pages -------------------------------------------------------------------------------------------------------------


@router.get("/programmes")
async def page(
    request: Request,
    q: Annotated[str, Query(max_length=120)] = "",
    machine: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "programmes.html", "Programmes", **await _list(uow, q, machine))


@router.get("/parts/programmes")
async def part(
    request: Request,
    q: Annotated[str, Query(max_length=120)] = "",
    machine: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/programmes.html", **await _list(uow, q, machine))


@router.get("/programmes/{programme_id}")
async def one(request: Request, programme_id: int) -> Response:
    async with units_of(request).reading() as uow:
        found = await _found(_one(request, uow, programme_id))
        return await full_page(request, uow, "programme.html", "Programmes", **found)


@router.get("/parts/programme")
async def one_part(request: Request, id: int) -> Response:  # noqa: A002 - the word of the address
    async with units_of(request).reading() as uow:
        return render(request, "parts/programme.html", **await _found(_one(request, uow, id)))


@router.get("/programmes/{programme_id}/versions/{number}")
async def text(request: Request, programme_id: int, number: int) -> Response:
    """The text of a version, as far as a person reads; the whole of it by its download."""
    units = units_of(request)
    async with units.reading() as uow:
        shown = await _found(service.programme(uow, programme_id))
        version = await _found(service.version(uow, programme_id, number, actor(request).role))
        content = await _found(Texts(units.settings).get(version.sha256))
        lines = contract.lines_of(content[:SHOWN_BYTES])[:SHOWN_LINES]
        return await full_page(
            request, uow, "programme_text.html", "Programmes", programme=shown, version=version, lines=lines,
            more=max(0, version.reading.lines - len(lines)), cut=len(content) > SHOWN_BYTES, said=programme_words,
        )  # fmt: skip


@router.get("/programmes/{programme_id}/versions/{number}/fichier")
async def download(request: Request, programme_id: int, number: int) -> Response:
    units = units_of(request)
    async with units.reading() as uow:
        shown = await _found(service.programme(uow, programme_id))
        version = await _found(service.version(uow, programme_id, number))
    content = await _found(Texts(units.settings).get(version.sha256))
    stem, dot, extension = shown.name.rpartition(".")
    name = f"{stem}-v{number}{dot}{extension}" if stem else f"{shown.name}-v{number}.nc"
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": disposition, "ETag": version.sha256},
    )


@router.get("/programmes/{programme_id}/comparer")
async def compare(request: Request, programme_id: int, a: int, b: int) -> Response:
    units = units_of(request)
    async with units.reading() as uow:
        shown = await _found(service.programme(uow, programme_id))
        versions = await service.versions(uow, programme_id, actor(request).role)
        old = await _found(service.version(uow, programme_id, a, actor(request).role))
        new = await _found(service.version(uow, programme_id, b, actor(request).role))
        found = await _found(service.compared(units.settings, old, new))
        return await full_page(
            request, uow, "programme_compare.html", "Programmes", programme=shown, versions=versions, old=old, new=new,
            found=found, said=programme_words,
        )  # fmt: skip


@router.get("/programmes/{programme_id}/code.svg")
async def qr(request: Request, programme_id: int) -> Response:
    async with units_of(request).reading() as uow:
        shown = await _found(service.programme(uow, programme_id))
    drawing = io.BytesIO()
    segno.make(shown.code, error="m").save(drawing, kind="svg", scale=8, border=4, light="white")
    return Response(drawing.getvalue(), media_type="image/svg+xml")


@router.get("/programmes/{programme_id}/etiquette")
async def label(request: Request, programme_id: int) -> Response:
    """To print and stick on the gamme or the machine: it always means the validated version."""
    async with units_of(request).reading() as uow:
        return render(request, "programme_label.html", programme=await _found(service.programme(uow, programme_id)))


# Acts --------------------------------------------------------------------------------------------------------------


@router.post("/programmes", dependencies=[need("programmes", "creer")])
async def add(request: Request) -> Response:
    units = units_of(request)
    try:
        sent = await _uploaded(request)
        stored = await service.store(units.settings, sent.content, sent.file_name)
        async with units.begin() as uow:
            programme_id = await service.add_programme(
                uow, actor(request), stored, name=sent.fields.get("name", ""), label=sent.fields.get("label", ""),
                machine=sent.fields.get("machine", ""), comment=sent.fields.get("comment", ""),
            )  # fmt: skip
    except (LookupError, ValueError, PermissionError) as error:
        return _said(request, str(error))
    return _go(f"/programmes/{programme_id}")


@router.post("/programmes/{programme_id}/versions", dependencies=[need("programmes", "modifier")])
async def add_version(request: Request, programme_id: int) -> Response:
    units = units_of(request)
    try:
        sent = await _uploaded(request)
        stored = await service.store(units.settings, sent.content, sent.file_name)
        async with units.begin() as uow:
            await service.add_version(uow, actor(request), programme_id, stored, comment=sent.fields.get("comment", ""))
    except (LookupError, ValueError, PermissionError) as error:
        return _said(request, str(error))
    return _go(f"/programmes/{programme_id}")


@router.post("/programmes/{programme_id}/decrire", dependencies=[need("programmes", "modifier")])
async def describe(
    request: Request,
    programme_id: int,
    name: Annotated[str, Form(max_length=255)],
    label: Annotated[str, Form(max_length=200)] = "",
    machine: Annotated[str, Form(max_length=120)] = "",
) -> Response:
    try:
        async with units_of(request).begin() as uow:
            await service.describe(uow, actor(request), programme_id, name=name, label=label, machine=machine)
    except (LookupError, ValueError, PermissionError) as error:
        return _said(request, str(error))
    return _go(f"/programmes/{programme_id}")


@router.post("/programmes/{programme_id}/versions/{version_id}/{act}", dependencies=[need("programmes", "modifier")])
async def act(request: Request, programme_id: int, version_id: int, act: Act) -> Response:
    message = ""
    try:
        async with units_of(request).begin() as uow:
            await service.act(uow, actor(request), version_id, act, programme_id=programme_id)
    except (LookupError, ValueError, PermissionError) as error:
        message = str(error)
    return await _again(request, programme_id, message)


@router.post("/programmes/{programme_id}/charger", dependencies=[need("machines", "modifier")])
async def load(request: Request, programme_id: int, machine: Annotated[str, Form(max_length=120)]) -> Response:
    message = ""
    try:
        async with units_of(request).begin() as uow:
            await transfers.load(uow, programme_id, machine, person=acting(request))
    except (LookupError, ValueError) as error:
        message = str(error)
    return await _again(request, programme_id, message)


@router.post("/programmes/{programme_id}/relire", dependencies=[need("programmes", "modifier")])
async def read_back(request: Request, programme_id: int, machine: Annotated[str, Form(max_length=120)]) -> Response:
    """Bring what the machine holds under this programme's name."""
    message = ""
    try:
        async with units_of(request).begin() as uow:
            shown = await service.programme(uow, programme_id)
            await transfers.read_back(uow, actor(request), machine, shown.name)
    except (LookupError, ValueError, PermissionError) as error:
        message = str(error)
    return await _again(request, programme_id, message)


async def _again(request: Request, programme_id: int, message: str) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/programme.html", **await _found(_one(request, uow, programme_id, message)))


def _said(request: Request, sentence: str) -> Response:
    """Why not, in the form that asked."""
    return render(request, "parts/programme_refused.html", message=sentence)


def _go(address: str) -> Response:
    return Response(status_code=204, headers={"HX-Redirect": address})


async def _found(asked: Any) -> Any:
    try:
        return await asked
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
