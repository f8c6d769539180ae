"""What a request says and no table, calendar or text can hold: refused with a sentence, no failure of the centre."""

from __future__ import annotations

import logging
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DataError

from central.core.shield import HEADERS

log = logging.getLogger(__name__)

UNHOLDABLE: Final = (OverflowError, DataError)
"""A number beyond 64 bits, a date outside of the calendar, a text with a NUL."""
FAILED: Final = "Le centre n’a pas pu répondre ; son journal technique dit pourquoi."
SAYS: Final = "Une valeur est hors de ce que Copeau peut tenir : nombre, date ou texte."


def install(app: FastAPI) -> None:
    """For routes that answer data; pages say it their own way (`central.ui.routing`)."""
    app.add_exception_handler(RequestValidationError, _not_valid)
    for kind in UNHOLDABLE:
        app.add_exception_handler(kind, _unholdable)
    app.add_exception_handler(Exception, _failed)


async def _not_valid(_request: Request, error: Exception) -> Response:
    """Where and why, without what was sent: it may be no JSON value, nor any text."""
    assert isinstance(error, RequestValidationError)
    found = [{"type": e["type"], "loc": [_plain(part) for part in e["loc"]], "msg": _plain(e["msg"])}
             for e in error.errors()[:50]]  # fmt: skip
    return JSONResponse({"detail": found}, status_code=422)


async def _unholdable(request: Request, error: Exception) -> Response:
    log.warning("%s %s cannot be held: %s", request.method, request.url.path, str(error).partition("\n")[0])
    return JSONResponse({"detail": SAYS}, status_code=422)


async def _failed(_request: Request, _error: Exception) -> Response:
    """Outside of every middleware: the headers are its own. Who serves the application logs the error."""
    return JSONResponse({"detail": FAILED}, status_code=500, headers=HEADERS)


def _plain(part: Any) -> Any:
    return part if isinstance(part, int) else str(part)[:200].encode("utf-8", "replace").decode()
