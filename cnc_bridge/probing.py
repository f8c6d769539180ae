"""What answers at an address: every driver that can recognise its own protocol is asked.

A driver that can be recognised has `drivers/<kind>/discovery.py` with

    async def discover(address: Address) -> Offer | None

which returns None when it is not its protocol, and never writes anything to the far side but what the protocol needs
to say hello.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from cnc_bridge import catalogue
from cnc_bridge.port import DriverFaultError, Finding

ASK_WITHIN_S = 12.0


@dataclass(frozen=True, slots=True)
class Address:
    """An address as a person writes it: `192.168.1.30`, `cn-3:7878`, `opc.tcp://…`, `http://…`, `/dev/ttyUSB0`."""

    text: str
    scheme: str = ""
    host: str = ""
    port: int | None = None
    device: str = ""
    """Path of a serial or GPIO device."""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A protocol that answered. `driver` is the TOML of ``[driver]`` without its header, ready to be used."""

    kind: str
    title: str
    driver: str
    findings: Sequence[Finding] = field(default_factory=list)


def parse_address(text: str) -> Address:
    """Raises ValueError with a sentence."""
    text = text.strip()
    if text.startswith("/"):
        return Address(text, device=text)
    if "://" in text:
        parts = urlsplit(text)
        if not parts.hostname:
            raise ValueError(f"{text!r} names no host")
        return Address(text, parts.scheme.lower(), parts.hostname, parts.port, path=parts.path)
    found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", text)
    if not found or (found[2] and not 0 < int(found[2]) < 65536):
        raise ValueError(f"{text!r} is no address: write host, host:port, opc.tcp://host:port, or /dev/tty…")
    return Address(text, host=found[1].strip("[]"), port=int(found[2]) if found[2] else None)


async def probe(address: Address) -> tuple[list[Offer], list[tuple[str, str]]]:
    """Offers of those that answered, and (kind, French reason) of those that answered but refused to say more."""
    kinds = [kind for kind in catalogue.kinds() if importlib.util.find_spec(f"cnc_bridge.drivers.{kind}.discovery")]
    answers = await asyncio.gather(*(_ask(kind, address) for kind in kinds))
    offers = [answer for answer in answers if isinstance(answer, Offer)]
    return offers, [answer for answer in answers if isinstance(answer, tuple)]


async def _ask(kind: str, address: Address) -> Offer | tuple[str, str] | None:
    module: Any = importlib.import_module(f"cnc_bridge.drivers.{kind}.discovery")
    discover = cast(Callable[[Address], Awaitable[Offer | None]], module.discover)
    try:
        async with asyncio.timeout(ASK_WITHIN_S):
            return await discover(address)
    except DriverFaultError as fault:
        return kind, fault.message_fr
    except (OSError, TimeoutError):
        return None
