"""OPC UA security against node-opcua: each policy, the identities, and what is said when one side refuses the other."""

from __future__ import annotations

import shutil
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from cnc_bridge.drivers.opcua.security import load_certificate
from cnc_bridge.port import DriverEvent
from cnc_bridge.testing import node_opcua
from tests.integration.cnc_bridge.opcua_far_side import NodeServer, codes, node_server, problem, read, values

pytestmark = pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeServer]:
    """Secured endpoints only, two users; it trusts every client certificate, as many controllers do at first."""
    folder = tmp_path_factory.mktemp("secured")
    (folder / "users").write_text("copeau:s3cret\n", encoding="utf-8")
    async with node_server(folder, "--only-secure", "--users", str(folder / "users")) as running:
        yield running


def files(folder: Path) -> dict[str, Any]:
    return {"certificate": str(folder / "ours.der"), "private_key": str(folder / "ours.pem")}


USER: dict[str, Any] = {"user": "copeau", "password": "s3cret"}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("mode", ["Sign", "SignAndEncrypt"])
@pytest.mark.parametrize("security", ["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"])
async def test_each_policy_with_user_and_password(server: NodeServer, tmp_path: Path, security: str, mode: str) -> None:
    source = server.source(security=security, mode=mode, **USER, **files(tmp_path))
    seen = await read(source, lambda seen: bool(values(seen, "execution")))
    assert codes(seen) == []
    assert stat.S_IMODE((tmp_path / "ours.pem").stat().st_mode) == 0o600


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("who", "said"),
    [({"user": "copeau", "password": "wrong"}, "Utilisateur « copeau » refusé"), ({}, "connexions anonymes")],
    ids=["wrong password", "anonymous"],
)
async def test_a_refused_person_is_told(server: NodeServer, tmp_path: Path, who: dict[str, Any], said: str) -> None:
    source = server.source(security="Basic256Sha256", **who, **files(tmp_path))
    seen = await read(source, lambda seen: bool(codes(seen)))
    assert codes(seen) == ["bad_credentials"]
    assert said in problem(seen, "bad_credentials").message_fr


@pytest.mark.asyncio(loop_scope="module")
async def test_a_machine_that_wants_security_says_so(server: NodeServer, tmp_path: Path) -> None:
    seen = await read(server.source(**USER, **files(tmp_path)), lambda seen: bool(codes(seen)))
    assert codes(seen) == ["no_such_security"]
    assert "indiquer `security`" in problem(seen, "no_such_security").message_fr


def certificate(folder: Path, *, days: int = 30, uri: str = "urn:copeau:agent") -> tuple[Path, Path]:
    """A self-signed certificate that ended `-days` ago when that is negative; gives (DER, key)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Poste de test")])
    ends = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=60))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    der, pem = folder / "ours.der", folder / "ours.pem"
    der.write_bytes(made.public_bytes(serialization.Encoding.DER))
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return der, pem


@pytest.mark.asyncio(loop_scope="module")
async def test_our_expired_certificate_is_renewed_with_the_same_key(server: NodeServer, tmp_path: Path) -> None:
    der, pem = certificate(tmp_path, days=-3)
    before = pem.read_bytes()
    source = server.source(security="Basic256Sha256", **USER, **files(tmp_path))
    seen = await read(source, lambda seen: bool(values(seen, "execution")))
    assert codes(seen) == []
    assert load_certificate(der.read_bytes()).not_valid_after_utc > datetime.now(UTC) + timedelta(days=365)
    assert pem.read_bytes() == before


@pytest.mark.asyncio(loop_scope="module")
async def test_another_server_certificate_than_the_first_is_refused(server: NodeServer, tmp_path: Path) -> None:
    source = server.source(security="Basic256Sha256", **USER, **files(tmp_path))
    await read(source, lambda seen: bool(values(seen, "execution")))
    (kept,) = (tmp_path / "opcua-servers").iterdir()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(certificate(other)[0], kept)
    seen = await read(source, lambda seen: bool(codes(seen)))
    assert codes(seen) == ["server_certificate_changed"]
    assert str(kept) in problem(seen, "server_certificate_changed").message_fr


@pytest.mark.asyncio(loop_scope="module")
async def test_a_pinned_certificate_that_is_the_servers_own_is_accepted(server: NodeServer, tmp_path: Path) -> None:
    (own,) = (server.pki / "server" / "own" / "certs").glob("*.pem")
    source = server.source(security="Basic256Sha256", server_certificate=str(own), **USER, **files(tmp_path))
    seen = await read(source, lambda seen: bool(values(seen, "execution")))
    assert codes(seen) == []
    assert not (tmp_path / "opcua-servers").exists()


async def test_a_certificate_that_the_machine_refuses_is_explained_and_then_approved(tmp_path: Path) -> None:
    """As a person does it at the controller: from the rejected to the trusted ones; the agent comes in by itself."""
    async with node_server(tmp_path, "--reject-unknown-certificates") as server:
        approved = False

        def enough(seen: list[DriverEvent]) -> bool:
            nonlocal approved
            if not approved and "certificate_refused" in codes(seen):
                for refused in (server.pki / "server" / "rejected").iterdir():
                    refused.rename(server.pki / "server" / "trusted" / "certs" / refused.name)
                approved = True
            return bool(values(seen, "execution"))

        seen = await read(server.source(security="Basic256Sha256", **files(tmp_path)), enough)
    said = problem(seen, "certificate_refused").message_fr
    assert set(codes(seen)) == {"certificate_refused"}
    assert str(tmp_path / "ours.der") in said
    assert "certificats approuvés" in said


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_a_person_who_is_a_certificate(tmp_path: Path, known: bool) -> None:
    person = tmp_path / "person"
    person.mkdir()
    der, pem = certificate(person, uri="urn:person")
    async with node_server(tmp_path) as server:
        if known:
            shutil.copy(der, server.pki / "users" / "trusted" / "certs" / "person.der")
        source = server.source(
            security="Basic256Sha256", user_certificate=str(der), user_private_key=str(pem), **files(tmp_path)
        )
        seen = await read(source, lambda seen: bool(codes(seen)) or bool(values(seen, "execution")))
    assert codes(seen) == ([] if known else ["bad_credentials"])
    if not known:
        assert "certificat" in problem(seen, "bad_credentials").message_fr
