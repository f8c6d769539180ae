"""Places of a rack: their polygons and what belongs there.

Built from the description that a person taught (`contracts.racks`); files without a kind are countable.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from contracts.racks import Drawer, Markers, RackDescription, RackDescriptionError, SlotDescription, SlotKind
from contracts.racks import parse as parse_description

ANY = "any"
"""Class of a place whose item no model knows: judged by its own taught appearance alone."""

HAND = "hand"

MOST_BYTES = 16_000_000
"""A larger file is no description of at most 400 places; it is refused before it is read."""


class RackError(ValueError):
    """A rack description that cannot be used; the text says what to correct."""


@dataclass(frozen=True)
class Slot:
    """One place.

    Attributes:
        id: name, unique in the rack.
        polygon: corners in px of the taught picture, (N, 2) float32, N ≥ 3.
        item: the item's code in the stock.
        klass: class of the item, or `ANY`.
        count: declared count at the start, None when not declared.
        kind: how far it can be judged.
        capacity: most pieces that it takes, None when not said.
        px_per_item: short side of one item, px of the taught picture, None when not measured.
    """

    id: str
    polygon: npt.NDArray[np.float32]
    item: str
    klass: str
    count: int | None = None
    kind: SlotKind = SlotKind.COUNTABLE
    capacity: int | None = None
    px_per_item: float | None = None

    @classmethod
    def of(cls, taught: SlotDescription) -> Slot:
        """The place that `taught` describes; raises RackError when its polygon has no area."""
        polygon = np.array(taught.polygon, np.float32)
        if not np.isfinite(polygon).all() or cv2.contourArea(polygon) < 16:
            raise RackError(f"slot {taught.id!r}: polygon has no area")
        return cls(
            id=taught.id,
            polygon=polygon,
            item=taught.item,
            klass=taught.klass,
            count=taught.count,
            kind=taught.kind,
            capacity=taught.capacity,
            px_per_item=taught.px_per_item,
        )

    @property
    def area(self) -> float:
        """Area in px²."""
        return float(cv2.contourArea(self.polygon))

    def moved(self, dx: float, dy: float) -> npt.NDArray[np.float32]:
        """The polygon displaced by ``(dx, dy)`` px."""
        return self.polygon + np.array([dx, dy], np.float32)


@dataclass(frozen=True)
class Rack:
    """The places under one camera, in the order of the file.

    Attributes:
        slots: the places.
        picture: width and height, px, of the picture in which they were taught, None in old files.
        outline: (N, 2) float32; nothing outside it leaves the capture step; None: the hull of places and markers.
        markers: the printed markers, if any.
        drawer: said when the rack is a drawer.
    """

    slots: tuple[Slot, ...]
    picture: tuple[int, int] | None = None
    outline: npt.NDArray[np.float32] | None = None
    markers: Markers | None = None
    drawer: Drawer | None = None

    @classmethod
    def of(cls, description: RackDescription) -> Rack:
        """The rack that a person taught; raises RackError."""
        outline = None if description.outline is None else np.array(description.outline, np.float32)
        slots = tuple(Slot.of(taught) for taught in description.slots)
        return cls(slots, description.picture, outline, description.markers, description.drawer)

    def slot(self, slot_id: str) -> Slot:
        """The place of that name; KeyError when there is none."""
        for slot in self.slots:
            if slot.id == slot_id:
                return slot
        raise KeyError(slot_id)


def load_rack(path: Path) -> Rack:
    """Read ``rack.json``.

    Raises:
        RackError: the file is missing, too large, is not JSON, or describes an impossible place; the text names the
            file and the place.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RackError(f"{path}: {path.stat().st_size >> 20} MiB, too large for a rack description")
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RackError(f"{path}: no such file; a rack description is needed, see docs on rack.json") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise RackError(f"{path}: not readable as JSON: {problem}") from problem
    try:
        return parse_rack(document)
    except RackError as problem:
        raise RackError(f"{path}: {problem}") from problem


def parse_rack(document: Any) -> Rack:
    """Build a rack from the parsed content of ``rack.json``; raises RackError."""
    if not isinstance(document, dict) or not document.get("slots"):
        raise RackError('expected {"slots": [...]} with at least one slot')
    try:
        return Rack.of(parse_description(document))
    except RackDescriptionError as problem:
        raise RackError(_named(str(problem), document)) from problem


def _named(problem: str, document: dict[str, Any]) -> str:
    """``… - at `$.slots[3].polygon` `` with the place's own name in front."""
    at = re.search(r"\$\.slots\[(\d+)\]", problem)
    if at is None:
        return problem
    raw = document["slots"][int(at[1])]
    name = raw.get("id") if isinstance(raw, dict) else None
    return f"slot {name!r}: {problem}" if name else f"slot number {int(at[1]) + 1}: {problem}"
