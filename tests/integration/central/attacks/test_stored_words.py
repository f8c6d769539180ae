"""What a person, an operator or a device can write, shown again on every page: text, never a script."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx
from fastapi.routing import APIRoute, iter_route_contexts

from central.alerts import service as alerts
from central.audit import service as audit
from central.inbox import quarantine
from central.inbox.quarantine import Suspect
from central.items import service as items
from central.machines import service as machines
from central.people import service as people
from central.racks.models import Rack
from central.stock import service as stock
from central.work import service as work
from tests.support.access import House, house

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
SIGNS = ("<script>alert(1)", "<img src=x", "onerror=alert(2)>")
NOW = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)


async def fill(home: House) -> list[str]:
    """Every book with hostile texts; the codes to ask pages for."""
    async with home.units.begin() as uow:
        person = await people.add_person(uow, EVIL)
        await items.add_place(uow, f"r/{EVIL}"[:60], EVIL)
        item = await items.add_item(uow, f"X{EVIL}"[:60], EVIL, place=f"r/{EVIL}"[:60])
        await stock.receive(uow, item.code, 3000, f"r/{EVIL}"[:60], at=NOW, key="k", comment=EVIL, person=person.id)
        await machines.add_machine(uow, "tour-1", EVIL, kind=EVIL, controller=EVIL)
        await work.add_order(uow, f"OF{EVIL}"[:60], quantity=1, label=EVIL)
        await alerts.raise_alert(uow, f"k:{EVIL}", "high", EVIL, EVIL, "machine:tour-1")
        await quarantine.keep(uow, [Suspect(f"atelier/{EVIL}", EVIL.encode(), "kind", EVIL, kind=EVIL[:40])])
        await audit.record(uow, who=EVIL, what="work.clock", subject=EVIL, said=EVIL, note=audit.erasable(EVIL))
        uow.session.add(
            Rack(code="rack-x", label=EVIL, mode="counting", mode_code="ok", message=EVIL, person=person.id)
        )
    return [person.id, item.code, "tour-1", "rack-x", "1"]


async def test_no_page_runs_what_was_written(sqlite_url: str, tmp_path: Path) -> None:
    async with (
        house(sqlite_url, tmp_path, access="open") as home,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(home.app, client=("127.0.0.1", 1)), base_url="http://127.0.0.1:8000"
        ) as browser,
    ):
        codes = await fill(home)
        shown, wrong = 0, []
        for context in iter_route_contexts(home.app.routes):
            path = context.path or ""
            if not isinstance(context.original_route, APIRoute) or "GET" not in (context.methods or ()):
                continue
            if path.startswith(("/api/", "/static/")) or "path:path" in path.replace("{code:path}", ""):
                continue
            for code in codes if "{" in path or context.original_route.dependant.query_params else [""]:
                address = path.replace("{code:path}", quote(code, safe=""))
                for name in ("code", "person", "programme_id", "number", "which", "trip", "token", "name"):
                    address = address.replace(f"{{{name}}}", quote(code, safe=""))
                params = {f.alias: code for f in context.original_route.dependant.query_params}
                answer = await browser.get(address, params=params, headers={"Accept": "text/html"})
                if not answer.headers.get("content-type", "").startswith("text/html"):
                    continue
                shown += "&lt;script&gt;" in answer.text
                wrong += [f"{address[:80]}: {sign}" for sign in SIGNS if sign in answer.text]
        assert not wrong, "\n".join(wrong[:20])
        assert shown >= 6
