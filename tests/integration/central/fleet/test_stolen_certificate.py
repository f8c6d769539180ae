"""Whoever stole the certificate of one agent is that agent, and nobody else: on the broker and over HTTPS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
from sqlalchemy import func, select

from central.fleet import service as fleet
from central.inbox.models import Quarantined, StoredFact
from contracts import topics
from contracts.control import Ack, AgentState, CentrePresence, Restart
from contracts.envelope import encode
from copeau.servers.broker import MISSING
from edge_agents.identity import Identity
from tests.support.centre import eventually
from tests.support.facts import START, Source
from tests.support.secure import SecureShop, Thief, secure_shop

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.fixture
async def shop(tmp_path: Path, sqlite_url: str) -> AsyncIterator[SecureShop]:
    async with secure_shop(tmp_path, sqlite_url) as opened:
        yield opened


async def counts(shop: SecureShop) -> tuple[int, int]:
    """Facts committed, messages in quarantine."""
    async with shop.centre.units.reading() as uow:
        facts = await uow.session.scalar(select(func.count()).select_from(StoredFact))
        odd = await uow.session.scalar(select(func.count()).select_from(Quarantined))
    return facts or 0, odd or 0


async def own_fact_arrives(shop: SecureShop, thief: Thief, seq: int) -> None:
    """What the thief may do comes through: then what was sent before it has been judged too."""
    thief.publish(topics.facts("atelier", "rack-1"), encode(Source(agent="rack-1").fact(seq=seq)))

    async def there() -> bool:
        return (await counts(shop))[0] >= 1

    await eventually(there)


async def test_it_writes_as_nobody_else(shop: SecureShop) -> None:
    stolen, victim = await shop.enrol("rack-1"), await shop.enrol("rack-2")
    absent = AgentState(online=True, agent="rack-2", boot="boot0001", run="run0001", ts=START)
    spoken = Ack(boot="boot0001", stream="facts", upto=10**6)
    gone = CentrePresence(present=False, epoch="x", since=START)
    async with Thief(victim) as honest, Thief(stolen) as thief:
        honest.subscribe(
            topics.ack("atelier", "rack-2"), topics.command("atelier", "rack-2", "#"), topics.presence("atelier")
        )
        await eventually(lambda: len(honest.heard) >= 1)  # the centre's retained presence
        before = len(honest.heard)
        thief.publish(topics.facts("atelier", "rack-2"), encode(Source(agent="rack-2").fact()))
        thief.publish(topics.samples("atelier", "rack-2"), encode(Source(agent="rack-2").fact()))
        thief.publish(topics.state("atelier", "rack-2"), msgspec.json.encode(absent), retain=True)
        thief.publish(topics.ack("atelier", "rack-2"), msgspec.json.encode(spoken))
        thief.publish(topics.command("atelier", "rack-2", "restart"), b"{}")
        thief.publish(topics.presence("atelier"), msgspec.json.encode(gone), retain=True)
        thief.publish(topics.machine_state("atelier", "tour-1"), b"{}", retain=True)
        thief.publish("homeassistant/sensor/x/config", b"{}", retain=True)
        await own_fact_arrives(shop, thief, 1)
        await asyncio.sleep(0.3)
        assert len(honest.heard) == before
    assert await counts(shop) == (1, 0)
    async with shop.centre.units.reading() as uow:
        assert [agent.agent for agent in await fleet.agents(uow)] == []


async def test_it_writes_neither_its_own_ack_nor_its_own_commands(shop: SecureShop) -> None:
    stolen = await shop.enrol("rack-1")
    async with Thief(stolen) as thief:
        thief.subscribe(topics.ack("atelier", "rack-1"), topics.command("atelier", "rack-1", "#"))
        await asyncio.sleep(0.2)
        thief.publish(topics.ack("atelier", "rack-1"), b"forged", retain=True)
        thief.publish(topics.command("atelier", "rack-1", "restart"), b"forged", retain=True)
        await own_fact_arrives(shop, thief, 1)
        await asyncio.sleep(0.3)
        assert all(payload != b"forged" for _, payload in thief.heard)


async def test_it_reads_nothing_that_is_said_to_others(shop: SecureShop) -> None:
    stolen = await shop.enrol("rack-1")
    await shop.enrol("rack-2")
    order = Restart(id="c-1", expires=START + timedelta(days=900), part="rack-a")
    async with Thief(stolen) as thief:
        thief.subscribe("#", "$SYS/#", "copeau/v1/#", "copeau/v1/atelier/+/cmd/#", "copeau/v1/+/+/facts", "$share/x/#")
        await asyncio.sleep(0.3)
        for agent in ("rack-2", "rack-1"):
            topic = topics.command("atelier", agent, "restart")
            await shop.centre.link.deliver(topic, msgspec.json.encode(order))
        await own_fact_arrives(shop, thief, 1)
        await asyncio.sleep(0.3)
        heard = {topic for topic, _ in thief.heard}
    allowed = {
        topics.command("atelier", "rack-1", "restart"), topics.ack("atelier", "rack-1"), topics.presence("atelier"),
    }  # fmt: skip
    assert topics.command("atelier", "rack-1", "restart") in heard
    assert heard <= allowed


@pytest.mark.parametrize("client_id", ["rack-2", "@centre", "copeau-centre-atelier", "atelier.rack-2"])
async def test_it_ends_nobody_elses_session_by_taking_its_client_id(shop: SecureShop, client_id: str) -> None:
    stolen, victim = await shop.enrol("rack-1"), await shop.enrol("rack-2")
    async with Thief(victim, client_id=client_id) as honest:
        async with Thief(stolen, client_id=client_id) as thief:
            await own_fact_arrives(shop, thief, 1)
            await asyncio.sleep(0.3)
            assert not honest.dropped.is_set()
        assert shop.centre.link.up


async def test_its_last_will_speaks_for_nobody_else(shop: SecureShop) -> None:
    stolen, victim = await shop.enrol("rack-1"), await shop.enrol("rack-2")
    gone = AgentState(online=False, agent="rack-2", boot="boot0001", run="run0001", ts=START)
    async with Thief(victim) as honest:
        there = msgspec.structs.replace(gone, online=True)
        honest.publish(topics.state("atelier", "rack-2"), msgspec.json.encode(there), retain=True)

        async def seen() -> bool:
            async with shop.centre.units.reading() as uow:
                return [a.online for a in await fleet.agents(uow)] == [True]

        await eventually(seen)
        will = (topics.state("atelier", "rack-2"), msgspec.json.encode(gone))
        try:
            async with Thief(stolen, will=will) as thief:
                thief.vanish()
                await asyncio.sleep(1.5)
        except (OSError, TimeoutError):
            pass  # refused at the door: just as well
        assert await seen()


async def test_a_name_inside_the_envelope_that_is_not_the_topics_goes_to_quarantine(shop: SecureShop) -> None:
    stolen = await shop.enrol("rack-1")
    async with Thief(stolen) as thief:
        thief.publish(topics.facts("atelier", "rack-1"), encode(Source(agent="rack-2").fact()))
        await own_fact_arrives(shop, thief, 1)

        async def quarantined() -> bool:
            return (await counts(shop))[1] == 1

        await eventually(quarantined)


async def get(shop: SecureShop, path: str, shown: Identity | None) -> int:
    context = shop.trusting if shown is None else shown.context()
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        return (await client.get(f"{shop.url}{path}")).status_code


async def test_over_https_it_opens_no_page_and_posts_no_terminals_facts(shop: SecureShop) -> None:
    stolen = await shop.enrol("rack-1")
    pages = ("/", "/stock", "/agents", "/api/work/orders", "/api/stock/levels", "/comptes", "/journal")
    for path in pages:
        assert await get(shop, path, stolen) in {303, 307, 401, 403, 404}, path
    async with httpx.AsyncClient(verify=stolen.context(), trust_env=False) as client:
        reply = await client.post(f"{shop.url}/api/facts", content=encode(Source(agent="poste-1").fact()))
        assert reply.status_code in {401, 403}
        digest = "0" * 64
        bad = await client.put(f"{shop.url}/api/programmes/blobs/{digest}", content=b"x")
        assert bad.status_code == 422, "it may bring texts, as any agent may, under their own hash only"
    assert (await counts(shop)) == (0, 0)


async def test_nobody_brings_texts_or_pictures_without_a_certificate(shop: SecureShop) -> None:
    stolen = await shop.enrol("rack-1")
    await shop.retire("rack-1")
    for context in (shop.trusting, stolen.context()):
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            for path in (f"/api/programmes/blobs/{'0' * 64}", f"/api/racks/crops/{'0' * 32}", "/api/racks/a/picture"):
                assert (await client.put(f"{shop.url}{path}", content=b"x")).status_code == 401, path
            assert (await client.get(f"{shop.url}/api/racks/descriptions/{'0' * 64}")).status_code == 401


async def test_a_certificate_of_another_authority_is_refused_by_the_listener(shop: SecureShop, tmp_path: Path) -> None:
    from central.fleet.ca import Authority
    from central.fleet.trust import load

    forged = Authority.open(tmp_path / "forged", "atelier", [], shop.centre.units.clock.now())
    pem = forged.client("rack-1", shop.centre.units.clock.now(), timedelta(days=1))
    context = shop.trusting
    load(context, pem, tmp_path)
    with pytest.raises((httpx.HTTPError, ssl.SSLError)):
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            await client.put(f"{shop.url}/api/programmes/blobs/{'0' * 64}", content=b"x")
