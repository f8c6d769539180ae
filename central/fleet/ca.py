"""The shop's own certificate authority: one EC key beside the database, and what it signs.

It may only speak for the shop's own network (name constraints): whoever installs it on a telephone trusts it for
nothing else. Subjects are set here, never taken from a request (RFC 5280; DESIGN, "Terminals are enrolled devices").
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from central.core.secrets import private_folder, read_secret, write_public, write_secret

DEVICE_DAYS: Final = 90
SERVER_DAYS: Final = 365
"""Telephones refuse more than 825 days, also of an authority that their owner installed."""
_CA_DAYS: Final = 20 * 365
CRL_DAYS: Final = 400
"""Mosquitto refuses everybody once the list is over; the centre writes it again every day."""
_EARLIER: Final = timedelta(days=2)
"""Certificates begin so long before now: a Pi without a clock battery may be late."""
_MAX_REQUEST: Final = 8192
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)
_OWN_DOMAINS: Final = ("localhost", "local", "lan", "internal", "home.arpa")
_OWN_NETWORKS: Final = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
    "fc00::/7", "fe80::/10", "::1/128",
)  # fmt: skip


class BadRequestError(ValueError):
    """This request cannot be signed. The text is French."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate: PEM, serial as 40 hexadecimal digits, and from when to when."""

    pem: bytes
    serial: str
    not_before: datetime
    not_after: datetime


class Authority:
    """The key and the certificate of one site."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, site: str) -> None:
        self._key = key
        self._certificate = certificate
        self._site = site
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.fingerprint = hashlib.sha256(self.der).hexdigest()
        """SHA-256 of the DER, hexadecimal: what an enrolment pins and a person compares."""

    @classmethod
    def open(cls, folder: Path, site: str, names: Sequence[str], now: datetime) -> Authority:
        """The authority of `folder`, made at the first start. `names`: host names and addresses of the centre beyond
        the private ones. Raises OSError, ValueError, `central.core.secrets.OpenFileError`.
        """
        private_folder(folder)
        try:
            pem = read_secret(folder / "ca.pem")
        except FileNotFoundError:
            pem = _make(site, names, now)
            write_secret(folder / "ca.pem", pem)
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{folder / 'ca.pem'} holds no EC key: restore it from the backup")
        made = cls(key, x509.load_pem_x509_certificate(pem), site)
        write_public(folder / "ca.crt", made.pem)
        return made

    @property
    def key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def signed(self, certificate: x509.Certificate) -> bool:
        """Whether this authority signed it."""
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def sign_device(self, request_pem: bytes, name: str, now: datetime) -> Issued:
        """A client certificate for the key of this request, whatever name the request asks for. 90 days.

        Raises `BadRequestError`.
        """
        return self._sign_client(_key_of(request_pem), name, now, timedelta(days=DEVICE_DAYS))

    def client(self, name: str, now: datetime, lasts: timedelta) -> bytes:
        """A client of our own: key and certificate, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _key_pem(key) + self._sign_client(key.public_key(), name, now, lasts).pem

    def server(self, names: Sequence[str], now: datetime) -> bytes:
        """Key and certificate, PEM, for a listener that is reached under `names` (hosts and addresses).

        Raises `BadRequestError` for a name that this authority may not speak for.
        """
        self._check_allowed(names)
        key = ec.generate_private_key(ec.SECP256R1())
        usage = (ExtendedKeyUsageOID.SERVER_AUTH,)
        issued = self._sign(key.public_key(), names[0], _general(names), usage, now, timedelta(days=SERVER_DAYS))
        return _key_pem(key) + issued.pem

    def revocation_list(self, revoked: Mapping[str, datetime], previous: bytes | None, now: datetime) -> bytes:
        """The list of revoked serials, PEM. `previous`: the one before, which this one must be newer than.

        A broker that reads two lists of the same second keeps the older; a list of the future refuses everybody. So
        each begins an hour ago, and a second after the one before.
        """
        number, begins = 1, now - timedelta(hours=1)
        if previous is not None:
            before = x509.load_pem_x509_crl(previous)
            number = before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1
            begins = min(max(begins, before.last_update_utc + timedelta(seconds=1)), now)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(begins)
            .next_update(now + timedelta(days=CRL_DAYS))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(self._issuer_key(), critical=False)
        )
        for serial, at in revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(min(at, begins))
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _sign_client(self, key: ec.EllipticCurvePublicKey, name: str, now: datetime, lasts: timedelta) -> Issued:
        # Without a DNS name of its own, OpenSSL would hold the common name against the authority's constraints.
        alternative = x509.DNSName(f"{name.removeprefix('@')}.{self._site}.copeau.internal")
        return self._sign(key, name, [alternative], (ExtendedKeyUsageOID.CLIENT_AUTH,), now, lasts)

    def _sign(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        alternatives: Sequence[x509.GeneralName],
        usage: Iterable[x509.ObjectIdentifier],
        now: datetime,
        lasts: timedelta,
    ) -> Issued:
        now = now.replace(microsecond=0)
        serial = x509.random_serial_number()
        until = min(now + lasts, self._certificate.not_valid_after_utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(name, self._site))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(max(now - _EARLIER, self._certificate.not_valid_before_utc))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(self._issuer_key(), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Issued(pem, serial_text(serial), certificate.not_valid_before_utc, certificate.not_valid_after_utc)

    def _issuer_key(self) -> x509.AuthorityKeyIdentifier:
        own = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)

    def covers(self, name: str) -> bool:
        """Whether it may speak for this host name or address."""
        allowed = self._certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
        return any(_covers(subtree, name) for subtree in allowed or ())

    def _check_allowed(self, names: Sequence[str]) -> None:
        for name in names:
            if not self.covers(name):
                raise BadRequestError(
                    f"Le nom « {name} » n'est pas de ceux que l'autorité de l'atelier peut garantir (.local, .lan, "
                    "adresses privées) : choisir un tel nom, ou donner un certificat de l'entreprise."
                )


def serial_text(serial: int) -> str:
    return f"{serial:040x}"


def serial_of(certificate: bytes) -> str:
    """The serial of a certificate, DER or PEM. Raises ValueError."""
    pem = certificate.startswith(b"-----")
    found = x509.load_pem_x509_certificate(certificate) if pem else x509.load_der_x509_certificate(certificate)
    return serial_text(found.serial_number)


def _make(site: str, names: Sequence[str], now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    now = now.replace(microsecond=0)
    subject = x509.Name(
        [_attribute(NameOID.ORGANIZATION_NAME, "Copeau"), _attribute(NameOID.COMMON_NAME, f"Copeau {site}")]
    )
    permitted: list[x509.GeneralName] = [x509.DNSName(domain) for domain in _OWN_DOMAINS]
    permitted += [x509.IPAddress(ipaddress.ip_network(network)) for network in _OWN_NETWORKS]
    permitted += [_subtree(name) for name in names if not any(_covers(own, name) for own in permitted)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=_CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)


def _key_of(request_pem: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a signing request; its holder is proven by the request's own signature."""
    if len(request_pem) > _MAX_REQUEST:
        raise BadRequestError("La demande de certificat est trop longue.")
    try:
        request = x509.load_pem_x509_csr(request_pem)
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise BadRequestError("La demande de certificat est illisible.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise BadRequestError("La clé doit être EC, P-256 ou P-384.")
    if not signed:
        raise BadRequestError("La demande n'est pas signée par sa propre clé.")
    return key


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(common: str, site: str) -> x509.Name:
    return x509.Name(
        [
            _attribute(NameOID.ORGANIZATION_NAME, "Copeau"),
            _attribute(NameOID.ORGANIZATIONAL_UNIT_NAME, site),
            _attribute(NameOID.COMMON_NAME, common[:64]),
        ]
    )


def _attribute(kind: x509.ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(kind, value)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _general(names: Sequence[str]) -> list[x509.GeneralName]:
    return [
        x509.DNSName(name) if _address(name) is None else x509.IPAddress(ipaddress.ip_address(name)) for name in names
    ]


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _subtree(name: str) -> x509.GeneralName:
    return x509.DNSName(name) if _address(name) is None else x509.IPAddress(ipaddress.ip_network(name))


def _covers(subtree: x509.GeneralName, name: str) -> bool:
    address = _address(name)
    if isinstance(subtree, x509.IPAddress):
        network = subtree.value
        return (
            address is not None
            and isinstance(network, (ipaddress.IPv4Network, ipaddress.IPv6Network))
            and address in network
        )
    return address is None and (name == subtree.value or name.endswith(f".{subtree.value}"))
