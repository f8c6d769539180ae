"""What a batch of camera sayings must know of its racks: which item belongs where, and what they are trusted with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import select

from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.racks import service as racks
from contracts.racks import SlotDescription, SlotKind


class Racks:
    """The places of a batch."""

    def __init__(
        self, slots: Mapping[str, SlotDescription], owners: Mapping[str, Item], known: Collection[str] = ()
    ) -> None:
        self._slots = slots
        self._known = known
        self._owners = owners

    @classmethod
    async def load(cls, uow: UnitOfWork, places: Collection[str], *, owners: bool = True) -> Racks:
        """`owners`: whether it matters which item belongs where."""
        if not places:
            return cls({}, {})
        known = await racks.known(uow, {racks.rack_of(place) for place in places})
        slots = await racks.taught(uow, [p for p in places if racks.rack_of(p) in known]) if known else {}
        return cls(slots, await cls._owners_of(uow, places, slots) if owners else {}, known)

    @staticmethod
    async def _owners_of(
        uow: UnitOfWork, places: Collection[str], slots: Mapping[str, SlotDescription]
    ) -> dict[str, Item]:
        wanted = {slot.item.upper() for slot in slots.values() if slot.item}
        named = {i.code: i for i in await uow.session.scalars(select(Item).where(Item.code.in_(wanted)))}
        owners = {place: named[s.item.upper()] for place, s in slots.items() if s.item.upper() in named}
        homes: dict[str, list[Item]] = {}
        rows = await uow.session.execute(
            select(Place.code, Item)
            .join(Item, Item.place_id == Place.id)
            .where(Place.code.in_(set(places) - set(owners)))
        )
        for place, item in rows:
            homes.setdefault(place, []).append(item)
        return owners | {place: found[0] for place, found in homes.items() if len(found) == 1}

    def item(self, place: str | None, named: Item | None) -> Item | None:
        """What was named, else what belongs there."""
        return named if named is not None or place is None else self._owners.get(place)

    def knows(self, place: str) -> bool:
        """Whether the rack of this place ever spoke of itself, or was described."""
        return racks.rack_of(place) in self._known

    def is_hidden(self, place: str) -> bool:
        slot = self._slots.get(place)
        return slot is not None and slot.kind is SlotKind.HIDDEN

    def klass(self, place: str, item: Item) -> str:
        """As taught, else the class of the item."""
        slot = self._slots.get(place)
        return slot.klass if slot is not None and slot.klass != "any" else item.item_class

    def misplaced(self, item: Item, other: str | None) -> bool:
        """Whether what went to, or came from, `other` does not belong there."""
        owner = self._owners.get(other) if other is not None else None
        return owner is not None and owner.id != item.id

    async def trusted(self, uow: UnitOfWork, asked: Iterable[tuple[Any, Item]]) -> set[tuple[str, int]]:
        """(place, item id) whose rack is trusted with its class."""
        classes = {(place, item.id): (racks.rack_of(place), self.klass(place, item)) for place, item in asked}
        spoke = [pair for pair in classes.values() if pair[0] in self._known]
        good = await racks.trusted(uow, spoke) if spoke else set()
        if uow.settings.racks_begin == "automatic":
            good |= {pair for pair in classes.values() if pair[0] not in self._known}
        return {key for key, pair in classes.items() if pair in good}
