"""Around every answer: strict headers; and nothing is changed by a request that another site made a browser send."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), publickey-credentials-get=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""No page asks another host for anything, runs an inline script, or is framed. No Strict-Transport-Security: it counts
for every port of the host, and a NAS has other services there."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED: Final = "Cette action se fait depuis les pages de Copeau."


class Shield:
    """An ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                # who signs out leaves nothing behind in the browser; files that may be kept say so themselves
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if comes_from_elsewhere(scope["method"], Headers(scope=scope)):
            await PlainTextResponse(_REFUSED, status_code=403)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def comes_from_elsewhere(method: str, headers: Headers) -> bool:
    """Whether a browser sends this on behalf of another site. Browsers say so by themselves and a page cannot forge it;
    a request with a session's cookie and without such a word is refused too, unless it carries our pages' own header,
    which another site could only send after asking (CORS), and we never answer yes.
    """
    if method in _SAFE:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc != headers.get("host")
    return "cookie" in headers and "hx-request" not in headers
