"""What lies where it does not belong: wet spots, rags, gloves, swarf, things that are nobody's, pieces on others."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from vision.rendering.layout import Place
from vision.rendering.photos import photo_forms, proportion
from vision.rendering.stage import Stage
from vision.rendering.things import Thing

FREE_SHARE: Final = 0.02
"""A place of which more than this share is hidden is masked."""


def wet(rng: np.random.Generator, stage: Stage, n: int) -> None:
    """`n` drops and films of coolant and single chips, anywhere on the rack."""
    x0, y0, x1, y1 = stage.area
    for _ in range(n):
        form = str(rng.choice(["drop", "drop", "film", "chips"]))
        low, high, step = {"drop": (5, 16, 2), "film": (50, 160, 20), "chips": (14, 26, 4)}[form]
        size = _step(rng.uniform(low, high), step)
        tone = {"chips": (165, 170, 176)}.get(form, (150, 165, 150))
        stage.wet.append(
            Thing(
                form,
                float(rng.uniform(x0, x1)),
                float(rng.uniform(y0, y1)),
                float(rng.uniform(0, 6)),
                size,
                size * float(rng.choice([0.7, 0.85, 1.0])),
                tone,
                int(rng.integers(8)),
                height=0.0 if form != "chips" else 1.0,
            )
        )


def odd_thing(rng: np.random.Generator, place: Place, photos: str) -> Thing:
    """A thing that is nobody's item and about fits into `place`."""
    w, h = place.box[2] - place.box[0], place.box[3] - place.box[1]
    forms = ["screw", "washer", "pen", "cap", "key", "ring"] + (["photo"] * 2 if photo_forms(photos) else [])
    form = str(rng.choice([f for f in forms if f != place.family.form]))
    ratio = {"screw": 0.34, "pen": 0.09, "key": 0.4}.get(form, 1.0)
    if form == "photo":
        form = str(rng.choice(list(photo_forms(photos))))
        ratio = proportion(int(form.split(":")[1]))
    size = float(
        {
            "screw": rng.uniform(0.35, 0.6),
            "washer": rng.uniform(0.22, 0.4),
            "cap": rng.uniform(0.25, 0.45),
            "ring": rng.uniform(0.3, 0.5),
        }.get(form, rng.uniform(0.65, 0.9))
        * (min(w, h) if ratio == 1.0 else max(w, h))
    )
    tone = [int(v) for v in (rng.uniform(30, 200, 3) if form in {"pen", "cap"} else np.full(3, rng.uniform(60, 165)))]
    return Thing(
        form,
        0,
        0,
        0,
        max(size, 16),
        max(size * ratio, 5),
        (tone[0], tone[1], tone[2]),
        int(rng.integers(40)),
        height=4.0,
    )


def litter(rng: np.random.Generator, form: str, place: Place) -> Thing:
    """A rag, a glove or a tangle of swarf, at the origin, of a size that masks about one place or several."""
    w, h = place.box[2] - place.box[0], place.box[3] - place.box[1]
    if form == "swarf":
        size = _step(min(w, h) * rng.uniform(0.4, 0.85), 16)
        return Thing("swarf", 0, 0, 0, size, size * 0.85, (165, 172, 178), int(rng.integers(6)), height=3.0)
    if form == "glove":
        size = _step(rng.uniform(250, 330), 40)
        tone = ((60, 115, 200), (60, 62, 66), (170, 172, 176), (180, 110, 50))[int(rng.integers(4))]
        return Thing("glove", 0, 0, 0, size, size * 0.58, tone, int(rng.integers(3)), height=6.0)
    size = _step(max(min(w, h) * rng.uniform(0.9, 1.5), 150), 40)
    tone = ((180, 110, 60), (200, 204, 206), (60, 60, 150), (90, 96, 100))[int(rng.integers(4))]
    return Thing("rag", 0, 0, 0, size, size * float(rng.choice([0.62, 0.82])), tone, int(rng.integers(4)), height=6.0)


def _step(size: float, step: int) -> float:
    """Sizes come in steps, so that what was drawn once is found again."""
    return float(max(1, round(size / step)) * step)


def on_top(rng: np.random.Generator, place: Place) -> tuple[int, Thing]:
    """A piece of `place`'s own laid on another one of it: the spot it takes, 1000 and up, and where it lies."""
    base = list(place.things.values())[int(rng.integers(len(place.things)))]
    off = place.family.width * float(rng.uniform(0.15, 0.5))
    a = float(rng.uniform(0, 6.28))
    x0, y0, x1, y1 = place.box
    m = place.family.width * 0.5
    x = float(np.clip(base.x + off * np.cos(a), x0 + m, max(x0 + m, x1 - m)))
    y = float(np.clip(base.y + off * np.sin(a), y0 + m, max(y0 + m, y1 - m)))
    turn = float(rng.uniform(0, 6.28)) if place.family.klass == "insert" else float(rng.normal(0, 0.25))
    piece = place.family.make(rng)
    return 1000 + len(place.things), replace(piece.to(x, y, base.angle + turn), height=piece.height * 1.9)
