"""How a device enrols: the address that a person hands to it, and what both sides say."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from contracts.envelope import Name

PATH = "/api/enrol"


class EnrolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Agent → centre: the one-time token, and a signing request (PEM) for a key that never leaves the agent."""

    token: str
    csr: str


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent: who it is, and how the centre and its broker are reached on the host that it asked."""

    name: Name
    site: Name
    certificate: str
    ca: str
    broker_port: int
    broker_tls: bool


class RenewRequest(msgspec.Struct, frozen=True, kw_only=True):
    csr: str


class Renewed(msgspec.Struct, frozen=True, kw_only=True):
    certificate: str


class Invitation(NamedTuple):
    """`fingerprint`: SHA-256 of the authority's certificate (DER), hexadecimal: the only one to be believed."""

    host: str
    port: int
    token: str
    fingerprint: str

    def url(self) -> str:
        """What the QR holds. The secret stands after ``#``: no browser sends that to anybody."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        pinned = base64.urlsafe_b64encode(bytes.fromhex(self.fingerprint)).decode().rstrip("=")
        return f"https://{host}:{self.port}/enrol#{self.token}.{pinned}"


def parse_invitation(url: str) -> Invitation:
    """Raises ValueError with a French sentence."""
    try:
        parts = urlsplit(url.strip())
        token, _, pinned = parts.fragment.partition(".")
        fingerprint = base64.urlsafe_b64decode(pinned + "=" * (-len(pinned) % 4)).hex()
        host, port = parts.hostname, parts.port or 443
    except (ValueError, binascii.Error) as error:
        raise ValueError(_UNREADABLE) from error
    if parts.scheme != "https" or not host or not token or len(fingerprint) != 64:
        raise ValueError(_UNREADABLE)
    return Invitation(host, port, token, fingerprint)


_UNREADABLE = (
    "Cette adresse n'est pas celle d'un enrôlement : la copier en entier, entre apostrophes, depuis la page Agents "
    "(https://…/enrol#…)."
)
