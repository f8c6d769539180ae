"""What the broker is given: its certificate, the authority, and the list of revoked certificates.

The files lie in one folder that the broker reads (``/mosquitto/config`` in its container); ``mosquitto/run`` sends
SIGHUP when they change.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from central.core.secrets import private_folder, read_secret, write_public, write_secret
from central.fleet.ca import CRL_DAYS, Authority

log = logging.getLogger(__name__)

_LIST_EVERY: Final = timedelta(days=1)


class BrokerFiles:
    """``ca.crt``, ``broker.pem`` (key and certificate), ``ca.crl`` in `folder`."""

    def __init__(self, folder: Path, authority: Authority, names: Sequence[str]) -> None:
        self._folder = private_folder(folder)
        self._authority = authority
        self._names = names

    def write_server(self, now: datetime) -> None:
        """The broker's own certificate, anew at two thirds of its life or when its names changed. Raises OSError,
        `central.fleet.ca.BadRequestError`.
        """
        ca = self._folder / "ca.crt"
        if not ca.exists() or ca.read_bytes() != self._authority.pem:
            write_public(ca, self._authority.pem)
        renew_server(self._folder / "broker.pem", self._authority, self._names, now)

    def write_list(self, revoked: Mapping[str, datetime], now: datetime) -> bool:
        """The list of revoked certificates; whether it was written, since it holds others or is a day old."""
        path = self._folder / "ca.crl"
        previous: bytes | None
        try:
            previous = path.read_bytes()
            before = x509.load_pem_x509_crl(previous)
        except (FileNotFoundError, ValueError):
            previous = before = None
        if before is not None:
            listed = {entry.serial_number for entry in before}
            written = (before.next_update_utc or now) - timedelta(days=CRL_DAYS)
            same = listed == {int(serial, 16) for serial in revoked}
            if same and now - written < _LIST_EVERY and before.is_signature_valid(self._authority.key):
                return False
        write_public(path, self._authority.revocation_list(revoked, previous, now))
        return True


def renew_server(path: Path, authority: Authority, names: Sequence[str], now: datetime) -> bool:
    """Key and certificate of a listener at `path`, made anew when needed; whether it was."""
    try:
        certificate = x509.load_pem_x509_certificate(read_secret(path))
    except (FileNotFoundError, ValueError):
        certificate = None
    if certificate is not None and authority.signed(certificate) and _is_good(certificate, names, now):
        return False
    write_secret(path, authority.server(names, now))
    log.info("a new certificate for %s: %s", path.name, ", ".join(names))
    return True


def _is_good(certificate: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if now >= certificate.not_valid_before_utc + lasts * 2 / 3:
        return False
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    said = {*held.get_values_for_type(x509.DNSName), *map(str, held.get_values_for_type(x509.IPAddress))}
    return said == set(names)
