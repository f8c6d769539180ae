"""One rack under one camera: layout, material, light, and the rendering of a frame from its present contents."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from vision.rendering.hands import Hand, draw_hand
from vision.rendering.items import ITEM_CLASSES, Image, Item, Points, Style, draw_item, draw_style, make_item

_SUPERSAMPLE = 2
_FOAM = ((38, 36, 34), (52, 50, 48), (70, 66, 62), (30, 30, 36))
_POCKET = ((30, 28, 170), (30, 190, 220), (160, 90, 30), (28, 27, 26), (90, 90, 92), (60, 140, 60), (44, 42, 40))
_PLASTIC = ((150, 110, 60), (170, 172, 175), (120, 120, 125), (80, 150, 190), (205, 205, 208), (60, 62, 66))
_BENCH = ((120, 125, 130), (80, 95, 115), (165, 170, 172), (60, 62, 64), (140, 150, 120))


@dataclass(frozen=True)
class Box:
    """A training label: class name and ``x0, y0, x1, y1`` in image px."""

    label: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass
class SlotModel:
    """A place of the rack and what lies in it.

    Attributes:
        id: A1 … (row letter, column number).
        rect: x, y, width, height, canvas px.
        polygon: corner points in image px, (4, 2).
        kind: class of its items.
        capacity: how many items it takes.
        items: what lies there now.
        spots: the free-standing centres and angles at which items may lie, ``capacity`` of them.
    """

    id: str
    rect: tuple[float, float, float, float]
    polygon: Points
    kind: str
    capacity: int
    style: Style
    spots: list[tuple[float, float, float]]
    items: list[tuple[int, Item]] = field(default_factory=list)

    def free_spots(self) -> list[int]:
        taken = {spot for spot, _ in self.items}
        return [i for i in range(self.capacity) if i not in taken]

    def put(self, spot: int, rng: np.random.Generator) -> None:
        """Lay a new item on ``spot``."""
        x, y, angle = self.spots[spot]
        jitter = min(self.rect[2], self.rect[3]) * 0.015
        dx, dy = rng.normal(0, jitter, 2)
        turn = (
            rng.uniform(0, 2 * np.pi)
            if self.kind == "insert"
            else rng.normal(0, 0.05) + (np.pi if rng.random() < 0.3 else 0.0)
        )
        item = make_item(self.kind, self.style, rng)
        self.items.append((spot, item.moved(x + dx, y + dy, angle + turn)))


@dataclass(frozen=True)
class Disturbance:
    """What may differ from one frame to the next.

    Attributes:
        gain: global light factor.
        offset: camera displacement, image px.
        shadow: centre x, y, radius (canvas px) and darkness 0..1 of a soft shadow, or None.
    """

    gain: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)
    shadow: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class HandPose:
    """A hand in the picture: palm centre in canvas px, direction of the fingers in radians, and what it holds."""

    hand: Hand
    x: float
    y: float
    angle: float
    held: Item | None = None


class Scene:
    """A rack, its camera and its light. Everything is fixed by ``rng`` at construction; `render` takes its own
    generator.

    Args:
        rng: source of all choices.
        width, height: image size in px.
        grid: columns, rows; chosen at random when None.
        fill: mean share of occupied spots.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        width: int = 416,
        height: int = 320,
        grid: tuple[int, int] | None = None,
        fill: float = 0.6,
    ) -> None:
        self.width, self.height = width, height
        self.canvas_size = (width * _SUPERSAMPLE, height * _SUPERSAMPLE)
        columns, rows = grid or (4, 3)
        self._homography = self._camera(rng)
        self._light = self._light_field(rng)
        self.blur = float(rng.uniform(0.0, 0.9))
        self.noise = float(rng.uniform(0.8, 6.0))
        self.foam = bool(rng.random() < 0.55)
        self.slots: list[SlotModel] = []
        self._background = self._draw_background(rng, columns, rows, fill)
        self._still: Image | None = None
        self._outlines: list[tuple[str, Points]] = []

    @property
    def cell(self) -> float:
        """Short side of a slot, canvas px."""
        return min(self.slots[0].rect[2], self.slots[0].rect[3])

    def touch(self) -> None:
        """Forget the cached still picture after slot contents changed."""
        self._still = None

    def render(
        self, rng: np.random.Generator, hand: HandPose | None = None, disturbance: Disturbance | None = None
    ) -> tuple[Image, list[Box]]:
        """Render one frame: image (height, width, 3) uint8 BGR, and the labels of what is to be seen."""
        d = disturbance or Disturbance()
        canvas = self._contents().copy()
        arm: npt.NDArray[np.float32] | None = None
        outlines = list(self._outlines)
        hand_outline: npt.NDArray[np.float32] | None = None
        if hand is not None:
            self._hand_shadow(canvas, hand)
            if hand.held is not None:
                outlines.append((hand.held.kind, draw_item(canvas, hand.held)))
            arm, hand_outline = draw_hand(canvas, hand.hand, hand.x, hand.y, hand.angle)
        homography = self._homography.copy()
        homography = np.array([[1, 0, d.offset[0]], [0, 1, d.offset[1]], [0, 0, 1]]) @ homography
        image = cv2.warpPerspective(
            canvas, homography, (self.width, self.height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
        )
        light = self._light * d.gain
        if d.shadow is not None:
            light = light * self._soft_shadow(d.shadow)
        lit = image.astype(np.float32) * light
        if self.blur > 0.25:
            lit = cv2.GaussianBlur(lit, (0, 0), self.blur)
        lit += rng.standard_normal((self.height, self.width, 1), dtype=np.float32) * np.float32(self.noise)
        final = np.clip(lit, 0, 255).astype(np.uint8)
        return final, self._boxes(outlines, arm, hand_outline, homography)

    def _contents(self) -> Image:
        if self._still is None:
            canvas = self._background.copy()
            self._outlines = []
            for slot in self.slots:
                self._outlines.extend((item.kind, draw_item(canvas, item)) for _, item in slot.items)
            self._still = canvas
        return self._still

    def _boxes(
        self,
        outlines: list[tuple[str, Points]],
        arm: npt.NDArray[np.float32] | None,
        hand: npt.NDArray[np.float32] | None,
        homography: npt.NDArray[np.float64],
    ) -> list[Box]:
        boxes = []
        for label, outline in outlines:
            if arm is not None and _hidden_share(outline, arm) > 0.6:
                continue
            boxes.append(self._box(label, outline, homography))
        if hand is not None:
            ys, xs = np.nonzero(hand > 0.5)
            if len(xs) > self.cell**2 * 0.02:
                corners = np.array(
                    [[xs.min(), ys.min()], [xs.max(), ys.min()], [xs.max(), ys.max()], [xs.min(), ys.max()]], np.float32
                )
                boxes.append(self._box("hand", corners, homography))
        return [b for b in boxes if b.x1 - b.x0 > 4 and b.y1 - b.y0 > 4]

    def _box(self, label: str, outline: Points, homography: npt.NDArray[np.float64]) -> Box:
        p = cv2.perspectiveTransform(outline[None], homography)[0]
        x0, y0 = np.maximum(p.min(0), 0)
        x1, y1 = np.minimum(p.max(0), [self.width - 1, self.height - 1])
        return Box(label, float(x0), float(y0), float(x1), float(y1))

    def _camera(self, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        w, h = self.canvas_size
        source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
        shift = rng.uniform(-0.035, 0.035, (4, 2)).astype(np.float32) * np.array([self.width, self.height], np.float32)
        target = source / np.float32(_SUPERSAMPLE) + shift
        return np.asarray(cv2.getPerspectiveTransform(source, target), np.float64)

    def _light_field(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        yy, xx = np.mgrid[0 : 1 : complex(self.height), 0 : 1 : complex(self.width)].astype(np.float32)
        direction = rng.uniform(0, 2 * np.pi)
        slope = rng.uniform(0.0, 0.4)
        ramp = (xx - 0.5) * np.cos(direction) + (yy - 0.5) * np.sin(direction)
        light = (rng.uniform(0.7, 1.15) * (1 + slope * ramp))[..., None] * rng.uniform(0.94, 1.06, 3)
        for _ in range(int(rng.integers(0, 3))):  # a lamp's reflection
            cx, cy, r = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.2)
            light = (
                light * (1 + rng.uniform(0.15, 0.6) * np.exp(-(((xx - cx) ** 2 + (yy - cy) ** 2) / r**2)))[..., None]
            )
        return np.asarray(light, np.float32)

    def _soft_shadow(self, shadow: tuple[float, float, float, float]) -> npt.NDArray[np.float32]:
        x, y, radius, dark = shadow
        yy, xx = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32) * _SUPERSAMPLE
        soft = np.exp(-(((xx - x) ** 2 + (yy - y) ** 2) / np.float32(radius**2)))
        return np.asarray((1 - np.float32(dark) * soft)[..., None], np.float32)

    def _hand_shadow(self, canvas: Image, pose: HandPose) -> None:
        small = np.zeros((canvas.shape[0] // 8, canvas.shape[1] // 8), np.float32)
        s = pose.hand.scale / 8
        x, y = pose.x / 8 + s * 0.35, pose.y / 8 + s * 0.45
        fx, fy = np.cos(pose.angle), np.sin(pose.angle)
        cv2.line(
            small, (int(x - 200 * fx), int(y - 200 * fy)), (int(x + s * fx), int(y + s * fy)), 1.0, max(2, int(s * 1.5))
        )
        soft = cv2.resize(cv2.GaussianBlur(small, (0, 0), s * 0.35 + 0.5), (canvas.shape[1], canvas.shape[0]))
        np.copyto(canvas, (canvas * (1 - 0.4 * soft[..., None])).astype(np.uint8))

    def _draw_background(self, rng: np.random.Generator, columns: int, rows: int, fill: float) -> Image:
        w, h = self.canvas_size
        base = np.array(_BENCH[rng.integers(len(_BENCH))], np.float32) * rng.uniform(0.8, 1.1)
        grain = cv2.resize(rng.normal(0, 5, (h // 6, w // 6, 1)).astype(np.float32), (w, h))[..., None]
        canvas = np.clip(base + grain, 0, 255).astype(np.uint8)
        canvas = np.broadcast_to(canvas, (h, w, 3)).copy()
        _clutter(canvas, rng)
        margin_x, margin_y = w * rng.uniform(0.035, 0.09), h * rng.uniform(0.035, 0.08)
        frame = _FOAM[rng.integers(len(_FOAM))] if self.foam else _PLASTIC[rng.integers(len(_PLASTIC))]
        cv2.rectangle(canvas, (int(margin_x), int(margin_y)), (int(w - margin_x), int(h - margin_y)), frame, -1)
        rough = rng.normal(0, 7 if self.foam else 2, (h // 2, w // 2, 1)).astype(np.float32)
        canvas[:] = np.clip(canvas + cv2.resize(rough, (w, h))[..., None], 0, 255).astype(np.uint8)
        gap = w * rng.uniform(0.008, 0.025)
        cw, ch = (w - 2 * margin_x - gap) / columns, (h - 2 * margin_y - gap) / rows
        pocket = _POCKET[rng.integers(len(_POCKET))]
        mixed = rng.random() < 0.7
        rack_kind = str(rng.choice(ITEM_CLASSES))
        for r in range(rows):
            for c in range(columns):
                rect = (margin_x + gap + c * cw, margin_y + gap + r * ch, cw - gap, ch - gap)
                self._draw_pocket(canvas, rect, pocket, rng)
                kind = str(rng.choice(ITEM_CLASSES, p=(0.5, 0.25, 0.25))) if mixed else rack_kind
                self._add_slot(f"{chr(65 + r)}{c + 1}", rect, kind, rng, fill)
        return canvas

    def _draw_pocket(
        self,
        canvas: Image,
        rect: tuple[float, float, float, float],
        colour: tuple[int, int, int],
        rng: np.random.Generator,
    ) -> None:
        x, y, w, h = (round(v) for v in rect)
        area = canvas[y : y + h, x : x + w]
        floor = np.array(colour if self.foam else (190, 190, 188), np.float32) * (
            0.9 if self.foam else rng.uniform(0.55, 1.05)
        )
        texture = rng.normal(0, 4, (*area.shape[:2], 1))
        area[:] = np.clip(
            floor + cv2.GaussianBlur(texture.astype(np.float32), (0, 0), 1.0)[..., None] * 2, 0, 255
        ).astype(np.uint8)
        depth = max(3, int(min(w, h) * 0.05))
        for i in range(depth):  # the wall's shadow inside the pocket
            dark = 0.45 + 0.55 * i / depth
            area[i, :] = (area[i, :] * dark).astype(np.uint8)
            area[:, i] = (area[:, i] * dark).astype(np.uint8)
        cv2.rectangle(canvas, (x, y), (x + w, y + h), tuple(int(v * 0.6) for v in floor), 1, cv2.LINE_AA)
        if rng.random() < 0.3:  # a paper label on the wall
            lw, lh = int(w * rng.uniform(0.25, 0.45)), int(h * 0.09)
            lx, ly = x + int(w * 0.05), y + h - lh - 2
            cv2.rectangle(canvas, (lx, ly), (lx + lw, ly + lh), (225, 228, 230), -1)
            for k in range(3):
                cv2.line(
                    canvas,
                    (lx + 3, ly + 3 + k * 3),
                    (lx + int(lw * rng.uniform(0.4, 0.9)), ly + 3 + k * 3),
                    (40, 40, 40),
                    1,
                )

    def _add_slot(
        self, name: str, rect: tuple[float, float, float, float], kind: str, rng: np.random.Generator, fill: float
    ) -> None:
        x, y, w, h = rect
        cell = min(w, h)
        spots: list[tuple[float, float, float]]
        if kind == "insert":
            spots = [(x + w * fx, y + h * fy, 0.0) for fx in (0.28, 0.72) for fy in (0.28, 0.7)]
            spots = spots[: int(rng.integers(2, 5))]
        else:
            upright = rng.random() < 0.75
            angle = (np.pi / 2 if upright else 0.0) + rng.normal(0, 0.06)
            places = ((0.5,), (0.3, 0.7))[int(rng.integers(2))]
            spots = [(x + w * p, y + h * 0.5, angle) if upright else (x + w * 0.5, y + h * p, angle) for p in places]
        corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)
        polygon = cv2.perspectiveTransform(corners[None], self._homography)[0]
        slot = SlotModel(name, rect, polygon, kind, len(spots), draw_style(kind, cell, rng), spots)
        for spot in range(slot.capacity):
            if rng.random() < fill:
                slot.put(spot, rng)
        self.slots.append(slot)


def _hidden_share(outline: Points, arm: npt.NDArray[np.float32]) -> float:
    x0, y0 = np.maximum(np.floor(outline.min(0)).astype(int), 0)
    x1, y1 = np.ceil(outline.max(0)).astype(int) + 1
    patch = arm[y0:y1, x0:x1]
    if patch.size == 0:
        return 1.0
    mask = np.zeros(patch.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(outline - np.array([x0, y0], np.float32)).astype(np.int32)], 1)
    return float((patch * mask).sum() / max(int(mask.sum()), 1))


def _clutter(canvas: Image, rng: np.random.Generator) -> None:
    """Things on the bench that are nobody's item: strips, marks, screws."""
    h, w = canvas.shape[:2]
    for _ in range(int(rng.integers(0, 7))):
        x, y = int(rng.uniform(0, w)), int(rng.uniform(0, h))
        colour = tuple(int(c) for c in rng.integers(20, 230, 3))
        if rng.random() < 0.5:
            cv2.rectangle(canvas, (x, y), (x + int(rng.uniform(10, 90)), y + int(rng.uniform(6, 50))), colour, -1)
        else:
            cv2.circle(canvas, (x, y), int(rng.uniform(4, 16)), colour, -1, cv2.LINE_AA)
