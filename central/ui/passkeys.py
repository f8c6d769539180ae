"""Making a passkey on one's account page, and showing one in place of a code. The browser's half is ``passkeys.js``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import Response

from central.core.access import Identity, signed_in, who
from central.people import accounts, factors, own, passkeys
from central.people.errors import RefusedError
from central.people.passkeys import Party
from central.people.passwords import LONGEST
from central.people.signing_in import make_strong
from central.ui.cookies import door_of, give_session, person_gate, remember
from central.ui.routing import PageRoute, refusal
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_MOST = 20_000


@router.post("/compte/cles/demande", dependencies=[signed_in("factor")])
async def ask_new(request: Request, password: Annotated[str, Form(max_length=2 * LONGEST)] = "") -> Response:
    """With the password again: what the browser needs to make a key."""
    person, session = await _session(request, await who(request))
    door = door_of(request)
    try:
        if not await door.confirms(person, password, person_gate(request).caller(request)):
            return refusal("Entrez d’abord votre mot de passe, juste au-dessus.")
        async with units_of(request).reading() as uow:
            login = (await accounts.account(uow, person)).login or person
            challenge = door.challenges.ask(session, uow.now)
            options = await passkeys.creation_options(uow, person, login, party_of(request), challenge)
    except ValueError as error:
        return refusal(str(error))
    return Response(options, media_type="application/json")


@router.post("/compte/cles", dependencies=[signed_in("factor")])
async def add(request: Request) -> Response:
    """The key that the browser made. The session gets a new token; recovery codes are shown where there are none."""
    person, session = await _session(request, await who(request))
    door, answer = door_of(request), await _text(request)
    try:
        async with units_of(request).begin() as uow:
            challenge = door.challenges.take(session, uow.now)
            await passkeys.add(uow, person, answer, party_of(request), challenge, _device(request))
            codes = [] if await own.codes_left(uow, person) else factors.new_recovery_codes()
            if codes:
                await own.set_recovery_codes(uow, person, factors.recovery_hashes(person, codes))
            token = await make_strong(uow, door.keys, session)
            uow.tell("people")
    except (LookupError, ValueError) as error:
        return refusal(str(error))
    shown = render(request, "parts/recovery.html", codes=codes) if codes else Response(status_code=204)
    return remember(request, give_session(request, shown, token), door.keys, person)


@router.post("/connexion/cle/demande", dependencies=[signed_in("code")])
async def ask_known(request: Request) -> Response:
    person, session = await _half_in(request)
    door = door_of(request)
    try:
        async with units_of(request).reading() as uow:
            challenge = door.challenges.ask(session, uow.now)
            options = await passkeys.request_options(uow, person, party_of(request), challenge)
    except RefusedError as error:
        return refusal(str(error))
    return Response(options, media_type="application/json")


@router.post("/connexion/cle", dependencies=[signed_in("code")])
async def show(request: Request) -> Response:
    person, session = await _half_in(request)
    door, answer = door_of(request), await _text(request)
    try:
        signed = await door.show_passkey(
            person, session, answer, party_of(request), person_gate(request).caller(request)
        )
    except ValueError as error:
        return refusal(str(error))
    done = give_session(request, Response("/", media_type="text/plain"), signed.cookie)
    return remember(request, done, door.keys, person)


def party_of(request: Request) -> Party:
    return Party(request.url.hostname or "", f"{request.url.scheme}://{request.url.netloc}")


async def _half_in(request: Request) -> tuple[str, str]:
    identity = await who(request)
    if identity.must != "code":
        raise HTTPException(409, "Cette session est déjà ouverte.")
    return await _session(request, identity)


async def _session(request: Request, identity: Identity) -> tuple[str, str]:
    person_gate(request)
    if identity.person is None or identity.session is None:
        raise HTTPException(409, "Il n’y a pas de compte ici.")
    return identity.person, identity.session


async def _text(request: Request) -> str:
    """What ``navigator.credentials`` answered, JSON; the library judges it. Raises HTTPException 413, 422."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > _MOST:
            raise HTTPException(413, "Réponse trop longue pour une clé d’accès.")
        pieces.append(piece)
    try:
        return b"".join(pieces).decode()
    except UnicodeDecodeError as error:
        raise HTTPException(422, "Cette réponse n’est pas celle d’une clé d’accès.") from error


def _device(request: Request) -> str:
    """A word for the list of keys: the system that the browser names."""
    agent = request.headers.get("user-agent", "")
    return next((name for name in ("Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux") if name in agent), "")
