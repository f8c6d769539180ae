"""Pairs cut from whole rendered racks: many places change at once between two pictures of a `RackShow`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.racks import SlotKind
from vision.judging.classes import KLASSES, STATES
from vision.judging.crops import Crop, level_points, rack_level, take_crop
from vision.judging.net import square_mask
from vision.judging.pairs import Pair
from vision.judging.taught import picture_of
from vision.rendering.layout import Place, flipped
from vision.rendering.leavings import litter, odd_thing
from vision.rendering.show import RackShow
from vision.slots import Rack

RACKS: Final = (12, 24, 40, 96)
_STATES: Final = {"clear": "seen", "masked": "masked", "foreign": "foreign", "stacked": "stacked", "open": "opened"}
_MOVES: Final = ("still", "rearranged", "take", "return", "masked", "foreign", "stacked", "opened")
_SHARES: Final = (0.22, 0.15, 0.3, 0.13, 0.04, 0.07, 0.06, 0.03)


def scene_pairs(seed: int, rounds: int = 4, photos: str = "train") -> Iterator[Pair]:
    """Pairs of one rack, `rounds` for each place that can be read; one generator, so that a seed is a scene."""
    rng = np.random.default_rng((seed, 47))
    slots = int(rng.choice(RACKS, p=(0.2, 0.2, 0.25, 0.35)))
    small = float(rng.uniform(16, 34))
    fill = float(rng.uniform(0.5, 0.95))
    show = RackShow(seed, slots, fill=fill, photos=photos, least_px=small, presence=0.22, hidden=0.03)
    rack = Rack.of(show.description)
    points = level_points(rack)
    for _ in range(rounds):
        first = _crops(show, rack, points, rng, moved=0.0)
        clear = {p.id: len(p.things) for p in show.stage.places if show.state(p.id) == "clear"}
        done = {p.id: _change(show, p, rng) for p in show.stage.places if p.id in clear}
        show.expose(show.stage.paint((0, 0, *show.stage.size)))
        if rng.random() < 0.5:
            show.camera.turn_lamp(rng, 0.6)
            show.expose()
        second = _crops(show, rack, points, rng, moved=0.7)
        for place in show.stage.places:
            if place.id not in clear or show.state(place.id) not in _STATES:
                continue
            masked = show.stage.masked(place)
            if 0 < masked <= 0.06:  # neither free nor masked
                continue
            slot = rack.slot(place.id)
            a, b = first[place.id], second[place.id]
            klass = slot.klass if slot.klass in KLASSES else "other"
            yield Pair(
                before=picture_of(a),
                after=picture_of(b),
                mask=square_mask(a[0].polygon, a[0].pixels.shape),
                levels=(a[0].level, b[0].level),
                klass=KLASSES.index(klass),
                counts=(clear[place.id], len(place.things)),
                state=STATES.index(_STATES[show.state(place.id)]),
                case=done[place.id] if masked == 0 else "masked",
                px=float(slot.px_per_item or 0.0),
            )
        _tidy(show, rng)


def _crops(
    show: RackShow, rack: Rack, points: npt.NDArray[np.float32], rng: np.random.Generator, moved: float
) -> dict[str, list[Crop]]:
    """Crops of all places from one or three frames, as registration would place them: up to a px off."""
    frames = [shot.image for shot in show.rest(1 if rng.random() < 0.4 else 3)]
    homography = np.eye(3)
    homography[:2, 2] = rng.normal(0, moved, 2)
    homography[:2, :2] += rng.normal(0, 3e-4 * moved, (2, 2))
    levels = [rack_level(frame, points) for frame in frames]
    return {
        slot.id: [take_crop(f, slot, homography if moved else None, v) for f, v in zip(frames, levels, strict=True)]
        for slot in rack.slots
    }


def _change(show: RackShow, place: Place, rng: np.random.Generator) -> str:
    """Do something to one place; the name of it, as in `vision.judging.pairs.CASES`."""
    move = str(rng.choice(_MOVES, p=_SHARES))
    box = place.family.form in {"box", "lidbox"}
    if box and rng.random() < 0.3:
        move = "opened"
    countable = place.family.kind is SlotKind.COUNTABLE
    stirred = move in ("take", "return") and rng.random() < 0.3
    if (move == "rearranged" or stirred) and place.things:
        _stir(place, rng)
    if move == "take" and place.things:
        n = int(rng.choice((1, 2, 3, 4), p=(0.68, 0.18, 0.09, 0.05)))
        for spot in rng.permutation(sorted(place.things))[:n]:
            del place.things[int(spot)]
    elif move == "return" and place.free():
        for spot in rng.permutation(place.free())[: int(rng.choice((1, 2, 3), p=(0.75, 0.18, 0.07)))]:
            place.put(int(spot), rng)
    elif move == "masked":
        thing = litter(rng, str(rng.choice(["rag", "glove", "swarf", "swarf"])), place)
        x, y = place.centre
        show.stage.litter.append(
            thing.to(x + float(rng.normal(0, 12)), y + float(rng.normal(0, 12)), float(rng.uniform(0, 6.28)))
        )
    elif move == "foreign" and not place.family.holes:
        _guest(show, place, rng)
    elif move == "stacked" and countable and place.things and not place.family.holes:
        _stack(place, rng)
    elif move == "opened" and box and place.things:
        place.opened = True
        for spot, thing in place.things.items():
            place.things[spot] = replace(thing, flipped=True, seed=thing.seed + 1)
    elif move != "rearranged":
        return "still"
    return move


def _stir(place: Place, rng: np.random.Generator) -> None:
    """Nudged, turned, turned over, or slid to a free spot."""
    dice = rng.random()
    cell = min(place.box[2] - place.box[0], place.box[3] - place.box[1])
    if dice < 0.25 and place.free() and place.family.kind is SlotKind.COUNTABLE:
        spot = int(rng.choice(sorted(place.things)))
        place.put(int(rng.choice(place.free())), rng, place.things.pop(spot))
        return
    round_ = place.family.klass in {"insert", "collet"} or place.family.holes
    for spot, thing in list(place.things.items()):
        if rng.random() < 0.3:
            continue
        dx, dy = rng.normal(0, 0.0 if place.family.holes else cell * 0.022, 2)
        now = thing.moved(float(dx), float(dy), float(rng.normal(0, 0.7 if round_ else 0.06)))
        place.things[spot] = flipped(now) if dice > 0.65 and place.family.form not in {"box", "lidbox"} else now


def _guest(show: RackShow, place: Place, rng: np.random.Generator) -> None:
    """A thing that does not belong there, on a free spot or beside; sometimes instead of one that was taken."""
    if place.things and (not place.free() or rng.random() < 0.3):
        del place.things[int(rng.choice(sorted(place.things)))]
    others = [p for p in show.stage.places if p.family.form != place.family.form and not p.hidden]
    wide = max(place.box[2] - place.box[0], place.box[3] - place.box[1])
    others = [p for p in others if p.family.size < 1.3 * wide]
    if others and rng.random() < 0.5:
        thing = others[int(rng.integers(len(others)))].family.make(rng)
    else:
        thing = odd_thing(rng, place, show.photos)
    spots = place.free() or list(range(len(place.spots)))
    x, y, angle = place.spots[int(rng.choice(spots))]
    place.guests.append(thing.to(x, y, angle + float(rng.normal(0, 0.4))))


def _stack(place: Place, rng: np.random.Generator) -> None:
    """One or two pieces laid on another."""
    base = place.things[int(rng.choice(sorted(place.things)))]
    for _ in range(1 if rng.random() < 0.75 else 2):
        off, a = place.family.width * float(rng.uniform(0.12, 0.55)), float(rng.uniform(0, 6.28))
        turn = float(rng.uniform(0, 6.28)) if place.family.klass == "insert" else float(rng.normal(0, 0.25))
        piece = place.family.make(rng)
        at = piece.to(base.x + off * float(np.cos(a)), base.y + off * float(np.sin(a)), base.angle + turn)
        place.things[1000 + len(place.things)] = replace(at, height=piece.height * 1.9)


def _tidy(show: RackShow, rng: np.random.Generator) -> None:
    """Nothing left over, boxes shut, and some places filled or emptied, for the next round."""
    show.stage.litter.clear()
    for place in show.stage.places:
        place.guests.clear()
        for spot in [s for s in place.things if s >= 1000]:
            del place.things[spot]
        if place.opened:
            place.opened = False
            for spot, thing in place.things.items():
                place.things[spot] = replace(thing, flipped=False, seed=thing.seed + 1)
        if rng.random() < 0.3:
            for spot in place.free():
                if rng.random() < 0.7:
                    place.put(spot, rng)
    show.expose(show.stage.paint((0, 0, *show.stage.size)))
