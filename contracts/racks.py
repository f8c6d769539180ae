"""A rack's description: what a person taught about the places under one camera. ``rack.json`` on the agent, versions at
the centre.

Coordinates are px of the picture in which it was taught.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

MIN_PX_PER_ITEM: Final = 24.0
"""Least short side of one item in the camera's own picture, px, for a place that is to be counted. Below it a place
can be taught as presence only, or the camera comes nearer (docs/measurements.md)."""

Corner = tuple[float, float]
Polygon = Annotated[list[Corner], msgspec.Meta(min_length=3, max_length=64)]
SlotId = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]


class SlotKind(StrEnum):
    """How far a place can be judged."""

    COUNTABLE = "countable"
    """Comptable: items lie apart, tools stand in holes."""
    PRESENCE = "presence"
    """Présence seule: a bar end, a box, an instrument: there or not."""
    HIDDEN = "hidden"
    """Non visible: a heap, a box with a lid; touched, it asks "combien ?"."""


class SlotDescription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place. `item`: the stock code that belongs there. `count`: pieces declared when it was taught."""

    id: SlotId
    polygon: Polygon
    item: Annotated[str, msgspec.Meta(max_length=120)] = ""
    klass: Annotated[str, msgspec.Meta(max_length=40)] = msgspec.field(default="any", name="class")
    """What the item is for trust and for a detector: ``insert``, ``drill``, …, or ``any``."""
    kind: SlotKind = SlotKind.COUNTABLE
    count: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    capacity: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    px_per_item: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Short side of one item, px, measured when it was taught."""


class Markers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The four printed markers (ArUco, dictionary 4X4_50): their numbers and the centre of each, px."""

    ids: Annotated[list[int], msgspec.Meta(min_length=3, max_length=8)]
    centres: Annotated[list[Corner], msgspec.Meta(min_length=3, max_length=8)]


class Drawer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rack that is a drawer: it is judged only when its markers stand where they stood when it was fully open."""

    tolerance_px: Annotated[float, msgspec.Meta(gt=0)] = 12.0


class RackDescription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``rack.json``. `outline`: nothing outside it leaves the capture step; unless said, the hull of places and
    markers with a margin.
    """

    slots: Annotated[list[SlotDescription], msgspec.Meta(min_length=1, max_length=400)]
    version: int = 2
    picture: tuple[int, int] | None = None
    """Width and height of the picture, px."""
    outline: Polygon | None = None
    markers: Markers | None = None
    drawer: Drawer | None = None


class RackDescriptionError(ValueError):
    """A description that cannot be used; the text says which place and what to correct."""


def parse(document: bytes | str | dict[str, Any]) -> RackDescription:
    """Read a description. Raises `RackDescriptionError`."""
    try:
        if isinstance(document, dict):
            rack = msgspec.convert(document, RackDescription)
        else:
            rack = msgspec.json.decode(document, type=RackDescription)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise RackDescriptionError(str(problem)) from problem
    seen: set[str] = set()
    for slot in rack.slots:
        if slot.id in seen:
            raise RackDescriptionError(f"slot {slot.id!r} appears twice")
        seen.add(slot.id)
        if _area(slot.polygon) < 16:
            raise RackDescriptionError(f"slot {slot.id!r}: polygon has no area")
    if rack.markers is not None and len(rack.markers.ids) != len(rack.markers.centres):
        raise RackDescriptionError("markers: as many centres as ids are needed")
    return rack


def dump(rack: RackDescription) -> bytes:
    """Its JSON, the same bytes for the same description, a line for each place."""
    head = msgspec.json.encode({"version": rack.version} | msgspec.to_builtins(rack) | {"slots": []})
    places = b",\n ".join(msgspec.json.encode(slot, order="deterministic") for slot in rack.slots)
    return head.replace(b'"slots":[]', b'"slots":[\n ' + places + b"]", 1) + b"\n"


def _area(polygon: list[Corner]) -> float:
    following = polygon[1:] + polygon[:1]
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(polygon, following, strict=True))) / 2
