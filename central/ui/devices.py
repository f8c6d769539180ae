"""*Agents et terminaux*: who may speak, the invitation of a new one, its retirement; how a device trusts the centre."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import segno
from fastapi import APIRouter, Form, HTTPException, Path, Query, Request
from fastapi.responses import Response

from central.core.access import acting, need, public
from central.core.uow import UnitOfWork
from central.fleet import enrolment
from central.fleet.enrolment import Invitation, Kind, RefusedError
from central.fleet.trust import Trust
from central.listening import LOCAL
from central.ui.routing import PageRoute
from central.ui.templating import render, units_of
from contracts import enrolment as addresses

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Name = Annotated[str, Form(max_length=63)]
Text = Annotated[str, Form(max_length=120)]


@router.get("/parts/appareils", dependencies=[need("agents", "lire")])
async def part(request: Request, *, retires: Annotated[bool, Query()] = False) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/devices.html", **await devices_parts(request, uow, retired=retires))


async def devices_parts(request: Request, uow: UnitOfWork, *, retired: bool = False) -> dict[str, Any]:
    """What ``parts/devices.html`` shows."""
    trust = _trust(request)
    return {
        "devices": await enrolment.devices(uow, retired=retired),
        "dropping": await enrolment.to_drop(uow),
        "retired": retired,
        "message": "",
        "refused": "",
        "fingerprint": "" if trust is None else _in_pairs(trust.authority.fingerprint),
    }


@router.post("/appareils/inviter", dependencies=[need("agents", "creer")])
async def invite(request: Request, name: Name, kind: Annotated[Kind, Form()], label: Text = "") -> Response:
    """The token is on this answer and nowhere else."""
    trust = _trust(request)
    if trust is None:
        said = "Ce centre n'a pas encore d'adresse sûre : le lancer avec COPEAU_TLS_PORT=8443, puis recommencer."
        return render(request, "parts/invitation.html", refused=said)
    try:
        async with units_of(request).begin() as uow:
            made = await enrolment.invite(uow, name.strip(), kind, label.strip(), by=acting(request))
    except RefusedError as error:
        return render(request, "parts/invitation.html", refused=str(error))
    return render(request, "parts/invitation.html", refused="", **_shown(request, trust, made))


@router.post("/appareils/{name}/retirer", dependencies=[need("agents", "supprimer")])
async def retire(request: Request, name: Annotated[str, Path(max_length=63)]) -> Response:
    try:
        async with units_of(request).begin() as uow:
            await enrolment.retire(uow, name, by=acting(request))
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
    if (trust := _trust(request)) is not None:
        trust.wake()
    async with units_of(request).reading() as uow:
        return render(request, "parts/devices.html", **await devices_parts(request, uow))


@router.post("/appareils/{name}/effacer", dependencies=[need("agents", "supprimer")])
async def wipe(request: Request, name: Annotated[str, Path(max_length=63)]) -> Response:
    """The agent forgets everything and is retired, once it has said that nothing waits for the centre any more."""
    try:
        async with units_of(request).begin() as uow:
            await enrolment.wipe(uow, name, by=acting(request))
    except RefusedError as error:
        raise HTTPException(409, str(error)) from error
    async with units_of(request).reading() as uow:
        asked = f"{name} : effacement demandé. Il sera retiré dès que la carte l'aura fait ; elle refuse tant que des "
        parts = await devices_parts(request, uow)
        return render(request, "parts/devices.html", **parts | {"message": f"{asked}faits attendent le centre."})


@router.get("/confiance", dependencies=[public("how to trust the centre: read before anything can be trusted")])
async def trusting(request: Request) -> Response:
    trust = _trust(request)
    settings = units_of(request).settings
    return render(
        request,
        "confiance.html",
        fingerprint="" if trust is None else _in_pairs(trust.authority.fingerprint),
        address="" if trust is None else f"https://{_host(request, trust)}:{settings.tls_port}/",
    )


@router.get("/inscription", dependencies=[public("the one-time token in its address is what gives entrance")])
async def enrol_page(request: Request) -> Response:
    """What a terminal's QR opens; the token stands after ``#`` and is read by the page's script."""
    return render(request, "inscription.html")


@router.get("/enrol", dependencies=[public("says what an agent's QR is for")])
async def enrol_hint(request: Request) -> Response:
    """An agent's address opened in a browser."""
    return render(request, "enrol.html")


def _shown(request: Request, trust: Trust, made: Invitation) -> dict[str, Any]:
    settings = units_of(request).settings
    host, port = _host(request, trust), settings.tls_port or settings.port
    if made.kind == "agent":
        url = addresses.Invitation(host, port, made.token, trust.authority.fingerprint).url()
        command = f"copeau agent enrol {shlex.quote(url)}"
    else:
        url, command = f"https://{host}:{port}/inscription#{made.token}", ""
    qr = segno.make(url, error="m").svg_data_uri(scale=5, border=4, dark="#000", light="#fff")
    return {"made": made, "url": url, "command": command, "qr": qr}


def _host(request: Request, trust: Trust) -> str:
    """The name under which the person sees the centre, where it means the same elsewhere."""
    host = request.url.hostname or ""
    if host not in LOCAL and host in trust.names:
        return host
    return next((name for name in trust.names if name not in LOCAL), "localhost")


def _trust(request: Request) -> Trust | None:
    trust: Trust | None = request.app.state.centre.trust
    return trust


def _in_pairs(fingerprint: str) -> str:
    return ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)).upper()
