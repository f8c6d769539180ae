"""Use cases of the stock. Every function takes the unit of work first and commits nothing.

Reads are in `reads`; how sayings become movements is in `rules`, and brought into the books by `ledger`.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

import msgspec

from central.core.facts import Consumer, Fact
from central.core.uow import UnitOfWork
from central.items.service import NotFound, name_code, require_item, require_place, resolve, unknown_facts
from central.stock.intake import apply_counted, apply_observed, apply_scanned, saying_row
from central.stock.ledger import Saying, rebuild_levels, record, rematch
from central.stock.models import Level, Proposal
from central.stock.reads import DECIDED, UNDO_FOR, evidence, level, levels, movements, proposals
from central.stock.schemas import EvidenceView, ItemLevel, MovementView, PlaceLevel, ProposalView, SourceView
from contracts.facts import decode_body

__all__ = [
    "EvidenceView",
    "ItemLevel",
    "MovementView",
    "NotAllowed",
    "PlaceLevel",
    "ProposalView",
    "SourceView",
    "assign_code",
    "charge_operation",
    "confirm",
    "correct",
    "count",
    "evidence",
    "level",
    "levels",
    "manual_entry",
    "movements",
    "proposals",
    "rebuild_levels",
    "receive",
    "refuse",
    "undo",
]

_APPLY: dict[str, Consumer] = {
    "stock.observed": apply_observed,
    "stock.counted": apply_counted,
    "code.scanned": apply_scanned,
}


class NotAllowed(ValueError):
    """The decision comes too late, or was already taken. The message is French, for the person who asked."""


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
    await record(uow, [Saying(row, comment=comment)])


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


async def confirm(uow: UnitOfWork, proposal: int, by: str) -> None:
    """It is as proposed: it was taken, it is one event, the difference is real."""
    await _decide(uow, proposal, "confirmed", by, None)


async def correct(uow: UnitOfWork, proposal: int, qty: int, by: str) -> None:
    """The true quantity in thousandths: signed movement for a doubt, level for an écart. Pairings have none."""
    await _decide(uow, proposal, "corrected", by, qty)


async def refuse(uow: UnitOfWork, proposal: int, by: str) -> None:
    """Nothing was taken; they are two events; the count was wrong."""
    await _decide(uow, proposal, "refused", by, None)


async def _decide(
    uow: UnitOfWork, number: int, state: Literal["confirmed", "corrected", "refused"], by: str, qty: int | None
) -> None:
    proposal = await _proposal(uow, number)
    if proposal.state != "open":
        raise NotAllowed("déjà décidé, ou réglé par ce qui est arrivé depuis")
    if state == "corrected" and proposal.kind == "pairing":
        raise NotAllowed("une question « même prise ? » se répond par oui ou non")
    if state == "corrected" and proposal.kind == "ecart" and (qty or 0) < 0:
        raise NotAllowed("un comptage ne peut être négatif")
    if proposal.kind == "doubt":
        await _release(uow, proposal)
    proposal.state, proposal.decided_by, proposal.decided_at = state, by, uow.now
    proposal.decided_qty = proposal.qty if qty is None else qty
    await uow.session.flush()
    await rematch(uow, {proposal.item_id: [proposal.at]})
    uow.tell("proposals", id=number, state=state)


async def undo(uow: UnitOfWork, proposal: int, by: str) -> None:
    """Take a decision back within 10 minutes: the question is open again."""
    known = await _proposal(uow, proposal)
    if known.state not in DECIDED or known.decided_at is None:
        raise NotAllowed("rien à annuler")
    if uow.now - known.decided_at > UNDO_FOR:
        raise NotAllowed("trop tard : une décision s'annule pendant 10 minutes")
    known.state, known.decided_by, known.decided_at, known.decided_qty = "settled", by, None, None
    known.undone += 1
    await uow.session.flush()
    await rematch(uow, {known.item_id: [known.at]})
    uow.tell("proposals", id=proposal, state="open")


async def _release(uow: UnitOfWork, proposal: Proposal) -> None:
    """A decided doubt is pending no more."""
    held = await uow.session.get(Level, (proposal.item_id, proposal.place_id))
    if held is not None:
        held.pending -= proposal.qty


async def _proposal(uow: UnitOfWork, number: int) -> Proposal:
    proposal = await uow.session.get(Proposal, number)
    if proposal is None:
        raise NotFound(f"proposition {number} inconnue")
    return proposal
