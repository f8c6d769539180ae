"""What people leave on a place: rags, gloves, swarf, and things that belong elsewhere."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vision.judging.things import Style, Thing, draw_thing, random_style
from vision.rendering.items import Image

Rect = tuple[float, float, float, float]


def draw_rag(canvas: Image, rect: Rect, rng: np.random.Generator) -> None:
    """A cloth with folds over at least a quarter of the place."""
    x, y, w, h = rect
    centre = np.array([x + w * rng.uniform(0.2, 0.8), y + h * rng.uniform(0.2, 0.8)])
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = min(w, h) * rng.uniform(0.32, 0.75) * (1 + 0.12 * np.sin(3 * t + rng.uniform(0, 6)))
    radius *= 1 + 0.06 * np.sin(7 * t + rng.uniform(0, 6))
    outline = centre + np.stack([np.cos(t) * rng.uniform(0.7, 1.4), np.sin(t)], 1) * radius[:, None]
    _cloth(canvas, outline, rng, checks=bool(rng.random() < 0.25))


def draw_glove(canvas: Image, rect: Rect, rng: np.random.Generator) -> None:
    """A glove left behind: a palm and fingers, no arm."""
    x, y, w, h = rect
    palm = min(w, h) * rng.uniform(0.2, 0.36)
    cx, cy = x + w * rng.uniform(0.3, 0.7), y + h * rng.uniform(0.3, 0.7)
    way = rng.uniform(0, 2 * np.pi)
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.ellipse(mask, (int(cx), int(cy)), (int(palm * 1.15), int(palm)), np.degrees(way), 0, 360, 255, -1)
    for spread in np.linspace(-0.75, 0.75, 4) + rng.normal(0, 0.06, 4):
        tip = (int(cx + np.cos(way + spread) * palm * 2.1), int(cy + np.sin(way + spread) * palm * 2.1))
        cv2.line(mask, (int(cx), int(cy)), tip, 255, max(3, int(palm * 0.42)), cv2.LINE_AA)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    _cloth(canvas, max(outlines, key=cv2.contourArea)[:, 0].astype(np.float64), rng, checks=False)


def draw_swarf(canvas: Image, rect: Rect, rng: np.random.Generator) -> None:
    """Curls and needles of metal, in a heap or spread."""
    x, y, w, h = rect
    short = min(w, h)
    cx, cy, spread = x + w * rng.uniform(0.25, 0.75), y + h * rng.uniform(0.25, 0.75), short * rng.uniform(0.1, 0.35)
    tint = np.array((190, 195, 200)) if rng.random() < 0.6 else np.array((90, 150, 190))
    for _ in range(int(rng.integers(10, 60))):
        px, py = rng.normal(cx, spread), rng.normal(cy, spread)
        size = short * rng.uniform(0.02, 0.09)
        colour = tuple(float(v) for v in np.clip(tint * rng.uniform(0.35, 1.25), 0, 255))
        axes = (max(1, int(size)), max(1, int(size * rng.uniform(0.3, 1))))
        start = rng.uniform(0, 360)
        cv2.ellipse(
            canvas, (int(px) + 1, int(py) + 2), axes, start, 0, rng.uniform(90, 300), (25, 25, 25), 1, cv2.LINE_AA
        )
        thick = 1 if rng.random() < 0.6 else 2
        cv2.ellipse(canvas, (int(px), int(py)), axes, start, 0, rng.uniform(90, 300), colour, thick, cv2.LINE_AA)


def draw_foreign(canvas: Image, rect: Rect, own: Style, rng: np.random.Generator) -> None:
    """A thing that is plainly not the place's own."""
    x, y, w, h = rect
    kinds = [k for k in ("insert", "drill", "endmill", "other") if k != own.klass or k == "other"]
    room = min(w, h) * rng.uniform(0.14, 0.45)
    style = random_style(str(rng.choice(kinds, p=None if len(kinds) == 4 else (0.25, 0.25, 0.5))), room, rng)
    at = (x + w * rng.uniform(0.25, 0.75), y + h * rng.uniform(0.25, 0.75))
    draw_thing(canvas, Thing(style, *at, float(rng.uniform(0, 2 * np.pi)), int(rng.integers(1 << 30))))


def _cloth(canvas: Image, outline: npt.NDArray[Any], rng: np.random.Generator, checks: bool) -> None:
    height, width = canvas.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 255, cv2.LINE_AA)
    shadow = cv2.GaussianBlur(np.roll(mask, (3, 3), (0, 1)), (0, 0), 3).astype(np.float32) * np.float32(0.4 / 255)
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    folds = np.zeros((height, width), np.float32)
    for _ in range(4):
        way, wave = rng.uniform(0, 2 * np.pi), rng.uniform(10, 60)
        bend = 6 * np.sin((xx * np.sin(way) - yy * np.cos(way)) / rng.uniform(20, 50))
        folds += np.sin((xx * np.cos(way) + yy * np.sin(way) + bend) * 2 * np.pi / wave + rng.uniform(0, 6))
    colour = rng.uniform(25, 230, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(30, 225))
    cloth = colour * (1 + np.float32(rng.uniform(0.04, 0.16)) * folds[..., None])
    if checks:
        step = int(rng.integers(8, 18))
        cloth = np.where(((xx // step + yy // step) % 2)[..., None] > 0, cloth, cloth * 0.7)
    cloth += rng.normal(0, 5, (height, width, 1))
    alpha = (mask.astype(np.float32) / 255)[..., None]
    base = canvas * (1 - shadow[..., None])
    canvas[:] = np.clip(base * (1 - alpha) + cloth * alpha, 0, 255).astype(np.uint8)
