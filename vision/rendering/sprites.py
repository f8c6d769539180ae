"""Small pictures with their transparency, gloss and shadow, laid onto a rack in one multiply and one add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Raster = npt.NDArray[Any]
"""uint8 unless said: what OpenCV returns is typed as any number."""
Rect = tuple[int, int, int, int]
"""x0, y0, x1, y1, px; x1 and y1 are outside."""


@dataclass(frozen=True)
class Texture:
    """A thing in its own axes, drawn `SCALE` times too large.

    Attributes:
        bgra: (h, w, 4) uint8, colour not multiplied by alpha.
        relief: (h, w, 2) uint8: gloss, and height of the surface.
    """

    bgra: Raster
    relief: Raster


SCALE = 2


@dataclass(frozen=True)
class Sprite:
    """A thing ready to be laid: its corner in canvas px, ``ink`` (h, w, 3) to be added, ``keep`` (h, w, 3) what is left
    of the ground in 1/255 (shadow included), ``gloss`` (h, w) and ``solid`` (h, w), 0 to 255.
    """

    x: int
    y: int
    ink: Raster
    keep: Raster
    gloss: Raster
    solid: Raster

    @property
    def rect(self) -> Rect:
        return self.x, self.y, self.x + self.ink.shape[1], self.y + self.ink.shape[0]

    def at(self, x: int, y: int) -> Sprite:
        """The same sprite with its corner there."""
        return Sprite(x, y, self.ink, self.keep, self.gloss, self.solid)


def stamp(canvas: Raster, gloss: Raster | None, sprite: Sprite, ox: int = 0, oy: int = 0) -> None:
    """Lay `sprite` on `canvas` (and its `gloss`), whose corner has the coordinates ``(ox, oy)``."""
    x0, y0 = sprite.x - ox, sprite.y - oy
    h, w = sprite.ink.shape[:2]
    a, b = max(x0, 0), max(y0, 0)
    c, d = min(x0 + w, canvas.shape[1]), min(y0 + h, canvas.shape[0])
    if a >= c or b >= d:
        return
    own = np.s_[b - y0 : d - y0, a - x0 : c - x0]
    ground = canvas[b:d, a:c]
    cv2.multiply(ground, sprite.keep[own], dst=ground, scale=1 / 255)
    cv2.add(ground, sprite.ink[own], dst=ground)
    if gloss is not None:
        shine = gloss[b:d, a:c]
        cv2.subtract(shine, sprite.solid[own], dst=shine)
        cv2.add(shine, sprite.gloss[own], dst=shine)


def place(
    texture: Texture, x: float, y: float, angle: float, light: float, height: float, squeeze: float = 1.0
) -> Sprite:
    """Turn `texture` by `angle` radians about its centre and put that on ``(x, y)`` canvas px.

    Args:
        light: direction the light comes from, radians.
        height: px above the ground: how far and how soft its shadow falls.
        squeeze: scale of the picture.
    """
    h, w = texture.bgra.shape[:2]
    k = squeeze / SCALE
    c, s = np.cos(angle) * k, np.sin(angle) * k
    half_w, half_h = (abs(c) * w + abs(s) * h) / 2, (abs(s) * w + abs(c) * h) / 2
    pad = int(height * 2.2) + 3
    x0, y0 = int(np.floor(x - half_w)) - pad, int(np.floor(y - half_h)) - pad
    size = (int(np.ceil(2 * half_w)) + 2 * pad + 1, int(np.ceil(2 * half_h)) + 2 * pad + 1)
    turn = np.array([[c, -s, x - x0 - (c * w - s * h) / 2], [s, c, y - y0 - (s * w + c * h) / 2]], np.float64)
    bgra = cv2.warpAffine(texture.bgra, turn, size, flags=cv2.INTER_LINEAR)
    relief = cv2.warpAffine(texture.relief, turn, size, flags=cv2.INTER_LINEAR)
    return finish(bgra, relief, x0, y0, light, height)


def finish(bgra: Raster, relief: Raster, x: int, y: int, light: float, height: float) -> Sprite:
    """Light the relief, multiply by alpha and cast the shadow."""
    alpha = np.ascontiguousarray(bgra[..., 3])
    solid = cv2.merge((alpha, alpha, alpha))
    ground = np.ascontiguousarray(relief[..., 1])
    slope = cv2.addWeighted(
        cv2.Sobel(ground, cv2.CV_16S, 1, 0),
        -float(np.cos(light)) * 0.45,
        cv2.Sobel(ground, cv2.CV_16S, 0, 1),
        -float(np.sin(light)) * 0.45,
        0.0,
    )
    lit = cv2.add(bgra[..., :3], cv2.merge((slope, slope, slope)), dtype=cv2.CV_8U)
    ink = cv2.multiply(lit, solid, scale=1 / 255)
    keep = cv2.bitwise_not(solid)
    if height > 0:
        dx, dy = -np.cos(light) * height, -np.sin(light) * height
        fall = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
        dark = cv2.warpAffine(alpha, fall, (alpha.shape[1], alpha.shape[0]))
        k = 2 * int(height * 0.7) + 3
        dark = cv2.blur(cv2.blur(dark, (k, k)), (3, 3))
        left = cv2.convertScaleAbs(dark, alpha=-0.55, beta=255)
        cv2.multiply(keep, cv2.merge((left, left, left)), dst=keep, scale=1 / 255)
    gloss = cv2.multiply(np.ascontiguousarray(relief[..., 0]), alpha, scale=1 / 255)
    return Sprite(x, y, ink, keep, gloss, alpha)


def mottle(rng: np.random.Generator, height: int, width: int, grain: float) -> npt.NDArray[np.float32]:
    """Smooth random field (height, width) of about unit variance whose bumps are `grain` px wide."""
    rows, columns = max(2, int(height / grain) + 2), max(2, int(width / grain) + 2)
    field = cv2.resize(
        rng.standard_normal((rows, columns), dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(field, np.float32)


def bytes_of(values: npt.NDArray[Any]) -> Raster:
    """Clipped to 0..255."""
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def union(a: Rect, b: Rect) -> Rect:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def clip(a: Rect, width: int, height: int) -> Rect:
    return max(a[0], 0), max(a[1], 0), min(a[2], width), min(a[3], height)
