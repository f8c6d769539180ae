"""The operator's post: its page, its service worker, its manifest and its read copy of what it may need offline."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from central.ui.routing import PageRoute
from central.ui.templating import STATIC, environment, page, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SHELL = ("tokens.css", "icons.svg", "icon.svg", "vendor/idb.js")


@cache
def shell_files() -> tuple[str, ...]:
    """What must lie on the device for the post to start with the centre off."""
    own = sorted(f"poste/{file.name}" for file in (STATIC / "poste").iterdir() if file.suffix in {".js", ".css"})
    return ("/poste", "/manifest.webmanifest", *(f"/static/{name}" for name in (*_SHELL, *own)))


@cache
def _version(shell: str) -> str:
    digest = hashlib.blake2b(shell.encode(), digest_size=6)
    for name in shell_files():
        if name.startswith("/static/"):
            digest.update((STATIC / name.removeprefix("/static/")).read_bytes())
    return digest.hexdigest()


@router.get("/poste")
async def post(request: Request) -> Response:
    return Response(_shell(request), media_type="text/html", headers={"Cache-Control": "no-cache"})


@router.get("/sw.js")
async def service_worker(request: Request) -> Response:
    """At the root so that its scope may be ``/poste``; its text changes with any file of the shell."""
    text = environment().get_template("sw.js").render(version=_version(_shell(request)), files=shell_files())
    return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@router.get("/manifest.webmanifest")
async def manifest() -> Response:
    body: dict[str, Any] = {
        "id": "/poste",
        "name": "Copeau · poste",
        "short_name": "Poste",
        "lang": "fr",
        "start_url": "/poste",
        "scope": "/poste",
        "display": "standalone",
        "background_color": "#f5f5f2",
        "theme_color": "#1a5bb8",
        "icons": [{"src": "/static/icon.svg", "sizes": "any", "type": "image/svg+xml"}],
    }
    return JSONResponse(body, media_type="application/manifest+json")


def _shell(request: Request) -> str:
    units = units_of(request)
    return page("poste.html", units.settings, units.clock.now())
