"""What the centre holds for TLS: its authority, its own certificates, and the sessions that must end.

Keys lie in ``trust/`` beside the data, mode 0600; the broker's in its own folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from central.alerts import service as alerts
from central.core.secrets import write_secret
from central.core.settings import Settings
from central.core.uow import Units
from central.fleet import enrolment, knocking
from central.fleet.broker import BrokerFiles, renew_server
from central.fleet.ca import Authority, BadRequestError, serial_of

log = logging.getLogger(__name__)

CENTRE: Final = "@centre"
"""The centre's own name at the broker; no agent can be called so."""
_LOOK_S: Final = 1.0
_SERVERS_S: Final = 3600.0
_PATIENCE: Final = timedelta(seconds=30)
_ALERT: Final = "broker-revocation"


class Trust:
    """For a centre with `Settings.tls_port` or `Settings.broker_tls`. Raises RuntimeError, OSError."""

    def __init__(self, settings: Settings, units: Units) -> None:
        self._settings = settings
        self._units = units
        self._folder = settings.data_dir / "trust"
        self.authority = Authority.open(self._folder, settings.site, names_of(settings), units.clock.now())
        self.names = names_of(settings, self.authority)
        broker = settings.broker_folder or settings.data_dir / "broker"
        self._broker = BrokerFiles(broker, self.authority, self.names)
        try:
            self._broker.write_server(units.clock.now())
        except BadRequestError as error:
            raise RuntimeError(f"{error} (COPEAU_NAMES, COPEAU_BROKER_HOST)") from error
        self._https: ssl.SSLContext | None = None
        self._probe = b""
        self._listed: set[str] = set()
        self._published_at: datetime | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    async def open(self) -> None:
        """Write the list of revoked certificates, begin to look after it."""
        await self._write_list()
        self._task = asyncio.create_task(self._forever(), name="trust")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def wake(self) -> None:
        """Something was revoked: look now."""
        self._wake.set()

    def broker_context(self) -> ssl.SSLContext:
        """For the centre's connection to the broker; a new key for each."""
        return self._client_context(CENTRE, timedelta(days=90))

    def https_context(self) -> ssl.SSLContext:
        """For the listener of pages and devices: a certificate of ours, a client's certificate if it has one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.authority.pem.decode())
        self._https = context
        self._renew_https()
        return context

    def _renew_https(self) -> None:
        path = self._folder / "https.pem"
        renew_server(path, self.authority, self.names, self._units.clock.now())
        if self._https is not None:
            self._https.load_cert_chain(path)  # connections to come; those that are open stay

    def _client_context(self, name: str, lasts: timedelta) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        load(context, self.authority.client(name, self._units.clock.now(), lasts), self._folder)
        return context

    # revocation

    async def _forever(self) -> None:
        servers_at = asyncio.get_running_loop().time() + _SERVERS_S
        said = ""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._write_list()
                if self._settings.broker_tls:
                    await self._end_sessions()
                if asyncio.get_running_loop().time() >= servers_at:
                    servers_at += _SERVERS_S
                    await asyncio.to_thread(self._broker.write_server, self._units.clock.now())
                    await asyncio.to_thread(self._renew_https)
                said = ""
            except (DBAPIError, OSError) as error:
                what = str(error).partition("\n")[0]
                if what != said:  # once, not at each turn
                    said = what
                    log.warning("certificates: %s", what)
            except Exception:
                # What is revoked must be looked after whatever failed once; the next turn tries again.
                log.exception("certificates were not looked after")

    async def _write_list(self) -> None:
        now = self._units.clock.now()
        async with self._units.reading() as uow:
            revoked = await enrolment.revoked(uow)
        if not self._probe or not self._listed.issuperset(revoked):
            # What the broker must refuse once it has read this list: nobody's certificate, revoked with the rest.
            self._probe = self.authority.client("@probe", now, timedelta(days=400))
            self._listed = set(revoked)
            self._published_at = now
        await asyncio.to_thread(self._broker.write_list, {**revoked, serial_of(_certificate(self._probe)): now}, now)

    async def _end_sessions(self) -> None:
        """Once the broker refuses what is revoked, take the place of whoever still holds a session by it."""
        async with self._units.reading() as uow:
            waiting = await enrolment.to_drop(uow)
        waiting = {name: serials for name, serials in waiting.items() if serials <= self._listed}
        if not waiting:
            return
        if await self._knock(self._probe, "@probe"):
            await self._complain()
            return
        for name, serials in waiting.items():
            own = self.authority.client(name, self._units.clock.now(), timedelta(minutes=5))
            if await self._knock(own, name):
                async with self._units.begin() as uow:
                    await enrolment.note_dropped(uow, serials)
                    await alerts.clear_alert(uow, _ALERT)
                log.info("%s: its certificate is refused, its session is over", name)

    async def _knock(self, pem: bytes, name: str) -> bool:
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        load(context, pem, self._folder)
        return await knocking.knock(self._settings.broker_host, self._settings.broker_port, context, name)

    async def _complain(self) -> None:
        if self._published_at is None or self._units.clock.now() - self._published_at < _PATIENCE:
            return
        async with self._units.begin() as uow:
            await alerts.raise_alert(
                uow,
                _ALERT,
                "critical",
                "Le courtier MQTT accepte encore un certificat révoqué",
                "Il n'a pas relu la liste de révocation : le lancer par « mosquitto/run », ou le redémarrer.",
            )


def names_of(settings: Settings, authority: Authority | None = None) -> list[str]:
    """Everything under which the centre and its broker are reached, without doubles.

    What this machine found out by itself is left out where `authority` may not speak for it: a container's host name
    changes with each start. What a person wrote is not.
    """
    host = socket.gethostname().lower()
    said = [*settings.names, settings.broker_host, settings.host, "localhost", "127.0.0.1", "::1"]
    found = [host, *([] if "." in host else [f"{host}.local"]), *_address()]
    if authority is not None:
        found = [name for name in found if authority.covers(name)]
    return [name for name in dict.fromkeys([*said, *found]) if name not in {"", "0.0.0.0", "::"}]  # noqa: S104  # nosec B104  # left out, not bound


def _address() -> list[str]:
    """This machine's address on its network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 9))
            address: str = probe.getsockname()[0]
        except OSError:
            return []
        return [address]


def load(context: ssl.SSLContext, pem: bytes, folder: Path) -> None:
    """Give the context this key and certificate; OpenSSL reads them from a file, which is gone at once."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tls-") as place:
        path = Path(place) / "client.pem"
        write_secret(path, pem)
        context.load_cert_chain(path)


def _certificate(pem: bytes) -> bytes:
    return pem[pem.index(b"-----BEGIN CERTIFICATE") :]
