"""Draw cutting tools: inserts, drills and end mills, seen from above.

Every drawing function paints on a BGR ``uint8`` canvas (H, W, 3) in place and returns the outline as ``float32``
points (N, 2) in canvas pixels, from which the training box is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]

ITEM_CLASSES = ("insert", "drill", "endmill")
"""Classes of things that lie in a slot."""

_SHIFT = 4
_ONE = 1 << _SHIFT
_INSERT_COLOURS = (
    (60, 170, 215),
    (70, 190, 225),
    (120, 125, 130),
    (95, 95, 100),
    (150, 150, 150),
    (60, 60, 66),
    (85, 120, 150),
)
_TOOL_COATINGS = (
    (60, 60, 64),
    (95, 85, 95),
    (110, 70, 80),
    (60, 150, 190),
    (150, 150, 152),
    (50, 80, 120),
    (120, 120, 120),
)


@dataclass(frozen=True)
class Item:
    """One thing lying in a slot.

    Attributes:
        kind: one of `ITEM_CLASSES`.
        shape: for an insert the ISO 1832 letter (C, D, T, S or R), else empty.
        x, y: centre, canvas px.
        angle: radians.
        size: radius of an insert or full length of a tool, canvas px.
        width: diameter of a tool, canvas px (0 for inserts).
        colour: BGR base colour.
        seed: fixes the small marks so that the same item looks the same in each frame.
    """

    kind: str
    shape: str
    x: float
    y: float
    angle: float
    size: float
    width: float
    colour: tuple[int, int, int]
    seed: int

    def moved(self, dx: float, dy: float, turn: float) -> Item:
        """The same item pushed by ``(dx, dy)`` px and turned by ``turn`` radians."""
        return replace(self, x=self.x + dx, y=self.y + dy, angle=self.angle + turn)


@dataclass(frozen=True)
class Style:
    """What all items of one slot have in common; fields as in `Item`."""

    shape: str
    colour: tuple[int, int, int]
    size: float
    width: float


def make_item(kind: str, style: Style, rng: np.random.Generator) -> Item:
    """An item of ``kind`` at the origin with its own random marks."""
    seed = int(rng.integers(1 << 30))
    return Item(kind, style.shape, 0.0, 0.0, 0.0, style.size, style.width, style.colour, seed)


def draw_style(kind: str, cell: float, rng: np.random.Generator) -> Style:
    """Choose what all items of one slot have in common: shape, colour, size. ``cell`` is the slot's short side, px."""
    if kind == "insert":
        colour = _vary(_INSERT_COLOURS[rng.integers(len(_INSERT_COLOURS))], rng)
        return Style(str(rng.choice(list("CDTSR"))), colour, cell * rng.uniform(0.12, 0.18), 0.0)
    colour = _vary(_TOOL_COATINGS[rng.integers(len(_TOOL_COATINGS))], rng)
    if kind == "drill":
        return Style("", colour, cell * rng.uniform(0.68, 0.86), cell * rng.uniform(0.055, 0.12))
    return Style("", colour, cell * rng.uniform(0.5, 0.72), cell * rng.uniform(0.12, 0.19))


def draw_item(canvas: Image, item: Item) -> Points:
    """Paint ``item`` with its contact shadow; return its outline, canvas px."""
    outline = _outline(item)
    _shadow(canvas, outline, item.size if item.kind == "insert" else item.width)
    rng = np.random.default_rng(item.seed)
    if item.kind == "insert":
        _paint_insert(canvas, item, outline, rng)
    else:
        _paint_tool(canvas, item, outline, rng)
    return outline


def _vary(colour: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, int, int]:
    low = np.clip(np.array(colour) * rng.uniform(0.8, 1.2) + rng.normal(0, 6, 3), 10, 245)
    return int(low[0]), int(low[1]), int(low[2])


def _outline(item: Item) -> Points:
    if item.kind == "insert":
        local = _insert_outline(item.shape, item.size)
    else:
        half, rad = item.size / 2, item.width / 2
        tip = rad * (0.9 if item.kind == "drill" else 0.12)
        local = np.array(
            [[-half, -rad], [half - tip, -rad], [half, -rad * 0.1], [half, rad * 0.1], [half - tip, rad], [-half, rad]],
            np.float32,
        )
        if item.kind == "endmill":
            local = np.array([[-half, -rad], [half, -rad], [half, rad], [-half, rad]], np.float32)
    return _place(local, item)


def _insert_outline(shape: str, radius: float) -> Points:
    if shape == "R":
        t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        return np.stack([np.cos(t), np.sin(t)], 1).astype(np.float32) * np.float32(radius)
    if shape == "T":
        t = np.array([-np.pi / 2, np.pi / 6, 5 * np.pi / 6])
        return np.stack([np.cos(t), np.sin(t)], 1).astype(np.float32) * np.float32(radius * 1.2)
    acute = {"C": 80.0, "D": 55.0, "S": 90.0}[shape]
    long = radius * 1.12
    short = long * np.tan(np.radians(acute / 2))
    return np.array([[long, 0], [0, short], [-long, 0], [0, -short]], np.float32)


def _place(local: Points, item: Item) -> Points:
    c, s = np.cos(item.angle), np.sin(item.angle)
    turn = np.array([[c, s], [-s, c]], np.float32)
    return (local @ turn + np.array([item.x, item.y], np.float32)).astype(np.float32)


def _fixed(points: Points) -> npt.NDArray[np.int32]:
    return np.round(points * _ONE).astype(np.int32)


def _fill(canvas: Image, points: Points, colour: Any) -> None:
    cv2.fillPoly(canvas, [_fixed(points)], tuple(int(c) for c in colour), cv2.LINE_AA, _SHIFT)


def _stroke(canvas: Image, points: Points, colour: Any, thickness: int, closed: bool = True) -> None:
    cv2.polylines(canvas, [_fixed(points)], closed, tuple(int(c) for c in colour), thickness, cv2.LINE_AA, _SHIFT)


def _tone(colour: tuple[int, int, int], gain: float, add: float = 0.0) -> tuple[int, ...]:
    return tuple(int(np.clip(c * gain + add, 0, 255)) for c in colour)


def _shadow(canvas: Image, outline: Points, reach: float) -> None:
    pad = int(reach * 0.5) + 4
    x0, y0 = np.maximum(np.floor(outline.min(0)).astype(int) - pad, 0)
    x1, y1 = np.ceil(outline.max(0)).astype(int) + pad
    patch = canvas[y0:y1, x0:x1]
    if patch.size == 0:
        return
    mask = np.zeros(patch.shape[:2], np.uint8)
    offset = np.array([reach * 0.14, reach * 0.18], np.float32) - np.array([x0, y0], np.float32)
    cv2.fillPoly(mask, [_fixed((outline + offset).astype(np.float32))], 255, cv2.LINE_AA, _SHIFT)
    soft = cv2.GaussianBlur(mask, (0, 0), max(reach * 0.12, 0.8))
    patch[:] = (patch * (1 - 0.45 * (soft[..., None] / 255.0))).astype(np.uint8)


def _paint_insert(canvas: Image, item: Item, outline: Points, rng: np.random.Generator) -> None:
    centre = np.array([item.x, item.y], np.float32)
    _fill(canvas, outline, _tone(item.colour, 0.8))
    inner = (centre + (outline - centre) * np.float32(0.8)).astype(np.float32)
    _fill(canvas, inner, _tone(item.colour, 1.08, 8))
    _stroke(canvas, inner, _tone(item.colour, 0.65), 1)
    _stroke(canvas, outline, _tone(item.colour, 1.25, 35), 1)
    hole = item.size * rng.uniform(0.26, 0.36)
    where = _fixed(centre[None])[0]
    cv2.circle(canvas, (int(where[0]), int(where[1])), int(hole * _ONE), (22, 22, 24), -1, cv2.LINE_AA, _SHIFT)
    cv2.circle(
        canvas, (int(where[0]), int(where[1])), int(hole * _ONE), _tone(item.colour, 1.2, 25), 1, cv2.LINE_AA, _SHIFT
    )


def _paint_tool(canvas: Image, item: Item, outline: Points, rng: np.random.Generator) -> None:
    half, rad = item.size / 2, item.width / 2
    split = half * rng.uniform(-0.35, 0.15)
    shank = (172, 174, 176) if rng.random() < 0.75 else item.colour
    _fill(canvas, outline, _tone(item.colour, 0.85))
    _fill(
        canvas,
        _place(np.array([[-half, -rad], [split, -rad], [split, rad], [-half, rad]], np.float32), item),
        _tone(shank, 0.8),
    )
    for side, gain in ((-0.45, 1.28), (0.1, 1.05)):  # a cylinder is brighter along one line
        band = np.array(
            [[-half, side * rad], [split, side * rad], [split, (side + 0.4) * rad], [-half, (side + 0.4) * rad]],
            np.float32,
        )
        _fill(canvas, _place(band, item), _tone(shank, gain))
    pitch = item.width * (rng.uniform(1.1, 1.7) if item.kind == "drill" else rng.uniform(0.8, 1.2))
    start = split
    while start < half - pitch * 0.3:
        lean = pitch * 0.75
        flute = np.array(
            [[start, rad], [start + pitch * 0.4, rad], [start + pitch * 0.4 + lean, -rad], [start + lean, -rad]],
            np.float32,
        )
        flute[:, 0] = np.minimum(flute[:, 0], half - (rad * 0.5 if item.kind == "drill" else 0))
        _fill(canvas, _place(flute, item), _tone(item.colour, 0.42))
        edge = flute[[1, 2]]
        _stroke(canvas, _place(edge, item), _tone(item.colour, 1.35, 40), 1, closed=False)
        start += pitch
    _stroke(canvas, outline, _tone(item.colour, 0.5), 1)
