"""Teaching a rack: places from a grid or polygons, items from a list, pixels per item measured in the still picture.

What comes out is a `contracts.racks.RackDescription`; counting starts on appearance, no model is trained for it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from contracts.racks import MIN_PX_PER_ITEM, Corner, Markers, RackDescription, SlotDescription, SlotKind
from vision.detectors.base import Frame

_MOST_ROWS = 26
_RING = 0.1
_LEAST_DISTANCE = 14.0
_LEAST_PART = 0.002
_COLUMNS = ("slot", "item", "count", "class", "kind", "capacity")
_KINDS = {
    "comptable": SlotKind.COUNTABLE,
    "présence": SlotKind.PRESENCE,
    "presence": SlotKind.PRESENCE,
    "caché": SlotKind.HIDDEN,
    "non visible": SlotKind.HIDDEN,
} | {kind.value: kind for kind in SlotKind}


class TeachError(ValueError):
    """A rack that cannot be taught so; the text says which place or line, and what to correct."""


@dataclass(frozen=True)
class Line:
    """What a person wrote for one place; `slot` is empty when the order of the list decides."""

    slot: str
    item: str
    count: int | None = None
    klass: str = "any"
    kind: SlotKind = SlotKind.COUNTABLE
    capacity: int | None = None


@dataclass(frozen=True)
class Measure:
    """Items seen in a place: how many lie apart, and the short side of one, px; None where it cannot be told."""

    parts: int
    px_per_item: float | None


def grid(corners: Sequence[Corner], columns: int, rows: int, gap: float = 0.06) -> dict[str, list[Corner]]:
    """Places A1, A2 … of a tray, row by row.

    Args:
        corners: the tray in the picture: top left, top right, bottom right, bottom left, px.
        columns, rows: how many.
        gap: wall between two places, share of a place.
    """
    if len(corners) != 4:
        raise TeachError(f"a grid has 4 corners (top left, top right, bottom right, bottom left), {len(corners)} given")
    if not (1 <= columns <= 100 and 1 <= rows <= _MOST_ROWS):
        raise TeachError(f"{columns}x{rows}: 1 to 100 columns and 1 to {_MOST_ROWS} rows")
    if not 0.0 <= gap < 0.9:
        raise TeachError("the gap is a share of a place, 0 to 0.9")
    unit = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    quad = np.array(corners, np.float32)
    if cv2.contourArea(quad) < 16 or not cv2.isContourConvex(quad):
        raise TeachError("the corners of the grid cross or have no area; give them clockwise from the top left")
    to_picture = cv2.getPerspectiveTransform(unit, quad)
    places = {}
    for row in range(rows):
        for column in range(columns):
            x0, y0, x1, y1 = column + gap / 2, row + gap / 2, column + 1 - gap / 2, row + 1 - gap / 2
            cell = np.array([[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]], np.float32)
            at = cv2.perspectiveTransform(cell, to_picture)[0]
            places[f"{chr(65 + row)}{column + 1}"] = [(round(float(x), 1), round(float(y), 1)) for x, y in at]
    return places


def read_list(text: str) -> list[Line]:
    """A list of items, CSV with ``;`` or ``,``: ``item;count;class;kind;capacity`` in printed order, or with a header.

    A header names its columns among slot, item, count, class, kind, capacity. A line ``-`` leaves a place without item.
    Raises TeachError with the number of the line.
    """
    rows = [row for row in text.splitlines() if row.strip() and not row.lstrip().startswith("#")]
    if not rows:
        raise TeachError("the list of items is empty")
    mark = ";" if ";" in rows[0] else ","
    parsed = list(csv.reader(io.StringIO("\n".join(rows)), delimiter=mark))
    first = [cell.strip().lower() for cell in parsed[0]]
    names: Sequence[str] = _COLUMNS[1:]
    if "item" in first:
        strange = [name for name in first if name not in _COLUMNS]
        if strange:
            raise TeachError(f"column {strange[0]!r}: known are {', '.join(_COLUMNS)}")
        names, parsed = first, parsed[1:]
    return [
        _line(dict(zip(names, (c.strip() for c in cells), strict=False)), n) for n, cells in enumerate(parsed, start=1)
    ]


def _line(cells: Mapping[str, str], number: int) -> Line:
    kind = cells.get("kind", "").lower()
    if kind and kind not in _KINDS:
        raise TeachError(f"line {number}: kind {kind!r}: countable, presence or hidden")
    item = cells.get("item", "")
    return Line(
        slot=cells.get("slot", ""),
        item="" if item == "-" else item,
        count=_whole(cells.get("count", ""), number, "count"),
        klass=cells.get("class", "") or "any",
        kind=_KINDS.get(kind, SlotKind.COUNTABLE),
        capacity=_whole(cells.get("capacity", ""), number, "capacity"),
    )


def _whole(text: str, number: int, name: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise TeachError(f"line {number}: {name} {text!r} is not a whole number")
    return int(text)


def assign_items(places: Mapping[str, Sequence[Corner]], lines: Sequence[Line]) -> list[SlotDescription]:
    """A place each; lines that name a place go there, the others in printed order to the places not named.

    Raises TeachError: a place that does not exist or is named twice, or more lines than places.
    """
    named: dict[str, Line] = {}
    for line in lines:
        if line.slot and line.slot not in places:
            raise TeachError(f"place {line.slot!r} of the list is not in the rack")
        if line.slot and line.slot in named:
            raise TeachError(f"place {line.slot!r} appears twice in the list")
        if line.slot:
            named[line.slot] = line
    rest = [line for line in lines if not line.slot]
    free = [place for place in places if place not in named]
    if len(rest) > len(free):
        raise TeachError(f"{len(rest)} lines for {len(free)} places: too many by {len(rest) - len(free)}")
    named |= dict(zip(free, rest, strict=False))
    return [_described(place, corners, named.get(place)) for place, corners in places.items()]


def _described(place: str, corners: Sequence[Corner], line: Line | None) -> SlotDescription:
    polygon = [(float(x), float(y)) for x, y in corners]
    try:
        slot = SlotDescription(id=place, polygon=polygon)
        if line is not None:
            slot = msgspec.structs.replace(
                slot, item=line.item, klass=line.klass, kind=line.kind, count=line.count, capacity=line.capacity
            )
        return msgspec.convert(msgspec.to_builtins(slot), SlotDescription)
    except msgspec.ValidationError as problem:
        raise TeachError(f"place {place!r}: {problem}") from problem


def measure(picture: Frame, polygon: Sequence[Corner]) -> Measure:
    """What stands out from the floor of a place: its parts and their median short side, px.

    The floor's colour is that of a ring along the walls (CIE L*a*b*), the limit Otsu's (IEEE SMC-9, 1979). Items that
    touch one another count as one part.
    """
    points = np.array(polygon, np.float32)
    low = np.maximum(np.floor(points.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + 1, [picture.shape[1], picture.shape[0]])
    if (high - low).min() < 8:
        return Measure(0, None)
    lab = cv2.cvtColor(picture[low[1] : high[1], low[0] : high[0]], cv2.COLOR_BGR2LAB).astype(np.float32)
    inside = np.zeros(lab.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(points - low).astype(np.int32)], 1)
    wall = max(2, round(_RING * float(min(high - low))))
    padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    core = (cv2.distanceTransform(padded, cv2.DIST_C, 3)[1:-1, 1:-1] > wall).astype(np.uint8)
    floor = np.median(lab[(inside > 0) & (core == 0)], axis=0)
    distance = cv2.GaussianBlur(np.linalg.norm(lab - floor, axis=2), (0, 0), 1.0) * core
    values = np.clip(distance[core > 0], 0, 255).astype(np.uint8)
    if not values.size:
        return Measure(0, None)
    limit, _ = cv2.threshold(values.reshape(1, -1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    thing = (distance > max(float(limit), _LEAST_DISTANCE)).astype(np.uint8)
    thing = np.asarray(cv2.morphologyEx(thing, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), np.uint8)
    sides = _short_sides(thing, _LEAST_PART * float(inside.sum()))
    return Measure(len(sides), round(float(np.median(sides)), 1) if sides else None)


def _short_sides(thing: npt.NDArray[np.uint8], least: float) -> list[float]:
    outlines, _ = cv2.findContours(thing, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [float(min(cv2.minAreaRect(o)[1])) for o in outlines if cv2.contourArea(o) >= least]


def taught(
    picture: Frame,
    slots: Sequence[SlotDescription],
    *,
    markers: Markers | None = None,
    small_is_presence: bool = False,
) -> RackDescription:
    """The rack, each countable place measured; places too small to be counted are refused, or become presence only.

    Raises TeachError naming all the places whose items are smaller than `MIN_PX_PER_ITEM`, and those outside the
    picture.
    """
    height, width = picture.shape[:2]
    measured, small = [], []
    for slot in slots:
        xs, ys = [x for x, _ in slot.polygon], [y for _, y in slot.polygon]
        if min(xs) < 0 or min(ys) < 0 or max(xs) > width or max(ys) > height:
            raise TeachError(f"place {slot.id!r} lies outside the picture of {width}x{height} px")
        px = _px_of(picture, slot)
        one = slot if px is None else msgspec.structs.replace(slot, px_per_item=px)
        if slot.kind is SlotKind.COUNTABLE and px is not None and px < MIN_PX_PER_ITEM:
            small.append(f"{slot.id} {px:.0f} px")
            one = msgspec.structs.replace(one, kind=SlotKind.PRESENCE)
        measured.append(one)
    if small and not small_is_presence:
        raise TeachError(
            f"items smaller than {MIN_PX_PER_ITEM:.0f} px on their short side cannot be counted: {', '.join(small)}; "
            "bring the camera nearer, take one of higher resolution, or teach these places as presence only"
        )
    return RackDescription(slots=measured, picture=(width, height), markers=markers)


def _px_of(picture: Frame, slot: SlotDescription) -> float | None:
    """The measure where it agrees with what the person declared; the place's own short side bounds the others."""
    seen = measure(picture, slot.polygon)
    if slot.count and seen.parts == slot.count:
        return seen.px_per_item
    side = float(min(cv2.minAreaRect(np.array(slot.polygon, np.float32))[1]))
    return round(side, 1) if side < MIN_PX_PER_ITEM else None
