"""No address asks so much that the others wait: a bucket of requests for each, refilled steadily."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PER_S: Final = 100.0
BURST: Final = 400.0
"""A page is some thirty requests; an agent that brings a week of pictures asks for them one after the other."""
_MOST_ADDRESSES: Final = 4096
_TOO_MANY: Final = "Trop de demandes à la fois depuis cet appareil : réessayez dans un instant."


class Pace:
    """An ASGI middleware: 429 beyond `BURST` requests at once and `PER_S` a second, for each address but this machine's
    own: whoever is on it needs no HTTP to stop the centre. `clock`: seconds.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """Address → what is left, and when that was. Asked longest ago first."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._lets(scope["client"]):
            refusal = PlainTextResponse(_TOO_MANY, status_code=429, headers={"Retry-After": "1"})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _lets(self, client: tuple[str, int] | None) -> bool:
        source = _source(client[0]) if client else None
        if source is None:
            return True
        now = self._clock()
        left, at = self._buckets.pop(source, (BURST, now))
        left = min(BURST, left + (now - at) * PER_S)
        self._buckets[source] = (max(left - 1, 0.0), now)
        if len(self._buckets) > _MOST_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return left >= 1


def _source(host: str) -> str | None:
    """Who shares a bucket: an IPv4 address, or an IPv6 network of 64 bits, of which one device has as many addresses as
    it likes. None: this machine.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host  # a name, as behind some proxies
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return None
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
