"""Rendered pairs of one place before and after a session, with the truth: what the slot judge is trained on.

A place is drawn alone, at one and a half times the network's input, as foam with or without cut-outs, compartments or
bare plastic, with what its neighbours let hang in. Every choice comes from one generator, so that a seed is a pair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vision.judging.classes import KLASSES, SIDE, STATES
from vision.judging.litter import draw_foreign, draw_glove, draw_rag, draw_swarf
from vision.judging.things import Style, Thing, draw_recess, draw_thing, random_style, reach
from vision.rendering.items import Image

CASES: Final = (
    "still",
    "rearranged",
    "take",
    "return",
    "exchange",
    "masked",
    "foreign",
    "stacked",
    "opened",
)
_SHARES: Final = (0.17, 0.15, 0.24, 0.14, 0.04, 0.09, 0.08, 0.06, 0.03)

_FLOOR = ((30, 28, 150), (30, 170, 200), (150, 90, 30), (28, 27, 26), (90, 90, 92), (60, 130, 60), (44, 42, 40))
_PLASTIC = ((150, 110, 60), (170, 172, 175), (120, 120, 125), (80, 150, 190), (205, 205, 208), (60, 62, 66))


@dataclass(frozen=True)
class Pair:
    """One example.

    Attributes:
        before, after: (SIDE, SIDE, 3) uint8 BGR.
        mask: (SIDE, SIDE) uint8 0/1, the place.
        levels: light of the rack in both.
        klass: index into `KLASSES`.
        counts: pieces before and after (`after` says nothing unless the state is seen).
        state: index into `STATES`, of the place afterwards.
        case: one of `CASES`.
        px: short side of one item in the camera's own picture.
    """

    before: Image
    after: Image
    mask: npt.NDArray[np.uint8]
    levels: tuple[float, float]
    klass: int
    counts: tuple[int, int]
    state: int
    case: str
    px: float


@dataclass
class _Place:
    """A drawn place: its empty canvas, its rectangle, where things may lie, and the look of its items."""

    canvas: Image
    rect: tuple[float, float, float, float]
    spots: list[tuple[float, float, float]]
    style: Style
    room: float  # half the least distance of two spots, px


def render_pair(rng: np.random.Generator, case: str | None = None, px: float | None = None) -> Pair:
    """One example; `case` and `px` (short side of an item in the camera's picture) as given, or drawn."""
    chosen = case or str(rng.choice(CASES, p=_SHARES))
    klass = int(rng.choice(4, p=(0.34, 0.2, 0.2, 0.26)))
    if chosen == "opened":
        klass = 3
    place = _draw_place(klass, rng, alone=chosen == "opened")
    things = _fill(place, chosen, rng)
    before, after, state, litter = _play(place, things, chosen, rng)
    beside = _beside(place, rng)
    canvas_before = _paint(place, beside + before)
    if rng.random() < 0.25:  # a neighbour was touched as well
        beside = _beside(place, rng)
    lids = [replace(t, open=True) for t in after] if state == "opened" else after
    canvas_after = _paint(place, beside + lids)
    if litter is not None:
        _litter(canvas_after, place, litter, rng)
    camera = _Camera(place, px, rng)
    first, level = camera.shoot(canvas_before, rng, jitter=0.0)
    second, level_after = camera.shoot(canvas_after, rng, jitter=1.0)
    return Pair(
        first,
        second,
        camera.mask(),
        (level, level_after),
        klass,
        (len(before), len(after)),
        STATES.index(state),
        chosen,
        camera.px,
    )


def _draw_place(klass: int, rng: np.random.Generator, alone: bool) -> _Place:
    short = 1.5 * SIDE * rng.uniform(0.92, 1.08)
    aspect = float(np.exp(rng.normal(0, 0.28)))
    inner = (short * max(aspect, 1.0), short * max(1 / aspect, 1.0))
    pad = 0.16 * short + 4
    width, height = int(inner[0] + 2 * pad), int(inner[1] + 2 * pad)
    rect = (pad, pad, inner[0], inner[1])
    foam = rng.random() < 0.6
    table = _FLOOR if foam else _PLASTIC
    frame = np.array(table[rng.integers(len(table))], np.float32) * rng.uniform(0.5, 1.15)
    floor = frame if rng.random() < 0.4 else np.array(table[rng.integers(len(table))], np.float32)
    floor = floor * rng.uniform(0.55, 1.1)
    canvas = np.broadcast_to(frame, (height, width, 3)).copy()
    x, y, w, h = (round(v) for v in rect)
    if rng.random() < 0.85:
        canvas[y : y + h, x : x + w] = floor
        if rng.random() < 0.7:
            _walls(canvas, (x, y, w, h), rng)
    grain = rng.normal(0, rng.uniform(0.5, 7), (height // 2 + 1, width // 2 + 1)).astype(np.float32)
    canvas += cv2.resize(grain, (width, height))[..., None]
    painted: Image = np.clip(canvas, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        _label(painted, (x, y, w, h), rng)
    spots, room = _spots(rect, klass, rng, alone)
    place = _Place(painted, rect, spots, random_style(KLASSES[klass], room, rng), room)
    if rng.random() < 0.45:
        for spot in spots:
            draw_recess(painted, _lay(place, spot, rng, still=True), floor, rng)
    return place


def _walls(canvas: npt.NDArray[np.float32], rect: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    x, y, w, h = rect
    depth = max(3, int(min(w, h) * rng.uniform(0.02, 0.09)))
    top, left = rng.random() < 0.5, rng.random() < 0.5
    for i in range(depth):
        dark = 0.45 + 0.55 * i / depth
        canvas[y + i if top else y + h - 1 - i, x : x + w] *= dark
        canvas[y : y + h, x + i if left else x + w - 1 - i] *= dark


def _label(canvas: Image, rect: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    x, y, w, h = rect
    lw, lh = int(w * rng.uniform(0.25, 0.6)), int(h * rng.uniform(0.07, 0.12))
    lx, ly = x + int(w * rng.uniform(0.03, 0.35)), y + (h - lh - 1 if rng.random() < 0.6 else -lh // 2)
    cv2.rectangle(canvas, (lx, ly), (lx + lw, ly + lh), (225, 228, 230), -1)
    for k in range(3):
        cv2.line(canvas, (lx + 3, ly + 3 + k * 3), (lx + int(lw * rng.uniform(0.4, 0.9)), ly + 3 + k * 3), (40,) * 3, 1)


def _spots(
    rect: tuple[float, float, float, float], klass: int, rng: np.random.Generator, alone: bool
) -> tuple[list[tuple[float, float, float]], float]:
    """Centres and angles at which items may lie, and half the least distance of two of them."""
    x, y, w, h = rect
    if klass in (1, 2):
        lanes = int(rng.choice((1, 2, 3, 4, 5, 6), p=(0.3, 0.3, 0.2, 0.1, 0.05, 0.05)))
        upright = rng.random() < 0.7
        angle = (np.pi / 2 if upright else 0.0) + rng.normal(0, 0.06)
        along, across = (h, w) if upright else (w, h)
        step = across / lanes
        at = [(i + 0.5) * step for i in range(lanes)]
        spots = [(x + a, y + h / 2, angle) if upright else (x + w / 2, y + a, angle) for a in at]
        return spots, min(step / 2, along / 3)
    columns, rows = (1, 1) if alone or rng.random() < 0.18 else (int(rng.integers(1, 5)), int(rng.integers(1, 4)))
    dx, dy = w / columns, h / rows
    turn = rng.uniform(0, np.pi)
    spots = [(x + (i + 0.5) * dx, y + (j + 0.5) * dy, turn) for j in range(rows) for i in range(columns)]
    return spots, min(dx, dy) / 2


def _lay(place: _Place, spot: tuple[float, float, float], rng: np.random.Generator, still: bool = False) -> Thing:
    x, y, angle = spot
    if still:
        return Thing(place.style, x, y, angle, 0)
    slack = place.room * 0.07
    turn = rng.uniform(0, 2 * np.pi) if place.style.free else rng.normal(0, 0.05) + np.pi * (rng.random() < 0.3)
    return Thing(
        place.style, x + rng.normal(0, slack), y + rng.normal(0, slack), angle + turn, int(rng.integers(1 << 30))
    )


def _fill(place: _Place, case: str, rng: np.random.Generator) -> dict[int, Thing]:
    """What lies there before: spot → thing."""
    n = len(place.spots)
    low, high = 0, n
    if case in ("take", "rearranged", "exchange", "opened", "stacked"):
        low = 1
    if case == "return":
        high = n - 1
    count = int(rng.integers(low, high + 1)) if rng.random() < 0.7 else int(np.clip(round(n * 0.7), low, high))
    chosen = rng.permutation(n)[:count]
    return {int(i): _lay(place, place.spots[i], rng) for i in chosen}


def _play(
    place: _Place, things: dict[int, Thing], case: str, rng: np.random.Generator
) -> tuple[list[Thing], list[Thing], str, str | None]:
    """Things before, things after, the state afterwards, and the litter to paint over."""
    before, now = list(things.values()), dict(things)
    state, litter = "seen", None
    if case == "rearranged" or (case in ("take", "return", "foreign") and rng.random() < 0.35):
        some = [i for i in now if rng.random() < 0.6] or list(now)[:1]
        for i in some:
            now[i] = _disturbed(place, now[i], rng)
        if case == "rearranged" and rng.random() < 0.3:  # a thing slid to a free spot of its own place
            free = [i for i in range(len(place.spots)) if i not in now]
            if free and now:
                moved = now.pop(int(rng.choice(list(now))))
                x, y, angle = place.spots[free[0]]
                now[free[0]] = replace(moved, x=x, y=y, angle=angle + rng.normal(0, 0.1))
    if case in ("take", "exchange"):
        most = len(now)
        k = most if rng.random() < 0.15 else min(int(rng.choice((1, 2, 3), p=(0.75, 0.18, 0.07))), most)
        gone = [int(i) for i in rng.permutation(list(now))[:k]]
        for i in gone:
            del now[i]
        if case == "exchange":
            for i in gone:
                now[i] = _lay(place, place.spots[i], rng)
    elif case == "return":
        free = [i for i in range(len(place.spots)) if i not in now]
        k = min(int(rng.choice((1, 2, 3), p=(0.75, 0.18, 0.07))), len(free))
        for i in rng.permutation(free)[:k]:
            now[int(i)] = _lay(place, place.spots[int(i)], rng)
    elif case in ("masked", "foreign"):
        state = case
        litter = case
        if now and rng.random() < 0.3:
            now.pop(next(iter(now)))
    elif case == "stacked":
        state = "stacked"
        base = now[int(rng.choice(list(now)))]
        for _ in range(int(rng.integers(1, 3))):
            away, toward = reach(place.style) * rng.uniform(0.15, 0.75), rng.uniform(0, 2 * np.pi)
            now[len(place.spots) + len(now)] = Thing(
                place.style,
                base.x + away * np.cos(toward),
                base.y + away * np.sin(toward),
                base.angle + rng.normal(0, 0.9),
                int(rng.integers(1 << 30)),
            )
        if len(now) > 3 and rng.random() < 0.5:  # a loose heap of all of them
            cx, cy = np.mean([(t.x, t.y) for t in now.values()], axis=0)
            now = {i: replace(t, x=t.x * 0.35 + cx * 0.65, y=t.y * 0.35 + cy * 0.65) for i, t in now.items()}
    elif case == "opened":
        state = "opened"
    return before, list(now.values()), state, litter


def _beside(place: _Place, rng: np.random.Generator) -> list[Thing]:
    """What neighbouring places let hang into the margin."""
    x, y, w, h = place.rect
    things = []
    for _ in range(int(rng.choice((0, 0, 0, 1, 2)))):
        away = place.room * rng.uniform(0.85, 1.3)
        at = rng.uniform(0, 1)
        edges = ((x - away, y + h * at), (x + w + away, y + h * at), (x + w * at, y - away), (x + w * at, y + h + away))
        thing = _lay(place, (*edges[int(rng.integers(4))], float(rng.uniform(0, np.pi))), rng)
        if not place.style.width:
            things.append(thing)
    return things


def _disturbed(place: _Place, thing: Thing, rng: np.random.Generator) -> Thing:
    """Nudged, turned, turned over, or all of it."""
    x0, y0, w, h = place.rect
    push, turn = place.room * rng.uniform(0.05, 0.35), rng.normal(0, 0.25)
    if place.style.free and rng.random() < 0.6:
        turn = rng.uniform(0, 2 * np.pi)
    elif rng.random() < 0.3:
        turn += np.pi
    way = rng.uniform(0, 2 * np.pi)
    edge = min(place.room * 0.8, 0.45 * min(w, h))
    x = float(np.clip(thing.x + push * np.cos(way), x0 + edge, x0 + w - edge))
    y = float(np.clip(thing.y + push * np.sin(way), y0 + edge, y0 + h - edge))
    return replace(
        thing, x=x, y=y, angle=thing.angle + turn, seed=int(rng.integers(1 << 30)) if rng.random() < 0.4 else thing.seed
    )


def _paint(place: _Place, things: list[Thing]) -> Image:
    canvas = place.canvas.copy()
    for thing in things:
        draw_thing(canvas, thing)
    return canvas


def _litter(canvas: Image, place: _Place, litter: str, rng: np.random.Generator) -> None:
    if litter == "foreign":
        draw_foreign(canvas, place.rect, place.style, rng)
        return
    (draw_rag, draw_glove, draw_swarf)[int(rng.choice(3, p=(0.45, 0.2, 0.35)))](canvas, place.rect, rng)


class _Camera:
    """Where the camera stands, its light and its faults; the second shot of a pair differs a little."""

    def __init__(self, place: _Place, px: float | None, rng: np.random.Generator) -> None:
        self.place = place
        self.size = (place.canvas.shape[1], place.canvas.shape[0])
        item = place.style.short  # px of the canvas
        wanted = float(np.exp(rng.uniform(np.log(14), np.log(90)))) if px is None else px
        self.scale = min(wanted / item, 1.4)
        self.px = self.scale * item
        self.tilt = rng.normal(0, 0.012, (4, 2)).astype(np.float32) * np.float32(min(self.size))
        self.blur = float(rng.uniform(0, 1.0))
        self.noise = float(rng.uniform(0.5, 7.0))
        self.quality = int(rng.integers(70, 97))
        self.cast = rng.uniform(0.92, 1.08, 3).astype(np.float32)
        self.gain = float(rng.uniform(0.55, 1.25))
        self.slope, self.way = float(rng.uniform(0, 0.4)), float(rng.uniform(0, 2 * np.pi))
        self.level = float(np.clip(np.median(place.canvas) * np.exp(rng.normal(0, 0.35)), 12, 200))

    def mask(self) -> npt.NDArray[np.uint8]:
        """The place in the network's input."""
        x, y, w, h = self.place.rect
        corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)
        filled = np.zeros((SIDE, SIDE), np.uint8)
        at = corners * np.array([SIDE / self.size[0], SIDE / self.size[1]], np.float32)
        cv2.fillPoly(filled, [np.round(at).astype(np.int32)], 1)
        return filled

    def shoot(self, canvas: Image, rng: np.random.Generator, jitter: float) -> tuple[Image, float]:
        """One median picture as the network gets it, and the light of its frame."""
        w, h = self.size
        native = (max(round(w * self.scale), 12), max(round(h * self.scale), 12))
        still = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
        slip = rng.normal(0, 0.7, (1, 2)) * jitter / self.scale + rng.normal(0, 0.25, (4, 2)) * jitter / self.scale
        matrix = cv2.getPerspectiveTransform(still, (still + slip).astype(np.float32))
        picture = cv2.warpPerspective(canvas, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        shrink = native[0] < w
        picture = cv2.resize(picture, native, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
        gain = self.gain * float(np.exp(rng.normal(0, 0.12 * jitter)))
        lit = np.asarray(picture * self._light(native, gain, jitter, rng), np.float32)
        if self.blur > 0.25:
            lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), self.blur), np.float32)
        lit += rng.standard_normal((native[1], native[0], 1), dtype=np.float32) * np.float32(self.noise * 0.6)
        shot = np.clip(lit, 0, 255).astype(np.uint8)
        packed = cv2.imencode(".jpg", shot, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
        shot = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
        small = native[0] >= SIDE and native[1] >= SIDE
        final = cv2.resize(shot, (SIDE, SIDE), interpolation=cv2.INTER_AREA if small else cv2.INTER_LINEAR)
        return np.asarray(final, np.uint8), self.level * gain * float(np.exp(rng.normal(0, 0.02)))

    def _light(
        self, size: tuple[int, int], gain: float, jitter: float, rng: np.random.Generator
    ) -> npt.NDArray[np.float32]:
        xx, yy = np.meshgrid(
            np.linspace(-0.5, 0.5, size[0], dtype=np.float32), np.linspace(-0.5, 0.5, size[1], dtype=np.float32)
        )
        slope, way = self.slope + rng.normal(0, 0.04) * jitter, self.way + rng.normal(0, 0.1) * jitter
        light: npt.NDArray[np.floating[Any]] = gain * (1 + slope * (xx * np.cos(way) + yy * np.sin(way)))
        if rng.random() < 0.3:  # somebody's soft shadow, or a lamp's reflection
            cx, cy, r = rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7), rng.uniform(0.3, 1.0)
            spot = np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / r**2)
            light = light * (1 + rng.uniform(-0.45, 0.35) * spot)
        cast = self.cast * np.exp(rng.normal(0, 0.015 * jitter, 3))
        return np.asarray(light[..., None] * cast, np.float32)
