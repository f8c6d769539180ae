"""What stands around every page: which tab is open, and how much waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from sqlalchemy import func, select

from central.alerts import service as alerts
from central.core.uow import Outgoing, UnitOfWork
from central.inbox import quarantine
from central.items import service as items
from central.signing import service as signing
from central.stock import service as stock
from central.ui.templating import render
from central.work import service as work


@dataclass(frozen=True, slots=True)
class Waiting:
    """Counts on the tabs."""

    alerts: int = 0
    proposals: int = 0
    quarantine: int = 0
    marked: bool = False
    """There are orders that ask for signatures."""
    to_sign: int = 0


NOBODY = Waiting()


async def waiting(uow: UnitOfWork) -> Waiting:
    marked = await work.any_marked(uow)
    return Waiting(
        alerts=sum(alert.acknowledged_at is None for alert in await alerts.open_alerts(uow)),
        proposals=await stock.count_open(uow),
        quarantine=await quarantine.count_open(uow) + len(await items.unknown_codes(uow)),
        marked=marked,
        to_sign=await signing.count_waiting(uow) if marked else 0,
    )


async def full_page(request: Request, uow: UnitOfWork, template: str, tab: str, **context: Any) -> HTMLResponse:
    """A whole page with its frame; fragments are rendered by `templating.render` alone."""
    after = await uow.session.scalar(select(func.max(Outgoing.id))) or 0
    return render(request, template, tab_name=tab, waiting=await waiting(uow), after=after, **context)
