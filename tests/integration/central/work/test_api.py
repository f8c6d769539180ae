from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from central.alerts import routes as alert_routes
from central.alerts import service as alerts
from central.audit import service as audit
from central.core.access import OpenGate
from central.machines import routes as machine_routes
from central.machines import service as machines
from central.work import routes as work_routes
from central.work import service as work
from contracts.facts import MachineSamples, MachineStateChanged, PartsCounted
from tests.integration.central.work.harness import Shop, at, open_shop


@asynccontextmanager
async def client(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.units, app.state.gate = shop.units, OpenGate()
    for feature in (alert_routes, machine_routes, work_routes):
        app.include_router(feature.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as found:
        yield found


async def test_a_clocking_entered_on_a_page(sqlite_url: str) -> None:
    async with open_shop(sqlite_url) as shop, client(shop) as http:
        async with shop.units.begin() as uow:
            await machines.add_machine(uow, "tour-1", "Tour 1")
            await work.add_order(uow, "OF118", quantity=10)
            await work.add_operation(uow, "OF118", 10, "Tournage", machine="tour-1", run_min=6)
        shop.clock.moment = at(30)
        start = {"by": "p-9", "action": "start", "operation": "OF118-10", "person": "p-1"}
        assert (await http.post("/api/work/clockings", json=start)).status_code == 204
        [running] = (await http.get("/api/work/running")).json()
        assert (running["operation"], running["machine_label"], running["phase_label"]) == (
            "OF118-10",
            "Tour 1",
            "Réglage",
        )
        detail = (await http.get("/api/work/operations/OF118-10")).json()
        assert detail["operation"]["status"] == "running"
        load = (await http.get("/api/work/load/tour-1", params={"span": "week"})).json()
        assert (load["load_min"], load["over"], load["lines"][0]["why"]) == (
            60,
            False,
            "10 pièces × 6 min (prévu au devis)",
        )
        async with shop.units.reading() as uow:
            [entry] = await audit.entries(uow, subject="operation:OF118-10")
        assert (entry.who, entry.what, entry.detail["action"]) == ("p-9", "work.clock", "start")
        unknown = await http.post("/api/work/clockings", json=start | {"operation": "OF999-10"})
        assert (unknown.status_code, unknown.json()["detail"]) == (404, "Opération inconnue : OF999-10")
        bad = await http.post("/api/work/clockings", json=start | {"good": -1})
        assert bad.status_code == 422
        assert (await http.get("/api/work/operations/OF999-10")).status_code == 404


async def test_machines_and_parts(sqlite_url: str) -> None:
    async with open_shop(sqlite_url) as shop, client(shop) as http:
        shop.clock.moment = at(1)
        samples = MachineSamples(machine="tour-1", signal="spindle_load", unit="%", t0=at(0), dt=[0, 1000], v=[1, 3])
        await shop.say(
            shop.fact(0, MachineStateChanged(machine="tour-1", state="running")),
            shop.fact(0, samples),
            shop.fact(1, PartsCounted(machine="tour-1", first=0, last=3, delta=3)),
        )
        async with shop.units.begin() as uow:
            await work.add_order(uow, "OF118", quantity=10)
            await work.add_operation(uow, "OF118", 10, "Tournage", machine="tour-1")
        [tile] = (await http.get("/api/machines")).json()
        assert (tile["code"], tile["state_label"], tile["cycles_today"]) == ("tour-1", "En production", 3)
        timeline = (await http.get("/api/machines/tour-1/timeline")).json()
        assert [i["state"] for i in timeline["intervals"]] == ["running"]
        window = {"begin": at(0).isoformat(), "end": at(1).isoformat(), "points": 1}
        series = (await http.get("/api/machines/tour-1/samples/spindle_load", params=window)).json()
        assert [p[1:] for p in series["points"]] == [[1.0, 2.0, 3.0]]
        backwards = await http.get("/api/machines/tour-1/timeline", params={"begin": at(5).isoformat()})
        assert backwards.status_code == 422
        assert (await http.get("/api/machines/nulle-part")).status_code == 404
        [waiting] = (await http.get("/api/work/parts/unassigned")).json()
        answer = await http.post(
            f"/api/work/parts/{waiting['fact_id']}/assign", json={"by": "p-9", "operation": "OF118-10"}
        )
        assert answer.status_code == 204
        copy = (await http.get("/api/work/copy")).json()
        assert [(o["code"], o["counted"]) for o in copy["operations"]] == [("OF118-10", 3)]
        assert (await http.get("/api/work/summary")).json()["parts_unassigned"] == 0


async def test_an_alert_is_acknowledged(sqlite_url: str) -> None:
    async with open_shop(sqlite_url) as shop, client(shop) as http:
        async with shop.units.begin() as uow:
            number = await alerts.raise_alert(uow, "k", "high", "Alarme")
        assert (await http.post(f"/api/alerts/{number}/acknowledge", json={"by": "p-1"})).status_code == 204
        [alert] = (await http.get("/api/alerts")).json()
        assert (alert["acknowledged_by"], alert["level_label"]) == ("p-1", "Haute")
        assert (await http.post("/api/alerts/999/acknowledge", json={"by": "p-1"})).status_code == 404
