"""*Personnes*: who works here, badges, accounts; and what the owner gives each: roles, single rights."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import Response
from markupsafe import Markup

from central.core import rights
from central.core.access import acting, need, owner_only, who
from central.core.rights import Action, Module, Right
from central.core.uow import UnitOfWork
from central.machines import service as machines
from central.people import accounts, factors, links, own, sessions
from central.people.passwords import checked_pin
from central.people.signing_in import history
from central.ui.cookies import door_of
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("comptes", "lire")])

_CHANGE: Final = need("comptes", "modifier")
Words = Annotated[list[str] | None, Form(max_length=200)]


@router.get("/personnes")
async def page(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        found = await accounts.accounts(uow)
        return await full_page(request, uow, "personnes.html", "Personnes", persons=found, rights=rights)


@router.post("/personnes", dependencies=[need("comptes", "creer")])
async def add(request: Request, name: Annotated[str, Form(max_length=120)] = "") -> Response:
    if not name.strip():
        return render(request, "parts/refus.html", refused="Dites le nom de la personne.")
    async with units_of(request).begin() as uow:
        person = await accounts.add(uow, name.strip(), by=acting(request))
    return Response(status_code=204, headers={"HX-Redirect": f"/personnes/{person}"})


@router.get("/personnes/{person}")
async def one(request: Request, person: str) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "personne.html", "Personnes", **await _one(request, uow, person))


@router.post("/personnes/{person}/lien", dependencies=[_CHANGE])
async def invite(request: Request, person: str) -> Response:
    """The link by which the person chooses a password: shown once, here."""
    me = await who(request)
    try:
        async with units_of(request).begin() as uow:
            token = await links.invite(uow, person, by=acting(request), by_owner=me.owner, within=me.grants)
    except (LookupError, ValueError) as error:
        return render(request, "parts/refus.html", refused=str(error))
    address = f"{request.url.scheme}://{request.url.netloc}/bienvenue/{token}"
    qr = Markup(factors.qr(address))  # noqa: S704  # nosec B704  # our own drawing
    return render(request, "parts/lien.html", address=address, qr=qr)


@router.post("/personnes/{person}/badge/{act}", dependencies=[_CHANGE])
async def badge(request: Request, person: str, act: Literal["nouveau", "retirer"]) -> Response:
    """A new random badge, or none: the one before is read as unknown from now on."""

    async def change(uow: UnitOfWork) -> None:
        await accounts.set_badge(uow, person, new=act == "nouveau", by=acting(request))

    return await _done(request, person, change, "Badge remplacé." if act == "nouveau" else "Badge retiré.")


@router.post("/personnes/{person}/actif/{yes}", dependencies=[_CHANGE])
async def set_active(request: Request, person: str, yes: Literal["oui", "non"]) -> Response:
    async def change(uow: UnitOfWork) -> None:
        await accounts.set_active(uow, person, yes == "oui", by=acting(request))

    return await _done(request, person, change, "De retour." if yes == "oui" else "Sessions, liens et badge retirés.")


@router.post("/personnes/{person}/pin", dependencies=[_CHANGE])
async def set_pin(request: Request, person: str, pin: Annotated[str, Form(max_length=40)] = "") -> Response:
    async def change(uow: UnitOfWork) -> None:
        await own.set_pin(uow, person, hashed, by=acting(request))

    try:
        hashed = await door_of(request).hashing.hash(checked_pin(pin)) if pin else None
    except ValueError as error:
        return await _again(request, person, refused=str(error))
    return await _done(request, person, change, "Code personnel enregistré." if pin else "Code personnel retiré.")


@router.post("/personnes/{person}/sessions", dependencies=[_CHANGE])
async def end_sessions(request: Request, person: str) -> Response:
    async def change(uow: UnitOfWork) -> None:
        await sessions.end_all(uow, person)
        uow.tell("people")

    return await _done(request, person, change, "Sessions fermées.")


@router.post("/personnes/{person}/machines", dependencies=[need("atelier", "valider")])
async def set_machines(request: Request, person: str, machine: Words = None) -> Response:
    """For which machines the person is qualified."""

    async def change(uow: UnitOfWork) -> None:
        await accounts.set_machines(uow, person, machine or [], by=acting(request))

    return await _done(request, person, change, "Habilitations enregistrées.")


@router.post("/personnes/{person}/roles", dependencies=[owner_only()])
async def set_roles(request: Request, person: str, role: Words = None) -> Response:
    async def change(uow: UnitOfWork) -> None:
        await accounts.set_roles(uow, person, role or [], by=acting(request))

    return await _done(request, person, change, "Rôles enregistrés.")


@router.post("/personnes/{person}/droits/{module}/{action}", dependencies=[owner_only()])
async def set_right(
    request: Request,
    person: str,
    module: Module,
    action: Action,
    choice: Annotated[Literal["roles", "oui", "non"], Form()],
) -> Response:
    allowed = {"roles": None, "oui": True, "non": False}[choice]

    async def change(uow: UnitOfWork) -> None:
        await accounts.set_exception(uow, person, Right(module, action), allowed, by=acting(request))

    return await _done(request, person, change, f"{rights.MODULES[module]}, {rights.ACTIONS[action].lower()} : réglé.")


@router.post("/personnes/{person}/facteur", dependencies=[owner_only()])
async def forget_factor(request: Request, person: str) -> Response:
    """The person lost phone and codes."""

    async def change(uow: UnitOfWork) -> None:
        await own.forget_factors(uow, person, by=acting(request), by_owner=True)

    return await _done(request, person, change, "Second facteur retiré : il sera redemandé à la connexion.")


async def _done(request: Request, person: str, change: Any, message: str) -> Response:
    try:
        async with units_of(request).begin() as uow:
            await change(uow)
    except (LookupError, ValueError) as error:
        return await _again(request, person, refused=str(error))
    return await _again(request, person, message)


async def _again(request: Request, person: str, message: str = "", refused: str = "") -> Response:
    async with units_of(request).reading() as uow:
        parts = await _one(request, uow, person)
        return render(request, "parts/personne.html", **parts | {"message": message, "refused": refused})


async def _one(request: Request, uow: UnitOfWork, person: str) -> dict[str, Any]:
    try:
        found = await accounts.account(uow, person)
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
    badge = Markup(factors.qr(found.badge_code)) if found.badge_code else None  # noqa: S704  # nosec B704  # our own drawing
    may_read = (await who(request)).may("comptes", "modifier")
    return {
        "account": found,
        "grants": rights.grants_of(found.roles, found.exceptions, owner=found.owner),
        "exceptions": {e.right: e.allowed for e in found.exceptions},
        "rights": rights,
        "all_machines": await machines.machines(uow),
        "history": await history(uow, person, 20) if may_read else [],
        "badge": badge,
        "message": "",
        "refused": "",
    }
