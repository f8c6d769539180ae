"""``/api/enrol``: how a device becomes one of ours, and stays one; ``/ca.crt``: the authority, for whoever wants it."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, HTTPException, Request, Response

from central.core.access import devices, public
from central.core.uow import Units
from central.fleet import enrolment
from central.fleet.ca import BadRequestError
from central.fleet.enrolment import RefusedError
from central.fleet.identifying import YEAR_S, DeviceGate, cookie_name
from central.fleet.trust import Trust
from contracts.enrolment import PATH, Enrolled, EnrolRequest, Renewed, RenewRequest

router = APIRouter(tags=["devices"])

_MOST: Final = 16 * 1024
_T = TypeVar("_T")


class TerminalRequest(msgspec.Struct):
    token: str
    holds: str = ""
    """The name under which the browser still keeps facts that were perhaps sent: it must stay the same."""


@router.post(PATH, dependencies=[public("the one-time token in the body is what gives entrance")])
async def enrol(request: Request) -> Response:
    """An agent's token and signing request; its certificate, its name and where everything is."""
    asked = await _read(request, EnrolRequest)
    trust = _trust(request)
    units = _units(request)
    try:
        async with units.begin() as uow:
            name, issued = await enrolment.enrol_agent(uow, trust.authority, asked.token, asked.csr.encode())
    except (RefusedError, BadRequestError) as error:
        raise HTTPException(403 if isinstance(error, RefusedError) else 422, str(error)) from error
    trust.wake()
    settings = units.settings
    return _json(
        Enrolled(
            name=name,
            site=settings.site,
            certificate=issued.pem.decode(),
            ca=trust.authority.pem.decode(),
            broker_port=settings.broker_port,
            broker_tls=settings.broker_tls,
        )
    )


@router.post(f"{PATH}/renew", dependencies=[devices(only="agent")])
async def renew(request: Request) -> Response:
    """Another certificate for the agent whose certificate this connection showed."""
    asked = await _read(request, RenewRequest)
    trust = _trust(request)
    gate: DeviceGate = request.app.state.devices
    identity = await gate(request)
    if identity is None or identity.device is None:
        raise HTTPException(401, "Cette adresse veut le certificat de l'agent.")
    try:
        async with _units(request).begin() as uow:
            issued = await enrolment.renew(uow, trust.authority, identity.device, asked.csr.encode())
    except (RefusedError, BadRequestError) as error:
        raise HTTPException(403 if isinstance(error, RefusedError) else 422, str(error)) from error
    return _json(Renewed(certificate=issued.pem.decode()))


@router.post(f"{PATH}/terminal", dependencies=[public("the one-time token in the body is what gives entrance")])
async def enrol_terminal(request: Request) -> Response:
    """A terminal's token, from its own page; its secret comes back as a cookie that no script can read."""
    asked = await _read(request, TerminalRequest)
    try:
        async with _units(request).begin() as uow:
            device, secret = await enrolment.enrol_terminal(uow, asked.token, asked.holds)
    except RefusedError as error:
        raise HTTPException(403, str(error)) from error
    secure = request.url.scheme == "https"
    response = _json({"name": device.name, "label": device.label, "site": _units(request).settings.site})
    response.set_cookie(
        cookie_name(secure=secure), secret, max_age=YEAR_S, path="/", secure=secure, httponly=True, samesite="strict"
    )
    return response


@router.get("/ca.crt", response_class=Response, dependencies=[public("an authority's certificate is public")])
async def authority(request: Request) -> Response:
    """The shop's authority, DER, as telephones and computers install it."""
    headers = {"Content-Disposition": 'attachment; filename="copeau-ca.crt"', "X-Content-Type-Options": "nosniff"}
    return Response(_trust(request).authority.der, media_type="application/x-x509-ca-cert", headers=headers)


async def _read(request: Request, form: type[_T]) -> _T:
    pieces = bytearray()
    async for piece in request.stream():
        pieces += piece
        if len(pieces) > _MOST:
            raise HTTPException(413, f"Une demande fait {_MOST // 1024} Kio au plus.")
    try:
        return msgspec.json.decode(bytes(pieces), type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise HTTPException(422, "La demande est illisible.") from error


def _trust(request: Request) -> Trust:
    trust: Trust | None = request.app.state.centre.trust
    if trust is None:
        raise HTTPException(503, "Ce centre n'a pas d'autorité : le lancer avec COPEAU_TLS_PORT=8443.")
    return trust


def _units(request: Request) -> Units:
    units: Units = request.app.state.units
    return units


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json", headers={"Cache-Control": "no-store"})
