"""Draw what does not belong in a rack: rags, gloves, swarf, drops and films of coolant, nobody's things."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vision.rendering.cutting import F32, Draw, Spec, axes, pack, paint, soft
from vision.rendering.sprites import SCALE, Texture, bytes_of, mottle


def draw_rag(spec: Spec) -> Texture:
    """A crumpled rag with folds, oil spots and a frayed edge."""
    size, width, tone, rng = spec.size, spec.width, spec.tone, spec.rng
    x, y = axes(size, width)
    t = np.arctan2(y / width, x / size)
    wobble = sum(float(rng.uniform(0.02, 0.07)) * np.cos(k * t + float(rng.uniform(0, 6.3))) for k in (2, 3, 4, 5, 7))
    n = 4.0
    r = ((np.abs(x) * 2 / size) ** n + (np.abs(y) * 2 / width) ** n) ** (1 / n)
    edge = (r - 0.86 - wobble + mottle(rng, x.shape[0], x.shape[1], 5.0) * 0.008) * min(size, width) / 2
    folds: F32 = np.zeros(x.shape, np.float32)
    for _ in range(7):
        a, phase = rng.uniform(0, np.pi), rng.uniform(0, 6.3)
        bend = mottle(rng, x.shape[0], x.shape[1], size * 0.6) * 1.2
        folds += (
            np.abs(np.sin((x * np.cos(a) + y * np.sin(a)) * 2 * np.pi / (size * rng.uniform(0.35, 0.9)) + phase + bend))
            ** 3
        )
    folds = folds / 7
    weave = 0.03 * np.sin(x * 3.2) * np.sin(y * 3.2)
    oil = np.clip(mottle(rng, x.shape[0], x.shape[1], size * 0.3) - 0.9, 0, 1) * 0.45
    gain = 0.72 + 0.55 * folds + weave - oil
    height = bytes_of(90 + 260 * folds).astype(np.float32)
    return pack(
        paint(tone, gain.astype(np.float32)),
        soft(edge.astype(np.float32)),
        20 * oil.astype(np.float32),
        cv2.GaussianBlur(height, (0, 0), 2.0),
    )


def draw_glove(spec: Spec) -> Texture:
    """A work glove lying flat: palm, four fingers, thumb, knitted cuff."""
    size, width, tone, rng = spec.size, spec.width, spec.tone, spec.rng
    x, y = axes(size, width)
    half, w = size / 2, width / 2
    edge = _capsule(x, y, -half * 0.25, 0, half * 0.1, 0, w * 0.62)
    for k in range(4):
        v = (k - 1.5) * w * 0.36
        tip = half * (0.78, 0.92, 0.9, 0.7)[k]
        edge = np.minimum(edge, _capsule(x, y, half * 0.1, v * 0.9, tip, v * 1.15, w * 0.18))
    edge = np.minimum(edge, _capsule(x, y, -half * 0.2, w * 0.4, half * 0.25, w * 0.8, w * 0.19))
    edge = np.minimum(edge, _capsule(x, y, -half * 0.85, 0, -half * 0.3, 0, w * 0.5))
    inner = np.clip(-edge / (w * 0.3), 0, 1)
    rough = mottle(rng, x.shape[0], x.shape[1], 9.0) * 0.07
    gain = 0.6 + 0.42 * np.sqrt(inner) + rough
    cuff = x < -half * 0.55
    colour = paint(tone, gain.astype(np.float32))
    colour = np.where(
        cuff[..., None], paint((205, 210, 212), (gain * (0.85 + 0.15 * np.sin(y * 1.6))).astype(np.float32)), colour
    )
    return pack(
        colour.astype(np.float32),
        soft(edge.astype(np.float32)),
        np.full(x.shape, 15, np.float32),
        (60 + 120 * np.sqrt(inner)).astype(np.float32),
    )


def _capsule(x: F32, y: F32, ax: float, ay: float, bx: float, by: float, radius: float) -> F32:
    dx, dy = bx - ax, by - ay
    t = np.clip(((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
    return np.asarray(np.hypot(x - ax - t * dx, y - ay - t * dy) - radius)


def draw_swarf(spec: Spec) -> Texture:
    """A tangle of curled chips (``swarf``) or a few short ones (``chips``)."""
    size, width, tone, rng = spec.size, spec.width, spec.tone, spec.rng
    h, w = int(width * SCALE) + 6, int(size * SCALE) + 6
    bgra = np.zeros((h, w, 4), np.uint8)
    tangle = spec.form == "swarf"
    for _ in range(int(rng.integers(14, 26)) if tangle else int(rng.integers(3, 8))):
        spread = 0.22 if tangle else 0.4
        cx, cy = w * (0.5 + spread * rng.uniform(-1, 1)), h * (0.5 + spread * rng.uniform(-1, 1))
        turns = rng.uniform(1.2, 6.0) if tangle else rng.uniform(0.3, 1.2)
        t = np.linspace(0, turns * 2 * np.pi, int(16 * turns) + 6)
        r = min(h, w) * (rng.uniform(0.05, 0.14) if tangle else rng.uniform(0.04, 0.1))
        drift = min(h, w) * rng.uniform(0.0, 0.09) * t / (2 * np.pi)
        a = rng.uniform(0, 2 * np.pi)
        px = cx + r * np.cos(t) + drift * np.cos(a)
        py = cy + r * np.sin(t) * rng.uniform(0.4, 1.0) + drift * np.sin(a)
        points = np.round(np.stack([px, py], 1) * 16).astype(np.int32)
        thick = max(2, int(rng.uniform(1.0, 2.4) * SCALE))
        hue = np.array(tone) + rng.normal(0, 14, 3) + (np.array([35, -5, -30]) if rng.random() < 0.25 else 0)
        shine = 0.45 + 0.75 * (0.5 + 0.5 * np.sin(t + a)) ** 2
        values = np.column_stack((np.clip(hue * shine[:, None], 0, 255), np.full(len(t), 255))).astype(int).tolist()
        for start, end, value in zip(points[:-1].tolist(), points[1:].tolist(), values[:-1], strict=True):
            cv2.line(bgra, start, end, value, thick, cv2.LINE_AA, 4)
    alpha = bgra[..., 3]
    height = bgra[..., :3].max(2) // 2 + alpha // 5
    return Texture(bgra, np.dstack((np.where(alpha > 0, np.uint8(150), np.uint8(0)), height)))


def draw_drop(spec: Spec) -> Texture:
    """A clear ``drop`` of coolant, or a wet ``film`` with its bright rim."""
    form, size, width, tone, rng = spec.form, spec.size, spec.width, spec.tone, spec.rng
    x, y = axes(size, width)
    t = np.arctan2(y, x)
    wobble = sum(float(rng.uniform(0.0, 0.08)) * np.cos(k * t + float(rng.uniform(0, 6.3))) for k in (2, 3, 5))
    r = np.hypot(x / size, y / width) * 2 / (0.88 + wobble)
    inside = np.clip((1 - r) * min(size, width) / 2, 0, 1)
    rim = np.exp(-(((r - 0.93) / 0.06) ** 2))
    if form == "film":
        alpha = inside * (38 + 70 * rim + 22 * mottle(rng, x.shape[0], x.shape[1], size * 0.2))
        colour = paint(tone, (0.45 + 1.6 * rim).astype(np.float32))
        return pack(colour, alpha.astype(np.float32), 230 * inside.astype(np.float32), (80 * inside).astype(np.float32))
    glint = np.exp(-(((x + size * 0.16) ** 2 + (y + size * 0.18) ** 2) / (size * 0.1) ** 2))
    low = np.exp(-(((x - size * 0.15) ** 2 + (y - size * 0.17) ** 2) / (size * 0.22) ** 2))
    alpha = inside * (70 + 90 * rim + 180 * glint + 60 * low)
    colour = paint(tone, (0.35 + 0.5 * low).astype(np.float32)) + 255 * glint[..., None]
    return pack(
        colour.astype(np.float32),
        alpha.astype(np.float32),
        255 * inside.astype(np.float32),
        (200 * np.clip(1 - r, 0, 1)).astype(np.float32),
    )


def draw_odd(spec: Spec) -> Texture:
    """Nobody's item: ``screw``, ``washer``, ``pen``, ``cap``."""
    form, size, width, tone = spec.form, spec.size, spec.width, spec.tone
    x, y = axes(size, width if form in {"screw", "pen"} else size)
    radius = size / 2
    r = np.hypot(x, y) / radius
    if form in {"screw", "pen"}:
        half, rad = size / 2, width / 2
        body = (
            np.where(x < -half * 0.62, rad, rad * 0.55)
            if form == "screw"
            else np.where(x > half * 0.85, rad * 0.4, rad)
        )
        edge = np.maximum(np.abs(y) - body, np.abs(x) - half)
        v = np.clip(y / body, -1, 1)
        gain = 0.4 + 0.7 * np.sqrt(1 - v**2) + 0.3 * np.exp(-(((v + 0.4) / 0.2) ** 2))
        if form == "screw":
            gain = gain * np.where(x > -half * 0.4, 0.8 + 0.3 * np.sin(x * 2.4), 1)
        else:
            gain = gain * np.where(np.abs(x - half * 0.1) < 2, 0.4, 1)
        height = 80 + 90 * np.sqrt(1 - v**2)
        gloss = np.full(x.shape, 120.0 if form == "screw" else 60.0)
    else:
        edge = np.maximum(r - 1, (0.45 - r) if form == "washer" else -r) * radius
        gain = 0.8 + 0.25 * np.exp(-(((r - 0.85) / 0.1) ** 2)) + 0.15 * np.abs(np.cos(np.arctan2(y, x))) ** 5
        height = 60 + 120 * np.clip((1 - r) / 0.15, 0, 1)
        gloss = np.full(x.shape, 140.0 if form == "washer" else 50.0)
    return pack(
        paint(tone, gain.astype(np.float32)),
        soft(edge.astype(np.float32)),
        gloss.astype(np.float32),
        height.astype(np.float32),
    )


FORMS: Final[dict[str, Draw]] = {
    "rag": draw_rag,
    "glove": draw_glove,
    "swarf": draw_swarf,
    "chips": draw_swarf,
    "drop": draw_drop,
    "film": draw_drop,
    "screw": draw_odd,
    "washer": draw_odd,
    "pen": draw_odd,
    "cap": draw_odd,
}
