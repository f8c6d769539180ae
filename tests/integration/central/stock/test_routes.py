"""The JSON API over a real database."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from central.core.access import OpenGate
from central.stock.routes import router
from contracts.facts import StockObserved
from tests.integration.central.stock.conftest import PIECE, Shop


async def test_a_doubt_is_seen_and_decided_over_http(shop: Shop) -> None:
    app = FastAPI()
    app.state.units, app.state.gate = shop.units, OpenGate()
    app.include_router(router)
    doubt = StockObserved(
        source="camera", qty=-PIECE, item="CNMG", place="rack-a/A1", mode="review", confidence=0.5, crops="a" * 32
    )
    await shop.say(shop.fact(doubt))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        level = (await client.get("/api/stock/levels/CNMG")).json()
        assert (level["qty"], level["pending"]) == (5 * PIECE, -PIECE)
        (proposal,) = (await client.get("/api/stock/proposals")).json()
        where = f"/api/stock/evidence/{proposal['sources'][0]['observation']}/before.jpg"
        assert (await client.get(where, params={"by": "p1"})).status_code == 404
        path = f"/api/stock/proposals/{proposal['id']}"
        assert (await client.post(path, json={"action": "confirm", "by": "p1"})).status_code == 204
        assert (await client.post(path, json={"action": "confirm", "by": "p1"})).status_code == 409
        assert (await client.post("/api/stock/proposals/999", json={"action": "undo", "by": "p1"})).status_code == 404
        level = (await client.get("/api/stock/levels/CNMG")).json()
        assert (level["qty"], level["pending"]) == (4 * PIECE, 0)
        assert len((await client.get("/api/stock/movements", params={"item": "CNMG"})).json()) == 2
        assert (await client.get("/api/stock/levels/RIEN")).status_code == 404
