"""The camera of a rendered rack: where it looks, its light, lens, noise and compression, and its faults.

The still picture is kept; a change redraws the changed rectangle, a hand its own. JPEG works in blocks of 16 px, so a
rectangle on that raster is compressed alone and looks as if the whole frame had been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vision.rendering.sprites import Raster, Rect, Sprite, bytes_of, clip, mottle, overlap, stamp, union

Matrix = npt.NDArray[np.float64]
_STILLS = 3
_FINE = 0.9


@lru_cache(maxsize=12)
def noise_bank(sigma: float, width: int, height: int) -> Raster:
    """(height + 64, width + 64, 3) uint8 noise around 3 sigma: pixel noise, and coarser noise of colour."""
    rng = np.random.default_rng(int(sigma * 1000) + 7)
    h, w = height + 64, width + 64
    grain = rng.standard_normal((h, w, 1), dtype=np.float32) * np.float32(sigma * 0.85)
    small = rng.standard_normal((h // 2, w // 2, 3), dtype=np.float32) * np.float32(sigma * 0.8)
    return bytes_of(grain + cv2.resize(small, (w, h)) + round(3 * sigma) + 0.5)


@dataclass
class Lens:
    """What lies between the rack and the sensor. `keep`, `ink`: (H, W, 3) uint8 or None; `gain` of the exposure,
    `tint` BGR gains, `noise` factor.
    """

    keep: Raster | None = None
    ink: Raster | None = None
    gain: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise: float = 1.0


class Camera:
    """Args:
    rng: all lasting choices (light, noise, quality).
    size: width, height of the picture.
    still: matrix world → picture.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], still: Matrix, hard: float) -> None:
        self.width, self.height = size
        self.still = still
        self.fault = np.eye(3)
        self.lens = Lens()
        self.front: tuple[Raster, Raster] | None = None
        """Keep and ink of what stands over the rack but under the hands: the cabinet of a drawer that is not open."""
        self.sigma = round(float(rng.choice([1.0, 1.6, 2.4, 3.4])) * 4) / 4
        self.quality = int(rng.integers(74, 95))
        self.blur = float(rng.uniform(0.0, 0.75))
        self._lamp = _Lamp(rng, size, hard)
        shape = (self.height, self.width)
        self._lit = np.zeros((*shape, 3), np.uint8)
        self._gloss = np.zeros(shape, np.uint8)
        self._seen = np.zeros((*shape, 3), np.uint8)
        self._stills = [np.zeros((*shape, 3), np.uint8) for _ in range(_STILLS)]
        self._last = 0

    @property
    def matrix(self) -> Matrix:
        """World → picture, as the camera stands now."""
        return np.asarray(self.fault @ self.still)

    def turn_lamp(self, rng: np.random.Generator, amount: float) -> None:
        """The light changes a little (clouds, a lamp pushed); ask for a full `expose` afterwards."""
        self._lamp.drift(rng, amount)

    def expose(self, world: Raster, gloss: Raster, changed: Rect | None, rng: np.random.Generator) -> None:
        """Renew the still pictures where the world rectangle `changed` is seen, or everywhere."""
        rect = (0, 0, self.width, self.height) if changed is None else self._seen_rect(changed)
        if rect[0] >= rect[2] or rect[1] >= rect[3]:
            return
        x0, y0, x1, y1 = rect
        view = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]], np.float64) @ self.matrix
        size = (x1 - x0, y1 - y0)
        patch = cv2.warpPerspective(world, view, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        shine = cv2.warpPerspective(gloss, view, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        here = np.s_[y0:y1, x0:x1]
        self._gloss[here] = shine
        lit = self._lamp.on(patch, shine, rect)
        if self.front is not None:
            keep, ink = self.front
            lit = np.asarray(cv2.add(cv2.multiply(lit, keep[here], scale=1 / 255), ink[here]), np.uint8)
        self._lit[here] = lit
        seen = self._through(self._lit[here].copy(), rect)
        self._seen[here] = seen
        for still in self._stills:
            still[here] = self._sensor(seen, rng)

    def frame(self, actors: Sequence[Sprite], gain: float, rng: np.random.Generator) -> Raster:
        """One frame with `actors` (arms, held things; picture px) in front of the rack."""
        self._last = (self._last + int(rng.integers(1, _STILLS))) % _STILLS
        out = self._stills[self._last].copy()
        self._grain(out, _FINE, rng)
        for rect, group in self._groups(actors):
            x0, y0, x1, y1 = rect
            here = np.s_[y0:y1, x0:x1]
            patch = self._lit[here].copy()
            self._dim_gloss(patch, self._gloss[here], group, rect)
            for sprite in group:
                stamp(patch, None, sprite, x0, y0)
            out[here] = self._sensor(self._through(patch, rect), rng)
        if abs(gain - 1) > 0.002:
            cv2.convertScaleAbs(out, out, gain, 0)
        return out

    def _groups(self, actors: Sequence[Sprite]) -> list[tuple[Rect, list[Sprite]]]:
        groups: list[tuple[Rect, list[Sprite]]] = []
        for sprite in actors:
            x0, y0, x1, y1 = sprite.rect
            rect = clip(_raster((x0 - 24, y0 - 24, x1 + 24, y1 + 24)), self.width, self.height)
            if rect[0] >= rect[2] or rect[1] >= rect[3]:
                continue
            members = [sprite]
            rest = []
            for other, theirs in groups:
                if overlap(rect, other):
                    rect, members = union(rect, other), [*theirs, *members]
                else:
                    rest.append((other, theirs))
            groups = [*rest, (rect, members)]
        return groups

    def _dim_gloss(self, patch: Raster, gloss: Raster, group: list[Sprite], rect: Rect) -> None:
        """Metal near a hand mirrors the hand instead of the lamp."""
        x0, y0, x1, y1 = rect
        near: Raster = np.zeros(((y1 - y0) // 8 + 1, (x1 - x0) // 8 + 1), np.uint8)
        for sprite in group:
            small = cv2.resize(sprite.solid, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_NEAREST)
            ox, oy = (sprite.x - x0) // 8, (sprite.y - y0) // 8
            a, b = max(ox, 0), max(oy, 0)
            c, d = min(ox + small.shape[1], near.shape[1]), min(oy + small.shape[0], near.shape[0])
            if a < c and b < d:
                np.maximum(near[b:d, a:c], small[b - oy : d - oy, a - ox : c - ox], out=near[b:d, a:c])
        near = cv2.blur(near, (9, 9))
        wide = cv2.resize(near, (x1 - x0, y1 - y0))
        loss = cv2.multiply(wide, gloss, scale=0.42 / 255)
        cv2.subtract(patch, cv2.merge((loss, loss, loss)), dst=patch)

    def _through(self, patch: Raster, rect: Rect) -> Raster:
        """Lens and exposure."""
        x0, y0, x1, y1 = rect
        lens = self.lens
        if self.blur > 0.3:
            patch = cv2.GaussianBlur(patch, (3, 3), self.blur)
        if lens.keep is not None and lens.ink is not None:
            patch = cv2.multiply(patch, lens.keep[y0:y1, x0:x1], scale=1 / 255)
            patch = cv2.add(patch, lens.ink[y0:y1, x0:x1])
        if lens.gain != 1.0 or lens.tint != (1.0, 1.0, 1.0):
            b, g, r = (float(t * lens.gain) for t in lens.tint)
            patch = cv2.merge(
                [cv2.convertScaleAbs(p, alpha=k) for p, k in zip(cv2.split(patch), (b, g, r), strict=True)]
            )
        return np.asarray(patch, np.uint8)

    def _sensor(self, patch: Raster, rng: np.random.Generator) -> Raster:
        noisy = patch.copy()
        self._grain(noisy, self.sigma * self.lens.noise, rng)
        _, code = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)

    def _grain(self, patch: Raster, sigma: float, rng: np.random.Generator) -> None:
        sigma = round(sigma * 4) / 4
        if sigma <= 0:
            return
        bank = noise_bank(sigma, self.width, self.height)
        h, w = patch.shape[:2]
        x, y = int(rng.integers(bank.shape[1] - w + 1)), int(rng.integers(bank.shape[0] - h + 1))
        base = round(3 * sigma)
        cv2.subtract(patch, np.array((base, base, base, 0), np.float64), dst=patch)
        cv2.add(patch, bank[y : y + h, x : x + w], dst=patch)

    def _seen_rect(self, changed: Rect) -> Rect:
        x0, y0, x1, y1 = changed
        corners = np.array([[[x0, y0]], [[x1, y0]], [[x1, y1]], [[x0, y1]]], np.float32)
        p = cv2.perspectiveTransform(corners, self.matrix)[:, 0]
        grown = (int(p[:, 0].min()) - 3, int(p[:, 1].min()) - 3, int(p[:, 0].max()) + 4, int(p[:, 1].max()) + 4)
        return clip(_raster(grown), self.width, self.height)


class _Lamp:
    """Light that falls on the rack: uneven, and mirrored by what is glossy."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], hard: float) -> None:
        self._size = size
        self._hard = hard
        self._level = float(rng.uniform(0.78, 1.1))
        self._slope = rng.uniform(-0.22, 0.22, 2) * hard
        self._tint = rng.uniform(0.95, 1.05, 3)
        self._strips = [
            (
                float(rng.uniform(0, 1)),
                float(rng.uniform(0, 1)),
                float(rng.uniform(-0.5, 0.5)),
                float(rng.uniform(0.03, 0.1)),
            )
            for _ in range(int(rng.integers(1, 4)))
        ]
        self._strength = float(rng.uniform(0.25, 0.7)) * hard
        self._patches = mottle(rng, 9, 16, 3.0) * 0.03 * hard
        self._fields()

    def drift(self, rng: np.random.Generator, amount: float) -> None:
        self._level = float(np.clip(self._level * (1 + rng.normal(0, 0.03) * amount), 0.6, 1.25))
        self._slope = np.clip(self._slope + rng.normal(0, 0.03, 2) * amount, -0.3, 0.3)
        self._tint = np.clip(self._tint * (1 + rng.normal(0, 0.008, 3) * amount), 0.9, 1.1)
        self._strips = [
            (x + float(rng.normal(0, 0.02)) * amount, y + float(rng.normal(0, 0.02)) * amount, a, w)
            for x, y, a, w in self._strips
        ]
        self._fields()

    def on(self, patch: Raster, gloss: Raster, rect: Rect) -> Raster:
        x0, y0, x1, y1 = rect
        here = np.s_[y0:y1, x0:x1]
        lit = cv2.multiply(patch, self._light[here], scale=1 / 128)
        shine = cv2.multiply(gloss, self._mirror[here], scale=1 / 255)
        return np.asarray(cv2.add(lit, cv2.merge((shine, shine, shine))), np.uint8)

    def _fields(self) -> None:
        w, h = self._size
        yy, xx = np.mgrid[0:1:68j, 0:1:120j].astype(np.float32)
        level = self._level * (1 + self._slope[0] * (xx - 0.5) * 2 + self._slope[1] * (yy - 0.5) * 2)
        level = level * (1 - 0.16 * ((xx - 0.5) ** 2 + (yy - 0.5) ** 2) * 2)
        level = level + cv2.resize(self._patches, (120, 68), interpolation=cv2.INTER_CUBIC)
        field = level[..., None] * self._tint
        self._light = cv2.resize(bytes_of(field * 128), (w, h), interpolation=cv2.INTER_CUBIC)
        mirror = np.zeros((68, 120), np.float32)
        for x, y, a, wide in self._strips:
            across = (xx - x) * np.sin(a) + (yy - y) * np.cos(a)
            along = (xx - x) * np.cos(a) - (yy - y) * np.sin(a)
            mirror += np.exp(-((across / wide) ** 2) - (along / 0.45) ** 4)
        self._mirror = cv2.resize(bytes_of(mirror * 255 * self._strength), (w, h))


def _raster(rect: Rect) -> Rect:
    return rect[0] // 16 * 16, rect[1] // 16 * 16, -(-rect[2] // 16) * 16, -(-rect[3] // 16) * 16
