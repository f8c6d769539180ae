"""The rack as it lies there: places, what is left over them, and its picture in world px."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vision.rendering.ground import Ground
from vision.rendering.layout import Place, Wish, lay_out
from vision.rendering.sprites import Raster, Rect, clip, overlap, stamp, union
from vision.rendering.things import Thing, sprite

MARGIN = 128
"""World px around the picture: what a camera that is pushed comes to see."""


class Stage:
    """Args:
    rng: all choices.
    wish: what rack.
    size: width, height of the camera's picture; the world is larger by `MARGIN` on each side.
    """

    def __init__(self, rng: np.random.Generator, wish: Wish, size: tuple[int, int]) -> None:
        w, h = size[0] + 2 * MARGIN, size[1] + 2 * MARGIN
        self.size = (w, h)
        pad = (int(size[0] * 0.03), int(size[1] * 0.035))
        self.area = (MARGIN + pad[0], MARGIN + pad[1], w - MARGIN - pad[0], h - MARGIN - pad[1])
        inner = (self.area[0] + 92, self.area[1] + 22, self.area[2] - 92, self.area[3] - 22)
        self.light = float(rng.uniform(-2.8, -1.2))
        self.places = lay_out(rng, wish, inner)
        self._by_id = {place.id: place for place in self.places}
        self.ground = Ground(rng, self.size, self.area, self.places)
        self.wet: list[Thing] = []
        self.litter: list[Thing] = []
        self.picture: Raster = self.ground.picture.copy()
        self.gloss: Raster = self.ground.gloss.copy()
        self.paint((0, 0, w, h))

    def place(self, slot: str) -> Place:
        """KeyError when there is none of that name."""
        return self._by_id[slot]

    def rect_of(self, things: Iterable[Thing]) -> Rect:
        """Where they are drawn, shadows included."""
        found: Rect | None = None
        for thing in things:
            rect = sprite(thing, self.light).rect
            found = rect if found is None else union(found, rect)
        assert found is not None
        return found

    def box_of(self, place: Place) -> Rect:
        x0, y0, x1, y1 = place.box
        return int(x0) - 12, int(y0) - 12, int(x1) + 13, int(y1) + 13

    def paint(self, rect: Rect) -> Rect:
        """Draw the rectangle again; returns it clipped to the world."""
        rect = clip(rect, *self.size)
        near = [place for place in self.places if place.guests or overlap(rect, self.box_of(place))]
        x0, y0, x1, y1 = rect
        here = np.s_[y0:y1, x0:x1]
        self.picture[here], self.gloss[here] = self.draw(rect, near, self.litter)
        return rect

    def draw(self, rect: Rect, places: Iterable[Place], litter: Iterable[Thing]) -> tuple[Raster, Raster]:
        """Picture and gloss of `rect` (inside the world) with what lies in `places`, the wet spots and `litter`."""
        x0, y0, x1, y1 = rect
        here = np.s_[y0:y1, x0:x1]
        canvas, gloss = self.ground.picture[here].copy(), self.ground.gloss[here].copy()
        for place in places:
            for thing in (*place.heap, *(t for _, t in sorted(place.things.items())), *place.guests):
                stamp(canvas, gloss, sprite(thing, self.light), x0, y0)
        for thing in (*self.wet, *litter):
            stamp(canvas, gloss, sprite(thing, self.light), x0, y0)
        return canvas, gloss

    def covered(self, place: Place, thing: Thing) -> float:
        """Share of `place` that `thing` hides, 0..1."""
        shape = sprite(thing, self.light)
        x0, y0, x1, y1 = (int(v) for v in place.box)
        a, b = max(x0 - shape.x, 0), max(y0 - shape.y, 0)
        c, d = min(x1 - shape.x, shape.solid.shape[1]), min(y1 - shape.y, shape.solid.shape[0])
        if a >= c or b >= d:
            return 0.0
        return float(np.count_nonzero(shape.solid[b:d, a:c] > 90) / ((x1 - x0) * (y1 - y0)))

    def masked(self, place: Place) -> float:
        """Share of `place` hidden by what is left over it, 0..1."""
        return min(1.0, sum(self.covered(place, thing) for thing in self.litter))
