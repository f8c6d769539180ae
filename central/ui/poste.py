"""The operator's post: its page, its service worker, its manifest and its read copy of what it may need offline."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from central.core.access import devices, public, who
from central.items import service as items
from central.people import posts
from central.ui.routing import PageRoute
from central.ui.templating import STATIC, environment, page, units_of
from central.work import service as work
from central.work.reach import reach_of

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


@router.get("/poste", dependencies=[public("the empty shell of the post: its data is asked for apart")])
async def post(request: Request) -> Response:
    return Response(_shell(request), media_type="text/html", headers={"Cache-Control": "no-cache"})


@router.get("/api/poste/copie", dependencies=[devices(("poste", "lire"), only="terminal")])
async def copy(request: Request, poste: Annotated[str | None, Query(max_length=120)] = None) -> Response:
    """What the post may need while the centre is away: its operations, who is on them, badges, articles."""
    units = units_of(request)
    async with units.reading() as uow:
        reach = await reach_of(uow, await who(request), "lire")
        found = reach.of_copy(await work.post_copy(uow, post=poste))
        orders = {order.code: order.article for order in await work.orders(uow)}
        articles = await items.items(uow)
        asked_for_pin = await posts.with_pin(uow)
    clockings: dict[str, list[dict[str, Any]]] = {}
    for r in found.running:
        paused = r.phase == "pause"
        clockings.setdefault(r.operation, []).append(
            {
                "person": r.person,
                "state": "paused" if paused else "running",
                "phase": None if paused else r.phase,
                "reason": r.reason,
                "since": r.since.isoformat(),
            }
        )
    body = {
        "at": units.clock.now().isoformat(),
        "version": found.version,
        "persons": [
            {"id": p.id, "name": p.name, "badge": p.badge_code, "pin": p.id in asked_for_pin} for p in found.persons
        ],
        "operations": [
            {
                "code": o.code,
                "article": orders.get(o.order, ""),
                "description": o.label,
                "machine": o.machine,
                "machine_name": o.machine_label,
                "kind": o.kind,
                "status": o.status,
                "quantity": o.quantity,
                "good": o.good,
                "scrap": o.scrap,
                "counted": max(0, o.counted - o.good - o.scrap) if o.counted else None,
                "setup_planned_s": o.setup_min * 60,
                "clockings": clockings.get(o.code, []),
            }
            for o in found.operations
        ],
        "items": [{"code": i.code, "name": i.label} for i in articles],
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


@router.get("/sw.js", dependencies=[public("the post's service worker: names of files")])
async def service_worker(request: Request) -> Response:
    """At the root so that its scope may be ``/poste``; its text changes with any file of the shell."""
    text = environment().get_template("sw.js").render(version=_version(_shell(request)), files=shell_files())
    return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@router.get("/manifest.webmanifest", dependencies=[public("the post's name and icon")])
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
