"""``/api/work``: running clockings, operations, load, conflicts, the terminals' copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request

from central.core.access import acting, devices, need, who
from central.core.uow import Units
from central.people import standing
from central.work import service
from central.work.reach import reach_of
from central.work.schemas import Assignment, By, Given, LoadOut, PageClocking, ProgrammeYieldIn

router = APIRouter(prefix="/api/work", tags=["work"])


@router.get("/summary", dependencies=[need("atelier", "lire")])
async def summary(request: Request) -> service.Summary:
    async with _units(request).reading() as uow:
        return await service.summary(uow)


@router.get("/running", dependencies=[need("atelier", "lire", own=True)])
async def running(request: Request, machine: str | None = None) -> list[service.Running]:
    async with _units(request).reading() as uow:
        reach = await reach_of(uow, await who(request), "lire")
        found = await service.running(uow, machine)
        return found if reach.whole else [one for one in found if one.person == reach.person]


@router.get("/orders", dependencies=[need("atelier", "lire")])
async def orders(request: Request) -> list[service.OrderView]:
    async with _units(request).reading() as uow:
        return await service.orders(uow)


@router.get("/operations", dependencies=[need("atelier", "lire", own=True)])
async def operations(request: Request, machine: str | None = None) -> list[service.OperationView]:
    async with _units(request).reading() as uow:
        reach = await reach_of(uow, await who(request), "lire")
        return [one for one in await service.operations(uow, machine) if reach.has(one.code, one.machine)]


@router.get("/operations/{code}", dependencies=[need("atelier", "lire", own=True)])
async def operation(request: Request, code: str) -> service.OperationDetail:
    async with _units(request).reading() as uow:
        found = await service.operation(uow, code)
        reach = await reach_of(uow, await who(request), "lire")
    if found is None or not reach.has(code, found.operation.machine):
        raise HTTPException(404, f"Opération inconnue : {code}")
    return found


@router.get("/load/{machine}", dependencies=[need("atelier", "lire")])
async def load(
    request: Request, machine: str, day: date | None = None, span: Literal["day", "week"] = "day"
) -> LoadOut:
    async with _units(request).reading() as uow:
        found = await (service.machine_load if span == "day" else service.week_load)(uow, machine, day)
    return LoadOut.of(found)


@router.get("/conflicts", dependencies=[need("atelier", "lire")])
async def conflicts(request: Request) -> list[service.ConflictView]:
    async with _units(request).reading() as uow:
        return await service.conflicts(uow)


@router.get("/parts/unassigned", dependencies=[need("atelier", "lire")])
async def unassigned_parts(request: Request) -> list[service.UnassignedParts]:
    async with _units(request).reading() as uow:
        return await service.unassigned_parts(uow)


@router.get("/copy", dependencies=[devices(("poste", "lire"), only="terminal")])
async def post_copy(
    request: Request, since: Annotated[int | None, Query(ge=0)] = None, post: str | None = None
) -> service.PostCopy:
    async with _units(request).reading() as uow:
        reach = await reach_of(uow, await who(request), "lire")
        return reach.of_copy(await service.post_copy(uow, since, post=post))


@router.post("/clockings", status_code=204, dependencies=[need("atelier", "creer", own=True)])
async def clock(request: Request, body: PageClocking) -> None:
    """Entered on a page. A post does not use this: it sends facts."""
    identity = await who(request)
    async with _units(request).begin() as uow:
        reach = await reach_of(uow, identity, "creer")
        if not reach.whole:
            found = await service.operation(uow, body.operation)
            if body.person != reach.person or found is None or not reach.has(body.operation, found.operation.machine):
                raise HTTPException(403, "On ne pointe que soi-même, et sur ses propres opérations.")
        with _said_in_french():
            await service.clock(uow, **body.model_dump() | {"by": acting(request, body.by)})


@router.post("/operations/{code}/persons", status_code=204, dependencies=[need("atelier", "creer", own=True)])
async def give_operation(request: Request, code: str, body: Given) -> None:
    """Give it to a person; whoever has no right over all operations hands over an own one."""
    identity = await who(request)
    async with _units(request).begin() as uow:
        reach = await reach_of(uow, identity, "creer")
        found = await service.operation(uow, code)
        if found is None or not reach.has(code, found.operation.machine):
            raise HTTPException(404, f"Opération inconnue : {code}")
        how: standing.How = "given" if reach.whole else "relayed"
        with _said_in_french():
            await standing.give_operation(uow, body.person, code, how, by=acting(request))


@router.delete("/operations/{code}/persons/{person}", status_code=204, dependencies=[need("atelier", "modifier")])
async def take_operation(request: Request, code: str, person: str) -> None:
    async with _units(request).begin() as uow:
        await standing.take_operation(uow, person, code, by=acting(request))


@router.post("/conflicts/{conflict_id}/settle", status_code=204, dependencies=[need("atelier", "valider")])
async def settle_conflict(request: Request, conflict_id: int, body: By) -> None:
    async with _units(request).begin() as uow:
        with _said_in_french():
            await service.settle_conflict(uow, conflict_id, acting(request, body.by))


@router.post("/parts/{fact_id}/assign", status_code=204, dependencies=[need("atelier", "modifier")])
async def assign_parts(request: Request, fact_id: int, body: Assignment) -> None:
    async with _units(request).begin() as uow:
        with _said_in_french():
            await service.assign_parts(uow, fact_id, body.operation, acting(request, body.by))


@router.post("/yields", status_code=204, dependencies=[need("machines", "modifier")])
async def set_programme_yield(request: Request, body: ProgrammeYieldIn) -> None:
    async with _units(request).begin() as uow:
        with _said_in_french():
            await service.set_programme_yield(
                uow, body.machine, body.programme, body.parts_per_cycle, by=acting(request, body.by)
            )


def _units(request: Request) -> Units:
    units: Units = request.app.state.units
    return units


@contextmanager
def _said_in_french() -> Iterator[None]:
    """The service's own sentence, as an HTTP error; the transaction is rolled back."""
    try:
        yield
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
