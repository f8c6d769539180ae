"""Every route and stream: nobody gets in without a name, and each role gets what the matrix says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI

from central.core.access import (
    DeclaredRoute,
    Devices,
    Need,
    OwnerOnly,
    Public,
    SignedIn,
    UndeclaredRouteError,
    check_routes,
    need,
    routes_of,
)
from central.core.rights import ROLES, Grants, Role, grants_of
from tests.support.access import House, house

_VALUES = {
    "sha256": "0" * 64, "crops_id": "0" * 32, "crops": "0" * 32, "boot": "b0000001", "agent": "poste-1",
    "action": "lire", "module": "stock",
}  # fmt: skip


@pytest.fixture
async def open_house(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(sqlite_url, tmp_path) as opened:
        yield opened


def asked(route: DeclaredRoute) -> list[tuple[str, str]]:
    """Each method with an address that fits the route."""
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda m: _VALUES.get(m.group(1), "1"), route.path)
    return [(method, path) for method in sorted(route.methods - {"HEAD"})]


def may(route: DeclaredRoute, grants: Grants) -> bool:
    """What the declarations of a route mean for a signed-in person with these rights."""
    for declared in route.declared:
        match declared:
            case Need(module=module, action=action, own=own):
                if not grants.allows(module, action, own=own):
                    return False
            case Devices(also=also):
                if not any(grants.allows(*right) for right in also):
                    return False
            case OwnerOnly():
                return False
            case SignedIn() | Public():
                pass
    return True


async def test_nobody_without_a_name_gets_in(open_house: House) -> None:
    answered = []
    for route in routes_of(open_house.app):
        if any(isinstance(d, Public) for d in route.declared):
            continue
        for method, path in asked(route):
            status, _ = await open_house.first(method, path)
            if status != 401:
                answered.append((method, path, status))
    assert not answered


async def test_what_is_public_is_a_short_list(open_house: House) -> None:
    public = {r.path for r in routes_of(open_house.app) if any(isinstance(d, Public) for d in r.declared)}
    assert public == {
        "/static/{path:path}", "/favicon.ico", "/poste", "/sw.js", "/manifest.webmanifest", "/api/time", "/connexion",
        "/bienvenue/{token}", "/api/enrol", "/api/enrol/terminal", "/ca.crt", "/confiance", "/inscription", "/enrol",
    }  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_gets_what_the_matrix_says(open_house: House, role: Role) -> None:
    cookie = await open_house.cookie(await _with_factor(open_house, role))
    grants = grants_of([role])
    wrong = []
    for route in routes_of(open_house.app):
        if route.path == "/deconnexion":
            continue
        for method, path in asked(route):
            status, _ = await open_house.first(method, path, cookie)
            let_in = status not in {401, 403}
            if let_in != may(route, grants):
                wrong.append((method, path, status))
    assert not wrong


async def _with_factor(opened: House, *roles: str) -> str:
    person = await opened.person(*roles)
    async with opened.units.begin() as uow:
        from central.people import own

        await own.set_totp(uow, person, b"sealed", 0)
    return person


async def test_a_right_taken_away_holds_for_the_next_request(open_house: House) -> None:
    person = await open_house.person("magasinier")
    cookie = await open_house.cookie(person)
    assert (await open_house.first("GET", "/stock", cookie))[0] == 200
    from central.core.rights import Right
    from central.people import accounts

    async with open_house.units.begin() as uow:
        await accounts.set_exception(uow, person, Right("stock", "lire"), allowed=False, by="system")
    assert (await open_house.first("GET", "/stock", cookie))[0] == 403


def test_a_route_without_a_right_stops_the_centre() -> None:
    app = FastAPI(openapi_url=None)
    router = APIRouter(dependencies=[need("stock", "lire")])

    @router.post("/api/stock/new")
    async def changes_with_a_right_to_read() -> None: ...

    @app.get("/naked")
    async def naked() -> None: ...

    app.include_router(router)
    with pytest.raises(UndeclaredRouteError, match=r"GET /naked, POST /api/stock/new|POST /api/stock/new, GET /naked"):
        check_routes(routes_of(app))
