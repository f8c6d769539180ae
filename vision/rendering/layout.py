"""Lay out a rack of places: what each holds, where its items may lie, and the empty rack's picture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.racks import SlotKind
from vision.rendering.photos import photo_forms, proportion
from vision.rendering.things import Thing, Tone

LAYOUTS: Final = ("foam", "bins", "holes", "open")
GRIDS: Final = {12: (4, 3), 24: (6, 4), 40: (8, 5), 96: (12, 8)}
"""Number of places → columns, rows."""

_COATINGS: Final[tuple[Tone, ...]] = (
    (60, 170, 215),
    (70, 190, 225),
    (95, 95, 100),
    (55, 55, 60),
    (150, 152, 154),
    (85, 120, 150),
    (95, 70, 85),
    (60, 75, 140),
)
_PLASTICS: Final[tuple[Tone, ...]] = (
    (60, 60, 190),
    (190, 120, 50),
    (60, 150, 70),
    (40, 170, 215),
    (70, 70, 74),
    (205, 206, 208),
    (120, 80, 130),
)
_CODES: Final = {
    "insert-C": "CNMG 120408",
    "insert-D": "DCMT 11T304",
    "insert-T": "TCMT 16T308",
    "insert-S": "SNMG 120412",
    "insert-R": "RCMT 1204",
    "insert-W": "WNMG 080408",
}


@dataclass(frozen=True)
class Family:
    """What one stock code looks like: all its pieces are alike. Fields as in `Thing`; `klass`, `kind`, `code` as in
    `contracts.racks.SlotDescription`.
    """

    klass: str
    kind: SlotKind
    code: str
    form: str
    size: float
    width: float
    tone: Tone
    height: float
    holes: bool = False

    def make(self, rng: np.random.Generator) -> Thing:
        """One piece of it, at the origin."""
        return Thing(
            self.form, 0.0, 0.0, 0.0, self.size, self.width, self.tone, int(rng.integers(1 << 30)), height=self.height
        )


@dataclass
class Place:
    """One place. Coordinates are world px, axis aligned.

    Attributes:
        box: x0, y0, x1, y1.
        spots: where its pieces may lie: x, y, angle.
        things: its own pieces by the spot they lie on; pieces stacked on others have numbers from 1000 on.
        guests: pieces of other places and foreign things that lie in it.
        style: ``pocket`` (foam), ``bin``, ``block`` (holes) or ``shelf``.
        opened: its box stands open.
    """

    id: str
    box: tuple[float, float, float, float]
    family: Family
    style: str
    spots: list[tuple[float, float, float]]
    things: dict[int, Thing] = field(default_factory=dict)
    guests: list[Thing] = field(default_factory=list)
    heap: list[Thing] = field(default_factory=list)
    opened: bool = False

    @property
    def centre(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def hidden(self) -> bool:
        return self.family.kind is SlotKind.HIDDEN

    def free(self) -> list[int]:
        return [i for i in range(len(self.spots)) if i not in self.things]

    def stacked(self) -> bool:
        return any(spot >= 1000 for spot in self.things)

    def put(self, spot: int, rng: np.random.Generator, thing: Thing | None = None) -> Thing:
        """Lay a piece (a new one unless given) on `spot`."""
        x, y, angle = self.spots[spot]
        piece = thing or self.family.make(rng)
        loose = 0.0 if self.family.holes else min(self.box[2] - self.box[0], self.box[3] - self.box[1]) * 0.01
        dx, dy = rng.normal(0, loose + 0.15, 2)
        if self.family.klass == "insert" and self.style != "pocket":
            angle += rng.uniform(0, 2 * np.pi)
        elif self.family.holes or self.family.klass == "insert":
            angle += rng.normal(0, 0.04)
        else:
            angle += rng.normal(0, 0.02) + (np.pi if rng.random() < 0.15 and self.style != "pocket" else 0.0)
        self.things[spot] = piece.to(x + float(dx), y + float(dy), float(angle))
        return self.things[spot]


@dataclass(frozen=True)
class Wish:
    """What the caller wants of a rack: see `vision.rendering.show.RackShow`."""

    slots: int = 12
    layout: str = "mixed"
    fill: float = 0.7
    photos: str = "train"
    least_px: float = 27.0
    hidden: float = 0.06
    presence: float = 0.2


def lay_out(rng: np.random.Generator, wish: Wish, area: tuple[float, float, float, float]) -> list[Place]:
    """Places of a rack that fills `area` (x0, y0, x1, y1, world px); some neighbours hold the same item."""
    columns, rows = GRIDS.get(wish.slots) or _near_grid(wish.slots)
    heights = _shares(rng, rows, 0.12)
    places: list[Place] = []
    y = area[1]
    numbers = iter(range(1, 10_000))
    for r in range(rows):
        style = _style(rng, wish.layout)
        widths = _shares(rng, columns, 0.16)
        x = area[0]
        high = heights[r] * (area[3] - area[1])
        family: Family | None = None
        for c in range(columns):
            if len(places) == wish.slots:
                break
            wide = widths[c] * (area[2] - area[0])
            gap = max(4.0, min(wide, high) * 0.045)
            box = (x + gap, y + gap, x + wide - gap, y + high - gap * 1.3)
            twin = family is not None and family.kind is SlotKind.COUNTABLE and rng.random() < 0.22
            if not twin or family is None:
                family = _family(rng, wish, style, box, next(numbers))
            place = Place(f"{chr(65 + r)}{c + 1}", box, family, style, _spots(rng, family, box))
            if not place.spots:  # a twin too large for this box
                family = _family(rng, wish, style, box, next(numbers))
                place = Place(place.id, box, family, style, _spots(rng, family, box))
            places.append(place)
            x += wide
        y += high
    for place in places:
        stock(rng, place, wish.fill)
    return places


def _near_grid(slots: int) -> tuple[int, int]:
    rows = max(1, round(float(np.sqrt(slots * 0.62))))
    return -(-slots // rows), rows


def _shares(rng: np.random.Generator, n: int, spread: float) -> npt.NDArray[Any]:
    raw = 1 + rng.uniform(-spread, spread, n)
    return np.asarray(raw / raw.sum())


def _style(rng: np.random.Generator, layout: str) -> str:
    name = str(rng.choice(LAYOUTS)) if layout == "mixed" else layout
    return {"foam": "pocket", "bins": "bin", "holes": "block", "open": "shelf"}[name]


def _tone(rng: np.random.Generator, table: tuple[Tone, ...]) -> Tone:
    v = np.clip(np.array(table[rng.integers(len(table))]) * rng.uniform(0.85, 1.15) + rng.normal(0, 5, 3), 12, 240)
    return int(v[0]), int(v[1]), int(v[2])


def _family(
    rng: np.random.Generator, wish: Wish, style: str, box: tuple[float, float, float, float], number: int
) -> Family:
    w, h = box[2] - box[0], box[3] - box[1]
    cell = min(w, h)
    dice = rng.random()
    if dice < wish.hidden and style != "block":
        return _hidden(rng, w, h, number)
    if dice < wish.hidden + wish.presence and style != "block":
        return _presence(rng, wish, w, h, number)
    least = wish.least_px
    if style == "block":
        form, klass = (("end-drill", "drill"), ("end-mill", "endmill"), ("end-shank", "endmill"), ("collet", "collet"))[
            int(rng.integers(4))
        ]
        size = float(np.clip(cell * rng.uniform(0.16, 0.34), least, 90))
        code = f"{'ER' if klass == 'collet' else 'D'}{rng.integers(3, 32)}-{number:03d}"
        return Family(
            klass, SlotKind.COUNTABLE, code, form, size, size, _tone(rng, _COATINGS), float(rng.uniform(4, 9)), True
        )
    if rng.random() < 0.62 or max(w, h) < least * 3.6:
        shape = str(rng.choice(list("CCDTSRW")))
        slim = {"C": 0.84, "D": 0.53, "T": 0.75}.get(shape, 1.0)
        size = float(np.clip(cell * rng.uniform(0.2, 0.34), least / slim * 1.05, 130))
        form = f"insert-{shape}"
        return Family(
            "insert",
            SlotKind.COUNTABLE,
            f"{_CODES[form]}-{number:03d}",
            form,
            size,
            size * slim,
            _tone(rng, _COATINGS),
            float(rng.uniform(2.5, 5)),
        )
    form = str(rng.choice(["drill", "endmill", "tap"]))
    long = max(w, h) * rng.uniform(0.66, 0.84)
    width = float(np.clip(long * rng.uniform(0.1, 0.24), least, min(w, h) * 0.5))
    code = f"{form.upper()} D{rng.integers(3, 25)}-{number:03d}"
    return Family(
        form, SlotKind.COUNTABLE, code, form, float(long), width, _tone(rng, _COATINGS), float(rng.uniform(3, 7))
    )


def _presence(rng: np.random.Generator, wish: Wish, w: float, h: float, number: int) -> Family:
    photos = photo_forms(wish.photos)
    forms = ["caliper", "micrometer", "ring", "key", "box", "bar", "box"] + (["photo"] * 5 if photos else [])
    form = str(rng.choice(forms))
    long, short = max(w, h) * 0.86, min(w, h) * 0.82
    ratio = {"caliper": 0.36, "micrometer": 0.55, "ring": 1.0, "key": 0.4, "box": 0.62, "bar": 1.0}.get(form, 0.5)
    if form == "photo":
        form = str(rng.choice(list(photos)))
        ratio = proportion(int(form.split(":")[1]))
    size = float(min(long, short / ratio) * rng.uniform(0.88, 1.0))
    klass = "instrument" if form in {"caliper", "micrometer", "ring"} else form.split(":")[0]
    klass = {"photo": "tool", "key": "tool"}.get(klass, klass)
    tone = _tone(rng, _PLASTICS) if form in {"box", "micrometer"} else (_tone(rng, ((44, 44, 48), (120, 122, 126))))
    return Family(
        klass,
        SlotKind.PRESENCE,
        f"{klass.upper()}-{number:03d}",
        form,
        size,
        size * ratio,
        tone,
        float(rng.uniform(4, 10)),
    )


def _hidden(rng: np.random.Generator, w: float, h: float, number: int) -> Family:
    if rng.random() < 0.5:
        form = "lidbox"
        size, width = max(w, h) * 0.86, min(w, h) * 0.84
        return Family("box", SlotKind.HIDDEN, f"BOX M-{number:03d}", form, size, width, _tone(rng, _PLASTICS), float(6))
    form = str(rng.choice(["screw", "insert-C", "washer"]))
    size = float(min(w, h) * rng.uniform(0.18, 0.26))
    tone = _tone(rng, ((150, 152, 156), (70, 160, 200), (90, 92, 96)))
    return Family(
        "bulk", SlotKind.HIDDEN, f"VRAC-{number:03d}", form, size, size * (0.34 if form == "screw" else 1), tone, 2.5
    )


def _spots(
    rng: np.random.Generator, family: Family, box: tuple[float, float, float, float]
) -> list[tuple[float, float, float]]:
    """Free-standing spots in `box`: none touches another whatever the angle of its piece."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    upright = h > w
    if family.kind is not SlotKind.COUNTABLE:
        return [((x0 + x1) / 2, (y0 + y1) / 2, np.pi / 2 if upright else 0.0)]
    if family.form in {"drill", "endmill", "tap"}:
        across, along = (w, h) if upright else (h, w)
        if family.size > along * 0.95:
            return []
        n = int(np.clip((across * 0.94) // (family.width * 1.5), 1, 6))
        n = int(rng.integers(1, n + 1))
        step = across / n
        angle = (-np.pi / 2) if upright else 0.0
        centre = ((x0 + x1) / 2, (y0 + y1) / 2)
        return [
            (x0 + step * (i + 0.5), centre[1], angle) if upright else (centre[0], y0 + step * (i + 0.5), angle)
            for i in range(n)
        ]
    pitch = family.size * (1.22 if family.holes or family.form != "insert-R" else 1.15)
    columns, rows = int((w * 0.97) // pitch), int((h * 0.97) // pitch)
    if columns < 1 or rows < 1:
        return []
    columns, rows = min(columns, int(rng.integers(1, 6))), min(rows, int(rng.integers(1, 4)))
    turn = float(rng.choice([0.0, np.pi / 4, np.pi / 2])) if family.form != "insert-R" else 0.0
    return [
        (x0 + w * (c + 0.5) / columns, y0 + h * (r + 0.5) / rows, turn) for r in range(rows) for c in range(columns)
    ]


def stock(rng: np.random.Generator, place: Place, fill: float) -> None:
    """Lay pieces on about `fill` of the spots of an empty place."""
    if place.family.klass == "bulk":
        place.heap = heap(rng, place)
        return
    for spot in range(len(place.spots)):
        if rng.random() < (fill if place.family.kind is SlotKind.COUNTABLE else max(fill, 0.85)) or place.hidden:
            place.put(spot, rng)


def heap(rng: np.random.Generator, place: Place) -> list[Thing]:
    """Pieces poured into `place`, over one another."""
    x0, y0, x1, y1 = place.box
    size = place.family.size
    n = int(np.clip((x1 - x0) * (y1 - y0) / (size * place.family.width) * 1.1, 14, 60))
    m = size * 0.5
    return [
        place.family.make(rng).to(
            float(rng.uniform(x0 + m, x1 - m)), float(rng.uniform(y0 + m, y1 - m)), float(rng.uniform(0, 2 * np.pi))
        )
        for _ in range(n)
    ]


def flipped(thing: Thing) -> Thing:
    return replace(thing, flipped=not thing.flipped)
