"""``/api/alerts``: open alerts, and who has seen them."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from central.alerts import service
from central.alerts.service import AlertView
from central.core.access import acting, need
from central.core.uow import Units

router = APIRouter(prefix="/api/alerts", tags=["alerts"], dependencies=[need("alertes", "lire")])


class Acknowledgement(BaseModel):
    by: str
    """Person id."""


@router.get("")
async def open_alerts(request: Request) -> list[AlertView]:
    units: Units = request.app.state.units
    async with units.reading() as uow:
        return await service.open_alerts(uow)


@router.post("/{alert_id}/acknowledge", status_code=204, dependencies=[need("alertes", "valider")])
async def acknowledge(request: Request, alert_id: int, body: Acknowledgement) -> None:
    units: Units = request.app.state.units
    async with units.begin() as uow:
        try:
            await service.acknowledge(uow, alert_id, acting(request, body.by))
        except LookupError as error:
            raise HTTPException(404, str(error)) from error
