"""The static files, served by a plain route so that they carry the same headers as the pages."""

from __future__ import annotations

import mimetypes
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, Response

from central.core.access import public
from central.ui.routing import PageRoute
from central.ui.templating import STATIC

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_YEAR_S: Final = 31_536_000


@router.get("/static/{path:path}", dependencies=[public("stylesheets, scripts and icons, the same for everybody")])
async def static(request: Request, path: str) -> Response:
    """A file below ``static/``. Asked with its hash it may be kept for ever, else it is checked each time."""
    try:
        file = (STATIC / path).resolve()
        there = file.is_relative_to(STATIC) and file.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        there = False
    if not there:
        hint = " Lancez « make setup » : les fichiers de page viennent de npm." if path.startswith("vendor/") else ""
        raise HTTPException(404, f"Le fichier {path} n’existe pas.{hint}")
    kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    caching = f"public, max-age={_YEAR_S}, immutable" if request.url.query else "no-cache"
    return FileResponse(file, media_type=kind, headers={"Cache-Control": caching})


@router.get("/favicon.ico", dependencies=[public("an icon")])
async def favicon() -> Response:
    return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")
