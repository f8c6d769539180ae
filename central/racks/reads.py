"""What pages ask of racks. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import func, select

from central.audit.models import AuditEntry
from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.racks import rules
from central.racks.models import (
    Rack,
    RackCommand,
    RackCrops,
    RackCropsUse,
    RackDescriptionVersion,
    RackModel,
    RackModeSpan,
    RackOutcome,
    RackPurge,
    RackRollout,
    RackSlot,
    RackTrust,
)
from central.racks.schemas import (
    CommandView,
    DescriptionView,
    ModelView,
    OutcomeView,
    PlaceView,
    PrivacyView,
    PurgeView,
    RackView,
    RolloutView,
    TrustView,
    ViewingView,
)
from central.racks.vault import key_id
from contracts.racks import RackDescription, SlotDescription, parse

_WEEK = timedelta(days=7)
VIEWED = ("racks.view_crops", "racks.view_picture")
_PURGED = {
    "expired": "durée de conservation atteinte",
    "key_lost": "clé de chiffrement perdue : images illisibles",
    "asked": "effacées à la demande",
}


async def racks(uow: UnitOfWork) -> list[RackView]:
    """All racks, by code."""
    return await _views(uow, list(await uow.session.scalars(select(Rack).order_by(Rack.code))))


async def known(uow: UnitOfWork, codes: Collection[str]) -> set[str]:
    """Of these, the racks that ever spoke or were described."""
    return set(await uow.session.scalars(select(Rack.code).where(Rack.code.in_(set(codes)))))


async def rack(uow: UnitOfWork, code: str) -> RackView | None:
    found = await uow.session.get(Rack, code)
    return None if found is None else (await _views(uow, [found]))[0]


async def _views(uow: UnitOfWork, rows: list[Rack]) -> list[RackView]:
    codes = [row.code for row in rows]
    modes: defaultdict[str, list[rules.ModeAt]] = defaultdict(list)
    span = RackModeSpan
    begin = uow.now - _WEEK
    # With the last change before the week: what the rack was when it began.
    before = select(func.max(span.at)).where(span.rack == Rack.code, span.at <= begin).correlate(Rack).scalar_subquery()
    for code, at, mode in await uow.session.execute(
        select(span.rack, span.at, span.mode)
        .join(Rack, Rack.code == span.rack)
        .where(span.rack.in_(codes), (span.at > begin) | (span.at == before))
        .order_by(span.at, span.seq)
    ):
        modes[code].append(rules.ModeAt(at, mode))
    newest = await _newest(uow, codes)
    slots: defaultdict[str, list[str]] = defaultdict(list)
    for code, state in await uow.session.execute(select(RackSlot.rack, RackSlot.state).where(RackSlot.rack.in_(codes))):
        slots[code].append(state)
    return [
        RackView(
            code=row.code,
            label=row.label or row.code,
            agent=row.agent,
            mode=row.mode,
            mode_label=rules.MODE_LABELS.get(row.mode, row.mode),
            code_label="" if row.mode_code == "ok" else rules.CODE_LABELS.get(row.mode_code, row.mode_code),
            mode_code=row.mode_code,
            message=row.message,
            person=row.person,
            since=row.since,
            read_at=row.read_at,
            crops=row.crops,
            availability=rules.availability(modes[row.code], begin, uow.now),
            version=newest[row.code].number if row.code in newest else None,
            slots=max(len(slots[row.code]), len(newest[row.code].description.slots) if row.code in newest else 0),
            unreadable=sum(state in rules.UNREADABLE for state in slots[row.code]),
            model=row.model,
        )
        for row in rows
    ]


async def description(uow: UnitOfWork, rack: str, number: int | None = None) -> DescriptionView | None:
    """The newest description, or that number."""
    if number is None:
        return (await _newest(uow, [rack])).get(rack)
    v = RackDescriptionVersion
    row = await uow.session.scalar(select(v).where(v.rack == rack, v.number == number))
    return None if row is None else _described(row)


async def descriptions(uow: UnitOfWork, rack: str) -> list[DescriptionView]:
    """All versions, newest first."""
    v = RackDescriptionVersion
    rows = await uow.session.scalars(select(v).where(v.rack == rack).order_by(v.number.desc()))
    return [_described(row) for row in rows]


async def _newest(uow: UnitOfWork, racks: Collection[str]) -> dict[str, DescriptionView]:
    v = RackDescriptionVersion
    last = select(v.rack, func.max(v.number).label("number")).where(v.rack.in_(racks)).group_by(v.rack).subquery()
    rows = await uow.session.scalars(select(v).join(last, (v.rack == last.c.rack) & (v.number == last.c.number)))
    return {row.rack: _described(row) for row in rows}


def _described(row: RackDescriptionVersion) -> DescriptionView:
    return DescriptionView(row.rack, row.number, row.sha256, row.at, row.by, row.comment, parse(row.document))


async def taught(uow: UnitOfWork, places: Collection[str]) -> dict[str, SlotDescription]:
    """What the newest descriptions say of these places; those never taught at the centre are not in the answer."""
    wanted = set(places)
    newest = await _newest(uow, {rules.rack_of(place) for place in wanted})
    return {
        place: slot
        for code, view in newest.items()
        for slot in view.description.slots
        if (place := f"{code}/{slot.id}") in wanted
    }


async def places(uow: UnitOfWork, rack: str) -> list[PlaceView]:
    """Its places in the order of the description, then those that were only ever read."""
    read = {
        row.place: row
        for row in await uow.session.scalars(select(RackSlot).where(RackSlot.rack == rack).order_by(RackSlot.place))
    }
    newest = (await _newest(uow, [rack])).get(rack)
    slots: dict[str, SlotDescription | None] = {}
    if newest is not None:
        slots = {f"{rack}/{slot.id}": slot for slot in newest.description.slots}
    slots |= {place: None for place in read if place not in slots}
    at_home = await uow.session.execute(
        select(Place.code, Item.code).join(Item, Item.place_id == Place.id).where(Place.code.in_(slots))
    )
    homes = {place: item for place, item in at_home}  # noqa: C416 -- dict() of rows has no type
    return [_place(rack, place, slot, read.get(place), homes.get(place)) for place, slot in slots.items()]


def _place(rack: str, place: str, slot: SlotDescription | None, row: RackSlot | None, home: str | None) -> PlaceView:
    kind = slot.kind.value if slot else ""
    state = row.state if row else "unknown"
    return PlaceView(
        place=place,
        slot=rules.slot_of(place),
        rack=rack,
        item=(slot.item if slot and slot.item else None) or (row.item if row else None) or home,
        klass=slot.klass if slot else "any",
        kind=kind,
        kind_label=rules.KIND_LABELS.get(kind, ""),
        capacity=slot.capacity if slot else None,
        polygon=[(x, y) for x, y in slot.polygon] if slot else [],
        count=row.count if row else None,
        present=row.present if row else None,
        state=state,
        state_label=rules.STATE_LABELS.get(state, state),
        state_since=row.state_since if row else None,
        confidence=row.confidence if row else 1.0,
        read_at=row.read_at if row else None,
        believed=row.believed if row else None,
    )


async def trust(uow: UnitOfWork, rack: str) -> list[TrustView]:
    """Every class that the rack has, or of which anything was decided, by name."""
    t, o = RackTrust, RackOutcome
    kept = {row.klass: row for row in await uow.session.scalars(select(t).where(t.rack == rack))}
    counted = await uow.session.execute(
        select(o.klass, func.count()).where(o.rack == rack, o.sure, o.right).group_by(o.klass)
    )
    right = {klass: n for klass, n in counted}  # noqa: C416 -- as above
    newest = (await _newest(uow, [rack])).get(rack)
    classes = set(kept) | set(right)
    if newest is not None:
        classes |= await _classes(uow, newest.description)
    begin = uow.settings.racks_begin == "automatic"
    found = []
    for klass in sorted(classes):
        row = kept.get(klass)
        automatic = row.automatic if row else begin
        confirmed, needed = row.confirmed if row else 0, uow.settings.racks_trust_after
        label = "automatique" if automatic else f"à blanc : {confirmed} confirmées sur {needed}"
        found.append(
            TrustView(
                rack, klass, automatic, confirmed, needed, row.wrong if row else 0, right.get(klass, 0),
                row.changed_at if row else None, label,
            )
        )  # fmt: skip
    return found


async def _classes(uow: UnitOfWork, described: RackDescription) -> set[str]:
    """Of its places: as taught, else the class of the item that belongs there."""
    items = {slot.item.upper() for slot in described.slots if slot.klass == "any" and slot.item}
    rows = await uow.session.scalars(select(Item.item_class).where(Item.code.in_(items)).distinct())
    return {slot.klass for slot in described.slots if slot.klass != "any"} | set(rows)


async def command(uow: UnitOfWork, command_id: str) -> CommandView | None:
    row = await uow.session.get(RackCommand, command_id)
    return None if row is None else _command(row)


async def commands(uow: UnitOfWork, rack: str, limit: int = 20) -> list[CommandView]:
    """Newest first."""
    c = RackCommand
    rows = await uow.session.scalars(select(c).where(c.rack == rack).order_by(c.asked_at.desc(), c.id).limit(limit))
    return [_command(row) for row in rows]


def _command(row: RackCommand) -> CommandView:
    return CommandView(
        row.id, row.rack, row.name, row.person, row.asked_at, row.expires_at, row.state, row.detail, row.told_at,
        row.body,
    )  # fmt: skip


async def privacy(uow: UnitOfWork, limit: int = 50) -> PrivacyView:
    """What the privacy page shows."""
    c = RackCrops
    kept, size, oldest, expiry = (
        await uow.session.execute(
            select(func.count(), func.sum(c.size), func.min(c.observed_at), func.min(c.expires_at))
        )
    ).one()
    unclaimed = await uow.session.scalar(
        select(func.count()).select_from(c).outerjoin(RackCropsUse, RackCropsUse.id == c.id).where(
            RackCropsUse.id.is_(None)
        )
    )  # fmt: skip
    present = key_id(uow.settings)
    lost = await uow.session.scalar(select(func.count()).where(c.key_id != (present or "")))
    purges = await uow.session.scalars(select(RackPurge).order_by(RackPurge.id.desc()).limit(limit))
    seen = await uow.session.scalars(
        select(AuditEntry).where(AuditEntry.what.in_(VIEWED)).order_by(AuditEntry.id.desc()).limit(limit)
    )
    return PrivacyView(
        automatic_minutes=uow.settings.racks_automatic_minutes,
        doubtful_hours=uow.settings.racks_doubtful_hours,
        kept=kept,
        bytes=int(size or 0),
        oldest=oldest,
        next_expiry=expiry,
        unclaimed=unclaimed or 0,
        lost=lost or 0,
        purges=[PurgeView(p.at, p.pictures, p.oldest, p.why, _PURGED.get(p.why, p.why)) for p in purges],
        viewings=[ViewingView(e.at, e.who, e.what, e.subject) for e in seen],
    )


async def models(uow: UnitOfWork) -> list[ModelView]:
    """Newest first, each with the outcomes of the sayings that it judged."""
    o = RackOutcome
    figures: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for version, right, n in await uow.session.execute(
        select(o.model, o.right, func.count()).where(o.model.is_not(None), o.sure).group_by(o.model, o.right)
    ):
        figures[version or ""][0 if right else 1] = n
    using: defaultdict[str, list[str]] = defaultdict(list)
    for r in await uow.session.scalars(select(RackRollout).where(RackRollout.ended_at.is_(None))):
        using[r.version].append(r.rack)
    rows = await uow.session.scalars(select(RackModel).order_by(RackModel.added_at.desc()))
    return [
        ModelView(
            m.version, m.sha256, m.size, m.note, m.added_at, m.added_by, sorted(using[m.version]), *figures[m.version]
        )
        for m in rows
    ]


async def rollouts(uow: UnitOfWork, rack: str | None = None, limit: int = 50) -> list[RolloutView]:
    """Newest first."""
    r = RackRollout
    query = select(r).order_by(r.id.desc()).limit(limit)
    if rack is not None:
        query = query.where(r.rack == rack)
    return [
        RolloutView(row.rack, row.version, row.previous, row.at, row.by, row.ended_at, row.why)
        for row in await uow.session.scalars(query)
    ]


async def outcomes(uow: UnitOfWork, rack: str | None = None, limit: int = 1000) -> list[OutcomeView]:
    """Labels, newest first."""
    o = RackOutcome
    query = select(o).order_by(o.decided_at.desc(), o.key).limit(limit)
    if rack is not None:
        query = query.where(o.rack == rack)
    return [
        OutcomeView(
            r.key, r.rack, r.place, r.klass, r.item, r.model, r.crops, r.kind, r.sure, r.right, r.said, r.truth,
            r.reason, r.at, r.decided_at, r.decided_by,
        )
        for r in await uow.session.scalars(query)
    ]  # fmt: skip
