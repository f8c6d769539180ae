"""The cases that a rack must survive, each as a script of arms with what changes when; disorder is in `disorder`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contracts.racks import SlotKind
from vision.rendering import disorder
from vision.rendering.gestures import (
    Build,
    Script,
    away,
    bring,
    clear,
    lay,
    lift,
    new_track,
    pick,
    reach,
    some_frames,
    stocked,
    take_from,
)
from vision.rendering.layout import Place, flipped
from vision.rendering.tracks import Track
from vision.rendering.truth import CannotPlayError

if TYPE_CHECKING:
    from vision.rendering.show import RackShow


def prepare(show: RackShow, case: str, choices: dict[str, Any]) -> Script:
    """The script of `case`. Raises `CannotPlayError`."""
    script = Script(show, case, before=dict(show.truth))
    for place in show.stage.places:
        if show.state(place.id) in {"masked", "foreign", "stacked"}:
            script.unsure.add(place.id)
    _BUILD[case](show, script, choices)
    return script


def possible(show: RackShow, case: str) -> bool:
    """Whether `prepare` would find what it needs; leaves the show's random choices as they were."""
    kept = show.rng.bit_generator.state
    try:
        prepare(show, case, {})
    except CannotPlayError:
        return False
    finally:
        show.rng.bit_generator.state = kept
    return True


def _take(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = pick(show, choices, stocked(show), "stocked and clear")
    track = new_track(show, script)
    take_from(show, script, track, place)
    away(show, track)


def _take_several(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    n = int(choices.get("n") or show.rng.integers(2, 5))
    place = pick(show, choices, stocked(show, 2), "stocked with two")
    track = new_track(show, script)
    take_from(show, script, track, place, min(n, len(place.things)))
    away(show, track)


def _take_slots(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    fits = [p for p in show.stage.places if stocked(show)(p)]
    if len(fits) < 2:
        raise CannotPlayError("fewer than two places are stocked and clear")
    wanted = choices.get("slots")
    n = int(choices.get("n") or show.rng.integers(2, 4))
    chosen = [show.stage.place(s) for s in wanted] if wanted else [fits[i] for i in show.rng.permutation(len(fits))[:n]]
    track = new_track(show, script)
    for place in chosen:
        take_from(show, script, track, place, int(show.rng.integers(1, min(2, len(place.things)) + 1)))
    away(show, track)


def _put_back(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = pick(show, choices, lambda p: clear(show, p) and bool(p.free()), "clear with room")
    track = new_track(show, script)
    bring(show, script, track, place, int(choices.get("n") or 1))
    away(show, track)


def _two_hands(show: RackShow, script: Script, _: dict[str, Any]) -> None:
    fits = [p for p in show.stage.places if stocked(show)(p)]
    if len(fits) < 2:
        raise CannotPlayError("fewer than two places are stocked and clear")
    pair = sorted((fits[i] for i in show.rng.permutation(len(fits))[:2]), key=lambda p: p.centre[0])
    base = float(-np.pi / 2 + show.rng.normal(0, 0.1))
    for k, place in enumerate(pair):
        track = new_track(show, script, base + (0.22 if k == 0 else -0.22), some_frames(show, 0, 4) * k)
        take_from(show, script, track, place)
        away(show, track)


def _two_people(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    taker = pick(show, choices, stocked(show), "stocked and clear")
    other = pick(show, {}, lambda p: clear(show, p) and bool(p.free()) and p is not taker, "clear with room")
    first = new_track(show, script, float(-np.pi / 2 + show.rng.normal(0, 0.2)))
    take_from(show, script, first, taker)
    away(show, first)
    side = float(show.rng.choice([0.0, np.pi, np.pi / 2]) + show.rng.normal(0, 0.15))
    second = new_track(show, script, side, some_frames(show, 0, 5))
    bring(show, script, second, other)
    away(show, second)


def _forearm(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    take = bool(choices.get("take", show.rng.random() < 0.5))
    fits = sorted((p for p in show.stage.places if stocked(show)(p)), key=lambda p: p.centre[1])
    if not fits:
        raise CannotPlayError("no place is stocked and clear")
    place = fits[int(show.rng.integers(max(1, len(fits) // 2)))]
    track = new_track(show, script, float(-np.pi / 2 + show.rng.normal(0, 0.2)))
    if take:
        take_from(show, script, track, place)
        track.stay(show.rng, some_frames(show, 5, 9), "pinch")
    else:
        reach(show, track, *place.centre, "rest")
        track.stay(show.rng, some_frames(show, 7, 11), "rest")
        script.touch(place)
    away(show, track)


def _box_taken(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = pick(
        show,
        choices,
        lambda p: clear(show, p) and bool(p.things) and p.family.kind is SlotKind.PRESENCE,
        "presence-only with its thing",
    )
    track = new_track(show, script)
    take_from(show, script, track, place, pose="grip")
    away(show, track)


def _moved_between(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    pairs = [
        (a, b)
        for a in show.stage.places
        for b in show.stage.places
        if a is not b and a.family == b.family and stocked(show)(a) and clear(show, b) and b.free()
    ]
    if choices.get("slot") is not None:
        pairs = [(a, b) for a, b in pairs if a.id == choices["slot"]]
    if not pairs:
        raise CannotPlayError("no two places hold the same item, one stocked and one with room")
    source, goal = pairs[int(show.rng.integers(len(pairs)))]
    track = new_track(show, script)
    take_from(show, script, track, source)
    spot = goal.free()[0]
    x, y, _ = goal.spots[spot]
    reach(show, track, x, y, "pinch")
    track.stay(show.rng, some_frames(show, 1, 2), "pinch")
    track.stay(show.rng, 1, "open", lay(show, script, goal, spot))
    script.transfer = (source.id, goal.id, 1)
    away(show, track)


def _stir(change: Callable[[RackShow, Place], None], fits: Callable[[Place], bool], what: str) -> Build:
    """A case where things stay in their place and only lie otherwise."""

    def build(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
        place = pick(show, choices, lambda p: clear(show, p) and bool(p.things) and fits(p), what)
        track = new_track(show, script)
        target = next(iter(place.things.values()))
        reach(show, track, target.x, target.y)
        track.stay(show.rng, some_frames(show, 2, 3), "pinch")

        def do(_: Track) -> None:
            change(show, place)
            script.note(place, 0, show.stage.box_of(place))

        track.stay(show.rng, some_frames(show, 2, 3), "pinch", do)
        away(show, track)

    return build


def _turn_over(show: RackShow, place: Place) -> None:
    for spot in list(place.things)[: int(show.rng.integers(1, 3))]:
        thing = flipped(place.things[spot])
        place.things[spot] = thing.moved(0, 0, float(show.rng.uniform(-0.6, 0.6)))


def _slide(show: RackShow, place: Place) -> None:
    """One piece goes to another free spot, or a few px when there is none."""
    spot = next(iter(place.things))
    free = place.free()
    if free:
        place.put(free[int(show.rng.integers(len(free)))], show.rng, place.things.pop(spot))
    else:
        push = 0.05 * min(place.box[2] - place.box[0], place.box[3] - place.box[1])
        dx, dy = show.rng.uniform(-push, push, 2)
        place.things[spot] = place.things[spot].moved(float(dx), float(dy))


def _nudge(show: RackShow, place: Place) -> None:
    cell = min(place.box[2] - place.box[0], place.box[3] - place.box[1])
    share = 0.0 if place.family.holes else 0.025
    for spot, thing in place.things.items():
        dx, dy = show.rng.normal(0, cell * share, 2)
        turn = float(
            show.rng.normal(0, 0.7 if place.family.klass in {"insert", "collet"} or place.family.holes else 0.07)
        )
        place.things[spot] = thing.moved(float(dx), float(dy), turn)


def _nothing(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    fits = [p for p in show.stage.places if clear(show, p)]
    if not fits:
        raise CannotPlayError("no place is clear")
    track = new_track(show, script)
    chosen = (
        [show.stage.place(str(choices["slot"]))]
        if choices.get("slot")
        else [fits[i] for i in show.rng.permutation(len(fits))[: int(show.rng.integers(1, 4))]]
    )
    for place in chosen:
        dx, dy = show.rng.normal(0, 10, 2)
        reach(show, track, place.centre[0] + float(dx), place.centre[1] + float(dy), "open")
        track.stay(show.rng, some_frames(show, 2, 5), str(show.rng.choice(["open", "pinch", "rest"])))
        script.touch(place)
    away(show, track)


def _take_and_put_back(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = pick(show, choices, stocked(show), "stocked and clear")
    spot = sorted(place.things)[int(show.rng.integers(len(place.things)))]
    thing = place.things[spot]
    track = new_track(show, script)
    script.touch(place)
    reach(show, track, thing.x, thing.y)
    track.stay(show.rng, 2, "pinch", lift(show, script, place, spot))
    x, y, _ = place.spots[spot]
    sx, sy = show.seen(thing.x, thing.y)
    if show.rng.random() < 0.5:
        track.go(show.rng, sx + 60, sy + 90, 3, "pinch")
    track.go(show.rng, *show.seen(x, y), 2, "pinch")
    track.stay(show.rng, 2, "open", lay(show, script, place, spot))
    away(show, track)


def _restock(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    fits = [p for p in show.stage.places if clear(show, p) and p.free()]
    if len(fits) < 2:
        raise CannotPlayError("fewer than two places have room")
    n = int(choices.get("n") or show.rng.integers(3, 7))
    track = new_track(show, script)
    for i in show.rng.permutation(len(fits))[:n]:
        place = fits[int(i)]
        bring(show, script, track, place, int(show.rng.integers(1, 4)))
    away(show, track)


_BUILD: Final[dict[str, Build]] = {
    "take": _take,
    "take_several": _take_several,
    "take_slots": _take_slots,
    "put_back": _put_back,
    "wrong_slot": disorder.wrong_slot,
    "foreign_left": disorder.foreign_left,
    "two_hands": _two_hands,
    "two_people": _two_people,
    "forearm": _forearm,
    "box_taken": _box_taken,
    "moved_between": _moved_between,
    "turned_over": _stir(_turn_over, lambda p: p.family.klass == "insert", "an insert's, stocked and clear"),
    "slid": _stir(_slide, lambda p: not p.family.holes, "stocked, clear and not of holes"),
    "nudged": _stir(_nudge, lambda _: True, "stocked and clear"),
    "rag_left": disorder.left_over("rag"),
    "glove_left": disorder.left_over("glove"),
    "swarf_left": disorder.left_over("swarf"),
    "cleared": disorder.cleared,
    "stacked": disorder.stacked,
    "lid_opened": disorder.lid_opened,
    "heap_touched": disorder.heap_touched,
    "nothing": _nothing,
    "take_and_put_back": _take_and_put_back,
    "restock": _restock,
}
