"""All pages of the centre under one router; ``central.app`` includes it last, since its last route answers 404."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException

from central.core.access import signed_in
from central.ui import (
    account,
    agents,
    automation,
    devices,
    journal,
    kept,
    machine,
    machine_guard,
    machine_settings,
    orders,
    passkeys,
    persons,
    poste,
    poste_rack,
    poste_session,
    privacy,
    programmes,
    quarantine,
    rack_screen,
    rack_teach,
    racks,
    review,
    sign_in,
    signing,
    static_files,
    stock,
    workshop,
)
from central.ui.routing import PageRoute

router = APIRouter(route_class=PageRoute, include_in_schema=False)
for _part in (
    static_files,
    sign_in,
    account,
    passkeys,
    persons,
    poste,
    poste_rack,
    poste_session,
    workshop,
    machine,
    machine_guard,
    machine_settings,
    orders,
    signing,
    stock,
    review,
    rack_teach,
    rack_screen,
    racks,
    privacy,
    programmes,
    agents,
    devices,
    quarantine,
    journal,
    kept,
    automation,
):
    router.include_router(_part.router)


@router.get("/{path:path}", dependencies=[signed_in()])
async def unknown(path: str) -> None:
    raise HTTPException(404, f"Rien ne porte l’adresse /{path}.")
