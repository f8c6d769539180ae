"""Which enrolled device a request comes from: a client certificate on the TLS listener, or a terminal's cookie."""

from __future__ import annotations

from typing import Final, Literal

from starlette.requests import HTTPConnection

from central.core.access import Identity
from central.core.uow import Units
from central.fleet import enrolment
from central.fleet.ca import serial_of

CERTIFICATE: Final = "client_certificate"
"""Key of ``scope["state"]``: the client's certificate, DER. The listener has proven that the client has its key and
that our authority signed it (`central.listening`).
"""
YEAR_S: Final = 366 * 86400


def cookie_name(*, secure: bool) -> str:
    """Over HTTPS the browser itself refuses such a cookie from another host or a plain connection (``__Host-``)."""
    return f"{'__Host-' if secure else ''}copeau-device"


class DeviceGate:
    """Asks the database at each request: what was retired is out at once."""

    def __init__(self, units: Units) -> None:
        self._units = units

    async def __call__(self, request: HTTPConnection) -> Identity | None:
        """None: no device of ours."""
        certificate: bytes | None = getattr(request.state, CERTIFICATE, None)
        secret = request.cookies.get(cookie_name(secure=request.url.scheme == "https"))
        if certificate is not None:
            return await self._find("agent", serial_of(certificate))
        return await self._find("terminal", secret) if secret else None

    async def _find(self, kind: Literal["agent", "terminal"], shown: str) -> Identity | None:
        find = enrolment.device_of_serial if kind == "agent" else enrolment.device_of_secret
        async with self._units.reading() as uow:
            name = await find(uow, shown)
            due = name is not None and await enrolment.seen_is_old(uow, name)
        if name is None:
            return None
        if due:
            async with self._units.begin() as uow:
                await enrolment.note_seen(uow, name)
        return Identity("device", device=name, roles=frozenset({kind}))
