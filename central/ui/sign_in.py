"""Signing in and out, and the link that gives an account its first or a new password."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from central.alerts import service as alerts
from central.core.access import Identity, public, signed_in, who
from central.people import links, sessions
from central.people.errors import RefusedError
from central.people.passwords import LONGEST, SHORTEST, checked_password
from central.people.signing_in import NotSignedIn, SignedIn
from central.ui.cookies import door_of, forget_session, give_session, person_gate, remember
from central.ui.formats import duration
from central.ui.routing import PageRoute
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_ENTRANCE: Final = public("where one signs in")
Text = Annotated[str, Form(max_length=200)]
Secret = Annotated[str, Form(max_length=2 * LONGEST)]
Goal = Annotated[str, Query(max_length=400)]


@router.get("/connexion", dependencies=[_ENTRANCE])
async def page(request: Request, vers: Goal = "/") -> Response:
    if request.app.state.gate.open:
        return RedirectResponse("/", 303)
    return render(request, "connexion.html", goal=inside(vers), refused="")


@router.post("/connexion", dependencies=[_ENTRANCE])
async def enter(request: Request, login: Text = "", password: Secret = "", vers: Text = "/") -> Response:
    """Name and password. With a second factor its code is asked for next."""
    caller = person_gate(request).caller(request)
    try:
        signed = await door_of(request).enter(login, password, caller)
    except NotSignedIn as refused:
        return await not_signed_in(request, refused, caller.address)
    return _let_in(request, signed, inside(vers))


@router.get("/connexion/code", dependencies=[signed_in("code")])
async def code_page(request: Request) -> Response:
    if (await who(request)).must != "code":
        return RedirectResponse("/", 303)
    return render(request, "connexion_code.html", refused="")


@router.post("/connexion/code", dependencies=[signed_in("code")])
async def show_code(request: Request, code: Text = "") -> Response:
    identity = await _half_in(request)
    caller = person_gate(request).caller(request)
    try:
        signed = await door_of(request).show_code(identity.person or "", identity.session or "", code, caller)
    except NotSignedIn as refused:
        return await not_signed_in(request, refused, caller.address)
    return _let_in(request, signed, "/")


@router.post("/deconnexion", dependencies=[signed_in("code", "factor")])
async def leave(request: Request) -> Response:
    identity = await who(request)
    if identity.person and identity.session:
        async with units_of(request).begin() as uow:
            await sessions.end(uow, identity.person, identity.session)
            uow.tell("people")
    return forget_session(request, _go("/connexion"))


@router.get("/bienvenue/{token}", dependencies=[_ENTRANCE])
async def welcome(request: Request, token: str) -> Response:
    async with units_of(request).reading() as uow:
        try:
            found = await links.link(uow, token)
        except RefusedError as error:
            raise HTTPException(410, str(error)) from error
    return render(request, "bienvenue.html", token=token, link=found, shortest=SHORTEST, refused="")


@router.post("/bienvenue/{token}", dependencies=[_ENTRANCE])
async def begin(
    request: Request, token: str, login: Text = "", password: Secret = "", again: Secret = "", name: Text = ""
) -> Response:
    caller = person_gate(request).caller(request)
    try:
        if password != again:
            raise RefusedError("Les deux mots de passe ne sont pas les mêmes.")
        checked_password(password, links.checked_login(login))
        signed = await door_of(request).start_with_link(token, name=name, login=login, password=password, caller=caller)
    except ValueError as error:
        return render(request, "parts/refus.html", refused=str(error))
    return _let_in(request, signed, "/compte")


def inside(goal: str) -> str:
    """The goal if it is a page of ours: nobody is sent elsewhere by a link to the sign-in."""
    plain = goal.startswith("/") and not goal.startswith("//") and "\\" not in goal and goal.isprintable()
    return goal if plain and not goal.startswith(("/connexion", "/bienvenue", "/parts/", "/api/")) else "/"


def _let_in(request: Request, signed: SignedIn, goal: str) -> Response:
    answer = give_session(request, _go("/connexion/code" if signed.must else goal), signed.cookie)
    return answer if signed.must else remember(request, answer, door_of(request).keys, signed.person)


async def _half_in(request: Request) -> Identity:
    identity = await who(request)
    if identity.must != "code" or identity.session is None:
        raise HTTPException(409, "Il n’y a pas de code à entrer : cette session est déjà ouverte.")
    return identity


async def not_signed_in(request: Request, refused: NotSignedIn, address: str) -> Response:
    """In the form that asked. Whoever must wait is an alert: somebody guesses, or somebody needs help."""
    text = str(refused)
    if refused.until is not None:
        wait = (refused.until.astimezone(UTC) - units_of(request).clock.now()).total_seconds()
        text = f"{text} Il reste {duration(max(1.0, wait))}."
        async with units_of(request).begin() as uow:
            await alerts.raise_alert(
                uow, f"sign-in:{address}", "medium", "Essais de connexion répétés",
                f"Plusieurs connexions refusées depuis {address}. Voir l’historique de connexion de la personne.",
            )  # fmt: skip
    return render(request, "parts/refus.html", refused=text)


def _go(address: str) -> Response:
    return Response(status_code=204, headers={"HX-Redirect": address})
