"""From what was said, by a fact or on a page, to observations of items and places that are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from central.core.facts import Fact
from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.items.service import Found, add_places, keep_unknown, resolve_many
from central.racks.crops import Use
from central.racks.service import claim_crops, note_believed, rack_of, withdraw
from central.racks.telling import Belief
from central.stock.cameras import Racks
from central.stock.labels import note_joined
from central.stock.ledger import Recorded, Saying, record
from central.stock.models import NO_PLACE
from contracts.facts import CodeScanned, StockAsked, StockCounted, StockObserved

PIECE = 1000


async def apply_observed(uow: UnitOfWork, facts: Sequence[Fact[StockObserved]]) -> None:
    """Book what sources saw. What names an unknown item is kept whole until the code is assigned.

    What a camera says of a class that its rack is not trusted with is a doubt, whatever the camera thinks of it.
    """
    named = {fact.id: _name(fact.body) for fact in facts}
    found = await resolve_many(uow, named.values())
    places = await places_of(uow, (fact.body.place for fact in facts))
    seen = [fact for fact in facts if fact.body.source == "camera" and fact.body.place]
    owners = any(f.body.transfer or _item(found, named[f.id]) is None for f in seen)
    racks = await Racks.load(uow, {p for f in seen for p in (f.body.place, f.body.transfer) if p}, owners=owners)
    items = {fact.id: racks.item(fact.body.place, _item(found, named[fact.id])) for fact in facts}
    sure = await racks.trusted(uow, [(f.body.place, i) for f in seen if (i := items[f.id]) is not None])
    sayings: list[Saying] = []
    unknown: list[tuple[str, Fact[Any]]] = []
    beliefs: list[Belief] = []
    uses: list[Use] = []
    for fact in facts:
        item = items[fact.id]
        if item is None:
            unknown.append((named[fact.id], fact))
            continue
        body = fact.body
        counts = _thousandths(body)
        camera = body.source == "camera" and body.place is not None
        misplaced = camera and racks.misplaced(item, body.transfer)
        blank = camera and body.mode == "auto" and (body.place, item.id) not in sure
        review = body.mode == "review" or blank or misplaced
        row = saying_row(uow, f"fact:{fact.id}", item, body.source, body.qty, fact.at, agent=fact.agent) | {
            "place_id": places.get(body.place or "", NO_PLACE),
            "operation": body.operation,
            "person": body.person,
            "post": fact.agent,
            "confidence": body.confidence,
            "review": review,
            "session": body.session,
            "count_before": counts[0],
            "count_after": counts[1],
            "during_absence": body.during_absence,
            "uncertain": fact.uncertain,
            "model": body.model,
        }
        saying = Saying(row, comment=body.comment)
        if camera and body.place is not None:
            if blank or misplaced or body.crops or body.why or body.transfer or racks.knows(body.place):
                saying.sight = sight(body, body.place, fact.at) | {"misplaced": misplaced, "blank": blank}
                saying.sight["transfer"] = body.transfer
            if body.crops:
                uses.append(Use(body.crops, rack_of(body.place), review, fact.at))
            if counts[1] is not None:
                beliefs.append(Belief(body.place, counts[1] // PIECE, fact.at))
        sayings.append(saying)
    await keep_unknown(uow, unknown)
    await claim_crops(uow, uses)
    await note_believed(uow, beliefs)
    await learn(uow, await record(uow, sayings))


async def apply_counted(uow: UnitOfWork, facts: Sequence[Fact[StockCounted]]) -> None:
    """Counts of a person, a camera or a scale."""
    found = await resolve_many(uow, (fact.body.item for fact in facts))
    places = await places_of(uow, (fact.body.place for fact in facts))
    sayings: list[Saying] = []
    unknown: list[tuple[str, Fact[Any]]] = []
    for fact in facts:
        body = fact.body
        item = _item(found, body.item)
        if item is None:
            unknown.append((body.item, fact))
            continue
        row = saying_row(uow, f"fact:{fact.id}", item, body.source, body.qty, fact.at, agent=fact.agent) | {
            "nature": "count",
            "place_id": places[body.place],
            "person": body.person,
            "post": fact.agent,
            "confidence": body.confidence,
            "uncertain": fact.uncertain,
        }
        sayings.append(Saying(row, comment=body.comment))
    await keep_unknown(uow, unknown)
    await learn(uow, await record(uow, sayings))


async def apply_scanned(uow: UnitOfWork, facts: Sequence[Fact[CodeScanned]]) -> None:
    """Scans that take or return an item. Codes of operations, badges and machines are other features' business."""
    facts = [fact for fact in facts if fact.body.action != "toggle"]
    found = await resolve_many(uow, (fact.body.code for fact in facts))
    places = await places_of(uow, (fact.body.place for fact in facts))
    sayings: list[Saying] = []
    for fact in facts:
        body = fact.body
        item = _item(found, body.code)
        if item is None or body.action not in {"take", "return"}:
            continue
        qty = -body.qty if body.action == "take" else body.qty
        row = saying_row(uow, f"fact:{fact.id}", item, "scan", qty, fact.at, agent=fact.agent) | {
            "place_id": places.get(body.place or "", NO_PLACE),
            "operation": body.operation,
            "person": body.person,
            "post": body.post,
            "uncertain": fact.uncertain,
        }
        sayings.append(Saying(row))
    await keep_unknown(uow, [(fact.body.code, fact) for fact in facts if fact.body.code not in found])
    await learn(uow, await record(uow, sayings))


async def learn(uow: UnitOfWork, done: Recorded) -> None:
    """A person's own word is as good as a tap on a doubt of a rack that is not trusted yet."""
    await withdraw(uow, done.doubted, "system")
    await note_joined(uow, sorted(done.answered | set(done.blank)))


def saying_row(
    uow: UnitOfWork, key: str, item: Item, source: str, qty: int, at: datetime, *, agent: str = ""
) -> dict[str, Any]:
    """An observation's columns with what is usual; `agent` tells apart the cameras and the scales."""
    return {
        "key": key,
        "item_id": item.id,
        "place_id": NO_PLACE,
        "nature": "move",
        "source": source,
        "channel": f"{source}:{agent}" if source in {"camera", "scale"} else source,
        "at": at,
        "recorded_at": uow.now,
        "qty": qty,
        "operation": None,
        "person": None,
        "post": None,
        "confidence": 1.0,
        "review": False,
        "session": None,
        "count_before": None,
        "count_after": None,
        "during_absence": False,
        "uncertain": False,
        "model": None,
        "reason": None,
    }


def sight(body: StockObserved | StockAsked, place: str, at: datetime) -> dict[str, Any]:
    """Columns of `Sight`."""
    return {
        "crops": body.crops,
        "why": body.why,
        "transfer": None,
        "misplaced": False,
        "blank": False,
        "rack": rack_of(place),
        "at": at,
    }


def _name(body: StockObserved) -> str:
    name = body.item or body.code
    if not name:
        raise ValueError("stock.observed names neither an item nor a code")
    return name


def _item(found: dict[str, Found], name: str) -> Item | None:
    return found[name].item if name in found else None


def _thousandths(body: StockObserved) -> tuple[int | None, int | None]:
    """Counts come as pieces, or in thousandths as the quantity does: the quantity tells which."""
    before, after = body.count_before, body.count_after
    if before is not None and after is not None and after - before == body.qty:
        return before, after
    return (None if before is None else before * PIECE), (None if after is None else after * PIECE)


async def places_of(uow: UnitOfWork, codes: Iterable[str | None]) -> dict[str, int]:
    """Ids of places by what sources say. A place that nobody declared yet is added: its stock must not get lost."""
    wanted = {code: code.strip() or "?" for code in codes if code}
    if not wanted:
        return {}
    rows = await uow.session.execute(select(Place.code, Place.id).where(Place.code.in_(set(wanted.values()))))
    known = {code: id_ for code, id_ in rows}  # noqa: C416 -- dict() of rows has no type
    missing = sorted(set(wanted.values()) - known.keys())
    if missing:
        known |= await add_places(uow, missing)
    return {said: known[code] for said, code in wanted.items()}
