"""Cases that leave something where it does not belong, or in disorder, and the one that clears it away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vision.rendering.gestures import (
    Build,
    Script,
    away,
    clear,
    countable,
    new_track,
    pick,
    reach,
    some_frames,
    stocked,
    take_from,
)
from vision.rendering.layout import Place, heap
from vision.rendering.leavings import FREE_SHARE, litter, odd_thing, on_top
from vision.rendering.sprites import union
from vision.rendering.things import Thing
from vision.rendering.tracks import Do, Track
from vision.rendering.truth import CannotPlayError

if TYPE_CHECKING:
    from vision.rendering.show import RackShow


def wrong_slot(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    goal = pick(
        show,
        choices,
        lambda p: clear(show, p) and bool(p.free()) and not p.family.holes,
        "clear with room",
        "to",
    )
    strangers = [
        p
        for p in show.stage.places
        if stocked(show)(p)
        and p.family.form != goal.family.form
        and p.family.size < 1.3 * max(goal.box[2] - goal.box[0], goal.box[3] - goal.box[1])
    ]
    if not strangers:
        raise CannotPlayError("no place holds an item unlike that one")
    source = strangers[int(show.rng.integers(len(strangers)))]
    track = new_track(show, script)
    if show.rng.random() < 0.5:
        take_from(show, script, track, source)
    else:
        track.held = source.family.make(show.rng).to(0, 0, track.arm.angle)
    spot = goal.free()[0]
    _leave_guest(show, script, track, goal, spot, None)
    away(show, track)


def _leave_guest(show: RackShow, script: Script, track: Track, place: Place, spot: int, thing: Thing | None) -> None:
    x, y, angle = place.spots[spot]
    reach(show, track, x, y, "pinch")
    track.stay(show.rng, some_frames(show, 1, 2), "pinch")

    def do(track: Track) -> None:
        guest = thing or track.held
        if guest is None:
            return
        guest = guest.to(x, y, angle + float(show.rng.normal(0, 0.3)))
        place.guests.append(guest)
        track.held = None
        script.note(place, 0, show.stage.rect_of([guest]))

    track.stay(show.rng, 1, "open", do)


def foreign_left(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = pick(show, choices, lambda p: clear(show, p) and bool(p.free()) and not p.family.holes, "clear with room")
    thing = odd_thing(show.rng, place, show.photos)
    track = new_track(show, script)
    track.held = thing.to(0, 0, track.arm.angle)
    _leave_guest(show, script, track, place, place.free()[0], thing)
    away(show, track)


def left_over(form: str) -> Build:
    """A rag, a glove or swarf is left lying over places."""

    def build(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
        place = pick(show, choices, lambda p: clear(show, p), "clear")
        thing = litter(show.rng, form, place).to(
            place.centre[0] + float(show.rng.normal(0, 12)),
            place.centre[1] + float(show.rng.normal(0, 12)),
            float(show.rng.uniform(0, 6.28)),
        )
        track = new_track(show, script)
        if form != "swarf":
            track.held = replace(thing, x=0.0, y=0.0)
        reach(show, track, thing.x, thing.y, "grip")
        track.stay(show.rng, 1, "grip")

        def do(track: Track) -> None:
            track.held = None
            show.stage.litter.append(thing)
            script.note(None, 0, show.stage.rect_of([thing]))
            for other in show.stage.places:
                share = show.stage.covered(other, thing)
                if share > FREE_SHARE:
                    script.touch(other)
                elif share > 0:
                    script.touch(other)
                    script.unsure.add(other.id)

        track.stay(show.rng, 2, "open", do)
        away(show, track)

    return build


def cleared(show: RackShow, script: Script, _: dict[str, Any]) -> None:
    stage = show.stage
    guests = [p for p in stage.places if p.guests or p.stacked()]
    opened = [p for p in stage.places if p.opened]
    if not (stage.litter or guests or opened):
        raise CannotPlayError("nothing is left over the rack")
    track = new_track(show, script)
    for thing in list(stage.litter):
        reach(show, track, thing.x, thing.y)
        track.stay(show.rng, 1, "grip")

        def take_off(track: Track, thing: Thing = thing) -> None:
            rect = stage.rect_of([thing])
            for place in stage.places:
                if stage.covered(place, thing) > 0:
                    script.touch(place)
                    script.unsure.add(place.id)
            stage.litter.remove(thing)
            track.held = replace(thing, x=0.0, y=0.0)
            script.note(None, 0, rect)

        track.stay(show.rng, 1, "grip", take_off)
    for place in guests:
        reach(show, track, *place.centre)
        track.stay(show.rng, 1, "pinch")

        def tidy(_: Track, place: Place = place) -> None:
            rects = [stage.rect_of(place.guests)] if place.guests else []
            place.guests.clear()
            delta = 0
            for spot in [s for s in place.things if s >= 1000]:
                top = place.things.pop(spot)
                rects.append(stage.rect_of([top]))
                if place.free():
                    laid = place.put(place.free()[0], show.rng, top)
                    rects.append(stage.rect_of([laid]))
                else:
                    delta -= 1
            script.note(place, delta, *rects)

        track.stay(show.rng, 1, "pinch", tidy)
    for place in opened:
        reach(show, track, *place.centre)
        track.stay(show.rng, 1, "grip", _shut(show, script, place))
        script.unsure.add(place.id)
    away(show, track)


def _shut(show: RackShow, script: Script, place: Place) -> Do:
    def do(_: Track) -> None:
        place.opened = not place.opened
        for spot, thing in place.things.items():
            place.things[spot] = replace(thing, flipped=place.opened, seed=thing.seed + 1)
        script.note(place, 0, show.stage.box_of(place))

    return do


def stacked(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = pick(
        show,
        choices,
        lambda p: countable(show, 1)(p) and not p.family.holes,
        "countable, stocked, and not of holes",
    )
    spot, laid = on_top(show.rng, place)
    track = new_track(show, script)
    track.held = laid.to(0, 0, track.arm.angle)
    reach(show, track, laid.x, laid.y, "pinch")
    track.stay(show.rng, some_frames(show, 1, 3), "pinch")

    def do(track: Track) -> None:
        track.held = None
        place.things[spot] = laid
        script.note(place, 1, show.stage.rect_of([laid]))

    track.stay(show.rng, 1, "open", do)
    away(show, track)


def lid_opened(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = pick(
        show,
        choices,
        lambda p: p.family.form in {"box", "lidbox"} and bool(p.things) and show.state(p.id) in {"clear", "hidden"},
        "a box that is shut",
    )
    script.touch(place)
    track = new_track(show, script)
    reach(show, track, *place.centre, "grip")
    track.stay(show.rng, some_frames(show, 2, 3), "grip", _shut(show, script, place))
    track.stay(show.rng, some_frames(show, 3, 4), "pinch")
    if place.hidden and show.rng.random() < 0.5:
        track.stay(show.rng, 2, "grip", _shut(show, script, place))
    away(show, track)


def heap_touched(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = pick(show, choices, lambda p: p.family.klass == "bulk", "a heap")
    script.touch(place)
    track = new_track(show, script)
    reach(show, track, *place.centre)
    track.stay(show.rng, some_frames(show, 2, 4), "pinch")

    def do(track: Track) -> None:
        if show.rng.random() < 0.7:
            taken = place.heap[-int(show.rng.integers(1, 6)) :]
            track.held = taken[-1].to(0, 0, track.arm.angle)
            place.heap = [*place.heap[: -len(taken)], *heap(show.rng, place)[:2]]
        for k in range(len(place.heap) // 2, len(place.heap)):
            if show.rng.random() < 0.5:
                dx, dy = show.rng.normal(0, place.family.size * 0.2, 2)
                place.heap[k] = place.heap[k].moved(float(dx), float(dy), float(show.rng.normal(0, 0.5)))
        script.note(place, 0, union(show.stage.box_of(place), show.stage.rect_of(place.heap)))

    track.stay(show.rng, 1, "pinch", do)
    away(show, track)
