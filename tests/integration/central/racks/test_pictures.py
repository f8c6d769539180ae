"""Pictures beside the fact: taken whatever comes first, sealed at rest, purged in time, gone with their key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from central.audit.models import AuditEntry
from central.core.access import OpenGate
from central.racks import crops, routes
from central.racks import service as racks
from central.racks.models import RackCrops
from central.racks.pictures import Pictures
from central.racks.vault import key_path, make_key
from central.stock import service
from tests.integration.central.racks.conftest import JPEG, NOON, Shop, pick

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.units, app.state.rack_pictures, app.state.gate = shop.units, Pictures(), OpenGate()
    app.include_router(routes.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


def pair(**changes: object) -> bytes:
    return msgspec.msgpack.encode({"before": JPEG, "after": JPEG, "observed": NOON.isoformat()} | changes)


@pytest.mark.parametrize("fact_first", [False, True])
async def test_pictures_of_a_doubt_come_before_or_after_it_and_stay_three_days(
    shop: Shop, client: httpx.AsyncClient, *, fact_first: bool
) -> None:
    fact = shop.fact(pick(before=5, mode="review", crops=ID))
    if fact_first:
        await shop.say(fact)
    assert (await client.put(f"/api/racks/crops/{ID}", content=pair())).json() == {"new": True}
    assert (await client.put(f"/api/racks/crops/{ID}", content=pair())).json() == {"new": False}
    if not fact_first:
        await shop.say(fact)
    (question,) = await shop.open()
    assert question.crops == ID
    async with shop.units.reading() as uow:
        kept = await uow.session.scalar(select(RackCrops))
        assert kept is not None
        assert kept.before is not None
        assert JPEG[4:60] not in kept.before
    assert (await client.get(f"/api/racks/crops/{ID}/before.jpg", params={"by": "p1"})).content == JPEG
    async with shop.begin() as uow:
        seen = await service.evidence(uow, question.sources[0].observation, "p2")
        assert seen is not None
        assert seen.after == JPEG
    async with shop.units.reading() as uow:
        e = AuditEntry
        viewed = await uow.session.execute(select(e.who, e.subject).where(e.what == "racks.view_crops"))
        assert sorted(viewed) == [("p1", f"crops:{ID}"), ("p2", f"crops:{ID}")]
    for hours, left in ((70, 1), (2, 0)):
        shop.clock.moment += timedelta(hours=hours)
        async with shop.begin() as uow:
            await crops.purge(uow)
        async with shop.units.reading() as uow:
            assert (await racks.privacy(uow)).kept == left
    async with shop.units.reading() as uow:
        (purged,) = (await racks.privacy(uow)).purges
    assert (purged.pictures, purged.why) == (1, "expired")
    assert (await client.get(f"/api/racks/crops/{ID}/before.jpg", params={"by": "p1"})).status_code == 404


async def test_days_in_an_agents_spool_count(shop: Shop, client: httpx.AsyncClient) -> None:
    shop.clock.moment += timedelta(hours=80)
    await shop.say(shop.fact(pick(before=5, mode="review", crops=ID)))
    assert (await client.put(f"/api/racks/crops/{ID}", content=pair(before=b""))).status_code == 201
    async with shop.units.reading() as uow:
        assert (await racks.privacy(uow)).kept == 0


async def test_pictures_of_an_automatic_pick_stay_as_long_as_pas_ca(shop: Shop, client: httpx.AsyncClient) -> None:
    await client.put(f"/api/racks/crops/{ID}", content=pair())
    await shop.say(shop.fact(pick(before=5, crops=ID)))
    async with shop.begin() as uow:
        (belief,) = await service.last_beliefs(uow, "rack-a")
        await service.contest(uow, belief.observation, "p1")
    shop.clock.moment += timedelta(minutes=30)
    async with shop.begin() as uow:
        await crops.purge(uow)
        assert (await racks.privacy(uow)).kept == 1
    other = ID[::-1]
    async with shop.begin() as uow:
        await racks.set_trust(uow, "rack-a", "insert", automatic=True, by="p1")
    shop.clock.moment += timedelta(seconds=1)
    await shop.say(shop.fact(pick(place="A2", before=5, crops=other), 60))
    await client.put(f"/api/racks/crops/{other}", content=pair())
    shop.clock.moment += timedelta(minutes=11)
    async with shop.begin() as uow:
        await crops.purge(uow)
        assert (await racks.privacy(uow)).kept == 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 422, "illisible"),
        (b"\xc1\xc1", 422, "illisible"),
        (pair(before=b"GIF89a"), 422, "JPEG"),
        (pair(before=JPEG[:-2]), 422, "JPEG"),
        (pair(before=None, after=None), 422, "Aucune image"),
        (pair(observed="hier"), 422, "illisible"),
        (pair(before=JPEG[:4] + b"0" * 1_000_001 + JPEG[-2:]), 422, "au plus"),
        (b"0" * 2_100_000, 413, "au plus"),
    ],
)
async def test_junk_is_refused_with_a_reason(
    shop: Shop, client: httpx.AsyncClient, body: bytes, status: int, said: str
) -> None:
    answer = await client.put(f"/api/racks/crops/{ID}", content=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True)
    async with shop.units.reading() as uow:
        assert (await racks.privacy(uow)).kept == 0


async def test_pictures_whose_key_is_lost_are_gone_and_it_is_said(shop: Shop, client: httpx.AsyncClient) -> None:
    await client.put(f"/api/racks/crops/{ID}", content=pair())
    path = key_path(shop.settings)
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    answer = await client.put(f"/api/racks/crops/{ID[::-1]}", content=pair())
    assert answer.status_code == 503
    assert make_key(shop.settings)
    answer = await client.get(f"/api/racks/crops/{ID}/after.jpg", params={"by": "p1"})
    assert answer.status_code == 410
    assert "clé" in answer.json()["detail"]
    async with shop.begin() as uow:
        assert (await racks.privacy(uow)).lost == 1
        assert await crops.purge_lost(uow) == 1
    async with shop.begin() as uow:
        assert [p.why for p in (await racks.privacy(uow)).purges] == ["key_lost"]


async def test_only_the_newest_picture_of_a_rack_is_there_and_looking_is_written_down(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    assert (await client.put("/api/racks/inconnu/picture", content=JPEG)).status_code == 404
    assert (await client.put("/api/racks/rack-a/picture", content=b"junk")).status_code == 422
    for mark in (b"1", b"2"):
        assert (await client.put("/api/racks/rack-a/picture", content=JPEG[:10] + mark + JPEG[10:])).status_code == 201
    for _ in range(3):
        shown = await client.get("/api/racks/rack-a/picture", params={"by": "p1"})
    assert shown.content == JPEG[:10] + b"2" + JPEG[10:]
    async with shop.units.reading() as uow:
        (viewing,) = (await racks.privacy(uow)).viewings
    assert (viewing.who, viewing.subject) == ("p1", "rack:rack-a")


async def test_a_shorter_time_holds_for_the_pictures_that_are_there(shop: Shop, client: httpx.AsyncClient) -> None:
    await shop.say(shop.fact(pick(before=5, mode="review", crops=ID)))
    await client.put(f"/api/racks/crops/{ID}", content=pair())
    shop.settings.racks_doubtful_hours = 2.0
    for hours, kept in ((0, 1), (2, 0)):
        shop.clock.moment += timedelta(hours=hours)
        async with shop.begin() as uow:
            await crops.purge(uow)
            assert (await racks.privacy(uow)).kept == kept


async def test_an_automatic_pick_told_late_keeps_no_picture_beyond_a_doubts_time(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    shop.clock.moment += timedelta(days=31)
    await shop.say(shop.fact(pick(before=5, crops=ID)))
    assert (await client.put(f"/api/racks/crops/{ID}", content=pair())).json() == {"new": False}


async def test_labels_come_with_the_pictures_that_are_still_kept(shop: Shop, client: httpx.AsyncClient) -> None:
    await client.put(f"/api/racks/crops/{ID}", content=pair())
    await shop.say(shop.fact(pick(before=5, mode="review", crops=ID)))
    (question,) = await shop.open()
    async with shop.begin() as uow:
        await service.confirm(uow, question.id, "p1")
    answer = await client.get("/api/racks/labels", params={"by": "p9", "pictures": True})
    (row,) = msgspec.msgpack.decode(answer.content)
    assert (row["key"], row["right"], row["before"]) == (f"doubt:{question.sources[0].observation}", True, JPEG)
    shop.clock.moment += timedelta(days=4)
    answer = await client.get("/api/racks/labels", params={"by": "p9", "pictures": True})
    (row,) = msgspec.msgpack.decode(answer.content)
    assert row["before"] is None
