"""One question and its answer over an open line: the greeting, and what a probe asks."""

from __future__ import annotations

import time

from cnc_bridge.drivers.serial.haas import Answer, Splitter, Unknown, request
from cnc_bridge.port import DriverFaultError
from cnc_bridge.serial_line.line import Line
from cnc_bridge.serial_line.settings import LineSettings

UNKNOWN_S = 0.2
GREETINGS = 4
"""How often ``?Q100`` is tried: the first one after connecting may stay unanswered (Haas says so itself)."""


async def greet(line: Line, patience: float, times: int = GREETINGS) -> str:
    """The serial number, by ``?Q100``. Raises DriverFaultError `mute`, `garbled`, `not_haas`."""
    splitter, heard = Splitter(), b""
    for _ in range(times):
        await line.write(request("Q100"))
        until = time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            data = await line.read(left)
            heard += data
            for item in splitter.feed(data):
                if isinstance(item, Answer) and item.command == "Q100":
                    return item.values["value"]
    raise _no_answer(line, heard)


def _no_answer(line: Line, heard: bytes) -> DriverFaultError:
    damaged = line.errors.damaged + line.errors.breaks
    legible = sum(32 <= byte < 127 or byte in b"\r\n\x02\x03\x17" for byte in heard)
    if damaged or legible < 0.9 * len(heard):
        return illegible(line.name, len(heard) + damaged, line.settings)
    if heard.replace(b"?Q100", b"").strip():
        return DriverFaultError(
            "not_haas",
            f"{line.name}: something answers, but not to ?Q100: {heard[:40]!r}",
            "Ce qui répond n'est pas une commande Haas : vérifier le port (celui de Setting 143) ou le câble.",
        )
    return DriverFaultError(
        "mute",
        f"{line.name}: connected, but ?Q100 stays unanswered",
        "Le port s'ouvre mais la commande Haas ne répond pas : vérifier Setting 143 (collecte de données), "
        "le câble, et la vitesse de la ligne.",
    )


def illegible(where: str, size: int, settings: LineSettings) -> DriverFaultError:
    """What to check when bytes come that are no text."""
    summary = settings.summary
    return DriverFaultError(
        "garbled",
        f"{where}: {size} bytes came that are no text (line set to {summary})",
        f"La machine répond, mais de façon illisible : vérifier que vitesse, parité et bits ({summary} ici) sont ceux "
        "de la commande (Settings 11 à 14 et 37 chez Haas).",
    )


async def ask(line: Line, command: str, patience: float) -> Answer | None:
    """One answer to one command, or None when it is unknown or unanswered."""
    base, _, variable = command.partition(" ")
    await line.write(request(command))
    splitter, until = Splitter(), time.monotonic() + patience
    while (left := until - time.monotonic()) > 0:
        for item in splitter.feed(await line.read(left)):
            if isinstance(item, Unknown):
                until = min(until, time.monotonic() + UNKNOWN_S)  # or it was said to another client
            if isinstance(item, Answer) and item.command == base and item.variable in (None, int(variable or 0)):
                return item
    return None
