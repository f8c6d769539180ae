"""Who we are and whom we trust: our certificate, the server's, the user; and a connected client with all that.

Our certificate is made on first use, and again when it has expired or lost its key. The server's is remembered on
first sight (beside ours, in `opcua-servers/`), as SSH does; another one later is refused until a person decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlparse

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import cert_gen, security_policies, uacrypto
from asyncua.ua.uaerrors import BadSecurityChecksFailed, UaError
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from cnc_bridge.drivers.opcua.settings import Settings
from cnc_bridge.port import DriverFaultError

_log = logging.getLogger(__name__)
VALID_DAYS = 3650
"""A new certificate must be approved at the machine by a person: not each year."""
POLICIES: Mapping[str, type[security_policies.SecurityPolicy]] = {
    "None": security_policies.SecurityPolicyNone,
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
Tell = Callable[[str, str, str], None]
"""Reports a problem that does not stop the connection: code, English sentence, French sentence with the next step."""


class _Client(Client):
    """Tells a server that hangs up at our certificate from a lost connection."""

    async def open_secure_channel(self, renew: bool = False) -> None:
        try:
            await super().open_secure_channel(renew)
        except ConnectionError as error:
            # several servers say no by closing the connection, or by an answer that the library cannot read
            if renew or self.security_policy.Mode == ua.MessageSecurityMode.None_:
                raise
            raise BadSecurityChecksFailed from error


@contextlib.asynccontextmanager
async def connected(config: Settings, tell: Tell) -> AsyncIterator[Client]:
    """A session with the server of `config`. Raises DriverFaultError, UaError, OSError, TimeoutError."""
    client = _Client(config.endpoint, timeout=config.timeout_s, watchdog_intervall=max(config.timeout_s, 1.0))
    client.application_uri = config.application_uri
    client.name = client.description = "Copeau"
    client.session_timeout = 60_000  # ms: a session that we lost is soon free again
    try:
        async with asyncio.timeout(3 * config.timeout_s):
            if config.security != "None":
                await _secure(client, config, tell)
            await _identify(client, config)
            await client.connect()
        yield client
    finally:
        # a hanging server answers no goodbye: do not wait for it
        with contextlib.suppress(UaError, OSError, TimeoutError):
            async with asyncio.timeout(1.5):
                await client.disconnect()
        client.disconnect_socket()


async def endpoints_of(url: str, timeout_s: float) -> list[ua.EndpointDescription]:
    """What the server offers, asked without security. Raises UaError, OSError, TimeoutError."""
    async with asyncio.timeout(2 * timeout_s):
        return await Client(url, timeout=timeout_s).connect_and_get_server_endpoints()


async def _secure(client: Client, config: Settings, tell: Tell) -> None:
    if own_certificate(config):
        _log.warning("%s: made our certificate %s, the server must trust it", config.endpoint, config.certificate)
    policy, mode = POLICIES[config.security], ua.MessageSecurityMode[config.mode]
    offered = await endpoints_of(config.endpoint, config.timeout_s)
    fitting = [each for each in offered if each.SecurityPolicyUri == policy.URI and each.SecurityMode == mode]
    if not fitting:
        said = ", ".join(sorted({security_name(each) for each in offered}))
        raise DriverFaultError(
            "no_such_security",
            f"{config.endpoint}: the server does not offer {config.security} {config.mode}; it offers {said}",
            f"La machine n'offre pas la sécurité {config.security} {config.mode} (elle offre : {said}) : "
            "corriger `security` et `mode`.",
            retry_after_s=30,
        )
    theirs = first_certificate(fitting[0].ServerCertificate)
    _trust(theirs, config, tell)
    await client.set_security(
        policy,
        config.certificate,
        config.private_key,
        server_certificate=uacrypto.CertProperties(theirs, "der"),
        mode=mode,
    )


async def _identify(client: Client, config: Settings) -> None:
    if config.user:
        client.set_user(config.user)
        client.set_password(_password(config))
        if config.security == "None":
            _log.warning("%s: the password may travel without encryption, set `security`", config.endpoint)
    if config.user_certificate and config.user_private_key:
        try:
            await client.load_client_certificate(str(config.user_certificate))
            await client.load_private_key(config.user_private_key)
        except (OSError, ValueError) as error:
            raise DriverFaultError(
                "user_certificate",
                f"{config.endpoint}: user certificate {config.user_certificate} cannot be read: {error}",
                f"Certificat d'utilisateur « {config.user_certificate.name} » ou sa clé illisible : "
                "vérifier `user_certificate` et `user_private_key`.",
                retry_after_s=30,
            ) from error


def security_name(endpoint: ua.EndpointDescription) -> str:
    """`Basic256Sha256 SignAndEncrypt`, in the words of our settings."""
    name = next((ours for ours, policy in POLICIES.items() if endpoint.SecurityPolicyUri == policy.URI), "")
    name = name or str(endpoint.SecurityPolicyUri).rpartition("#")[2]
    return f"{name} {endpoint.SecurityMode.name.strip('_')}" if name != "None" else "None"


def own_certificate(config: Settings) -> bool:
    """See that our certificate and key are there, fit together and have not expired; True when made anew."""
    key_file, certificate_file = config.private_key, config.certificate
    try:
        key = _existing_key(key_file)
        if key is not None and _usable(certificate_file, key, config.application_uri):
            return False
        if key is None:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            _write(key_file, cert_gen.dump_private_key_as_pem(key), mode=0o600)
        made = cert_gen.generate_self_signed_app_certificate(
            key,
            "Copeau",
            {},
            [x509.UniformResourceIdentifier(config.application_uri), x509.DNSName(socket.gethostname())],
            [ExtendedKeyUsageOID.CLIENT_AUTH],
            VALID_DAYS,
        )
        _write(certificate_file, made.public_bytes(serialization.Encoding.DER), mode=0o644)
    except (OSError, ValueError, TypeError) as error:
        raise DriverFaultError(
            "own_certificate",
            f"{config.endpoint}: our certificate {certificate_file} cannot be read or made: {error}",
            f"Notre certificat « {certificate_file.name} » est illisible ou ne peut être créé : "
            "vérifier `certificate`, `private_key` et les droits du dossier.",
            retry_after_s=30,
        ) from error
    return True


def _existing_key(file: Path) -> rsa.RSAPrivateKey | None:
    if not file.exists():
        return None
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{file.name} is not an RSA key")
    return key


def _usable(file: Path, key: rsa.RSAPrivateKey, application_uri: str) -> bool:
    if not file.exists():
        return False
    certificate = load_certificate(file.read_bytes())
    if not certificate.not_valid_before_utc <= datetime.now(UTC) < certificate.not_valid_after_utc:
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if application_uri not in names.get_values_for_type(x509.UniformResourceIdentifier):
        raise ValueError(f"{file.name} is not made for {application_uri}, see `application_uri`")
    return certificate.public_key() == key.public_key()


def _write(file: Path, content: bytes, mode: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(file.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
        stream.write(content)
    new.replace(file)


def load_certificate(content: bytes) -> x509.Certificate:
    """DER or PEM. Raises ValueError."""
    if content.lstrip().startswith(b"-----BEGIN"):
        return x509.load_pem_x509_certificate(content)
    return x509.load_der_x509_certificate(content)


def first_certificate(chain: bytes | None) -> bytes:
    """The first DER certificate of a chain that a server may send whole."""
    if not chain or len(chain) < 4:
        return b""
    return chain[: int.from_bytes(chain[2:4], "big") + 4]


def remembered(config: Settings) -> Path:
    """Where the server's certificate is kept that we saw first."""
    url = urlparse(config.endpoint)
    return config.certificate.parent / "opcua-servers" / f"{url.hostname}-{url.port or 4840}.der"


def _trust(theirs: bytes, config: Settings, tell: Tell) -> None:
    """The server shows the certificate that we know; its first one is remembered. Raises DriverFaultError."""
    known_file = config.server_certificate or remembered(config)
    try:
        shown = load_certificate(theirs)
        known = load_certificate(known_file.read_bytes()) if known_file.exists() else None
        if known is None and config.server_certificate is None:
            _write(known_file, theirs, mode=0o644)
            known = shown
    except (OSError, ValueError) as error:
        raise DriverFaultError(
            "server_certificate",
            f"{config.endpoint}: the server's certificate, or ours of it in {known_file}, cannot be read: {error}",
            f"Certificat de la machine illisible : vérifier `server_certificate` ou le fichier « {known_file} ».",
            retry_after_s=30,
        ) from error
    if known != shown:
        missing = known is None
        raise DriverFaultError(
            "server_certificate_changed",
            f"{config.endpoint}: the server's certificate is not the one in {known_file}",
            f"Le fichier `server_certificate` ({known_file}) n'existe pas : y copier le certificat de la machine."
            if missing
            else "Le certificat de la machine n'est plus celui que l'agent connaît : si sa commande a été réinstallée, "
            f"supprimer le fichier « {known_file.resolve()} » ; sinon, vérifier le réseau.",
            retry_after_s=30,
        )
    if shown.not_valid_after_utc < datetime.now(UTC) - timedelta(days=1):
        tell(
            "server_certificate_expired",
            f"{config.endpoint}: the server's certificate expired on {shown.not_valid_after_utc:%Y-%m-%d}",
            f"Le certificat de la machine a expiré le {shown.not_valid_after_utc:%d/%m/%Y} : le renouveler sur la "
            "commande quand c'est possible. La liaison continue.",
        )


def _password(config: Settings) -> str:
    if config.password is not None:
        return config.password.get_secret_value()
    assert config.password_file is not None
    try:
        return config.password_file.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise DriverFaultError(
            "no_password",
            f"{config.endpoint}: password file {config.password_file} cannot be read: {error}",
            f"Mot de passe « {config.password_file.name} » illisible ou vide : vérifier `password_file`.",
            retry_after_s=30,
        ) from error
