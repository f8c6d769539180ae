"""The one way to say who may use a route, and who asks.

A route, or its router, carries one or more of `need`, `devices`, `signed_in`, `owner_only` or `public` in its
``dependencies``; a centre with a route that carries none does not start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import HTTPConnection

from central.core.rights import ACTIONS, ALL_GRANTS, MODULES, Action, Grants, Module

Kind: TypeAlias = Literal["person", "device", "demo"]
Must: TypeAlias = Literal["", "code", "factor"]
"""What a signed-in person owes before anything else: the code of the second factor, or to set one up."""
DeviceKind: TypeAlias = Literal["agent", "terminal"]
"""What an enrolled device is: the only one of its `Identity.roles`."""
PAGE: Final = "page"
"""Who acts where nobody signs in: the audit says "page", never a guessed person."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a signed-in person, an enrolled device, or anybody at the open demo."""

    kind: Kind
    person: str | None = None
    device: str | None = None
    roles: frozenset[str] = frozenset()
    name: str = ""
    """For the page's frame; empty for devices."""
    session: str | None = None
    grants: Grants = field(default_factory=Grants)
    owner: bool = False
    must: Must = ""

    @property
    def who(self) -> str:
        """For the audit: an opaque person id, ``device:<id>``, or `PAGE`."""
        return self.person or (f"device:{self.device}" if self.device else PAGE)

    def may(self, module: Module, action: Action, *, own: bool = False) -> bool:
        return not self.must and self.grants.allows(module, action, own=own)


DEMO: Final = Identity("demo", grants=ALL_GRANTS, owner=True)


class Gate(Protocol):
    """Finds out who asks; lies in ``app.state.gate``."""

    open: bool

    async def identify(self, request: HTTPConnection) -> Identity | None:
        """None: nobody that is known. Raises HTTPException where the request is refused whoever asks."""
        ...

    async def device(self, request: HTTPConnection) -> Identity | None:
        """The enrolled device that the request comes from, whoever has signed in on it."""
        ...


class OpenGate:
    """The demo and the tests: whoever sits at this machine may do everything, and nobody else anything."""

    open = True

    async def identify(self, request: HTTPConnection) -> Identity | None:
        if not is_local(request):
            raise HTTPException(403, "Ce centre est ouvert sans mot de passe : il ne répond que sur cette machine.")
        return DEMO

    async def device(self, request: HTTPConnection) -> Identity | None:  # noqa: ARG002  # the gate's signature
        return None


def is_local(request: HTTPConnection) -> bool:
    """From this machine and by a name of this machine: neither through a proxy, nor by a name that somebody else's
    name server made point here.
    """
    forwarded = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    client = request.client.host if request.client is not None else ""
    return not forwarded and client in _LOOPBACK and (request.url.hostname or "") in _LOOPBACK


class Need:
    """A right that the request needs; `own`: the route answers with the person's own operations where that is all."""

    def __init__(self, module: Module, action: Action, *, own: bool = False) -> None:
        self.module, self.action, self.own = module, action, own

    async def __call__(self, request: Request) -> None:
        identity = await who(request)
        if identity.kind == "device":
            raise HTTPException(403, "Un appareil n’a pas accès à cette adresse.")
        if not identity.may(self.module, self.action, own=self.own):
            raise denied(identity, self.module, self.action)


class Devices:
    """An enrolled device, of one kind where that is said, or a person who holds one of the rights given beside it.

    The device comes first: what a shared tablet sends is the tablet's, whoever has signed in on it.
    """

    def __init__(self, *also: tuple[Module, Action], only: DeviceKind | None = None) -> None:
        self.also, self.only = also, only

    async def __call__(self, request: Request) -> None:
        gate: Gate = request.app.state.gate
        device = await gate.device(request)
        if device is not None and (self.only is None or self.only in device.roles):
            request.state.identity = device
            return
        identity = await who(request)
        if identity.kind == "person" and self.also and not any(identity.may(*right) for right in self.also):
            raise denied(identity, *self.also[0])
        if identity.kind == "device" or not (identity.kind == "demo" or self.also):
            raise HTTPException(403, "Cette adresse est réservée à d’autres appareils.")


class SignedIn:
    """Whoever is known; also one who still owes one of `owing`."""

    def __init__(self, *owing: Must) -> None:
        self.owing = owing

    async def __call__(self, request: Request) -> None:
        identity = await who(request)
        if identity.must and identity.must not in self.owing:
            raise denied(identity, "poste", "lire")


class OwnerOnly:
    """What nobody else may do, whatever the rights: to give rights."""

    async def __call__(self, request: Request) -> None:
        identity = await who(request)
        if identity.must or not identity.owner:
            raise (
                denied(identity, "comptes", "valider")
                if identity.must
                else HTTPException(403, "Seul le propriétaire donne et retire des droits.")
            )


class Public:
    """Anybody. `why` it holds nothing that needs a name is required."""

    def __init__(self, why: str) -> None:
        self.why = why

    async def __call__(self, request: Request) -> None:
        """An open centre answers this machine only, whatever is asked."""
        gate: Gate = request.app.state.gate
        if gate.open:
            await gate.identify(request)


Declaration: TypeAlias = Need | Devices | SignedIn | OwnerOnly | Public


def need(module: Module, action: Action, *, own: bool = False) -> Any:
    return Depends(Need(module, action, own=own))


def devices(*also: tuple[Module, Action], only: DeviceKind | None = None) -> Any:
    return Depends(Devices(*also, only=only))


def signed_in(*owing: Must) -> Any:
    return Depends(SignedIn(*owing))


def owner_only() -> Any:
    return Depends(OwnerOnly())


def public(why: str) -> Any:
    return Depends(Public(why))


async def who(request: Request) -> Identity:
    """Who asks, found once a request. Raises 401, or 403 where the request is refused whoever asks."""
    found: Identity | None = getattr(request.state, "identity", None)
    if found is None:
        gate: Gate = request.app.state.gate
        found = await gate.identify(request)
        if found is None:
            raise HTTPException(401, "Connectez-vous.", headers={"WWW-Authenticate": "Copeau"})
        request.state.identity = found
    return found


def identity_of(request: Request) -> Identity | None:
    """Who asks, where a declaration has already found out; None on a public route."""
    found: Identity | None = getattr(request.state, "identity", None)
    return found


def acting(request: Request, said: str | None = None) -> str:
    """Who did it, for the books. What a request says of itself (`said`) counts from a device, which speaks for whoever
    stands there, and at the open demo; a signed-in person acts in no other name.
    """
    identity = identity_of(request)
    if identity is None:
        raise RuntimeError("a public route has nobody who acts")
    return identity.person or said or identity.who


def denied(identity: Identity, module: Module, action: Action) -> HTTPException:
    if identity.must:
        owed = "Entrez d’abord le code" if identity.must == "code" else "Activez d’abord un second facteur"
        return HTTPException(403, f"{owed} de votre compte.", headers={"X-Must": identity.must})
    return HTTPException(403, f"Il vous manque le droit « {MODULES[module]} : {ACTIONS[action].lower()} ».")


class DeclaredRoute(NamedTuple):
    methods: frozenset[str]
    path: str
    name: str
    declared: tuple[Declaration, ...]


class UndeclaredRouteError(RuntimeError):
    """A route without a right, or one that changes things with a right to read."""


def routes_of(app: FastAPI) -> Iterator[DeclaredRoute]:
    """Every route of the application with what it declares."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute):
            yield DeclaredRoute(frozenset(), context.path or repr(route), "", ())
            continue
        called = (d.dependency for d in (context.dependencies or ()))
        found = tuple(d for d in called if isinstance(d, Need | Devices | SignedIn | OwnerOnly | Public))
        yield DeclaredRoute(frozenset(context.methods or ()), context.path or "", route.name, found)


def check_routes(routes: Iterable[DeclaredRoute]) -> None:
    """Raises `UndeclaredRouteError`, naming the routes."""
    bad = [f"{'/'.join(sorted(route.methods))} {route.path}" for route in routes if not _is_declared(route)]
    if bad:
        raise UndeclaredRouteError(f"routes without a right of their own (central.core.access): {', '.join(bad)}")


def _is_declared(route: DeclaredRoute) -> bool:
    if route.methods <= _SAFE:
        return bool(route.declared)
    return any(not isinstance(d, Need) or d.action != "lire" for d in route.declared)
