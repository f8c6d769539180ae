"""Controllers that speak only when asked: a period, a bound for each answer, and one sentence when none comes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from pydantic import Field

from cnc_bridge import model
from cnc_bridge.port import Clock, Driver, DriverFaultError, Moment
from cnc_bridge.registers import RefusedError
from cnc_bridge.settings import DriverSettings, Source

_T = TypeVar("_T")
_LEAST_PAUSE_S = 0.01
_NEVER = object()
REFUSALS = ("short_answer", "illegal_function", "illegal_address", "illegal_value", "device_failure", "no_access")
"""Codes of a RefusedError: over when the signal is read."""


class PollSettings(DriverSettings):
    """Common to the drivers that ask.

    A far side that hangs is noticed within `period_s` + `timeout_s`, whose limits keep that below every such driver's
    `stale_after_s`: a slow period alone never makes a machine look silent.
    """

    period_s: Annotated[float, Field(ge=0.02, le=3, description="pause from one reading of all signals to the next")]
    timeout_s: Annotated[float, Field(ge=0.1, le=4, description="of one answer, and of connecting")] = 2.0


class PollingDriver(Driver):
    """A driver whose `_session` ends in `_poll_forever`.

    Samples are handed on at each reading; everything else only when it changed, and once after each connection.
    """

    def __init__(self, settings: PollSettings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self._polling = settings
        self._last: dict[str, object] = {}

    async def _poll_forever(self, detail: str, ask: Callable[[], Awaitable[_T]], take: Callable[[_T], None]) -> None:
        """Every period, `ask` the far side and `take` what it answered. Ends only by an exception.

        The link is up once the first answer is there, before anything of it is handed on.
        """
        loop = asyncio.get_running_loop()
        self._last.clear()
        due, is_first = loop.time(), True
        while not self._closing.is_set():  # a library may swallow the cancellation
            answer = await ask()
            if is_first:
                self._link_up(detail)
                is_first = False
            take(answer)
            self._heard()
            due = max(due + self._polling.period_s, loop.time() + _LEAST_PAUSE_S)
            await asyncio.sleep(due - loop.time())

    def _answered(self) -> None:
        """One of many requests of a reading was answered: a slow line is not a silent one."""
        if self._up:
            self._heard()

    def _take(self, name: str, source: Source, raw: object, received: Moment) -> None:
        """Hand on what was read of one signal."""
        is_sample = model.signal_named(name).kind == "sample"
        if not is_sample and name in self._last and self._last[name] == raw:
            return
        self._last[name] = raw
        self._value(name, source, raw, None, received)

    def _refused(self, name: str, source: Source, place: str, error: RefusedError) -> None:
        """This signal alone is not to be had; the others go on."""
        self._problem(
            error.code,
            name,
            f"{self.settings.address}: {name} at {place} is refused: {error.why}; the other signals go on",
            f"« {name} » ({place}) : {error.why_fr} ; corriger `signals.{name}`. Les autres signaux continuent.",
        )
        if self._last.get(name, _NEVER) is not None:
            self._take(name, source, None, self.clock.now())
        self._last[name] = None

    def _granted(self, name: str) -> None:
        """This signal is read again."""
        for code in REFUSALS if self._reported else ():
            self._solved(code, name)


def cannot_connect(
    error: BaseException, settings: PollSettings, host: str, port: int, service: str, service_fr: str
) -> DriverFaultError:
    """Why a TCP connection could not be made or did not last. `service` as in "the Modbus server"."""
    where = settings.address
    if isinstance(error, DriverFaultError):
        return error
    if isinstance(error, socket.gaierror):
        return DriverFaultError(
            "unknown_host",
            f"{where}: no such host on this network ({error.strerror})",
            f"Adresse inconnue « {host} » : vérifier `host`, ou mettre l'adresse IP de la machine.",
        )
    if isinstance(error, ConnectionRefusedError):
        return DriverFaultError(
            "refused",
            f"{where}: nothing listens on this port",
            f"Rien n'écoute sur le port {port} : activer {service_fr} de la machine, ou corriger `port`.",
        )
    if isinstance(error, TimeoutError):
        return DriverFaultError(
            "no_answer",
            f"{where}: {service} does not answer within {settings.timeout_s:g} s",
            "La machine ne répond pas : vérifier qu'elle est sous tension, son câble réseau, "
            f"et que ce port est bien celui de {service_fr}.",
        )
    if isinstance(error, ConnectionError):
        return DriverFaultError(
            "closed",
            f"{where}: {service} closed the connection ({error.strerror or type(error).__name__})",
            "La machine a fermé la connexion : elle redémarre, ou n'accepte pas d'autre client en même temps.",
        )
    if isinstance(error, OSError):
        return DriverFaultError(
            "unreachable",
            f"{where}: cannot be reached ({error.strerror or error})",
            "Machine injoignable : vérifier le câble, le commutateur et l'adresse.",
        )
    raise error


async def why_unreachable(settings: PollSettings, host: str, port: int, service: str, service_fr: str) -> None:
    """Raise the DriverFaultError that tells why `host:port` cannot be reached; return when it can.

    For libraries that fail without saying why: asked only after they did, as many controllers take one client only.
    """
    try:
        async with asyncio.timeout(settings.timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        raise cannot_connect(error, settings, host, port, service, service_fr) from error
    writer.close()
