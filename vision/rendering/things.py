"""What lies in a rack: a `Thing` and its sprite. The forms themselves are drawn in `cutting`, `gauges` and `litter`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from vision.rendering import cutting, gauges, litter
from vision.rendering.sprites import Sprite, Texture, place

Tone = tuple[int, int, int]


@dataclass(frozen=True)
class Thing:
    """One thing.

    Attributes:
        form: key of `FORMS`, or ``photo:<n>``.
        x, y: centre, world px. angle: radians.
        size: long side, px. width: short side, px.
        tone: BGR.
        seed: small marks; the same seed, the same look.
        flipped: an insert that lies on its other face, a box that is open.
        height: how high it stands above the ground, px (its shadow).
    """

    form: str
    x: float
    y: float
    angle: float
    size: float
    width: float
    tone: Tone
    seed: int
    flipped: bool = False
    height: float = 3.0

    def moved(self, dx: float, dy: float, turn: float = 0.0) -> Thing:
        return replace(self, x=self.x + dx, y=self.y + dy, angle=self.angle + turn)

    def to(self, x: float, y: float, angle: float) -> Thing:
        return replace(self, x=x, y=y, angle=angle)


FORMS: Final = cutting.FORMS | gauges.FORMS | litter.FORMS
VARIANTS: Final = 6
"""Individual looks of one item: marks, wear."""


@lru_cache(maxsize=4096)
def texture(form: str, size: float, width: float, tone: Tone, seed: int, flipped: bool) -> Texture:
    """The thing in its own axes, long side along x."""
    draw = FORMS[form.split(":", 1)[0]]
    return draw(cutting.Spec(form, size, width, tone, np.random.default_rng((seed, 71)), flipped))


@lru_cache(maxsize=4096)
def sprite(thing: Thing, light: float) -> Sprite:
    """The thing where it lies, lit from `light` radians."""
    marks = thing.seed if thing.form in litter.FORMS else thing.seed % VARIANTS
    made = texture(thing.form, round(thing.size, 1), round(thing.width, 1), thing.tone, marks, thing.flipped)
    return place(made, thing.x, thing.y, thing.angle, light, thing.height)
