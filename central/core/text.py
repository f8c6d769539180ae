"""What no text of ours holds is refused before anything is asked: a NUL, which PostgreSQL stores in no text."""

from __future__ import annotations

from typing import Final

from fastapi import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SENTENCE: Final = "La demande contient un caractère nul, qu’aucun texte ne peut contenir : ressaisissez-la."
_FORM: Final = b"application/x-www-form-urlencoded"


class NoNul:
    """400 for a NUL in the path, the query or a form. Other bodies are their routes' business: files, facts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif "\0" in scope["path"] or _has_nul(scope["query_string"]):
            await _refusal(scope["path"])(scope, receive, send)
        else:
            await self._app(scope, _checked(receive) if _is_form(scope) else receive, send)


def _refusal(path: str) -> Response:
    if path.startswith("/api/"):
        return JSONResponse({"detail": SENTENCE}, 400)
    return PlainTextResponse(SENTENCE, 400)


def _is_form(scope: Scope) -> bool:
    return any(name == b"content-type" and value.lower().startswith(_FORM) for name, value in scope["headers"])


def _checked(receive: Receive) -> Receive:
    tail = b""

    async def checked() -> Message:
        """Raises HTTPException where the route reads its form, so that a page says it as a page."""
        nonlocal tail
        message = await receive()
        if message["type"] == "http.request":
            body = tail + message.get("body", b"")
            if _has_nul(body):
                raise HTTPException(400, SENTENCE)
            tail = body[-2:]
        return message

    return checked


def _has_nul(encoded: bytes) -> bool:
    return b"%00" in encoded or b"\0" in encoded
