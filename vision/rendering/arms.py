"""Draw arms at the scale of a 1080p rack: sleeve, forearm, palm, fingers with nails or a glove, in four poses.

A pose is drawn once a session, at half resolution; a frame only shifts it, and smears it when it moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vision.rendering.cutting import F32
from vision.rendering.sprites import Raster, Sprite, Texture, bytes_of, clip, mottle, place
from vision.rendering.things import Tone

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
    the sleeve begins, palm radii behind the wrist.
    """

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

    def sprite(
        self, pose: str, at: tuple[float, float], speed: tuple[float, float], size: tuple[int, int]
    ) -> Sprite | None:
        """The arm with its pinched fingers `at`, smeared along `speed` px a frame (the shutter is open for two fifths
        of it), cut to the picture of `size`; None when nothing of it is in there.
        """
        if pose not in self._made:
            self._made[pose] = _draw(self.look, pose, self.angle, self._light)
        made = self._made[pose]
        px, py = abs(round(speed[0] * 0.2)), abs(round(speed[1] * 0.2))
        x, y = made.x + round(at[0]), made.y + round(at[1])
        seen = clip((x, y, *made.at(x, y).rect[2:]), size[0] + px, size[1] + py)
        a, b = max(seen[0], -px), max(seen[1], -py)
        if a >= seen[2] or b >= seen[3]:
            return None
        own = np.s_[b - y : seen[3] - y, a - x : seen[2] - x]
        shown = Sprite(a, b, made.ink[own], made.keep[own], made.gloss, made.solid[own])
        return shown if max(px, py) < 5 else _smear(shown, round(speed[0] * 0.4), round(speed[1] * 0.4))

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
    far = 12.5 if abs(np.sin(angle)) > 0.6 else 20.0
    back, front, side = far * s, 1.0 * s, 1.45 * s
    w, h = int(back + front), int(2 * side)
    x = (np.arange(w, dtype=np.float32) - np.float32(back))[None].repeat(h, 0) / np.float32(s)
    y = (np.arange(h, dtype=np.float32) - np.float32(side))[:, None].repeat(w, 1) / np.float32(s * look.side)
    colour = np.zeros((h, w, 3), np.float32)
    alpha = np.zeros((h, w), np.float32)
    height = np.zeros((h, w), np.float32)
    rough = mottle(rng, h, w, 4.0) * 0.02 + mottle(rng, h, w, 25.0) * 0.035
    skin = np.array(look.skin, np.float32)

    def lay(part: slice, edge: F32, radius: float, tone: F32, gain: F32 | float = 1.0) -> None:
        inside = np.clip(0.5 - edge * s, 0, 1)
        bulge = np.sqrt(np.clip(1 - np.clip(1 + edge / radius, 0, 1) ** 2, 0, 1))
        body = tone * ((0.52 + 0.5 * bulge + rough[:, part]) * gain)[..., None]
        colour[:, part] += (body - colour[:, part]) * inside[..., None]
        relief = height[:, part]
        relief[:] = np.where(inside > 0.5, 60 + 150 * bulge * min(1.0, radius * 1.6), relief)
        np.maximum(alpha[:, part], inside, out=alpha[:, part])

    behind, before = slice(0, int(back - 2.2 * s)), slice(int(back - 3.6 * s), w)
    xb, yb, xf, yf = x[:, behind], y[:, behind], x[:, before], y[:, before]
    lay(behind, _taper(xb, yb, (-2.7, 0.0), (-back / s - 0.5, 0.25), 0.56, 0.86), 0.7, skin)
    palm = np.minimum(
        _taper(xf, yf, (-1.35, 0.0), (-2.1, 0.02), 0.82, 0.72), _taper(xf, yf, (-2.0, 0.0), (-2.9, 0.0), 0.7, 0.54)
    )
    lay(before, palm, 0.8, skin)
    order = (0, 4, 3, 2, 1) if pose != "pinch" else (4, 3, 2, 0, 1)
    for k in order:
        root, knuckle, tip = _FINGERS[pose][k]
        t = _THICK[k] * (1.14 if look.gloved else 1.0)
        part = slice(int(back + (min(root[0], knuckle[0]) - 0.4) * s), w)
        u, v = x[:, part], y[:, part]
        edge = np.minimum(_taper(u, v, root, knuckle, t * 1.08, t), _taper(u, v, knuckle, tip, t, t * 0.82))
        crease = 1 - 0.16 * np.exp(-(((np.hypot(u - knuckle[0], v - knuckle[1]) - 0.1) / 0.05) ** 2))
        lay(part, edge, t, skin, crease.astype(np.float32))
        if not look.gloved:
            d = np.array(tip) - np.array(knuckle)
            d = (d / np.hypot(*d)).astype(np.float32)
            along = (u - tip[0]) * d[0] + (v - tip[1]) * d[1]
            across = -(u - tip[0]) * d[1] + (v - tip[1]) * d[0]
            nail = np.clip(1.6 - np.hypot((along + 0.02) / 0.16, across / 0.12) * 1.3, 0, 1)[..., None] * 0.6
            horn = np.minimum(skin * 1.12 + np.array([26, 18, 12], np.float32), 250)
            colour[:, part] += (horn - colour[:, part]) * nail
    start = -2.75 - look.cuff
    folds = 1 + 0.1 * np.sin(xb * 3.1 + 1.3 * np.sin(yb * 2.4 + 1)) * np.clip(-(xb - start) / 0.3, 0, 1)
    lay(
        behind,
        _taper(xb, yb, (start, 0.0), (-back / s - 0.5, 0.3), 0.78, 1.12),
        0.9,
        np.array(look.sleeve, np.float32),
        folds.astype(np.float32),
    )
    if look.gloved and look.cuff > 0.5:
        lay(behind, _taper(xb, yb, (-2.75, 0.0), (-3.2, 0.0), 0.66, 0.68), 0.6, skin * np.float32(0.75))
    bgra = bytes_of(np.dstack((colour, alpha * 255)))
    relief = bytes_of(np.dstack((alpha * (30 if look.gloved else 12), cv2.blur(height, (7, 7)) * alpha)))
    c, n = np.cos(angle), np.sin(angle)
    ox = back - w / 2
    half = place(Texture(bgra, relief), -c * ox, -n * ox, angle, light, look.scale * 0.15, 2.0)

    def double(plane: Raster) -> Raster:
        return np.asarray(cv2.resize(plane, (plane.shape[1] * 2, plane.shape[0] * 2)), np.uint8)

    return Sprite(half.x * 2, half.y * 2, double(half.ink), double(half.keep), half.gloss, double(half.solid))


def _taper(x: F32, y: F32, a: tuple[float, float], b: tuple[float, float], ra: float, rb: float) -> F32:
    dx, dy = b[0] - a[0], b[1] - a[1]
    t = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.asarray(np.hypot(x - a[0] - t * dx, y - a[1] - t * dy) - (ra + (rb - ra) * t), np.float32)


def _smear(sprite: Sprite, dx: int, dy: int) -> Sprite:
    """Motion blur by ``(dx, dy)`` px, at less resolution: what is smeared has no detail."""
    k = 4 if max(abs(dx), abs(dy)) > 24 else 2
    px, py = -(-abs(dx) // (2 * k)), -(-abs(dy) // (2 * k))
    n = int(np.clip(max(px, py) * 2 // 3, 3, 7))

    def blur(plane: Raster, fill: int) -> Raster:
        small = cv2.resize(plane, (plane.shape[1] // k + 1, plane.shape[0] // k + 1), interpolation=cv2.INTER_AREA)
        h, w = small.shape[:2]
        total = np.zeros((h + 2 * py, w + 2 * px, *small.shape[2:]), np.uint16)
        if fill:
            total += np.uint16(fill * n)
        for i in range(n):
            t = 2 * i / (n - 1) - 1
            x, y = px + round(np.copysign(px, dx) * t), py + round(np.copysign(py, dy) * t)
            ground = total[y : y + h, x : x + w]
            if fill:
                ground -= np.uint16(fill) - small
            else:
                ground += small
        mean = (total // n).astype(np.uint8)
        return np.asarray(cv2.resize(mean, (mean.shape[1] * k, mean.shape[0] * k)), np.uint8)

    x, y = sprite.x - px * k, sprite.y - py * k
    return Sprite(x, y, blur(sprite.ink, 0), blur(sprite.keep, 255), sprite.gloss, blur(sprite.solid, 0))


def _near(tone: Tone, rng: np.random.Generator) -> Tone:
    v = np.clip(np.array(tone) * rng.uniform(0.85, 1.12) + rng.normal(0, 5, 3), 8, 245)
    return int(v[0]), int(v[1]), int(v[2])
