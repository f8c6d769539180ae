"""The two cookies of a browser: its session, and that somebody has signed in with it before."""

from __future__ import annotations

import secrets
from typing import Final, cast

from fastapi import HTTPException, Request
from fastapi.responses import Response

from central.core.settings import Settings
from central.people.identity import PersonGate, cookie_name
from central.people.keys import Keys
from central.people.signing_in import Door

_YEAR_S: Final = 365 * 24 * 3600


def door_of(request: Request) -> Door:
    return cast("Door", request.app.state.door)


def person_gate(request: Request) -> PersonGate:
    """Raises HTTPException 409 at an open centre: nobody signs in there."""
    gate = request.app.state.gate
    if not isinstance(gate, PersonGate):
        raise HTTPException(409, "Ce centre est ouvert sans mot de passe : il n’y a pas de compte ici.")
    return gate


def give_session(request: Request, answer: Response, token: str) -> Response:
    settings: Settings = request.app.state.settings
    _set(request, answer, "session", token, int(settings.session_days * 24 * 3600))
    return answer


def remember(request: Request, answer: Response, keys: Keys, person: str) -> Response:
    """This browser is no stranger to the person: failures elsewhere do not slow it down (`central.people.throttle`)."""
    _set(request, answer, "known", keys.signed("known", f"{person}:{secrets.token_urlsafe(12)}"), _YEAR_S)
    return answer


def forget_session(request: Request, answer: Response) -> Response:
    secure = request.url.scheme == "https"
    answer.delete_cookie(cookie_name("session", secure=secure), path="/", secure=secure, httponly=True, samesite="lax")
    return answer


def _set(request: Request, answer: Response, what: str, value: str, seconds: int) -> None:
    secure = request.url.scheme == "https"
    name = cookie_name("session" if what == "session" else "known", secure=secure)
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
