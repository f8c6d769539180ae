"""``/api/stock``: levels, movements, the review list and its decisions, the pictures. Thin over the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

from central.core.access import acting, need
from central.core.types import RowId
from central.core.uow import Units
from central.stock import service

router = APIRouter(prefix="/api/stock", tags=["stock"])


class DecisionIn(BaseModel):
    """`qty` in thousandths, for ``correct`` only: the signed movement of a doubt, the level of an écart."""

    action: Literal["confirm", "correct", "refuse", "undo"]
    by: Annotated[str | None, Field(min_length=1, max_length=120)] = None
    """Person id, from those who speak for others (`acting`)."""
    qty: Annotated[int, Field(ge=-(10**15), le=10**15)] | None = None


class AcceptIn(BaseModel):
    proposals: list[int] | None = None
    """None: all."""


class AssignIn(BaseModel):
    code: str
    item: str


By = Annotated[str | None, Query(min_length=1, max_length=120)]
"""Person id of who asks, from those who speak for others (`acting`)."""


@router.get("/levels", dependencies=[need("stock", "lire")])
async def levels(request: Request, q: str | None = None) -> list[service.ItemLevel]:
    async with _units(request).reading() as uow:
        return await service.levels(uow, q)


@router.get("/levels/{item:path}", dependencies=[need("stock", "lire")])
async def level(request: Request, item: str) -> service.ItemLevel:
    with _explained():
        async with _units(request).reading() as uow:
            return await service.level(uow, item)


@router.get("/movements", dependencies=[need("stock", "lire")])
async def movements(
    request: Request, item: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> list[service.MovementView]:
    async with _units(request).reading() as uow:
        return await service.movements(uow, item, limit)


@router.get("/proposals", dependencies=[need("stock", "lire")])
async def proposals(request: Request) -> list[service.ProposalView]:
    async with _units(request).reading() as uow:
        return await service.proposals(uow)


@router.post("/proposals/{number}", status_code=204, dependencies=[need("stock", "valider")])
async def decide(request: Request, number: RowId, decision: DecisionIn) -> None:
    by = acting(request, decision.by)
    with _explained():
        async with _units(request).begin() as uow:
            if decision.action == "correct":
                if decision.qty is None:
                    raise HTTPException(422, "Corriger demande une quantité.")
                await service.correct(uow, number, decision.qty, by)
            elif decision.action == "confirm":
                await service.confirm(uow, number, by)
            elif decision.action == "refuse":
                await service.refuse(uow, number, by)
            else:
                await service.undo(uow, number, by)


@router.post("/observations/{observation}/contest", status_code=200, dependencies=[need("stock", "valider")])
async def contest(request: Request, observation: RowId, by: By = None) -> dict[str, int]:
    """« Pas ça »: the automatic movement is a question again; its number."""
    with _explained():
        async with _units(request).begin() as uow:
            return {"proposal": await service.contest(uow, observation, acting(request, by))}


@router.get("/to-count", dependencies=[need("stock", "lire")])
async def to_count(request: Request) -> list[service.ToCount]:
    """The next cycle count's list."""
    async with _units(request).reading() as uow:
        return await service.to_count(uow)


@router.get("/racks/{rack}/differences", dependencies=[need("stock", "lire")])
async def differences(request: Request, rack: str) -> list[service.DifferenceView]:
    async with _units(request).reading() as uow:
        return await service.differences(uow, rack)


@router.post("/racks/{rack}/differences", status_code=200, dependencies=[need("stock", "valider")])
async def accept_differences(request: Request, rack: str, body: AcceptIn, by: By = None) -> dict[str, int]:
    """One tap: all of them, or those given."""
    with _explained():
        async with _units(request).begin() as uow:
            return {"accepted": await service.accept_differences(uow, rack, acting(request, by), body.proposals)}


@router.get("/racks/{rack}/beliefs", dependencies=[need("stock", "lire")])
async def beliefs(
    request: Request, rack: str, limit: Annotated[int, Query(ge=1, le=50)] = 5
) -> list[service.LastBelief]:
    """What its camera lately believed."""
    async with _units(request).reading() as uow:
        return await service.last_beliefs(uow, rack, limit=limit)


@router.post("/codes", status_code=200, dependencies=[need("quarantaine", "modifier")])
async def assign(request: Request, body: AssignIn) -> dict[str, int]:
    """Say what an unknown code is; what was said with it is booked at its own time."""
    with _explained():
        async with _units(request).begin() as uow:
            return {"applied": await service.assign_code(uow, body.code, body.item)}


@router.get(
    "/evidence/{observation}/{moment}.jpg", response_class=Response, dependencies=[need("rayonnages", "valider")]
)
async def evidence(request: Request, observation: RowId, moment: Literal["before", "after"], by: By = None) -> Response:
    async with _units(request).begin() as uow:
        with _explained():
            found = await service.evidence(uow, observation, acting(request, by))
    picture = None if found is None else found.before if moment == "before" else found.after
    if picture is None:
        raise HTTPException(404, "Pas d'image pour cette observation.")
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


def _units(request: Request) -> Units:
    units: Units = request.app.state.units
    return units


@contextmanager
def _explained() -> Iterator[None]:
    """Errors of the service as answers: 404 unknown, 409 too late or already given."""
    try:
        yield
    except LookupError as error:
        raise HTTPException(404, str(error)) from None
    except ValueError as error:
        raise HTTPException(409, str(error)) from None
