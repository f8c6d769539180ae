"""Draw cutting tools in their own axes: inserts, drills, end mills, taps, collets, bar ends, lying and standing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vision.rendering.sprites import SCALE, Texture, bytes_of, mottle

Tone = tuple[int, int, int]
F32 = npt.NDArray[Any]
"""float32, one value a pixel."""


@dataclass
class Spec:
    """What to draw: the fields of `vision.rendering.things.Thing` that its look depends on, and its own generator."""

    form: str
    size: float
    width: float
    tone: Tone
    rng: np.random.Generator
    flipped: bool


Draw = Callable[[Spec], Texture]

_STEEL: Final = (168, 172, 174)


def pack(colour: F32, alpha: F32, gloss: F32, height: F32) -> Texture:
    """Planes of 0..255 as a texture."""
    bgra = bytes_of(np.dstack((colour, alpha)))
    return Texture(bgra, bytes_of(np.dstack((gloss, height))))


def axes(size: float, width: float, pad: int = 2) -> tuple[F32, F32]:
    """Coordinates in px of the thing, origin in its middle, for a picture `SCALE` times as large."""
    w, h = int(np.ceil(size * SCALE)) + 2 * pad, int(np.ceil(width * SCALE)) + 2 * pad
    x = (np.arange(w, dtype=np.float32) - (w - 1) / 2) / SCALE
    y = (np.arange(h, dtype=np.float32) - (h - 1) / 2) / SCALE
    grid = np.meshgrid(x, y)
    return grid[0], grid[1]


def soft(distance: F32) -> F32:
    """255 inside (distance < 0), 0 outside, one px of edge."""
    return np.clip((0.5 - distance * SCALE) * 255, 0, 255).astype(np.float32)


def paint(tone: Tone, gain: F32, add: F32 | float = 0.0) -> F32:
    return np.asarray(np.array(tone, np.float32) * gain[..., None] + np.asarray(add, np.float32)[..., None], np.float32)


def draw_insert(spec: Spec) -> Texture:
    """``insert-C/D/T/S/R/W``: ISO 1832 shapes; `size` is its inscribed-circle-sized long side, px."""
    form, size, tone, rng, flipped = spec.form, spec.size, spec.tone, spec.rng, spec.flipped
    shape = form.split("-")[1]
    x, y = axes(size * 1.1, size * 1.1)
    radius = size / 2
    if shape == "R":
        edge = np.hypot(x, y) - radius
    else:
        corners = _corners(shape, radius)
        nose = max(1.0, radius * 0.13)
        edge = _polygon_distance(x, y, corners * np.float32(1 - nose / radius)) - np.float32(nose)
    depth = np.maximum(-edge, 0) / radius
    r = np.hypot(x, y) / radius
    hole = 0.27 if shape in "CSRW" else 0.21
    wear = mottle(rng, x.shape[0], x.shape[1], max(4.0, size * 0.35)) * 0.035
    if flipped:
        gain = 0.92 + wear + 0.05 * np.cos(depth * 9)
        height = 150 + 60 * np.clip(depth / 0.06, 0, 1)
    else:
        land = np.clip(depth / 0.05, 0, 1)
        groove = np.exp(-(((depth - 0.17) / 0.07) ** 2))
        height = 90 + 90 * land - 85 * groove + 25 * np.clip((depth - 0.2) / 0.15, 0, 1)
        gain = 0.98 + wear - 0.22 * groove + 0.2 * (1 - land)
        for _ in range(int(rng.integers(0, 3))):  # a worn corner shows the carbide
            t = rng.uniform(0, 2 * np.pi)
            spot = np.exp(-((x - np.cos(t) * radius) ** 2 + (y - np.sin(t) * radius) ** 2) / (radius * 0.22) ** 2)
            gain = gain + 0.35 * spot
    ring = np.exp(-(((r - hole - 0.06) / 0.05) ** 2))
    gain = gain + 0.3 * ring * (0.5 + 0.5 * np.sign(-y))
    inside = np.clip((hole - r) / 0.05, 0, 1)
    colour = paint(tone, gain.astype(np.float32), 6.0) * (1 - inside[..., None]) + 20 * inside[..., None]
    gloss = 120 * (1 - inside) * (0.6 + 0.4 * np.clip(1 - depth / 0.08, 0, 1))
    height = height * (1 - inside) + 40 * inside
    return pack(colour.astype(np.float32), soft(edge), gloss.astype(np.float32), height.astype(np.float32))


def _corners(shape: str, radius: float) -> F32:
    if shape == "T":
        t = np.array([0, 2, 4]) * np.pi / 3
        return np.stack([np.cos(t), np.sin(t)], 1).astype(np.float32) * np.float32(radius * 1.02)
    if shape == "W":
        t = np.arange(6) * np.pi / 3
        r = np.where(np.arange(6) % 2 == 0, 1.02, 0.72) * radius
        return (np.stack([np.cos(t), np.sin(t)], 1) * r[:, None]).astype(np.float32)
    acute = {"C": 80.0, "D": 55.0, "S": 90.0}[shape]
    long = radius * 1.02
    short = long * np.tan(np.radians(acute / 2))
    return np.array([[long, 0], [0, short], [-long, 0], [0, -short]], np.float32)


def _polygon_distance(x: F32, y: F32, corners: F32) -> F32:
    """Signed distance to a convex or star-shaped polygon, px, negative inside."""
    best = np.full(x.shape, 1e9, np.float32)
    mask = np.zeros(x.shape, np.uint8)
    origin = np.array([(x.shape[1] - 1) / 2, (x.shape[0] - 1) / 2], np.float32)
    cv2.fillPoly(mask, [np.round((corners * SCALE + origin) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
        d = b - a
        t = np.clip(((x - a[0]) * d[0] + (y - a[1]) * d[1]) / float(d @ d), 0, 1)
        best = np.minimum(best, np.hypot(x - a[0] - t * d[0], y - a[1] - t * d[1]).astype(np.float32))
    return np.where(mask > 0, -best, best).astype(np.float32)


def draw_tool(spec: Spec) -> Texture:
    """A lying ``drill``, ``endmill`` or ``tap``: shank, neck, flutes."""
    form, size, width, tone, rng = spec.form, spec.size, spec.width, spec.tone, spec.rng
    x, y = axes(size, width)
    rad, half = width / 2, size / 2
    split = half * {"drill": -0.25, "endmill": 0.0, "tap": 0.1}[form] + size * rng.uniform(-0.01, 0.01)
    body = np.where(x > split, 0.86 if form != "endmill" else 1.0, 1.0) * rad
    if form == "drill":
        body = np.where(x > half - rad * 1.1, np.minimum(body, (half - x) / 1.1), body)
    if form == "tap":
        body = np.where(x > half - rad * 1.4, body * (0.62 + 0.38 * (half - x) / (rad * 1.4)), body)
        body = np.where((x < split) & (x > split - rad), rad * 0.72, body)
    edge = np.maximum(np.abs(y) - body, np.abs(x) - half).astype(np.float32)
    v = np.clip(y / np.maximum(body, 0.5), -1, 1)
    round_shade = 0.45 + 0.6 * np.sqrt(1 - v**2) + 0.38 * np.exp(-(((v + 0.38) / 0.16) ** 2))
    helix = np.arcsin(v) / np.pi
    pitch = width * {"drill": 2.3, "endmill": 1.55, "tap": 2.8}[form]
    phase = (x / pitch + helix + rng.uniform(0, 1)) % 1.0
    flutes = {"drill": 1, "endmill": 2, "tap": 2}[form]
    wave = (phase * flutes) % 1.0
    groove = np.clip(np.sin(wave * 2 * np.pi) * 1.6, 0, 1)
    lip = np.exp(-(((wave - 0.53) / 0.06) ** 2))
    working = np.clip((x - split) / 2, 0, 1)
    if form == "tap":
        thread = 0.75 + 0.35 * np.sin(x * 2 * np.pi / max(2.2, width * 0.16))
        round_shade = np.where(x > split, round_shade * thread, round_shade)
    gain = round_shade * (1 - 0.62 * groove * working) + 0.5 * lip * working * np.sqrt(1 - v**2)
    gain = gain + mottle(rng, x.shape[0], x.shape[1], max(5.0, width)) * 0.02
    steel = tone if form == "endmill" and sum(tone) % 3 == 0 else _STEEL
    shade = np.clip(gain, 0, 1.7).astype(np.float32)
    colour = np.where(working[..., None] > 0.5, paint(tone, shade, 4.0), paint(steel, shade * np.float32(0.92), 2.0))
    ring = np.exp(-(((x - split + rad * 0.2) / max(1.0, rad * 0.12)) ** 2)) * 0.3
    colour = colour * (1 - ring[..., None])
    gloss = (150 * np.sqrt(1 - v**2) * (1 - 0.6 * groove * working)).astype(np.float32)
    height = (70 + 60 * np.sqrt(1 - v**2) * (1 - 0.5 * groove * working)).astype(np.float32)
    return pack(colour.astype(np.float32), soft(edge), gloss, height)


def draw_standing(spec: Spec) -> Texture:
    """Tools in holes seen end-on: ``end-drill``, ``end-mill``, ``end-shank``, ``collet``, ``bar``."""
    form, size, tone, rng = spec.form, spec.size, spec.tone, spec.rng
    x, y = axes(size, size)
    radius = size / 2
    r, t = np.hypot(x, y) / radius, np.arctan2(y, x)
    t = t + rng.uniform(0, 2 * np.pi)
    edge = (r - 1) * radius
    base = 0.55 + 0.35 * np.clip((1 - r) / 0.12, 0, 1)
    gain = base + mottle(rng, x.shape[0], x.shape[1], max(4.0, size * 0.2)) * 0.04
    height = 80 + 120 * np.clip((1 - r) / 0.2, 0, 1)
    metal = tone
    if form == "end-drill":
        swirl = np.cos(2 * (t + 1.1 * r))
        gain = gain * (0.55 + 0.6 * (swirl > -0.2)) + 0.35 * np.exp(-((np.sin(t + 1.1 * r) * r / 0.09) ** 2))
    elif form == "end-mill":
        n = 3 + sum(tone) % 2  # pieces of one code are alike
        teeth = (t + 0.9 * r) * n / (2 * np.pi) % 1.0
        gain = gain * np.where(teeth < 0.42, 0.32, 1.05) + 0.4 * np.exp(-(((teeth - 0.45) / 0.06) ** 2))
        gain = np.where(r < 0.16, 0.35, gain)
    elif form == "collet":
        gain = gain * np.where((t * 8 / np.pi % 2) < 0.14, 0.3, 1.0) * np.where(r < 0.48, 0.18, 1.0)
        gain = gain + 0.3 * np.exp(-(((r - 0.53) / 0.05) ** 2)) + 0.2 * np.exp(-(((r - 0.86) / 0.06) ** 2))
        metal = _STEEL
    elif form == "bar":
        cone = np.abs(np.cos(t - 0.6)) ** 6
        gain = 0.5 + 0.5 * cone + 0.06 * np.sin(r * radius * 1.7) + mottle(rng, x.shape[0], x.shape[1], 5.0) * 0.03
        gain = np.where(r > 0.93, gain * 0.6, gain)
    else:
        gain = gain * 0.95 + 0.3 * np.exp(-(((r - 0.84) / 0.07) ** 2)) + 0.12 * np.abs(np.cos(t)) ** 4
        metal = _STEEL
    colour = paint(metal, np.clip(gain, 0, 1.6).astype(np.float32), 3.0)
    gloss = np.full(x.shape, 120, np.float32) * np.clip(gain, 0.2, 1).astype(np.float32)
    return pack(colour, soft(edge.astype(np.float32)), gloss.astype(np.float32), height.astype(np.float32))


FORMS: Final[dict[str, Draw]] = {
    **{f"insert-{shape}": draw_insert for shape in "CDTSRW"},
    "drill": draw_tool,
    "endmill": draw_tool,
    "tap": draw_tool,
    "end-drill": draw_standing,
    "end-mill": draw_standing,
    "end-shank": draw_standing,
    "collet": draw_standing,
    "bar": draw_standing,
}
