"""Enrolment end to end: token, pinned authority, certificate, facts over TLS, renewal, retirement."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from sqlalchemy import func, select

from central.audit import service as audit
from central.fleet import enrolment
from central.fleet import service as fleet
from central.inbox.models import StoredFact
from contracts.enrolment import PATH
from contracts.facts import MachineStateChanged
from copeau.servers.broker import MISSING
from edge_agents import identity
from edge_agents.centre_http import CentreHttp, CentreUnavailableError
from edge_agents.clock import Clock
from edge_agents.config import load
from edge_agents.identity import Identity, IdentityError
from edge_agents.link import Link
from edge_agents.outbox import Fact, Outbox
from edge_agents.renewal import Renewal
from edge_agents.uplink import Uplink
from tests.support.centre import eventually
from tests.support.secure import SecureShop, Thief, secure_shop

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.fixture
async def shop(tmp_path: Path, sqlite_url: str) -> AsyncIterator[SecureShop]:
    async with secure_shop(tmp_path, sqlite_url) as opened:
        yield opened


async def say(shop: SecureShop, enrolled: Identity, count: int) -> None:
    """Facts of an agent with this identity, until the centre has them."""
    config = enrolled.folder.parent / "agent.toml"
    config.write_text(
        f'[agent]\nname = "{enrolled.card.name}"\nsite = "{enrolled.card.site}"\n[centre]\nidentity = "identity"\n',
        encoding="utf-8",
    )
    tree = load(config)
    async with Outbox.open(
        config.parent / "outbox.db", site=tree.agent.site, agent=tree.agent.name, clock=Clock()
    ) as outbox:
        before = await committed(shop)
        uplink = Uplink(
            outbox,
            lambda name, subscriptions, will: Link(tree.centre.broker(), name, subscriptions, will),
            version="test",
            cert_until=enrolled.until,
        )
        sending = asyncio.create_task(uplink.run())
        await outbox.put([Fact(MachineStateChanged(machine="tour-1", state="running")) for _ in range(count)])

        async def arrived() -> bool:
            return await committed(shop) == before + count

        await eventually(arrived)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def committed(shop: SecureShop) -> int:
    async with shop.centre.units.reading() as uow:
        return await uow.session.scalar(select(func.count()).select_from(StoredFact)) or 0


def signing_request(name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    made = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


async def post(shop: SecureShop, path: str, body: object, context: ssl.SSLContext | None = None) -> httpx.Response:
    async with httpx.AsyncClient(verify=context or shop.trusting, trust_env=False) as client:
        return await client.post(f"{shop.url}{path}", json=body)


async def test_an_enrolled_agent_speaks_over_tls_and_is_seen(shop: SecureShop) -> None:
    enrolled = await shop.enrol("rack-1")
    assert enrolled.pem.stat().st_mode & 0o777 == 0o600
    assert enrolled.card.name == "rack-1"
    certificate = enrolled.certificate()
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "rack-1"
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 92
    await say(shop, enrolled, 200)
    await eventually(lambda: agent_shows_its_certificate(shop))
    async with shop.centre.units.reading() as uow:
        [device] = await enrolment.devices(uow)
        assert device.enrolled_at is not None
        whats = [entry.what for entry in await audit.entries(uow, subject="device:rack-1")]
    assert whats == ["fleet.enrol", "fleet.invite"]


async def agent_shows_its_certificate(shop: SecureShop) -> bool:
    async with shop.centre.units.reading() as uow:
        agents = await fleet.agents(uow)
    return bool(agents) and agents[0].cert_until is not None and (agents[0].disk_free or 0) > 0


async def test_a_token_serves_once_for_fifteen_minutes_and_its_replay_is_refused(shop: SecureShop) -> None:
    invitation = await shop.invite("rack-1")
    await identity.enrol(invitation, shop.directory / "one")
    with pytest.raises(IdentityError, match="déjà servi"):
        await identity.enrol(invitation, shop.directory / "two")
    late = await shop.invite("rack-2")
    async with shop.centre.units.begin() as uow:
        clock = uow.clock

    class Later:
        def now(self) -> object:
            return clock.now() + timedelta(minutes=15, seconds=1)

    shop.centre.units.clock = Later()  # type: ignore[assignment]
    with pytest.raises(IdentityError, match="15 minutes"):
        await identity.enrol(late, shop.directory / "three")


async def test_a_new_invitation_ends_the_one_before(shop: SecureShop) -> None:
    first = await shop.invite("rack-1")
    second = await shop.invite("rack-1")
    with pytest.raises(IdentityError, match="plus valable"):
        await identity.enrol(first, shop.directory / "one")
    await identity.enrol(second, shop.directory / "two")


async def test_an_impostor_in_between_learns_nothing(shop: SecureShop) -> None:
    invitation = (await shop.invite("rack-1"))._replace(fingerprint=os.urandom(32).hex())
    with pytest.raises(IdentityError, match="autre empreinte"):
        await identity.enrol(invitation, shop.directory / "one")
    async with shop.centre.units.reading() as uow:
        [device] = await enrolment.devices(uow)
    assert device.invited_until is not None, "the token was not sent"


@pytest.mark.parametrize("claimed", ["@centre", "rack-2", "lecture", "rack-1\x00@centre"])
async def test_a_forged_subject_in_the_request_changes_nothing(shop: SecureShop, claimed: str) -> None:
    invitation = await shop.invite("rack-1")
    reply = await post(shop, PATH, {"token": invitation.token, "csr": signing_request(claimed)})
    assert reply.status_code == 200
    certificate = x509.load_pem_x509_certificate(reply.json()["certificate"].encode())
    [common] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common.value == "rack-1"
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


@pytest.mark.parametrize(
    "request_pem",
    ["", "x" * 9000, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "rsa"],
)
async def test_a_request_that_cannot_be_signed_costs_no_token(shop: SecureShop, request_pem: str) -> None:
    invitation = await shop.invite("rack-1")
    if request_pem == "rsa":
        request_pem = signing_request("rack-1", rsa.generate_private_key(65537, 2048))
    assert (await post(shop, PATH, {"token": invitation.token, "csr": request_pem})).status_code == 422
    await identity.enrol(invitation, shop.directory / "one")


async def test_hostile_bodies_are_refused_with_a_sentence(shop: SecureShop) -> None:
    assert (await post(shop, PATH, {"token": "x" * 100_000, "csr": ""})).status_code == 413
    assert (await post(shop, PATH, ["[" * 5000])).status_code == 422
    assert (await post(shop, PATH, {"token": 5})).status_code == 422
    assert (await post(shop, PATH, {"token": "inconnu", "csr": signing_request("a")})).status_code == 403


async def test_a_certificate_is_renewed_by_showing_it_and_by_nothing_else(shop: SecureShop) -> None:
    enrolled = await shop.enrol("rack-1")
    before = enrolled.certificate().serial_number
    body = {"csr": signing_request("rack-1")}
    assert (await post(shop, f"{PATH}/renew", body)).status_code in {401, 403}
    await identity.renew(enrolled)
    assert enrolled.certificate().serial_number != before
    await say(shop, enrolled, 5)
    for _ in range(8):
        await identity.renew(enrolled)
    with pytest.raises(IdentityError, match="déjà 10 certificats"):
        await identity.renew(enrolled)


async def test_texts_travel_over_https_by_the_certificate_also_after_its_renewal(shop: SecureShop) -> None:
    enrolled = await shop.enrol("rack-1")
    http = CentreHttp(enrolled.http, enrolled.ca, identity=enrolled.pem)
    async with http.client() as kept_open:
        for content in (b"G0 X0", b"G1 X1"):
            digest = hashlib.sha256(content).hexdigest()
            path = f"/api/programmes/blobs/{digest}"
            await http.put(path, content, "application/octet-stream", kept_open)
            assert await http.fetch(path, digest, len(content)) == content
            await identity.renew(enrolled)
    await shop.retire("rack-1")
    with pytest.raises(CentreUnavailableError) as refused:
        await http.put(f"/api/programmes/blobs/{hashlib.sha256(b'x').hexdigest()}", b"x", "application/octet-stream")
    assert refused.value.status == 401


async def test_an_agent_renews_by_itself_and_says_when_it_cannot(shop: SecureShop, tmp_path: Path) -> None:
    enrolled = await shop.enrol("rack-1")
    before = enrolled.certificate().serial_number
    enrolled.renew_at = lambda: datetime(2020, 1, 1, tzinfo=UTC)  # type: ignore[method-assign]  # two thirds are over
    async with Outbox.open(tmp_path / "outbox.db", site="atelier", agent="rack-1", clock=Clock()) as outbox:
        renewing = asyncio.create_task(Renewal(enrolled, outbox, look_s=3600, again_s=0.05).run())
        await eventually(lambda: enrolled.certificate().serial_number != before)
        renewing.cancel()
        await shop.retire("rack-1")
        enrolled.until = lambda: datetime.now(UTC) + timedelta(days=3)  # type: ignore[method-assign]  # the end is near
        renewing = asyncio.create_task(Renewal(enrolled, outbox, look_s=3600, again_s=0.05).run())
        await eventually(lambda: outbox.last["facts"] == 1)
        await asyncio.sleep(0.3)
        assert outbox.last["facts"] == 1, "said once"
        [row] = await outbox.pending("facts", 0, 10)
        assert b"cert_expiring" in bytes(row.body)
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def test_a_retired_agent_is_out_of_http_and_mqtt_at_once_and_its_session_ends(shop: SecureShop) -> None:
    enrolled = await shop.enrol("rack-1")
    other = await shop.enrol("rack-2")
    async with Thief(enrolled) as open_session, Thief(other) as stays:
        await shop.retire("rack-1")
        with pytest.raises(IdentityError):
            await identity.renew(enrolled)
        async with asyncio.timeout(20):
            await open_session.dropped.wait()
        assert not stays.dropped.is_set()
    with pytest.raises((OSError, TimeoutError)):
        async with Thief(enrolled):
            pass
    await say(shop, other, 3)

    async def noted() -> bool:
        async with shop.centre.units.reading() as uow:
            return not await enrolment.to_drop(uow)

    await eventually(noted)


async def test_a_board_that_is_enrolled_again_speaks_and_its_former_key_does_not(shop: SecureShop) -> None:
    former = await shop.enrol("rack-1")
    copy = shop.directory / "stolen"
    copy.mkdir()
    for file in former.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
        (copy / file.name).chmod(0o600)
    stolen = Identity.load(copy)
    async with Thief(stolen) as thief:
        again = await shop.enrol("rack-1")
        async with asyncio.timeout(20):
            await thief.dropped.wait()
    with pytest.raises((OSError, TimeoutError)):
        async with Thief(stolen):
            pass
    await say(shop, again, 5)


async def test_the_broker_takes_nobody_without_a_certificate(shop: SecureShop) -> None:
    from central.fleet.knocking import knock

    with pytest.raises(OSError):
        await knock("127.0.0.1", shop.broker.port, shop.trusting, "rack-1")
    stranger = ssl.create_default_context()
    with pytest.raises(ssl.SSLError):
        await knock("127.0.0.1", shop.broker.port, stranger, "rack-1")
