"""The pages that invite, retire and explain, and the terminal's own enrolment."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from central.audit import service as audit
from central.core.settings import Settings
from central.fleet import enrolment
from central.listening import PlainDoor
from contracts.enrolment import parse_invitation
from contracts.envelope import encode
from copeau.servers.broker import MISSING
from edge_agents import identity
from tests.support.facts import Source
from tests.support.secure import SecureShop, secure_shop

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
HX = {"HX-Request": "true"}


@pytest.fixture
async def shop(tmp_path: Path, sqlite_url: str) -> AsyncIterator[SecureShop]:
    """Where whoever sits at the machine may do everything."""
    async with secure_shop(tmp_path, sqlite_url, access="open") as opened:
        yield opened


@pytest.fixture
async def locked(tmp_path: Path, sqlite_url: str) -> AsyncIterator[SecureShop]:
    async with secure_shop(tmp_path, sqlite_url) as opened:
        yield opened


def browser(shop: SecureShop) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=shop.url, verify=shop.trusting, trust_env=False)


def address_in(page: str) -> str:
    found = re.search(r"https://[^\s'\"<]+#[A-Za-z0-9_.\-]+", html.unescape(page))
    assert found is not None, page
    return found[0]


async def test_an_invitation_of_the_page_enrols_an_agent_and_retire_ends_it(shop: SecureShop) -> None:
    async with browser(shop) as client:
        page = await client.post("/appareils/inviter", data={"name": "rack-1", "kind": "agent"}, headers=HX)
        assert page.status_code == 200
        assert "data:image/svg+xml" in page.text
        assert "copeau agent enrol" in page.text
        assert page.headers["cache-control"] == "no-store"
        invitation = parse_invitation(address_in(page.text))._replace(host="127.0.0.1")
        enrolled = await identity.enrol(invitation, shop.directory / "agent")
        shown = (await client.get("/agents")).text
        assert "rack-1" in shown
        assert invitation.token not in shown
        after = await client.post("/appareils/rack-1/retirer", headers=HX)
        assert "Aucun appareil" in after.text
        assert "Révocation en cours" in (await client.get("/parts/appareils?retires=true")).text
    with pytest.raises(identity.IdentityError):
        await identity.renew(enrolled)
    async with shop.centre.units.reading() as uow:
        whats = [entry.what for entry in await audit.entries(uow, subject="device:rack-1")]
    assert whats == ["fleet.retire", "fleet.enrol", "fleet.invite"]


async def test_a_name_that_is_no_topic_level_is_refused(shop: SecureShop) -> None:
    async with browser(shop) as client:
        for name in ("", "Rack 1", "@centre", "a" * 64, "rack/1", "rack-1\x00", "+", "#", "rack\n1"):
            page = await client.post("/appareils/inviter", data={"name": name, "kind": "agent"}, headers=HX)
            assert "agent enrol" not in page.text, name
    async with shop.centre.units.reading() as uow:
        assert await enrolment.devices(uow) == []


async def test_text_from_a_person_is_text_on_the_page(shop: SecureShop) -> None:
    async with browser(shop) as client:
        label = "<img src=x onerror=alert(1)>"
        await client.post("/appareils/inviter", data={"name": "rack-1", "kind": "agent", "label": label}, headers=HX)
        assert label not in (await client.get("/agents")).text


async def test_a_terminal_enrols_and_speaks_in_its_own_name_only(locked: SecureShop) -> None:
    shop = locked
    invitation = await shop.invite("poste-1", "terminal")
    async with browser(shop) as client:
        assert (await client.post("/api/facts", content=encode(Source(agent="poste-1").fact()))).status_code == 401
        reply = await client.post("/api/enrol/terminal", json={"token": invitation.token})
        assert reply.json()["name"] == "poste-1"
        said = reply.headers["set-cookie"]
        assert said.startswith("__Host-copeau-device=")
        assert all(word in said for word in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))
        own = {"Sec-Fetch-Site": "same-origin"}  # as a browser says of its own page
        good = await client.post("/api/facts", content=encode(Source(agent="poste-1").fact()), headers=own)
        assert good.status_code == 200
        assert good.json()["acks"][0]["upto"] == 1
        other = await client.post("/api/facts", content=encode(Source(agent="poste-2").fact()), headers=own)
        assert other.status_code == 403
        assert (await client.get("/api/facts/poste-2/boot0001")).status_code == 403
        assert (await client.get("/api/facts/poste-1/boot0001")).status_code == 200
        assert (await client.put(f"/api/programmes/blobs/{'0' * 64}", content=b"x", headers=own)).status_code == 403
        await shop.retire("poste-1")
        late = await client.post("/api/facts", content=encode(Source(agent="poste-1").fact(seq=2)), headers=own)
        assert late.status_code == 401, "it keeps what it holds"
    async with browser(shop) as client:
        again = await client.post("/api/enrol/terminal", json={"token": invitation.token})
        assert again.status_code == 403


async def test_a_browser_that_holds_facts_under_another_name_is_not_renamed(locked: SecureShop) -> None:
    invitation = await locked.invite("poste-2", "terminal")
    async with browser(locked) as client:
        refused = await client.post("/api/enrol/terminal", json={"token": invitation.token, "holds": "poste-1"})
        assert refused.status_code == 403
        assert "poste-1" in refused.json()["detail"]
        assert (await client.post("/api/enrol/terminal", json={"token": invitation.token})).status_code == 200


async def test_an_agents_token_makes_no_terminal_and_the_reverse(locked: SecureShop) -> None:
    agent, terminal = await locked.invite("rack-1"), await locked.invite("poste-1", "terminal")
    async with browser(locked) as client:
        assert (await client.post("/api/enrol/terminal", json={"token": agent.token})).status_code == 403
    with pytest.raises(identity.IdentityError, match="pas d'ici"):
        await identity.enrol(terminal, locked.directory / "x")


async def test_how_to_trust_the_centre_is_read_before_anything_else(locked: SecureShop) -> None:
    async with browser(locked) as client:
        page = await client.get("/confiance")
        assert page.status_code == 200
        pairs = ":".join(re.findall("..", locked.fingerprint)).upper()
        assert pairs in page.text
        assert all(name in page.text for name in ("Android", "iPhone", "Windows"))
        given = await client.get("/ca.crt")
    assert given.headers["content-type"] == "application/x-x509-ca-cert"
    constraints = x509.load_der_x509_certificate(given.content).extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical


async def test_the_plain_door_shows_the_way_and_takes_nothing(locked: SecureShop) -> None:
    door = PlainDoor(locked.app, locked.port)
    away = httpx.ASGITransport(app=door, client=("192.168.1.50", 40000))
    async with httpx.AsyncClient(transport=away, base_url="http://nas.local:8000") as client:
        assert (await client.get("/confiance")).status_code == 200
        assert (await client.get("/ca.crt")).status_code == 200
        there = await client.get("/stock?q=a")
        assert there.status_code == 307
        assert there.headers["location"] == f"https://nas.local:{locked.port}/stock?q=a"
        assert (await client.post("/connexion", data={"login": "a", "password": "b"})).status_code == 403
        assert (await client.post("/api/enrol", json={})).status_code == 403


def test_a_given_certificate_comes_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="go together"):
        Settings(_env_file=None, https_port=443, https_certificate=tmp_path / "c.pem")
