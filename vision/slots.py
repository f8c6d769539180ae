"""Places of a rack: their polygons, what belongs there, and which detected box lies in which place."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Detection

ANY = "any"
"""Class of a place whose item no model knows: present or absent, judged by its appearance alone."""

HAND = "hand"
OUTSIDE_PX = 6.0
"""How far outside its polygon, px, the centre of a box may lie and still belong to the place."""


class RackError(ValueError):
    """A rack description that cannot be used; the text says what to correct."""


@dataclass(frozen=True)
class Slot:
    """One place.

    Attributes:
        id: name, unique in the rack.
        polygon: corners in image px, (N, 2) float32, N ≥ 3.
        item: the item's code in the stock.
        klass: detector class, or `ANY`.
        count: declared count at the start, None when not declared.
    """

    id: str
    polygon: npt.NDArray[np.float32]
    item: str
    klass: str
    count: int | None = None

    @property
    def area(self) -> float:
        """Area in px²."""
        return float(cv2.contourArea(self.polygon))

    def moved(self, dx: float, dy: float) -> npt.NDArray[np.float32]:
        """The polygon displaced by ``(dx, dy)`` px."""
        return self.polygon + np.array([dx, dy], np.float32)


@dataclass(frozen=True)
class Rack:
    """The places under one camera, in the order of the file."""

    slots: tuple[Slot, ...]

    def slot(self, slot_id: str) -> Slot:
        """The place of that name; KeyError when there is none."""
        for slot in self.slots:
            if slot.id == slot_id:
                return slot
        raise KeyError(slot_id)


def load_rack(path: Path) -> Rack:
    """Read ``rack.json``.

    Raises:
        RackError: the file is missing, is not JSON, or describes an impossible place; the text names the file and the
        place.
    """
    try:
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
    if not isinstance(document, Mapping) or not isinstance(document.get("slots"), list) or not document["slots"]:
        raise RackError('expected {"slots": [...]} with at least one slot')
    slots = tuple(_parse_slot(raw, i) for i, raw in enumerate(document["slots"]))
    names = [s.id for s in slots]
    for name in names:
        if names.count(name) > 1:
            raise RackError(f"slot {name!r} appears twice")
    return Rack(slots)


def _parse_slot(raw: Any, index: int) -> Slot:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("id"), str) or not raw["id"]:
        raise RackError(f"slot number {index + 1} has no id")
    name = raw["id"]
    try:
        polygon = np.array(raw["polygon"], np.float32)
    except (KeyError, ValueError, TypeError):
        raise RackError(f"slot {name!r}: polygon is not a list of [x, y] points") from None
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
        raise RackError(f"slot {name!r}: polygon needs at least three [x, y] points")
    if not np.isfinite(polygon).all() or cv2.contourArea(polygon) < 16:
        raise RackError(f"slot {name!r}: polygon has no area")
    count = raw.get("count")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
        raise RackError(f"slot {name!r}: count must be a whole number, zero or more")
    return Slot(name, polygon, str(raw.get("item", "")), str(raw.get("class", ANY)), count)


def assign(
    detections: Iterable[Detection], rack: Rack, offset: tuple[float, float] = (0.0, 0.0)
) -> dict[str, list[Detection]]:
    """Give each box but the hands to the place whose polygon holds its centre best (largest signed distance, above −6
    px).

    Args:
        detections: boxes in px of the frame.
        rack: the places.
        offset: displacement of the camera since the polygons were drawn, px.

    Returns:
        slot id → its boxes; every slot is a key.
    """
    found: dict[str, list[Detection]] = {slot.id: [] for slot in rack.slots}
    for d in detections:
        if d.label == HAND:
            continue
        centre = ((d.x0 + d.x1) / 2 - offset[0], (d.y0 + d.y1) / 2 - offset[1])
        distance, slot_id = max((cv2.pointPolygonTest(slot.polygon, centre, True), slot.id) for slot in rack.slots)
        if distance > -OUTSIDE_PX:
            found[slot_id].append(d)
    return found


@dataclass(frozen=True)
class Count:
    """A counted place: the median over several frames, and how far to trust it (0..1)."""

    value: int
    confidence: float


def count_slot(boxes_per_frame: Sequence[Sequence[Detection]], klass: str, accepted: float) -> Count:
    """Median count of ``klass`` over frames.

    The confidence falls when the frames disagree and when scores lie close to the limit ``accepted`` on either side.
    """
    counts = [sum(d.label == klass and d.score >= accepted for d in boxes) for boxes in boxes_per_frame]
    if not counts:
        return Count(0, 0.0)
    value = statistics.median_low(counts)
    agreement = counts.count(value) / len(counts)
    doubts = [abs(d.score - accepted) for boxes in boxes_per_frame for d in boxes if d.label == klass]
    margin = float(np.clip(min(doubts) / 0.15, 0.0, 1.0)) if doubts else 1.0
    return Count(value, agreement * (0.7 + 0.3 * margin))
