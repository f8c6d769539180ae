"""*Données personnelles*: what is kept and for how long, what was forgotten; a person's copy, and erasing one."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import Response

from central.audit import service as audit
from central.core.access import acting, need
from central.core.tables import XLSX, xlsx
from central.core.uow import UnitOfWork
from central.people import service as people
from central.privacy import enforcing, persons, remembering
from central.ui.formats import plural
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PersonId = Annotated[str, Path(min_length=1, max_length=120)]
_COUNTED = {
    "facts": ("fait", None),
    "badge_scans": ("lecture de badge", "lectures de badge"),
    "comments": ("commentaire", None),
    "quarantine": ("message de la quarantaine", "messages de la quarantaine"),
    "journal_texts": ("texte du journal", "textes du journal"),
}


@router.get("/vie-privee/donnees", dependencies=[need("vie_privee", "lire")])
async def page(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "donnees.html", "Vie privée", **await _kept(uow))


@router.post("/vie-privee/conservation/appliquer", dependencies=[need("vie_privee", "supprimer")])
async def enforce(request: Request) -> Response:
    """Apply the whole table now."""
    units = units_of(request)
    async with units.begin() as uow:
        gone = sum((await enforcing.enforce(uow, now_due=True)).values())
    async with units.reading() as uow:
        message = f"{plural(gone, 'ligne oubliée', 'lignes oubliées')}." if gone else "Rien n’avait dépassé sa durée."
        return render(request, "parts/donnees.html", **await _kept(uow, message))


@router.get("/vie-privee/personnes/{person}.json", dependencies=[need("vie_privee", "supprimer")])
async def export_json(request: Request, person: PersonId) -> Response:
    found = await _export(request, person, "json")
    text = json.dumps(found, ensure_ascii=False, indent=1)
    return Response(text, media_type="application/json", headers=_download(f"copeau-{_safe(person)}.json"))


@router.get("/vie-privee/personnes/{person}.xlsx", dependencies=[need("vie_privee", "supprimer")])
async def export_xlsx(request: Request, person: PersonId) -> Response:
    found = await _export(request, person, "xlsx")
    book = await asyncio.to_thread(xlsx, list(persons.sheets(found)), units_of(request).settings.zone)
    return Response(book, media_type=XLSX, headers=_download(f"copeau-{_safe(person)}.xlsx"))


@router.post("/vie-privee/personnes/{person}/effacer", dependencies=[need("vie_privee", "supprimer")])
async def erase(request: Request, person: PersonId) -> Response:
    """Forget who this is; the books keep the opaque id."""
    units = units_of(request)
    try:
        async with units.begin() as uow:
            gone = await persons.erase(uow, person, by=acting(request))
            at = uow.now
    except (LookupError, ValueError) as error:
        message = str(error)
    else:
        await asyncio.to_thread(remembering.note, units.settings, person, at)
        counted = [plural(gone[key], *words) for key, words in _COUNTED.items() if gone.get(key)]
        message = "Nom, badge et compte effacés" + (f" ; {', '.join(counted)} aussi." if counted else ".")
    async with units.reading() as uow:
        return render(request, "parts/donnees.html", **await _kept(uow, message))


async def _export(request: Request, person: str, form: str) -> dict[str, list[dict[str, Any]]]:
    """The copy; that it was made is written down."""
    try:
        async with units_of(request).begin() as uow:
            found = await persons.export(uow, person)
            await audit.record(uow, who=acting(request), what="privacy.export", subject=f"person:{person}", form=form)
            return found
    except LookupError as error:
        raise HTTPException(404, str(error)) from error


async def _kept(uow: UnitOfWork, message: str = "") -> dict[str, Any]:
    return {
        "table": await enforcing.table(uow),
        "persons": await people.persons(uow, active_only=False),
        "racks": uow.settings,
        "message": message,
    }


def _safe(person: str) -> str:
    return "".join(c for c in person if c.isascii() and (c.isalnum() or c in "-_"))


def _download(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
