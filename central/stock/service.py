"""Use cases of the stock. Every function takes the unit of work first and commits nothing.

Reads are in `reads`; how sayings become movements is in `rules`, and brought into the books by `ledger`.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from central.core.facts import Consumer, Fact
from central.core.uow import UnitOfWork
from central.items.service import name_code, require_item, require_place, resolve, unknown_facts
from central.racks import service as racks
from central.stock.charges import ChargeRow, Taken, charge, find_taken, taken, uncharged
from central.stock.deciding import NotAllowed, accept_differences, confirm, contest, correct, refuse, undo
from central.stock.intake import apply_counted, apply_observed, apply_scanned, learn, saying_row
from central.stock.ledger import Saying, rebuild_levels, record
from central.stock.rack_reads import differences, last_beliefs, rack_ecarts, rack_places, to_count
from central.stock.readings import apply_asked
from central.stock.reads import count_open, evidence, level, levels, movements, proposals, rack_of_question
from central.stock.schemas import (
    DifferenceView,
    EvidenceView,
    ItemLevel,
    LastBelief,
    MovementView,
    PlaceLevel,
    PlaceStock,
    ProposalView,
    SourceView,
    ToCount,
)
from contracts.facts import decode_body

__all__ = [
    "ChargeRow",
    "DifferenceView",
    "EvidenceView",
    "ItemLevel",
    "LastBelief",
    "MovementView",
    "NotAllowed",
    "PlaceLevel",
    "PlaceStock",
    "ProposalView",
    "SourceView",
    "Taken",
    "ToCount",
    "accept_differences",
    "assign_code",
    "charge",
    "charge_operation",
    "confirm",
    "contest",
    "correct",
    "count",
    "count_open",
    "differences",
    "evidence",
    "find_taken",
    "last_beliefs",
    "level",
    "levels",
    "manual_entry",
    "movements",
    "proposals",
    "rack_ecarts",
    "rack_of_question",
    "rack_places",
    "rebuild_levels",
    "receive",
    "refuse",
    "taken",
    "to_count",
    "uncharged",
    "undo",
]

_APPLY: dict[str, Consumer] = {
    "stock.observed": apply_observed,
    "stock.counted": apply_counted,
    "stock.asked": apply_asked,
    "code.scanned": apply_scanned,
}


async def manual_entry(
    uow: UnitOfWork,
    item: str,
    qty: int,
    *,
    place: str | None = None,
    person: str | None = None,
    operation: str | None = None,
    at: datetime | None = None,
    comment: str = "",
    key: str | None = None,
) -> None:
    """A person says that `qty` thousandths moved (negative: taken), like a scan. `key` makes it repeatable."""
    if not qty:
        raise ValueError("quantité nulle : rien à enregistrer")
    row = await _said(uow, item, "manual", qty, place, at, key)
    row |= {"person": person, "operation": operation}
    await learn(uow, await record(uow, [Saying(row, comment=comment)]))


async def receive(
    uow: UnitOfWork,
    item: str,
    qty: int,
    place: str,
    *,
    at: datetime | None = None,
    person: str | None = None,
    comment: str = "",
    key: str | None = None,
) -> None:
    """Goods or a first stock arrive at `place`. A receipt is never taken for a return that a camera saw."""
    if qty <= 0:
        raise ValueError("une entrée est positive")
    row = await _said(uow, item, "manual", qty, place, at, key)
    await record(uow, [Saying(row | {"person": person, "nature": "receipt"}, comment=comment)])


async def count(
    uow: UnitOfWork,
    item: str,
    place: str,
    qty: int,
    *,
    at: datetime | None = None,
    person: str | None = None,
    comment: str = "",
    key: str | None = None,
) -> None:
    """A person counted `qty` thousandths at `place`: the level at that time; a difference becomes an écart."""
    if qty < 0:
        raise ValueError("un comptage ne peut être négatif")
    row = await _said(uow, item, "manual", qty, place, at, key)
    await record(uow, [Saying(row | {"person": person, "nature": "count"}, comment=comment)])
    held = (await racks.believed(uow, [place])).get(place)
    if at is None and held is not None and held * 1000 != qty:
        await racks.tell_count(uow, place, qty // 1000, by=person or "?")


async def charge_operation(
    uow: UnitOfWork,
    operation: str,
    item: str,
    qty: int,
    at: datetime,
    *,
    person: str | None = None,
    place: str | None = None,
    key: str,
) -> None:
    """The validated operation used `qty` thousandths (positive) of `item`: what was not yet charged to it is debited.

    Picks, scans and entries that carry this operation are netted whenever they happened, or arrive. Repeating the
    same `key` changes nothing. Raises `NotFound`.
    """
    row = await _said(uow, item, "operation", -qty, place, at, f"op:{key}")
    await record(uow, [Saying(row | {"operation": operation, "person": person})])


async def _said(
    uow: UnitOfWork, item: str, source: str, qty: int, place: str | None, at: datetime | None, key: str | None
) -> dict[str, object]:
    known = await require_item(uow, item)
    row = saying_row(uow, key or f"manual:{uuid.uuid4().hex}", known, source, qty, at or uow.now)
    if place:
        row["place_id"] = (await require_place(uow, place)).id
    return row


async def assign_code(uow: UnitOfWork, code: str, item: str) -> int:
    """`code` means `item` from now on, and for everything that was said with it before; how many facts that were.

    Raises `NotFound` or, when the code already means something else, ValueError.
    """
    known = await require_item(uow, item)
    found = await resolve(uow, code)
    if found is None:
        await name_code(uow, code, item=item)
    elif found.item is None or found.item.id != known.id:
        raise ValueError(f"le code {code} est déjà attribué")
    kept = await unknown_facts(uow, code)
    for one in kept:
        body = decode_body(one.kind, msgspec.json.encode(one.body))
        fact = Fact(
            one.fact_id, one.site, one.agent, one.kind, one.at, one.uncertain, one.source_time, one.received_at, body
        )
        await _APPLY[one.kind](uow, [fact])
    uow.tell("unknown", assigned=code)
    return len(kept)
