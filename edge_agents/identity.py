"""Who this agent is: a name that the centre gave, a key that was made here and never leaves, a certificate for it.

A folder: ``agent.pem`` (key and certificate, mode 0600), ``ca.crt`` (the shop's authority), ``identity.json``.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contracts.enrolment import PATH, Enrolled, EnrolRequest, Invitation, Renewed, RenewRequest
from edge_agents.files import sync_folder, write_durably, write_secret

_PATIENCE_S: Final = 20.0
_MOST: Final = 64 * 1024
_RENEW_AT: Final = 2 / 3
"""Of the certificate's life."""
_T = TypeVar("_T")


class IdentityError(Exception):
    """What failed and the next step, in French."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """``identity.json``: nothing secret."""

    name: str
    site: str
    host: str
    https_port: int
    broker_port: int
    broker_tls: bool


class Identity:
    """One enrolled agent."""

    def __init__(self, folder: Path, card: Card) -> None:
        self.folder = folder
        self.card = card

    @classmethod
    def load(cls, folder: Path) -> Identity:
        """Raises IdentityError."""
        try:
            card = msgspec.json.decode((folder / "identity.json").read_bytes(), type=Card)
            mode = (folder / "agent.pem").stat().st_mode
            found = cls(folder, card)
            found.certificate()
        except (OSError, ValueError) as error:
            raise IdentityError(
                f"{folder} : pas d'identité lisible ({error}). Demander un enrôlement sur la page Agents du centre, "
                "puis : copeau agent enrol 'https://…'."
            ) from error
        if mode & 0o077:
            raise IdentityError(f"{folder / 'agent.pem'} est lisible par d'autres : chmod 600, puis recommencer.")
        return found

    @property
    def pem(self) -> Path:
        """Key and certificate."""
        return self.folder / "agent.pem"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def http(self) -> str:
        return _base(self.card.host, self.card.https_port)

    def certificate(self) -> x509.Certificate:
        """The one on disk now. Raises OSError, ValueError."""
        return x509.load_pem_x509_certificate(self.pem.read_bytes())

    def until(self) -> datetime:
        """End of the certificate."""
        return self.certificate().not_valid_after_utc

    def renew_at(self) -> datetime:
        certificate = self.certificate()
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return begins + (ends - begins) * _RENEW_AT

    def context(self) -> ssl.SSLContext:
        """For HTTPS with the centre, showing the certificate. Raises OSError, ssl.SSLError."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.pem)
        return context


async def enrol(invitation: Invitation, folder: Path) -> Identity:
    """Believe the centre whose authority has that fingerprint and nobody else, make a key, ask for a certificate, keep
    both. An identity that was here stays until the new one is whole. Raises IdentityError.
    """
    base = _base(invitation.host, invitation.port)
    authority = await _pinned(base, invitation.fingerprint)
    key = ec.generate_private_key(ec.SECP256R1())
    request = EnrolRequest(token=invitation.token, csr=_request(key))
    context = ssl.create_default_context(cadata=authority)
    enrolled = await _post(base, PATH, request, Enrolled, context)
    card = Card(
        name=enrolled.name, site=enrolled.site, host=invitation.host, https_port=invitation.port,
        broker_port=enrolled.broker_port, broker_tls=enrolled.broker_tls,
    )  # fmt: skip
    ca = x509.load_der_x509_certificate(authority).public_bytes(serialization.Encoding.PEM)
    await asyncio.to_thread(_keep, folder, card, ca, _pem(key, enrolled.certificate))
    return Identity.load(folder)


async def renew(identity: Identity) -> None:
    """A new key and certificate, by showing the present one. Raises IdentityError; then the present one stands."""
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        context = identity.context()
    except (OSError, ssl.SSLError) as error:
        raise IdentityError(f"Identité illisible ({error}) : enrôler de nouveau.") from error
    renewed = await _post(identity.http, f"{PATH}/renew", RenewRequest(csr=_request(key)), Renewed, context)
    await asyncio.to_thread(write_secret, identity.pem, _pem(key, renewed.certificate))


def forget(folder: Path) -> None:
    """The key is gone: this agent can no longer speak as itself. Raises OSError."""
    for name in ("agent.pem", "identity.json", "ca.crt"):
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)


async def _pinned(base: str, fingerprint: str) -> bytes:
    """The centre's authority, DER, over a line that nothing vouches for: its fingerprint does."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with _client(context) as client:
            reply = await client.get(f"{base}/ca.crt")
    except httpx.HTTPError as error:
        raise _unreachable(base, error) from error
    if not reply.is_success or len(reply.content) > _MOST:
        raise IdentityError(f"Le centre n'a pas donné son autorité (réponse {reply.status_code}).")
    if hashlib.sha256(reply.content).hexdigest() != fingerprint:
        raise IdentityError(
            f"{base} n'est pas le centre de cette invitation : son autorité a une autre empreinte. Quelqu'un se tient "
            "peut-être entre les deux. Rien n'a été envoyé ; vérifier l'adresse et le réseau."
        )
    return reply.content


async def _post(base: str, path: str, body: msgspec.Struct, form: type[_T], context: ssl.SSLContext) -> _T:
    try:
        async with _client(context) as client:
            headers = {"content-type": "application/json"}
            reply = await client.post(f"{base}{path}", content=msgspec.json.encode(body), headers=headers)
    except httpx.HTTPError as error:
        raise _unreachable(base, error) from error
    if not reply.is_success:
        raise IdentityError(_said(reply))
    try:
        return msgspec.json.decode(reply.content, type=form)
    except msgspec.MsgspecError as error:
        raise IdentityError("La réponse du centre est illisible : mettre le centre et l'agent à jour.") from error


def _said(reply: httpx.Response) -> str:
    """The centre's own sentence where it has one."""
    try:
        detail: Any = reply.json().get("detail")
    except (ValueError, AttributeError):
        detail = None
    return detail if isinstance(detail, str) else f"Le centre a refusé (réponse {reply.status_code})."


def _unreachable(base: str, error: Exception) -> IdentityError:
    return IdentityError(
        f"Le centre ne répond pas à {base} ({str(error) or type(error).__name__}) : vérifier le réseau."
    )


def _client(context: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=_PATIENCE_S, verify=context, trust_env=False)  # in the shop: no proxy


def _base(host: str, port: int) -> str:
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _request(key: ec.EllipticCurvePrivateKey) -> str:
    """A signing request; whatever subject stands in it, the centre sets its own."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "copeau-agent")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey, certificate: str) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()) + certificate.encode()


def _keep(folder: Path, card: Card, ca: bytes, pem: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(folder / "ca.crt", ca)
        write_durably(folder / "identity.json", msgspec.json.format(msgspec.json.encode(card), indent=2))
        write_secret(folder / "agent.pem", pem)
    except OSError as error:
        raise IdentityError(
            f"{folder} ne peut être écrit ({error.strerror}) : vérifier les droits et le disque."
        ) from error
