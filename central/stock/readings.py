"""What cameras say of places: "combien ?", and what lies there, absolutely."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from central.core.facts import Fact
from central.core.uow import UnitOfWork
from central.items.service import keep_unknown, resolve_many
from central.racks.crops import Use
from central.racks.service import claim_crops, rack_of
from central.stock.cameras import Racks
from central.stock.former import others_booked
from central.stock.intake import PIECE, places_of, saying_row, sight
from central.stock.ledger import Saying, record, rematch
from contracts.facts import RackRead, SlotSeen, StockAsked


async def apply_asked(uow: UnitOfWork, facts: Sequence[Fact[StockAsked]]) -> None:
    """A session that a camera cannot count: a question, until a person, a scan or a count answers it."""
    found = await resolve_many(uow, [n for f in facts if (n := f.body.item or f.body.code)])
    places = await places_of(uow, (fact.body.place for fact in facts))
    racks = await Racks.load(uow, {fact.body.place for fact in facts})
    sayings: list[Saying] = []
    unknown: list[tuple[str, Fact[Any]]] = []
    uses: list[Use] = []
    for fact in facts:
        body = fact.body
        name = body.item or body.code or body.place
        item = racks.item(body.place, found[name].item if name in found else None)
        if body.crops:
            uses.append(Use(body.crops, rack_of(body.place), doubtful=True, at=fact.at))
        if item is None:
            unknown.append((name, fact))
            continue
        row = saying_row(uow, f"fact:{fact.id}", item, "camera", body.guess or 0, fact.at, agent=fact.agent) | {
            "nature": "ask",
            "place_id": places[body.place],
            "person": body.person,
            "post": fact.agent,
            "confidence": body.confidence,
            "review": True,
            "session": body.session,
            "count_before": None if body.count_before is None else body.count_before * PIECE,
            "during_absence": body.during_absence,
            "uncertain": fact.uncertain,
            "model": body.model,
            "reason": body.reason,
        }
        sayings.append(Saying(row, sight=sight(body, body.place, fact.at)))
    await keep_unknown(uow, unknown)
    await claim_crops(uow, uses)
    await record(uow, sayings)


async def apply_read(uow: UnitOfWork, facts: Sequence[Fact[RackRead]]) -> None:
    """What lies in the places of a rack, to be compared with the ledger at that time. It changes nothing by itself."""
    slots = [(fact, slot) for fact in facts for slot in fact.body.slots]
    found = await resolve_many(uow, [slot.item for _, slot in slots if slot.item])
    places = await places_of(uow, (slot.place for _, slot in slots))
    racks = await Racks.load(uow, {slot.place for _, slot in slots})
    sayings: list[Saying] = []
    for fact, slot in slots:
        named = found[slot.item].item if slot.item in found else None
        item = racks.item(slot.place, named)
        seen = _seen(slot, racks)
        if item is None or seen is None:
            continue
        row = saying_row(uow, f"fact:{fact.id}:{slot.place}"[:160], item, "camera", seen[1], fact.at, agent=fact.agent)
        row |= {
            "nature": seen[0],
            "place_id": places[slot.place],
            "person": fact.body.person,
            "post": fact.agent,
            "confidence": slot.confidence,
            "session": fact.body.session,
            "uncertain": fact.uncertain,
            "model": fact.body.model,
        }
        sayings.append(Saying(row))
    await record(uow, sayings)
    await _ask_of_others(uow, sayings)


def _seen(slot: SlotSeen, racks: Racks) -> tuple[str, int] | None:
    """``read`` with thousandths, or ``there``; None where nothing can be told from it."""
    if slot.state != "seen":
        return None
    if slot.count is not None:
        return "read", slot.count * PIECE
    # That a box is there says nothing of what lies in it.
    if slot.present is None or racks.is_hidden(slot.place):
        return None
    return "there", PIECE if slot.present else 0


async def _ask_of_others(uow: UnitOfWork, sayings: Collection[Saying]) -> None:
    """Other items of these places: a reading of theirs is compared no more, and what is booked of them is asked."""
    read = {saying.row["place_id"]: saying.row["item_id"] for saying in sayings}
    others = await others_booked(uow.session, read) if read else set()
    if others:
        await rematch(uow, dict.fromkeys(others, ()))
