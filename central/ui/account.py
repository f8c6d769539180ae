"""*Mon compte*: password, second factor, recovery codes, PIN, open sessions, and every attempt to sign in."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import Response
from markupsafe import Markup

from central.core.access import Identity, signed_in, who
from central.core.uow import UnitOfWork
from central.people import accounts, factors, own, sessions
from central.people.errors import RefusedError
from central.people.passwords import LONGEST, checked_password, checked_pin
from central.people.signing_in import NotSignedIn, history, make_strong
from central.ui.cookies import door_of, give_session, person_gate, remember
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_UNFINISHED: Final = signed_in("factor")
"""Also for one who must set up a second factor first: here is where that is done."""
Secret = Annotated[str, Form(max_length=2 * LONGEST)]
Short = Annotated[str, Form(max_length=40)]


@router.get("/compte", dependencies=[_UNFINISHED])
async def page(request: Request) -> Response:
    identity = await _person(request)
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "compte.html", "Mon compte", **await _account(uow, identity))


@router.post("/compte/mot-de-passe", dependencies=[signed_in()])
async def set_password(request: Request, current: Secret = "", password: Secret = "", again: Secret = "") -> Response:
    """Every other session ends."""
    identity = await _person(request)
    try:
        if password != again:
            raise RefusedError("Les deux mots de passe ne sont pas les mêmes.")
        checked_password(password)
        await _confirmed(request, identity, current)
        hashed = await door_of(request).hashing.hash(password)
        async with units_of(request).begin() as uow:
            await own.set_password(uow, identity.person or "", hashed, session=identity.session)
    except ValueError as error:
        return _said(request, refused=str(error))
    return _said(request, "Mot de passe changé. Vos autres sessions sont fermées.")


@router.post("/compte/pin", dependencies=[signed_in()])
async def set_pin(request: Request, password: Secret = "", pin: Short = "") -> Response:
    identity = await _person(request)
    try:
        checked_pin(pin)
        await _confirmed(request, identity, password)
        hashed = await door_of(request).hashing.hash(pin)
        async with units_of(request).begin() as uow:
            await own.set_pin(uow, identity.person or "", hashed, by=identity.who)
    except ValueError as error:
        return _said(request, refused=str(error))
    return _said(request, "Code personnel enregistré pour les postes partagés.")


@router.post("/compte/totp", dependencies=[_UNFINISHED])
async def start_totp(request: Request, password: Secret = "") -> Response:
    """A new secret, shown as a QR; it counts once its first code was entered. Sealed, it waits in the page."""
    identity = await _person(request)
    person = identity.person or ""
    try:
        await _confirmed(request, identity, password)
    except ValueError as error:
        return render(request, "parts/refus.html", refused=str(error))
    secret = factors.new_secret()
    sealed = base64.urlsafe_b64encode(door_of(request).keys.seal(secret.encode(), person)).decode()
    async with units_of(request).reading() as uow:
        login = (await accounts.account(uow, person)).login or person
        qr = Markup(factors.qr(factors.enrolment(secret, login, uow.settings.site)))  # noqa: S704  # nosec B704  # our own drawing
    return render(request, "parts/totp.html", qr=qr, secret=" ".join(_fours(secret)), pending=sealed)


@router.post("/compte/totp/confirmer", dependencies=[_UNFINISHED])
async def confirm_totp(request: Request, pending: Annotated[str, Form(max_length=400)], code: Short = "") -> Response:
    """The first code proves that the authenticator has it. The session gets a new token; recovery codes show once."""
    identity = await _person(request)
    person, keys = identity.person or "", door_of(request).keys
    try:
        sealed = base64.urlsafe_b64decode(pending)
        secret = keys.unseal(sealed, person)
    except (binascii.Error, ValueError):
        secret = None
    if secret is None:
        return render(request, "parts/refus.html", refused="Cette page est trop ancienne : recommencez.")
    async with units_of(request).begin() as uow:
        step = factors.step_of(secret.decode(), code, uow.now, 0)
        if step is None:
            return render(request, "parts/refus.html", refused="Ce n’est pas le bon code : attendez le suivant.")
        await own.set_totp(uow, person, sealed, step)
        codes = factors.new_recovery_codes()
        await own.set_recovery_codes(uow, person, factors.recovery_hashes(person, codes))
        token = await make_strong(uow, keys, identity.session or "")
        uow.tell("people")
    answer = render(request, "parts/recovery.html", codes=codes)
    return remember(request, give_session(request, answer, token), keys, person)


@router.post("/compte/codes", dependencies=[signed_in()])
async def new_codes(request: Request, password: Secret = "") -> Response:
    """Those before do not count any more."""
    identity = await _person(request)
    try:
        await _confirmed(request, identity, password)
    except ValueError as error:
        return render(request, "parts/refus.html", refused=str(error))
    codes = factors.new_recovery_codes()
    async with units_of(request).begin() as uow:
        await own.set_recovery_codes(uow, identity.who, factors.recovery_hashes(identity.who, codes))
    return render(request, "parts/recovery.html", codes=codes)


@router.post("/compte/sessions/{session}/fin", dependencies=[signed_in()])
async def end_session(request: Request, session: str) -> Response:
    """``autres``: all but this one."""
    identity = await _person(request)
    person = identity.person or ""
    async with units_of(request).begin() as uow:
        if session == "autres":
            await sessions.end_all(uow, person, but=identity.session)
        else:
            await sessions.end(uow, person, session)
        uow.tell("people")
    async with units_of(request).reading() as uow:
        return render(request, "parts/sessions.html", **await _account(uow, identity))


async def _account(uow: UnitOfWork, identity: Identity) -> dict[str, Any]:
    person = identity.person or ""
    return {
        "account": await accounts.account(uow, person),
        "sessions": await sessions.of(uow, person),
        "history": await history(uow, person),
        "codes_left": await own.codes_left(uow, person),
    }


async def _person(request: Request) -> Identity:
    identity = await who(request)
    if identity.person is None:
        raise HTTPException(409, "Il n’y a pas de compte ici.")
    return identity


async def _confirmed(request: Request, identity: Identity, password: str) -> None:
    """Raises `NotSignedIn` when it is not the person's password."""
    caller = person_gate(request).caller(request)
    if not await door_of(request).confirms(identity.person or "", password, caller):
        raise NotSignedIn("Ce n’est pas votre mot de passe.")


def _said(request: Request, message: str = "", refused: str = "") -> Response:
    return render(request, "parts/said.html", message=message, refused=refused)


def _fours(secret: str) -> list[str]:
    return [secret[i : i + 4] for i in range(0, len(secret), 4)]
