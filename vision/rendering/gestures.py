"""What arms do at a rack, and the record of a session from which its right answers follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.racks import SlotKind
from vision.rendering.layout import Place
from vision.rendering.sprites import Rect
from vision.rendering.things import Thing
from vision.rendering.tracks import Do, Track
from vision.rendering.truth import Answer, CannotPlayError, Event

if TYPE_CHECKING:
    from vision.rendering.show import RackShow


@dataclass
class Script:
    """A session: its arms, and the record of what they did so far."""

    show: RackShow
    case: str
    tracks: list[Track] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)
    transfer: tuple[str, str, int] | None = None
    before: dict[str, int | None] = field(default_factory=dict)
    _events: list[Event] = field(default_factory=list)
    _changed: list[Rect] = field(default_factory=list)

    def note(self, place: Place | None, delta: int, *rects: Rect) -> None:
        """Something changed physically in `rects` (world px)."""
        if place is not None:
            self.touch(place)
            if delta:
                self._events.append(Event(place.id, delta))
        self._changed.extend(rects)

    def touch(self, place: Place) -> None:
        if place.id not in self.touched:
            self.touched.append(place.id)

    def flush(self) -> tuple[list[Event], list[Rect]]:
        """What happened since the last call."""
        now, changed = self._events, self._changed
        self._events, self._changed = [], []
        return now, changed

    def answers(self, blind: bool) -> tuple[Answer, ...]:
        """The right answers, the session being over."""
        return tuple(self._answer(slot, blind) for slot in self.touched if not self._is_transfer_goal(slot, blind))

    def _is_transfer_goal(self, slot: str, blind: bool) -> bool:
        return self.transfer is not None and not blind and slot == self.transfer[1]

    def _answer(self, slot: str, blind: bool) -> Answer:
        now, before, state = self.show.truth[slot], self.before[slot], self.show.state(slot)
        delta = 0 if now is None or before is None else now - before
        if blind:
            return Answer("later", slot, delta, why=state if state != "clear" else self.case)
        if state != "clear":
            return Answer("ask", slot, delta, why=state)
        if slot in self.unsure:
            return Answer("free", slot, delta, why=self.case)
        if self.transfer is not None and slot == self.transfer[0]:
            return Answer("transfer", slot, self.transfer[2], self.transfer[1], self.case)
        return Answer("auto" if delta else "nothing", slot, delta, why=self.case)


Build = Callable[["RackShow", Script, dict[str, Any]], None]
"""Fills the script of one case with what the caller chose; raises `CannotPlayError`."""


def pick(show: RackShow, choices: dict[str, Any], fits: Callable[[Place], bool], what: str, key: str = "slot") -> Place:
    if choices.get(key) is not None:
        place = show.stage.place(str(choices[key]))
        if not fits(place):
            raise CannotPlayError(f"place {place.id} is not {what}")
        return place
    found = [place for place in show.stage.places if fits(place)]
    if not found:
        raise CannotPlayError(f"no place is {what}")
    return found[int(show.rng.integers(len(found)))]


def clear(show: RackShow, place: Place) -> bool:
    return show.state(place.id) == "clear"


def stocked(show: RackShow, least: int = 1) -> Callable[[Place], bool]:
    return lambda p: clear(show, p) and len(p.things) >= least


def countable(show: RackShow, least: int = 0, room: int = 0) -> Callable[[Place], bool]:
    return lambda p: (
        clear(show, p) and p.family.kind is SlotKind.COUNTABLE and len(p.things) >= least and len(p.free()) >= room
    )


def some_angle(show: RackShow) -> float:
    dice = show.rng.random()
    if dice < 0.75:
        return float(-np.pi / 2 + show.rng.normal(0, 0.28))
    return float(show.rng.choice([0.0, np.pi]) + show.rng.normal(0, 0.2))


def some_frames(show: RackShow, low: int, high: int) -> int:
    return int(show.rng.integers(low, high + 1))


def reach(show: RackShow, track: Track, x: float, y: float, pose: str = "open") -> None:
    sx, sy = show.seen(x, y)
    track.go(show.rng, sx, sy, some_frames(show, 3, 5), pose)


def take_from(show: RackShow, script: Script, track: Track, place: Place, n: int = 1, pose: str = "pinch") -> None:
    """Reach into `place` and take `n` of its things, one after the other, into the hand."""
    script.touch(place)
    spots = [int(s) for s in show.rng.permutation(sorted(place.things))[:n]]
    for k, spot in enumerate(spots):
        thing = place.things[spot]
        if k == 0:
            reach(show, track, thing.x, thing.y)
        else:
            track.go(show.rng, *show.seen(thing.x, thing.y), 2, "open")
        track.stay(show.rng, some_frames(show, 1, 2), "pinch")
        track.stay(show.rng, 1, pose, lift(show, script, place, spot))


def lift(show: RackShow, script: Script, place: Place, spot: int) -> Do:
    def do(track: Track) -> None:
        thing = place.things.pop(spot, None)
        if thing is None:
            return
        track.held = thing
        rects = [show.stage.rect_of([thing])]
        if place.family.kind is SlotKind.COUNTABLE and not place.family.holes and show.rng.random() < 0.45:
            rects.append(jostle(show, place, 0.012))
        script.note(place, -1, *rects)

    return do


def jostle(show: RackShow, place: Place, share: float) -> Rect:
    """Neighbours are pushed a little."""
    before = show.stage.box_of(place)
    cell = min(place.box[2] - place.box[0], place.box[3] - place.box[1])
    for spot, thing in place.things.items():
        if show.rng.random() < 0.6:
            dx, dy = show.rng.normal(0, cell * share, 2)
            place.things[spot] = thing.moved(float(dx), float(dy), float(show.rng.normal(0, share * 4)))
    return before


def lay(show: RackShow, script: Script, place: Place, spot: int, thing: Thing | None = None) -> Do:
    def do(track: Track) -> None:
        laid = place.put(spot, show.rng, track.held if thing is None else thing)
        track.held = None
        script.note(place, 1, show.stage.rect_of([laid]))

    return do


def bring(show: RackShow, script: Script, track: Track, place: Place, n: int = 1, angle: float | None = None) -> None:
    """Lay `n` pieces of `place`'s item into it; they come in the hand."""
    script.touch(place)
    free = [int(s) for s in show.rng.permutation(place.free())[:n]]
    for k, spot in enumerate(free):
        x, y, _ = place.spots[spot]
        piece = place.family.make(show.rng).to(0, 0, track.arm.angle if angle is None else angle)
        if k == 0:
            if not track.beats:
                track.held = piece
            reach(show, track, x, y, "pinch")
        else:
            track.go(show.rng, *show.seen(x, y), 2, "pinch")
        track.stay(show.rng, some_frames(show, 1, 2), "pinch")
        track.stay(show.rng, 1, "open", lay(show, script, place, spot, piece))


def away(show: RackShow, track: Track) -> None:
    track.leave(show.rng, some_frames(show, 3, 5), "pinch")


def new_track(show: RackShow, script: Script, angle: float | None = None, delay: int = 0) -> Track:
    track = show.track(some_angle(show) if angle is None else angle, delay)
    script.tracks.append(track)
    return track
