"""Single places before and after a session, drawn with the same code as whole racks but alone: to train a judge.

A crop has the format of `vision.judging.crops` (margin, largest size). Light, registration, noise and dirt of the two
pictures differ as they do between two moments of one camera; only what the case says differs in the place itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from contracts.racks import SlotKind
from vision.judging.crops import MARGIN, MOST_PX
from vision.rendering import cases
from vision.rendering.camera import noise_bank
from vision.rendering.layout import Place, Wish, flipped, stock
from vision.rendering.sprites import Raster, Rect, overlap
from vision.rendering.stage import Stage
from vision.rendering.things import Thing
from vision.rendering.truth import State

PAIR_CASES: Final = ("still", "stirred", "take", "put_back", "exchange", "masked", "foreign", "stacked", "opened")
_SHARES: Final = (0.2, 0.16, 0.25, 0.14, 0.04, 0.08, 0.07, 0.05, 0.01)
_ROUNDS: Final = 12
_SIGMAS: Final = (1.0, 1.5, 2.5, 3.5, 5.0)
_OFF_PX: Final = 0.6
"""Standard deviation of the registration's error, px; cut at 1.5 px."""
_YY, _XX = np.mgrid[0:1:12j, 0:1:12j]


@dataclass(frozen=True)
class SlotPair:
    """One place at two moments.

    Attributes:
        before, after: (h, w, 3) uint8 BGR, equally large.
        polygon: (4, 2) float32, the place in px of the crops.
        levels: median grey of the whole rack in both moments.
        counts: its own pieces before and after; the second says nothing to the eye unless `state` is ``clear``.
        state: what stands in the way of a number afterwards.
        kind, klass: as in `contracts.racks.SlotDescription`.
        case: one of `PAIR_CASES`.
        px: short side of one item in the camera's picture.
        hard: what else was difficult: ``shadow``, ``dirt``, ``exposure``, ``lamp``.
    """

    before: Raster
    after: Raster
    polygon: Raster
    levels: tuple[float, float]
    counts: tuple[int, int]
    state: State
    kind: SlotKind
    klass: str
    case: str
    px: float
    hard: tuple[str, ...]


def slot_pairs(seed: int, n: int, photos: str = "train", least_px: float = 16.0) -> Iterator[SlotPair]:
    """`n` pairs; the same arguments give the same pairs. Items are from `least_px` to about 120 px.

    Args:
        photos: part of the real photographs, as in `vision.rendering.show.RackShow`.
    """
    made, scene = 0, 0
    while made < n:
        for pair in _scene((seed, scene), photos, least_px):
            yield pair
            made += 1
            if made == n:
                return
        scene += 1


def _scene(seed: tuple[int, int], photos: str, least_px: float) -> Iterator[SlotPair]:
    """Some rounds over all places of one rack."""
    rng = np.random.default_rng((*seed, 53))
    small = float(np.exp(rng.uniform(np.log(least_px), np.log(max(least_px, 95.0)))))
    slots = int(rng.choice([12, 24, 40, 96] if small < 30 else [12, 24, 40] if small < 45 else [12, 24]))
    size = (1920, 1080) if slots > 24 else (1440, 810)
    stage = Stage(rng, Wish(slots, "mixed", 0.7, photos, small, 0.01, 0.22), size)
    ground = float(np.median(stage.ground.picture[::16, ::16, 1]))
    camera = (float(rng.choice(_SIGMAS)), int(rng.integers(72, 96)), float(rng.uniform(0, 0.8)))
    near = {
        one.id: [p for p in stage.places if p is not one and overlap(stage.box_of(p), _frame(one))]
        for one in stage.places
    }
    for _ in range(_ROUNDS):
        stage.wet.clear()
        cases.wet(rng, stage, int(rng.poisson(7)))
        for place in stage.places:
            place.things.clear()
            place.opened = False
            stock(rng, place, float(rng.choice([0.15, 0.5, 0.85, 1.0])))
        for index in rng.permutation(len(stage.places)):
            place = stage.places[int(index)]
            if place.hidden:
                continue
            yield _pair(rng, stage, place, near[place.id], photos, camera, ground)


def _pair(
    rng: np.random.Generator,
    stage: Stage,
    place: Place,
    near: list[Place],
    photos: str,
    camera: tuple[float, int, float],
    ground: float,
) -> SlotPair:
    later, litter, case = _change(rng, stage, place, photos)
    if case == "still" and rng.random() < 0.8:  # most often what was drawn could not be: draw once more
        later, litter, case = _change(rng, stage, place, photos)
    shot = _Moment.first(rng, camera)
    first = shot.take(stage, [*near, place], (), _frame(place), rng)
    again = shot.later(rng)
    second = again.take(stage, [*near, later], litter, _frame(place), rng)
    x0, y0, x1, y1 = place.box
    a, b, *_ = _frame(place)
    k = _scale(place)
    polygon = np.array([[x0 - a, y0 - b], [x1 - a, y0 - b], [x1 - a, y1 - b], [x0 - a, y1 - b]], np.float32)
    return SlotPair(
        first,
        second,
        polygon * np.float32(k),
        (ground * shot.gain, ground * again.gain),
        (len(place.things), len(later.things)),
        _state(stage, later, litter),
        place.family.kind,
        place.family.klass,
        case,
        float(place.family.width),
        tuple(sorted({*shot.hard, *again.hard})),
    )


def _frame(place: Place) -> Rect:
    """What a crop of the place shows, world px."""
    x0, y0, x1, y1 = place.box
    pad = MARGIN * min(x1 - x0, y1 - y0) + 4.0
    return int(x0 - pad), int(y0 - pad), int(np.ceil(x1 + pad)), int(np.ceil(y1 + pad))


def _scale(place: Place) -> float:
    x0, y0, x1, y1 = _frame(place)
    return min(1.0, MOST_PX / max(x1 - x0, y1 - y0))


def _state(stage: Stage, place: Place, litter: list[Thing]) -> State:
    if place.opened:
        return "open"
    if any(stage.covered(place, thing) > cases.FREE_SHARE for thing in litter):
        return "masked"
    if place.guests:
        return "foreign"
    return "stacked" if place.stacked() else "clear"


def _change(rng: np.random.Generator, stage: Stage, place: Place, photos: str) -> tuple[Place, list[Thing], str]:
    """The place after a session, what is left over it, and the case; ``still`` when the drawn case cannot be."""
    later = replace(place, things=dict(place.things), guests=[])
    case = str(rng.choice(PAIR_CASES, p=_SHARES))
    loose = not place.family.holes
    if case in {"take", "put_back", "stirred"} and later.things and (case == "stirred" or rng.random() < 0.3):
        stir(rng, later)
    if case == "take" and later.things:
        n = int(rng.choice((1, 2, 3, 4), p=(0.66, 0.2, 0.09, 0.05)))
        for spot in rng.permutation(sorted(later.things))[:n]:
            del later.things[int(spot)]
        return later, [], case
    if case == "put_back" and later.free():
        for spot in rng.permutation(later.free())[: int(rng.choice((1, 2, 3), p=(0.75, 0.18, 0.07)))]:
            later.put(int(spot), rng)
        return later, [], case
    if case == "stirred" and later.things:
        return later, [], case
    if case == "exchange" and later.things:  # one goes, another like it comes
        spot = int(rng.choice(sorted(later.things)))
        del later.things[spot]
        later.put(int(rng.choice(later.free())), rng)
        return later, [], case
    if case == "masked":
        thing = cases.litter(rng, str(rng.choice(["rag", "glove", "swarf", "swarf"])), place)
        x0, y0, x1, y1 = place.box
        x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
        laid = thing.to(float(x), float(y), float(rng.uniform(0, 6.28)))
        return later, [laid], case if stage.covered(place, laid) > cases.FREE_SHARE else "still"
    if case == "foreign" and loose and later.free():
        spot = int(rng.choice(later.free()))
        x, y, _ = later.spots[spot]
        later.guests.append(cases.odd_thing(rng, place, photos).to(x, y, float(rng.uniform(0, 6.28))))
        return later, [], case
    if case == "stacked" and loose and later.things and place.family.kind is SlotKind.COUNTABLE:
        cases.stack(rng, later)
        return later, [], case
    if place.family.form == "box" and later.things and (case == "opened" or rng.random() < 0.2):
        later.opened = True
        later.things = {s: replace(t, flipped=True, seed=t.seed + 1) for s, t in later.things.items()}
        return later, [], "opened"
    return replace(place, guests=[]), [], "still"


def stir(rng: np.random.Generator, place: Place) -> None:
    """Its things are nudged, turned, turned over, or one is slid to a free spot."""
    dice = rng.random()
    if dice < 0.25 and place.free() and place.family.kind is SlotKind.COUNTABLE:
        spot = int(rng.choice(sorted(place.things)))
        place.put(int(rng.choice(place.free())), rng, place.things.pop(spot))
        return
    cell = min(place.box[2] - place.box[0], place.box[3] - place.box[1])
    freely = place.family.klass in {"insert", "collet"} or place.family.holes
    for spot, thing in list(place.things.items()):
        if rng.random() < 0.3:
            continue
        dx, dy = rng.normal(0, 0.0 if place.family.holes else cell * 0.022, 2)
        now = thing.moved(float(dx), float(dy), float(rng.normal(0, 0.7 if freely else 0.06)))
        place.things[spot] = flipped(now) if dice > 0.65 and place.family.klass == "insert" else now


@dataclass(frozen=True)
class _Moment:
    """One exposure: light, registration error, dirt, noise, compression. Fields of light are (n, n, c) of any n."""

    sigma: float
    quality: int
    blur: float
    gain: float
    tint: Raster
    field: Raster
    lamp: tuple[float, float, float, float]
    shine: float
    off: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    dark: Raster | None = None
    spots: Raster | None = None
    hard: tuple[str, ...] = ()

    @classmethod
    def first(cls, rng: np.random.Generator, camera: tuple[float, int, float]) -> _Moment:
        x, y = (float(v) for v in rng.uniform(0, 1, 2))
        return cls(
            *camera,
            gain=float(rng.uniform(0.72, 1.15)),
            tint=rng.uniform(0.95, 1.05, 3),
            field=rng.normal(0, 0.05, (4, 4)),
            lamp=(x, y, float(rng.uniform(-1.6, 1.6)), float(rng.uniform(0.08, 0.3))),
            shine=float(rng.uniform(0, 0.9)) if rng.random() < 0.6 else 0.0,
        )

    def later(self, rng: np.random.Generator) -> _Moment:
        """The same camera after a session."""
        gain, tint, lamp, shine = self.gain * float(np.exp(rng.normal(0, 0.03))), self.tint, self.lamp, self.shine
        dark, spots, hard = None, None, []
        if rng.random() < 0.15:
            gain *= float(rng.choice([rng.uniform(0.6, 0.85), rng.uniform(1.15, 1.45)]))
            tint = tint * rng.uniform(0.97, 1.03, 3)
            hard.append("exposure")
        if rng.random() < 0.3:
            dx, dy = (float(v) for v in rng.normal(0, 0.2, 2))
            lamp, shine = (lamp[0] + dx, lamp[1] + dy, lamp[2], lamp[3]), float(rng.uniform(0, 0.9))
            hard.append("lamp")
        if rng.random() < 0.22:
            a, c = rng.uniform(0, 6.28), rng.uniform(-0.3, 0.5)
            edge = (_XX - 0.5) * np.cos(a) + (_YY - 0.5) * np.sin(a) - c
            dark = 1 - float(rng.uniform(0.12, 0.5)) / (1 + np.exp(-edge * rng.uniform(4, 30)))
            hard.append("shadow")
        if rng.random() < 0.1:
            x, y = rng.uniform(0, 1, 2)
            spots = np.exp(-((_XX - x) ** 2 + (_YY - y) ** 2) / rng.uniform(0.05, 0.4) ** 2) * rng.uniform(0.1, 0.55)
            hard.append("dirt")
        dx, dy = (float(v) for v in np.clip(rng.normal(0, _OFF_PX, 2), -1.5, 1.5))
        return replace(
            self,
            gain=gain,
            tint=tint,
            field=self.field + rng.normal(0, 0.015, (4, 4)),
            lamp=lamp,
            shine=shine,
            off=(dx, dy),
            turn=float(rng.normal(0, 0.003)),
            dark=dark,
            spots=spots,
            hard=tuple(hard),
        )

    def take(
        self,
        stage: Stage,
        places: list[Place],
        litter: tuple[Thing, ...] | list[Thing],
        frame: Rect,
        rng: np.random.Generator,
    ) -> Raster:
        x0, y0, x1, y1 = frame
        grown = (x0 - 4, y0 - 4, x1 + 4, y1 + 4)
        picture, gloss = stage.draw(grown, places, litter)
        k = min(1.0, MOST_PX / max(x1 - x0, y1 - y0))
        w, h = round((x1 - x0) * k), round((y1 - y0) * k)
        c, s = k * np.cos(self.turn), k * np.sin(self.turn)
        ox, oy = self.off
        move = np.array([[c, -s, -4 * k + ox * k], [s, c, -4 * k + oy * k]], np.float64)
        patch = cv2.warpAffine(picture, move, (w, h), flags=cv2.INTER_LINEAR)
        shine = cv2.warpAffine(gloss, move, (w, h), flags=cv2.INTER_LINEAR)
        patch = self._light(patch, shine, w, h)
        if self.blur > 0.3:
            patch = cv2.GaussianBlur(patch, (3, 3), self.blur)
        bank = noise_bank(self.sigma, 640, 640)
        x, y = int(rng.integers(bank.shape[1] - w)), int(rng.integers(bank.shape[0] - h))
        base = round(3 * self.sigma)
        patch = cv2.add(cv2.subtract(patch, np.array((base, base, base, 0.0))), bank[y : y + h, x : x + w])
        _, code = cv2.imencode(".jpg", patch, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)

    def _light(self, patch: Raster, gloss: Raster, w: int, h: int) -> Raster:
        level = cv2.resize(self.gain * (1 + self.field), _XX.shape[::-1], interpolation=cv2.INTER_CUBIC)
        if self.dark is not None:
            level = level * self.dark
        if self.spots is not None:
            level = level * (1 - self.spots)
        small = np.clip(level[..., None] * (self.tint * 128), 0, 255).astype(np.uint8)
        lit = cv2.multiply(patch, cv2.resize(small, (w, h)), scale=1 / 128)
        if self.shine > 0:
            x, y, a, wide = self.lamp
            strip = np.exp(-((((_XX - x) * np.sin(a) + (_YY - y) * np.cos(a)) / wide) ** 2)) * (255 * self.shine)
            bright = cv2.multiply(gloss, cv2.resize(strip.astype(np.uint8), (w, h)), scale=1 / 255)
            lit = cv2.add(lit, cv2.merge((bright, bright, bright)))
        if self.spots is not None:
            haze = (self.spots[..., None] * np.array((70.0, 88.0, 92.0))).astype(np.uint8)
            lit = cv2.add(lit, cv2.resize(haze, (w, h)))
        return lit
