"""Recognises a Haas by ``?Q100``, over TCP or on a serial device."""

from __future__ import annotations

import asyncio

from cnc_bridge.drivers.serial.asking import ask, greet
from cnc_bridge.port import DriverFaultError, Finding
from cnc_bridge.probing import Address, Offer
from cnc_bridge.serial_line.line import opened
from cnc_bridge.serial_line.settings import LineSettings

PORT = 5051
PATIENCE_S = 0.6
_OTHERS_PORTS = frozenset({80, 102, 443, 502, 4840, 5000, 7878, 8193, 19000})
"""Ports of other protocols: ``?Q100`` has no business there."""
_SERIAL = ("/dev/tty", "/dev/serial", "/dev/pts")
_USUAL_LINES = (
    LineSettings(),
    LineSettings(baud=19200),
    LineSettings(baud=38400),
    LineSettings(baud=115_200),
    LineSettings(data_bits=8, parity="none", stop_bits=1),
)


async def discover(address: Address) -> Offer | None:
    """A Haas that answers, with its settings. Raises DriverFaultError for a serial port on which nothing does."""
    if address.device:
        return await _on_device(address.device) if address.device.startswith(_SERIAL) else None
    port = address.port or PORT
    if address.scheme or not address.host or port in _OTHERS_PORTS:
        return None
    findings = await _over_tcp(address.host, port)
    if findings is None:
        return None
    toml = f'kind = "serial"\ndialect = "haas_mdc"\nhost = "{address.host}"\nport = {port}\n'
    return Offer("serial", "Haas, collecte de données (MDC) par le réseau", toml, findings)


async def _over_tcp(host: str, port: int) -> list[Finding] | None:
    """A Haas takes two clients: while other protocols are tried on the same port, ours may be the third."""
    for pause in (0.0, 1.0, 2.0, 3.0):
        await asyncio.sleep(pause)
        try:
            return await _findings(None, host, port, LineSettings())
        except DriverFaultError as fault:
            if fault.code != "line_lost":
                return None
    return None


async def _on_device(device: str) -> Offer | None:
    said: DriverFaultError | None = None
    for settings in _USUAL_LINES:
        try:
            findings = await _findings(device, None, PORT, settings)
        except DriverFaultError as fault:
            if fault.code not in ("mute", "garbled", "not_haas"):
                raise
            said = fault
            continue
        toml = (
            f'kind = "serial"\ndialect = "haas_mdc"\ndevice = "{device}"\n'
            f'line = {{ baud = {settings.baud}, data_bits = {settings.data_bits}, parity = "{settings.parity}", '
            f"stop_bits = {settings.stop_bits} }}\n"
        )
        return Offer("serial", f"Haas, collecte de données (MDC), {settings.summary}", toml, findings)
    tried = ", ".join(settings.summary for settings in _USUAL_LINES)
    raise DriverFaultError(
        "mute",
        f"{device}: no Haas answers ?Q100 at {tried}",
        f"Le port série s'ouvre, mais aucune commande Haas ne répond (essayé : {tried}). Pour envoyer ou recevoir des "
        'programmes, ou pour une autre commande, écrire `dialect = "dnc"` avec les réglages de la machine.',
    ) from said


async def _findings(device: str | None, host: str | None, port: int, settings: LineSettings) -> list[Finding]:
    async with opened(device, host, port, settings, connect_timeout_s=3.0) as line:
        found = [Finding("server", line.name, f"Haas {await greet(line, PATIENCE_S, times=2)}")]
        for command, name in (("Q102", "model"), ("Q101", "software"), ("Q104", "mode")):
            answer = await ask(line, command, PATIENCE_S)
            if answer is not None:
                found.append(Finding("node", name, answer.values["value"]))
        return found
