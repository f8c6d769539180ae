"""What lies in the places of the rendered pairs: cutting tools, and things of no known kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vision.rendering.items import Image, Item, Points, draw_item

_SHIFT = 4


@dataclass(frozen=True)
class Style:
    """What all things of one place have in common.

    Attributes:
        klass: insert, drill, endmill or other.
        shape: ISO 1832 letter of an insert; form of an other thing.
        size: radius of an insert or thing, length of a tool, canvas px.
        width: diameter of a tool, px.
        colour, second: BGR.
        ratio: length by width of an other thing.
        free: it may lie at any angle.
    """

    klass: str
    shape: str
    size: float
    width: float
    colour: tuple[int, int, int]
    second: tuple[int, int, int]
    ratio: float = 1.0
    free: bool = True

    @property
    def short(self) -> float:
        """Short side of one thing, px."""
        if self.width:
            return self.width
        return 2 * self.size / max(self.ratio, 1.0) * (0.8 if self.shape in ("D", "T") else 1.0)


@dataclass(frozen=True)
class Thing:
    """One of them: centre px, angle radians, a seed for its own marks, and whether its lid stands open."""

    style: Style
    x: float
    y: float
    angle: float
    seed: int
    open: bool = False


def reach(style: Style) -> float:
    """How far from its centre another one lies on it, px."""
    return style.width or style.size


def random_style(klass: str, room: float, rng: np.random.Generator) -> Style:
    """A look for things that have `room` px around each centre."""
    colour = _colour(rng, metal=rng.random() < 0.7)
    second = _colour(rng, metal=False)
    if klass == "insert":
        shape = str(rng.choice(list("CDTSR")))
        return Style(klass, shape, room * rng.uniform(0.5, 0.85), 0.0, colour, second)
    if klass in ("drill", "endmill"):
        slim = rng.uniform(0.25, 0.75) if klass == "drill" else rng.uniform(0.45, 0.9)
        length = min(144 * rng.uniform(0.55, 0.9), 6 * room + 30)
        return Style(klass, "", length, max(room * 2 * slim * 0.75, 5.0), colour, second, free=False)
    shape = str(rng.choice(("box", "disc", "ring", "blob", "capsule", "hex", "bottle")))
    ratio = 1.0 if shape in ("disc", "ring", "hex") else float(rng.uniform(1.0, 2.6))
    return Style(klass, shape, room * rng.uniform(0.5, 0.9), 0.0, colour, second, ratio, bool(rng.random() < 0.5))


def draw_thing(canvas: Image, thing: Thing) -> None:
    """Paint it with its shadow."""
    style = thing.style
    if style.klass != "other":
        seed = thing.seed
        draw_item(
            canvas,
            Item(style.klass, style.shape, thing.x, thing.y, thing.angle, style.size, style.width, style.colour, seed),
        )
        return
    outline = _outline(thing)
    _soft(canvas, outline, style.size)
    rng = np.random.default_rng(thing.seed)
    colour = np.array(style.colour, np.float32)
    _fill(canvas, outline, colour * 0.85)
    centre = np.array([thing.x, thing.y], np.float32)
    inner = centre + (outline - centre) * np.float32(0.82)
    if thing.open:
        _fill(canvas, inner, (22, 24, 26))
        for _ in range(int(rng.integers(2, 7))):
            near = _whole(centre + rng.normal(0, style.size * 0.25, 2))
            cv2.circle(canvas, near, max(2, int(style.size * 0.14)), tuple(_tone(style.second, 1.0)), -1)
        lid = outline + np.array([np.cos(thing.angle + 1.57), np.sin(thing.angle + 1.57)]) * style.size * 0.95
        _soft(canvas, lid, style.size)
        _fill(canvas, lid, colour * 1.05)
        return
    _fill(canvas, inner, colour * 1.05)
    cv2.polylines(canvas, [_fixed(outline)], True, tuple(_tone(style.colour, 1.25)), 1, cv2.LINE_AA, _SHIFT)
    if style.shape == "ring":
        _fill(canvas, centre + (outline - centre) * np.float32(0.5), colour * 0.25)
    elif style.shape in ("box", "bottle", "capsule"):
        axis = np.array([np.cos(thing.angle), np.sin(thing.angle)], np.float32)
        for share in (-0.45, 0.3):
            at = centre + axis * style.size * share
            half = np.array([-axis[1], axis[0]]) * style.size / style.ratio * 0.7
            start, end = _whole(at - half), _whole(at + half)
            cv2.line(canvas, start, end, tuple(_tone(style.second, 1.0)), max(1, int(style.size * 0.1)), cv2.LINE_AA)
    else:
        cv2.circle(
            canvas,
            _whole(centre - style.size * 0.2),
            max(1, int(style.size * 0.18)),
            tuple(_tone(style.second, 1.1)),
            -1,
            cv2.LINE_AA,
        )


def draw_recess(canvas: Image, thing: Thing, floor: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    """A cut-out of the foam in the thing's own outline, a little wider, dark or in the colour of the layer below."""
    outline = _outline(thing)
    centre = np.array([thing.x, thing.y], np.float32)
    grown = centre + (outline - centre) * np.float32(rng.uniform(1.04, 1.15))
    tone = floor * rng.uniform(0.35, 0.75) if rng.random() < 0.6 else np.array(rng.integers(20, 220, 3), np.float32)
    _fill(canvas, grown, tone)
    shade = grown + np.array([-1.5, -2.0], np.float32)
    cv2.polylines(canvas, [_fixed(shade)], True, tuple(float(v) for v in tone * 0.5), 2, cv2.LINE_AA, _SHIFT)


def _outline(thing: Thing) -> Points:
    style = thing.style
    if style.width:
        half, rad = style.size / 2, style.width / 2
        local = np.array([[-half, -rad], [half, -rad], [half, rad], [-half, rad]], np.float32)
    else:
        local = _form(style.shape) * np.array([style.size, style.size / style.ratio], np.float32)
    c, s = np.cos(thing.angle), np.sin(thing.angle)
    turned = local @ np.array([[c, s], [-s, c]], np.float32) + np.array([thing.x, thing.y], np.float32)
    return np.asarray(turned, np.float32)


def _form(shape: str) -> Points:
    if shape in ("box", "bottle"):
        return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * np.float32(0.9)
    if shape in ("C", "D", "S", "T"):
        sides = {"C": 4, "D": 4, "S": 4, "T": 3}[shape]
    else:
        sides = {"hex": 6, "blob": 9}.get(shape, 28)
    t = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    radius = 1 + (0.15 * np.sin(3 * t + 1) if shape == "blob" else 0.0)
    return np.stack([np.cos(t) * radius, np.sin(t) * radius], 1).astype(np.float32)


def _colour(rng: np.random.Generator, metal: bool) -> tuple[int, int, int]:
    if metal:
        grey = rng.uniform(45, 200)
        warm = rng.normal(0, 12)
        values = np.array([grey - warm, grey, grey + warm]) + rng.normal(0, 5, 3)
        if rng.random() < 0.25:
            values = np.array([60, 170, 215]) * rng.uniform(0.7, 1.15)
    else:
        values = rng.uniform(20, 235, 3)
    low = np.clip(values, 12, 240)
    return int(low[0]), int(low[1]), int(low[2])


def _tone(colour: tuple[int, int, int], gain: float) -> list[int]:
    return [int(np.clip(c * gain, 0, 255)) for c in colour]


def _fixed(points: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    return np.asarray(np.round(points * (1 << _SHIFT)), np.int32)


def _whole(point: npt.NDArray[Any]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _fill(canvas: Image, points: npt.NDArray[Any], colour: Any) -> None:
    cv2.fillPoly(canvas, [_fixed(points)], tuple(float(np.clip(c, 0, 255)) for c in colour), cv2.LINE_AA, _SHIFT)


def _soft(canvas: Image, outline: npt.NDArray[Any], size: float) -> None:
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [_fixed(outline + np.array([size * 0.1, size * 0.14]))], 255, cv2.LINE_AA, _SHIFT)
    dark = cv2.GaussianBlur(mask, (0, 0), max(size * 0.12, 0.8)).astype(np.float32) * np.float32(0.45 / 255)
    canvas[:] = (canvas * (1 - dark[..., None])).astype(np.uint8)
