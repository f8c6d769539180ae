"""Who acts on programmes, and as what."""

from __future__ import annotations

from fastapi import Request

from central.core.access import acting, identity_of
from central.programmes.rules import Role
from central.programmes.service import Actor


def actor(request: Request, said: str | None = None, role: Role = "methodes") -> Actor:
    """A signed-in person acts with own rights. `said` and `role`: from a device, which speaks for whoever
    stands there, and at the open demo.
    """
    identity = identity_of(request)
    if identity is None or identity.kind != "person":
        return Actor(acting(request, said), role)
    if identity.may("programmes", "valider"):
        role = "methodes"
    elif identity.may("programmes", "modifier"):
        role = "programmeur"
    else:
        role = "regleur" if identity.may("machines", "modifier") else "operateur"
    return Actor(identity.who, role)
