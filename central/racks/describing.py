"""Teaching: descriptions of racks as versions, fetched by agents under their hash."""

from __future__ import annotations

import hashlib

from sqlalchemy import select

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.items.service import add_places
from central.racks import commands, reads
from central.racks.models import Rack, RackDescriptionVersion
from central.racks.schemas import DescriptionView
from contracts.racks import RackDescription, RackDescriptionError, dump, parse

PATH = "/api/racks/descriptions"


async def teach(
    uow: UnitOfWork, rack: str, document: bytes | str | RackDescription, *, by: str, label: str = "", comment: str = ""
) -> DescriptionView:
    """The next version of the rack's description, sent to its agent; unchanged, it is only sent again.

    Its places become places of the stock, and home of their item when it has none. Raises ValueError, in French.
    """
    rack = rack.strip()
    if not rack or len(rack) > 80 or "/" in rack:
        raise ValueError("Le code d'un rack a 1 à 80 caractères, sans « / ».")
    try:
        described = parse(dump(document) if isinstance(document, RackDescription) else document)
    except RackDescriptionError as error:
        raise ValueError(f"Description refusée : {error}") from error
    content = dump(described)
    sha256 = hashlib.sha256(content).hexdigest()
    known = await uow.session.get(Rack, rack)
    if known is None:
        known = Rack(code=rack, label=label or rack, mode="unknown", mode_code="ok", message="")
        uow.session.add(known)
    elif label:
        known.label = label
    newest = await reads.description(uow, rack)
    if newest is None or newest.sha256 != sha256:
        number = newest.number + 1 if newest else 1
        uow.session.add(
            RackDescriptionVersion(
                rack=rack, number=number, sha256=sha256, document=content.decode(), at=uow.now, by=by,
                comment=comment[:400],
            )
        )  # fmt: skip
        await uow.session.flush()
        await _add_places(uow, rack, described)
        await audit.record(
            uow, who=by, what="racks.teach", subject=f"rack:{rack}", number=number, sha256=sha256,
            slots=len(described.slots),
        )  # fmt: skip
    await uow.session.flush()
    if known.agent is not None:
        await send(uow, rack, by=by)
    uow.tell(f"rack:{rack}")
    uow.tell("racks")
    found = await reads.description(uow, rack)
    assert found is not None
    return found


async def restore(uow: UnitOfWork, rack: str, number: int, *, by: str) -> DescriptionView:
    """An earlier version becomes the newest. Raises LookupError."""
    old = await reads.description(uow, rack, number)
    if old is None:
        raise LookupError(f"Le rack {rack} n'a pas de version {number}.")
    return await teach(uow, rack, old.description, by=by, comment=f"retour à la version {number}")


async def send(uow: UnitOfWork, rack: str, *, by: str) -> str:
    """Tell the agent of the newest description; the command's id. Raises LookupError, RefusedError."""
    newest = await reads.description(uow, rack)
    if newest is None:
        raise LookupError(f"Le rack {rack} n'a pas été appris ici.")
    size = len(dump(newest.description))
    return await commands.ask(
        uow, rack, "rack-teach", by, sha256=newest.sha256, size=size, path=f"{PATH}/{newest.sha256}"
    )


async def document(uow: UnitOfWork, sha256: str) -> str | None:
    """The JSON of that hash."""
    v = RackDescriptionVersion
    return await uow.session.scalar(select(v.document).where(v.sha256 == sha256).limit(1))


async def _add_places(uow: UnitOfWork, rack: str, described: RackDescription) -> None:
    by_place = {f"{rack}/{slot.id}": slot for slot in described.slots}
    rows = await uow.session.execute(select(Place.code, Place.id).where(Place.code.in_([rack, *by_place])))
    known = {code: id_ for code, id_ in rows}  # noqa: C416 -- dict() of rows has no type
    missing = [place for place in (rack, *by_place) if place not in known]
    if missing:
        known |= await add_places(uow, missing)
    wanted = {slot.item.upper() for slot in described.slots if slot.item}
    items = {item.code: item for item in await uow.session.scalars(select(Item).where(Item.code.in_(wanted)))}
    for place, slot in by_place.items():
        item = items.get(slot.item.upper())
        if item is not None and item.place_id is None:
            item.place_id = known[place]
    await uow.session.flush()
