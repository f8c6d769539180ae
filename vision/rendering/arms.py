"""Draw arms at the scale of a 1080p rack: sleeve, forearm, palm, fingers with nails or a glove, in four poses.

A pose is drawn once a session, at half resolution; a frame only shifts it, and smears it when it moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vision.rendering.cutting import F32
from vision.rendering.items import Image
from vision.rendering.sprites import Plane, Rect, Sprite, Texture, bytes_of, mottle, place
from vision.rendering.things import Tone

POSES: Final = ("pinch", "open", "grip", "rest")

_SKIN: Final[tuple[Tone, ...]] = (
    (150, 180, 225),
    (120, 155, 205),
    (95, 130, 185),
    (70, 100, 150),
    (50, 72, 110),
    (38, 52, 80),
    (165, 190, 232),
)
_GLOVES: Final[tuple[Tone, ...]] = (
    (190, 110, 40),
    (45, 45, 48),
    (165, 168, 172),
    (40, 110, 225),
    (90, 150, 60),
    (60, 60, 180),
    (215, 218, 220),
)
_SLEEVES: Final[tuple[Tone, ...]] = (
    (110, 60, 40),
    (60, 60, 60),
    (40, 40, 140),
    (150, 110, 70),
    (70, 90, 60),
    (195, 198, 200),
    (32, 32, 36),
    (55, 120, 205),
)

_FINGERS: Final = {
    # thumb, index, middle, ring, little: root, knuckle, tip, in palm radii; the things held lie at the origin
    "pinch": (
        ((-1.75, 0.62), (-0.85, 0.66), (-0.04, 0.2)),
        ((-1.0, 0.34), (-0.42, 0.2), (0.1, -0.02)),
        ((-0.95, -0.06), (-0.35, -0.3), (-0.02, -0.34)),
        ((-1.0, -0.42), (-0.5, -0.64), (-0.28, -0.6)),
        ((-1.1, -0.74), (-0.75, -0.92), (-0.55, -0.86)),
    ),
    "open": (
        ((-1.75, 0.62), (-0.9, 1.05), (-0.4, 1.2)),
        ((-1.0, 0.42), (-0.2, 0.62), (0.42, 0.68)),
        ((-0.95, 0.06), (-0.1, 0.12), (0.62, 0.1)),
        ((-1.0, -0.32), (-0.15, -0.36), (0.5, -0.42)),
        ((-1.1, -0.66), (-0.4, -0.86), (0.1, -1.0)),
    ),
    "grip": (
        ((-1.75, 0.62), (-0.95, 0.92), (-0.25, 0.8)),
        ((-1.0, 0.42), (-0.3, 0.5), (0.28, 0.42)),
        ((-0.95, 0.04), (-0.2, 0.06), (0.42, 0.04)),
        ((-1.0, -0.34), (-0.3, -0.38), (0.32, -0.34)),
        ((-1.1, -0.68), (-0.5, -0.78), (0.05, -0.7)),
    ),
    "rest": (
        ((-1.75, 0.62), (-1.1, 1.0), (-0.7, 1.02)),
        ((-1.0, 0.42), (-0.4, 0.5), (-0.05, 0.46)),
        ((-0.95, 0.05), (-0.3, 0.08), (0.08, 0.06)),
        ((-1.0, -0.32), (-0.4, -0.36), (-0.04, -0.36)),
        ((-1.1, -0.66), (-0.6, -0.76), (-0.3, -0.78)),
    ),
}
_THICK: Final = (0.25, 0.225, 0.225, 0.21, 0.18)


@dataclass(frozen=True)
class Look:
    """One person's arm in one session. `scale`: palm radius, px; `side`: +1 or -1, where the thumb is; `cuff`: where
    the sleeve begins, palm radii behind the wrist."""

    scale: float
    skin: Tone
    gloved: bool
    sleeve: Tone
    cuff: float
    side: int
    seed: int


def make_look(rng: np.random.Generator, scale: float) -> Look:
    """A random arm; gloved in four cases of ten."""
    gloved = bool(rng.random() < 0.4)
    table = _GLOVES if gloved else _SKIN
    return Look(
        scale=scale * float(rng.uniform(0.88, 1.14)),
        skin=_near(table[rng.integers(len(table))], rng),
        gloved=gloved,
        sleeve=_near(_SLEEVES[rng.integers(len(_SLEEVES))], rng),
        cuff=float(rng.uniform(0.0, 3.5)),
        side=int(rng.choice([-1, 1])),
        seed=int(rng.integers(1 << 30)),
    )


class Arm:
    """Sprites of one `Look` pointing along `angle` radians, lit from `light` radians; made when first asked for."""

    def __init__(self, look: Look, angle: float, light: float) -> None:
        self.look, self.angle, self._light = look, angle, light
        self._made: dict[str, Sprite] = {}
        self._smeared: dict[tuple[str, int, int], Sprite] = {}

    def sprite(self, pose: str, speed: tuple[float, float] = (0.0, 0.0)) -> Sprite:
        """The arm whose pinched fingers are at (0, 0), smeared along `speed` px a frame (its shutter is half open)."""
        if pose not in self._made:
            self._made[pose] = _draw(self.look, pose, self.angle, self._light)
        dx, dy = round(speed[0] * 0.22 / 8) * 8, round(speed[1] * 0.22 / 8) * 8
        if dx == 0 and dy == 0:
            return self._made[pose]
        key = (pose, dx, dy)
        if key not in self._smeared:
            self._smeared[key] = _smear(self._made[pose], dx, dy)
        return self._smeared[key]

    def hand_box(self) -> tuple[float, float, float, float]:
        """Fingers to wrist, relative to the pinched fingers: x0, y0, x1, y1."""
        s = self.look.scale
        f = np.array([np.cos(self.angle), np.sin(self.angle)])
        a = np.array([-f[1], f[0]]) * self.look.side
        points = np.array([f * u * s + a * v * s for u in (-2.75, 0.35) for v in (-1.05, 1.0)])
        (x0, y0), (x1, y1) = points.min(0), points.max(0)
        return float(x0), float(y0), float(x1), float(y1)


def _draw(look: Look, pose: str, angle: float, light: float) -> Sprite:
    s = look.scale / 2  # half resolution
    rng = np.random.default_rng((look.seed, 5))
    back, front, side = 14.0 * s, 1.0 * s, 1.45 * s
    w, h = int(back + front), int(2 * side)
    x = (np.arange(w, dtype=np.float32) - np.float32(back))[None].repeat(h, 0) / np.float32(s)
    y = (np.arange(h, dtype=np.float32) - np.float32(side))[:, None].repeat(w, 1) / np.float32(s * look.side)
    colour = np.zeros((h, w, 3), np.float32)
    alpha = np.zeros((h, w), np.float32)
    height = np.zeros((h, w), np.float32)
    rough = mottle(rng, h, w, 4.0) * 0.02 + mottle(rng, h, w, 25.0) * 0.035
    skin = np.array(look.skin, np.float32)

    def lay(edge: F32, radius: float, tone: F32, gain: F32 | float = 1.0) -> None:
        inside = np.clip(0.5 - edge * s, 0, 1)
        bulge = np.sqrt(np.clip(1 - np.clip(1 + edge / radius, 0, 1) ** 2, 0, 1))
        body = tone * ((0.52 + 0.5 * bulge + rough) * gain)[..., None]
        colour[:] = colour * (1 - inside[..., None]) + body * inside[..., None]
        height[:] = np.where(inside > 0.5, 60 + 150 * bulge * min(1.0, radius * 1.6), height)
        np.maximum(alpha, inside, out=alpha)

    lay(_taper(x, y, (-2.7, 0.0), (-14.5, 0.25), 0.56, 0.86), 0.7, skin)
    palm = np.minimum(
        _taper(x, y, (-1.35, 0.0), (-2.1, 0.02), 0.82, 0.72), _taper(x, y, (-2.0, 0.0), (-2.9, 0.0), 0.7, 0.54)
    )
    lay(palm, 0.8, skin)
    order = (0, 4, 3, 2, 1) if pose != "pinch" else (4, 3, 2, 0, 1)
    for k in order:
        root, knuckle, tip = _FINGERS[pose][k]
        t = _THICK[k] * (1.14 if look.gloved else 1.0)
        edge = np.minimum(_taper(x, y, root, knuckle, t * 1.08, t), _taper(x, y, knuckle, tip, t, t * 0.82))
        crease = 1 - 0.16 * np.exp(-(((np.hypot(x - knuckle[0], y - knuckle[1]) - 0.1) / 0.05) ** 2))
        lay(edge, t, skin, crease.astype(np.float32))
        if not look.gloved:
            d = np.array(tip) - np.array(knuckle)
            d = d / np.hypot(*d)
            u = (x - tip[0]) * d[0] + (y - tip[1]) * d[1]
            v = -(x - tip[0]) * d[1] + (y - tip[1]) * d[0]
            nail = np.clip(1.6 - np.hypot((u + 0.02) / 0.16, v / 0.12) * 1.3, 0, 1)[..., None] * 0.6
            colour[:] = colour * (1 - nail) + np.minimum(skin * 1.12 + np.array([26, 18, 12], np.float32), 250) * nail
    start = -2.75 - look.cuff
    folds = 1 + 0.1 * np.sin(x * 3.1 + 1.3 * np.sin(y * 2.4 + 1)) * np.clip(-(x - start) / 0.3, 0, 1)
    lay(
        _taper(x, y, (start, 0.0), (-14.5, 0.3), 0.78, 1.12),
        0.9,
        np.array(look.sleeve, np.float32),
        folds.astype(np.float32),
    )
    if look.gloved:
        cuff = np.array(look.skin, np.float32) * 0.75
        if look.cuff > 0.5:
            lay(_taper(x, y, (-2.75, 0.0), (-3.2, 0.0), 0.66, 0.68), 0.6, cuff)
    bgra = bytes_of(np.dstack((colour, alpha * 255)))
    relief = bytes_of(np.dstack((alpha * (30 if look.gloved else 12), cv2.GaussianBlur(height, (0, 0), 1.0))))
    c, n = np.cos(angle), np.sin(angle)
    ox, oy = (back - w / 2) * 2, 0.0
    return place(Texture(bgra, relief), -(c * ox - n * oy), -(n * ox + c * oy), angle, light, look.scale * 0.3, 4.0)


def _taper(x: F32, y: F32, a: tuple[float, float], b: tuple[float, float], ra: float, rb: float) -> F32:
    dx, dy = b[0] - a[0], b[1] - a[1]
    t = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.asarray(np.hypot(x - a[0] - t * dx, y - a[1] - t * dy) - (ra + (rb - ra) * t), np.float32)


def _smear(sprite: Sprite, dx: int, dy: int) -> Sprite:
    """Motion blur by `(dx, dy)` px, at a quarter of the resolution: what is smeared has no detail."""
    px, py = abs(dx), abs(dy)

    def blur(plane: Image | Plane, fill: int) -> Image:
        grown = cv2.copyMakeBorder(
            plane, py, py, px, px, cv2.BORDER_CONSTANT, value=(fill, fill, fill) if plane.ndim == 3 else fill
        )
        k = 2
        small = cv2.resize(grown, None, fx=1 / k, fy=1 / k, interpolation=cv2.INTER_AREA)
        total = np.zeros(small.shape, np.float32)
        n = 5
        for i in range(n):
            t = (i / (n - 1) - 0.5) / k
            shift = np.array([[1, 0, dx * t], [0, 1, dy * t]], np.float64)
            moved = cv2.warpAffine(small, shift, (small.shape[1], small.shape[0]), borderMode=cv2.BORDER_REPLICATE)
            cv2.accumulate(moved, total)
        out = cv2.resize(cv2.convertScaleAbs(total, alpha=1 / n), (grown.shape[1], grown.shape[0]))
        return np.asarray(out, np.uint8)

    return Sprite(
        sprite.x - px,
        sprite.y - py,
        blur(sprite.ink, 0),
        blur(sprite.keep, 255),
        blur(sprite.gloss, 0),
        blur(sprite.solid, 0),
    )


def _near(tone: Tone, rng: np.random.Generator) -> Tone:
    v = np.clip(np.array(tone) * rng.uniform(0.85, 1.12) + rng.normal(0, 5, 3), 8, 245)
    return int(v[0]), int(v[1]), int(v[2])


def reach(rect: Rect, x: float, y: float) -> Rect:
    """`rect` moved by ``(x, y)``."""
    dx, dy = round(x), round(y)
    return rect[0] + dx, rect[1] + dy, rect[2] + dx, rect[3] + dy
