"""*Atelier*: machines with state, age and load; alerts to acknowledge; running clockings; last movements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from central.alerts import service as alerts
from central.alerts.service import AlertView
from central.core.access import acting, need, signed_in, who
from central.core.rights import Module
from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.machines.rules.parameters import is_robot
from central.stock import service as stock
from central.ui.routing import PageRoute
from central.ui.shell import full_page, waiting
from central.ui.stock import names_in
from central.ui.templating import render, units_of
from central.ui.working import loads_of, running_now
from central.work import service as work

router = APIRouter(route_class=PageRoute, include_in_schema=False)

LAST = 6
"""Movements on the front page."""
_ALERTS = 50
"""The gravest alerts that nobody has seen; of more, a person learns nothing."""


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts about one thing, the gravest first; `machine` is its code when it is one."""

    machine: str | None
    alerts: list[AlertView]

    @property
    def unseen(self) -> list[AlertView]:
        return [alert for alert in self.alerts if alert.acknowledged_at is None]


def grouped(found: Sequence[AlertView], codes: Collection[str]) -> list[Group]:
    """Alerts about one subject together, where the first of them stands."""
    groups: dict[str, Group] = {}
    for alert in found:
        subject = (alert.subject or "").removeprefix("machine:")
        machine = subject if subject in codes else None
        key = subject or f"alert:{alert.id}"
        groups.setdefault(key, Group(machine, [])).alerts.append(alert)
    return list(groups.values())


async def _tiles(uow: UnitOfWork) -> dict[str, Any]:
    tiles = await machines.tiles(uow)
    return {
        "machines": [tile for tile in tiles if not is_robot(tile.kind)],
        "robots": [tile for tile in tiles if is_robot(tile.kind)],
        "loads": await loads_of(uow, [tile.code for tile in tiles]),
    }


async def _alerts(uow: UnitOfWork) -> dict[str, Any]:
    found = await alerts.open_alerts(uow, limit=_ALERTS)
    codes = {machine.code for machine in await machines.machines(uow)}
    count = len(found) if len(found) < _ALERTS else await alerts.count_open(uow)
    return {"alerts": found, "groups": grouped(found, codes), "open_alerts": count}


async def _running(uow: UnitOfWork) -> dict[str, Any]:
    return {"running": await running_now(uow), "conflicts": await work.conflicts(uow, limit=20)}


async def _movements(uow: UnitOfWork) -> dict[str, Any]:
    found = await stock.movements(uow, None, LAST)
    return {"movements": found, "names": await names_in(uow, found)}


_PARTS: Final[dict[Module, Callable[[UnitOfWork], Awaitable[dict[str, Any]]]]] = {
    "machines": _tiles,
    "alertes": _alerts,
    "atelier": _running,
    "stock": _movements,
}


@router.get("/", dependencies=[signed_in()])
async def page(request: Request) -> Response:
    """What the person may see of it; who sees none of it works at the post, or has no rights yet."""
    identity = await who(request)
    wanted = [part for module, part in _PARTS.items() if identity.may(module, "lire")]
    if not wanted:
        return RedirectResponse("/poste" if identity.may("poste", "lire") else "/compte", 303)
    async with units_of(request).reading() as uow:
        parts: dict[str, Any] = {}
        for part in wanted:
            parts |= await part(uow)
        return await full_page(request, uow, "atelier.html", "Atelier", **parts)


@router.get("/parts/machines", dependencies=[need("machines", "lire")])
async def tiles_part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/tiles.html", **await _tiles(uow))


@router.get("/parts/alertes", dependencies=[need("alertes", "lire")])
async def alerts_part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/alerts.html", **await _alerts(uow))


@router.get("/parts/pointages", dependencies=[need("atelier", "lire")])
async def running_part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/running.html", **await _running(uow))


@router.get("/parts/derniers-mouvements", dependencies=[need("stock", "lire")])
async def movements_part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/last_movements.html", **await _movements(uow))


@router.get("/parts/onglets", dependencies=[signed_in()])
async def tabs_part(request: Request, page: str = "") -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "tabs.html", tab_name=page, waiting=await waiting(uow))


@router.post("/alertes/{alert}/vue", dependencies=[need("alertes", "valider")])
async def acknowledge(request: Request, alert: int) -> Response:
    async with units_of(request).begin() as uow:
        try:
            await alerts.acknowledge(uow, alert, acting(request))
        except LookupError as error:
            raise HTTPException(404, str(error)) from error
        return render(request, "parts/alerts.html", **await _alerts(uow))


@router.post("/alertes/vues", dependencies=[need("alertes", "valider")])
async def acknowledge_all(request: Request, ids: Annotated[list[int], Form(max_length=200)]) -> Response:
    """Those that the page showed; what came since stays to be seen."""
    async with units_of(request).begin() as uow:
        for alert in ids:
            try:
                await alerts.acknowledge(uow, alert, acting(request))
            except LookupError as error:
                raise HTTPException(404, str(error)) from error
        return render(request, "parts/alerts.html", **await _alerts(uow))


@router.post("/conflits/{conflict}/regle", dependencies=[need("atelier", "valider")])
async def settle(request: Request, conflict: int) -> Response:
    async with units_of(request).begin() as uow:
        try:
            await work.settle_conflict(uow, conflict, acting(request))
        except LookupError as error:
            raise HTTPException(404, str(error)) from error
        return render(request, "parts/running.html", **await _running(uow))
