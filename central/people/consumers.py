"""Badge scans → presence at a post."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from central.core.database import insert_ignore
from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork
from central.people import service
from central.people.models import BadgeScan
from contracts.facts import CodeScanned


def register(consumers: Consumers) -> None:
    consumers.on("code.scanned", on_code_scanned)


async def on_code_scanned(uow: UnitOfWork, facts: Sequence[Fact[Any]]) -> None:
    """A badge says who is here, whatever the post is set to do."""
    badges: list[tuple[Fact[CodeScanned], str]] = []
    for fact in facts:
        badge = service.badge_in(fact.body.code)
        if badge is not None:
            badges.append((fact, badge))
    if not badges:
        return
    known = await service.by_badge(uow, {badge for _, badge in badges})
    rows = [
        {"fact_id": f.id, "post": f.body.post, "badge": badge, "person": known.get(badge), "at": f.at}
        for f, badge in badges
    ]
    await uow.session.execute(insert_ignore(uow.session, BadgeScan.metadata.tables["badge_scan"], rows))
    for fact, _ in badges:
        uow.tell(f"post:{fact.body.post}")
