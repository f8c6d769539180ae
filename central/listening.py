"""Where the centre listens: plain for this machine, HTTPS by the shop's own authority, HTTPS by a given certificate.

One application behind all of them; what a connection has proven about its client stands in the request's state.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final, NamedTuple

import uvicorn
from starlette.datastructures import URL
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from central.core.settings import Settings
from central.fleet.identifying import CERTIFICATE
from central.fleet.trust import Trust

LOCAL: Final = ("127.0.0.1", "::1", "localhost")
_IN_THE_CLEAR: Final = ("/confiance", "/ca.crt", "/static/")
"""What a device must reach before it trusts the authority; nothing here is anybody's secret."""


class Listener(NamedTuple):
    host: str | None
    port: int
    context: ssl.SSLContext


class WithCertificate(HttpToolsProtocol):
    """Tells the application which certificate the client has proven to hold (RFC 8446, 4.4.3)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the library's own
        super().connection_made(transport)
        over = transport.get_extra_info("ssl_object")
        shown = over.getpeercert(binary_form=True) if over is not None else None
        if shown is not None:
            self.app_state = {**self.app_state, CERTIFICATE: shown}


class PlainDoor:
    """On a plain connection from the network: how to trust the centre, and the way to HTTPS; nothing else."""

    def __init__(self, app: ASGIApp, tls_port: int) -> None:
        self._app = app
        self._tls_port = tls_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client") or ("", 0)
        is_plain = scope["type"] == "http" and scope["scheme"] == "http"
        if not is_plain or client[0] in LOCAL or scope["path"].startswith(_IN_THE_CLEAR):
            await self._app(scope, receive, send)
        elif scope["method"] in {"GET", "HEAD"}:
            there = URL(scope=scope).replace(scheme="https", port=self._tls_port)
            await RedirectResponse(str(there), 307)(scope, receive, send)
        else:
            said = f"En clair, rien n'est reçu : https, port {self._tls_port}."
            await PlainTextResponse(said, 403)(scope, receive, send)


def listeners(settings: Settings, trust: Trust | None) -> list[Listener]:
    """Those over TLS. Raises OSError, ssl.SSLError for a given certificate that cannot be used."""
    found = []
    if settings.tls_port is not None and trust is not None:
        found.append(Listener(settings.tls_host, settings.tls_port, trust.https_context()))
    if settings.https_port is not None and settings.https_certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(settings.https_certificate, settings.https_key)
        found.append(Listener(settings.tls_host, settings.https_port, context))
    return found


class ListeningServer(uvicorn.Server):
    """uvicorn's server on several listeners."""

    def __init__(self, config: uvicorn.Config, more: list[Listener]) -> None:
        super().__init__(config)
        self._more = more

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        for listener in self._more:
            server = await loop.create_server(
                self._speak, listener.host, listener.port, ssl=listener.context, backlog=self.config.backlog
            )
            self.servers.append(server)

    def _speak(self) -> asyncio.Protocol:
        return WithCertificate(self.config, self.server_state, self.lifespan.state)
