"""The cases that a rack must survive, each as a script of arms with what changes when, and its right answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contracts.racks import SlotKind
from vision.rendering.layout import Place, flipped, heap
from vision.rendering.photos import photo_forms, proportion
from vision.rendering.sprites import Rect, union
from vision.rendering.stage import Stage
from vision.rendering.things import Thing
from vision.rendering.tracks import Do, Track
from vision.rendering.truth import Answer, CannotPlayError, Event

if TYPE_CHECKING:
    from vision.rendering.show import RackShow

FREE_SHARE: Final = 0.02
"""A place of which more than this share is hidden is masked."""


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


# --- choosing ----------------------------------------------------------------------------------------------------


def _pick(
    show: RackShow, choices: dict[str, Any], fits: Callable[[Place], bool], what: str, key: str = "slot"
) -> Place:
    if choices.get(key) is not None:
        place = show.stage.place(str(choices[key]))
        if not fits(place):
            raise CannotPlayError(f"place {place.id} is not {what}")
        return place
    found = [place for place in show.stage.places if fits(place)]
    if not found:
        raise CannotPlayError(f"no place is {what}")
    return found[int(show.rng.integers(len(found)))]


def _clear(show: RackShow, place: Place) -> bool:
    return show.state(place.id) == "clear"


def _stocked(show: RackShow, least: int = 1) -> Callable[[Place], bool]:
    return lambda p: _clear(show, p) and len(p.things) >= least


def _countable(show: RackShow, least: int = 0, room: int = 0) -> Callable[[Place], bool]:
    return lambda p: (
        _clear(show, p) and p.family.kind is SlotKind.COUNTABLE and len(p.things) >= least and len(p.free()) >= room
    )


def _angle(show: RackShow) -> float:
    dice = show.rng.random()
    if dice < 0.75:
        return float(-np.pi / 2 + show.rng.normal(0, 0.28))
    return float(show.rng.choice([0.0, np.pi]) + show.rng.normal(0, 0.2))


def _frames(show: RackShow, low: int, high: int) -> int:
    return int(show.rng.integers(low, high + 1))


# --- what hands do -----------------------------------------------------------------------------------------------


def _reach(show: RackShow, track: Track, x: float, y: float, pose: str = "open") -> None:
    sx, sy = show.seen(x, y)
    track.go(show.rng, sx, sy, _frames(show, 3, 5), pose)


def _take_from(show: RackShow, script: Script, track: Track, place: Place, n: int = 1, pose: str = "pinch") -> None:
    """Reach into `place` and take `n` of its things, one after the other, into the hand."""
    script.touch(place)
    spots = [int(s) for s in show.rng.permutation(sorted(place.things))[:n]]
    for k, spot in enumerate(spots):
        thing = place.things[spot]
        if k == 0:
            _reach(show, track, thing.x, thing.y)
        else:
            track.go(show.rng, *show.seen(thing.x, thing.y), 2, "open")
        track.stay(show.rng, _frames(show, 1, 2), "pinch")
        track.stay(show.rng, 1, pose, _lift(show, script, place, spot))


def _lift(show: RackShow, script: Script, place: Place, spot: int) -> Do:
    def do(track: Track) -> None:
        thing = place.things.pop(spot, None)
        if thing is None:
            return
        track.held = thing
        rects = [show.stage.rect_of([thing])]
        if place.family.kind is SlotKind.COUNTABLE and not place.family.holes and show.rng.random() < 0.45:
            rects.append(_jostle(show, place, 0.012))
        script.note(place, -1, *rects)

    return do


def _jostle(show: RackShow, place: Place, share: float) -> Rect:
    """Neighbours are pushed a little."""
    before = show.stage.box_of(place)
    cell = min(place.box[2] - place.box[0], place.box[3] - place.box[1])
    for spot, thing in place.things.items():
        if show.rng.random() < 0.6:
            dx, dy = show.rng.normal(0, cell * share, 2)
            place.things[spot] = thing.moved(float(dx), float(dy), float(show.rng.normal(0, share * 4)))
    return before


def _lay(show: RackShow, script: Script, place: Place, spot: int, thing: Thing | None = None) -> Do:
    def do(track: Track) -> None:
        laid = place.put(spot, show.rng, track.held if thing is None else thing)
        track.held = None
        script.note(place, 1, show.stage.rect_of([laid]))

    return do


def _bring(show: RackShow, script: Script, track: Track, place: Place, n: int = 1, angle: float | None = None) -> None:
    """Lay `n` pieces of `place`'s item into it; they come in the hand."""
    script.touch(place)
    free = [int(s) for s in show.rng.permutation(place.free())[:n]]
    for k, spot in enumerate(free):
        x, y, _ = place.spots[spot]
        piece = place.family.make(show.rng).to(0, 0, track.arm.angle if angle is None else angle)
        if k == 0:
            if not track.beats:
                track.held = piece
            _reach(show, track, x, y, "pinch")
        else:
            track.go(show.rng, *show.seen(x, y), 2, "pinch")
        track.stay(show.rng, _frames(show, 1, 2), "pinch")
        track.stay(show.rng, 1, "open", _lay(show, script, place, spot, piece))


def _away(show: RackShow, track: Track) -> None:
    track.leave(show.rng, _frames(show, 3, 5), "pinch")


def _track(show: RackShow, script: Script, angle: float | None = None, delay: int = 0) -> Track:
    track = show.track(_angle(show) if angle is None else angle, delay)
    script.tracks.append(track)
    return track


# --- the cases ---------------------------------------------------------------------------------------------------


def _take(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = _pick(show, choices, _stocked(show), "stocked and clear")
    track = _track(show, script)
    _take_from(show, script, track, place)
    _away(show, track)


def _take_several(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    n = int(choices.get("n") or show.rng.integers(2, 5))
    place = _pick(show, choices, _stocked(show, 2), "stocked with two")
    track = _track(show, script)
    _take_from(show, script, track, place, min(n, len(place.things)))
    _away(show, track)


def _take_slots(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    fits = [p for p in show.stage.places if _stocked(show)(p)]
    if len(fits) < 2:
        raise CannotPlayError("fewer than two places are stocked and clear")
    wanted = choices.get("slots")
    n = int(choices.get("n") or show.rng.integers(2, 4))
    chosen = [show.stage.place(s) for s in wanted] if wanted else [fits[i] for i in show.rng.permutation(len(fits))[:n]]
    track = _track(show, script)
    for place in chosen:
        _take_from(show, script, track, place, int(show.rng.integers(1, min(2, len(place.things)) + 1)))
    _away(show, track)


def _put_back(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = _pick(show, choices, lambda p: _clear(show, p) and bool(p.free()), "clear with room")
    track = _track(show, script)
    _bring(show, script, track, place, int(choices.get("n") or 1))
    _away(show, track)


def _wrong_slot(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    goal = _pick(
        show,
        choices,
        lambda p: _clear(show, p) and bool(p.free()) and not p.family.holes,
        "clear with room",
        "to",
    )
    strangers = [
        p
        for p in show.stage.places
        if _stocked(show)(p)
        and p.family.form != goal.family.form
        and p.family.size < 1.3 * max(goal.box[2] - goal.box[0], goal.box[3] - goal.box[1])
    ]
    if not strangers:
        raise CannotPlayError("no place holds an item unlike that one")
    source = strangers[int(show.rng.integers(len(strangers)))]
    track = _track(show, script)
    if show.rng.random() < 0.5:
        _take_from(show, script, track, source)
    else:
        track.held = source.family.make(show.rng).to(0, 0, track.arm.angle)
    spot = goal.free()[0]
    _leave_guest(show, script, track, goal, spot, None)
    _away(show, track)


def _leave_guest(show: RackShow, script: Script, track: Track, place: Place, spot: int, thing: Thing | None) -> None:
    x, y, angle = place.spots[spot]
    _reach(show, track, x, y, "pinch")
    track.stay(show.rng, _frames(show, 1, 2), "pinch")

    def do(track: Track) -> None:
        guest = thing or track.held
        if guest is None:
            return
        guest = guest.to(x, y, angle + float(show.rng.normal(0, 0.3)))
        place.guests.append(guest)
        track.held = None
        script.note(place, 0, show.stage.rect_of([guest]))

    track.stay(show.rng, 1, "open", do)


def _foreign_left(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = _pick(show, choices, lambda p: _clear(show, p) and bool(p.free()) and not p.family.holes, "clear with room")
    thing = odd_thing(show.rng, place, show.photos)
    track = _track(show, script)
    track.held = thing.to(0, 0, track.arm.angle)
    _leave_guest(show, script, track, place, place.free()[0], thing)
    _away(show, track)


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


def _two_hands(show: RackShow, script: Script, _: dict[str, Any]) -> None:
    fits = [p for p in show.stage.places if _stocked(show)(p)]
    if len(fits) < 2:
        raise CannotPlayError("fewer than two places are stocked and clear")
    pair = sorted((fits[i] for i in show.rng.permutation(len(fits))[:2]), key=lambda p: p.centre[0])
    base = float(-np.pi / 2 + show.rng.normal(0, 0.1))
    for k, place in enumerate(pair):
        track = _track(show, script, base + (0.22 if k == 0 else -0.22), _frames(show, 0, 4) * k)
        _take_from(show, script, track, place)
        _away(show, track)


def _two_people(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    taker = _pick(show, choices, _stocked(show), "stocked and clear")
    other = _pick(show, {}, lambda p: _clear(show, p) and bool(p.free()) and p is not taker, "clear with room")
    first = _track(show, script, float(-np.pi / 2 + show.rng.normal(0, 0.2)))
    _take_from(show, script, first, taker)
    _away(show, first)
    side = float(show.rng.choice([0.0, np.pi, np.pi / 2]) + show.rng.normal(0, 0.15))
    second = _track(show, script, side, _frames(show, 0, 5))
    _bring(show, script, second, other)
    _away(show, second)


def _forearm(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    take = bool(choices.get("take", show.rng.random() < 0.5))
    fits = sorted((p for p in show.stage.places if _stocked(show)(p)), key=lambda p: p.centre[1])
    if not fits:
        raise CannotPlayError("no place is stocked and clear")
    place = fits[int(show.rng.integers(max(1, len(fits) // 2)))]
    track = _track(show, script, float(-np.pi / 2 + show.rng.normal(0, 0.2)))
    if take:
        _take_from(show, script, track, place)
        track.stay(show.rng, _frames(show, 5, 9), "pinch")
    else:
        _reach(show, track, *place.centre, "rest")
        track.stay(show.rng, _frames(show, 7, 11), "rest")
        script.touch(place)
    _away(show, track)


def _box_taken(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = _pick(
        show,
        choices,
        lambda p: _clear(show, p) and bool(p.things) and p.family.kind is SlotKind.PRESENCE,
        "presence-only with its thing",
    )
    track = _track(show, script)
    _take_from(show, script, track, place, pose="grip")
    _away(show, track)


def _moved_between(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    pairs = [
        (a, b)
        for a in show.stage.places
        for b in show.stage.places
        if a is not b and a.family == b.family and _stocked(show)(a) and _clear(show, b) and b.free()
    ]
    if choices.get("slot") is not None:
        pairs = [(a, b) for a, b in pairs if a.id == choices["slot"]]
    if not pairs:
        raise CannotPlayError("no two places hold the same item, one stocked and one with room")
    source, goal = pairs[int(show.rng.integers(len(pairs)))]
    track = _track(show, script)
    _take_from(show, script, track, source)
    spot = goal.free()[0]
    x, y, _ = goal.spots[spot]
    _reach(show, track, x, y, "pinch")
    track.stay(show.rng, _frames(show, 1, 2), "pinch")
    track.stay(show.rng, 1, "open", _lay(show, script, goal, spot))
    script.transfer = (source.id, goal.id, 1)
    _away(show, track)


def _stir(change: Callable[[RackShow, Place], None], fits: Callable[[Place], bool], what: str) -> Build:
    """A case where things stay in their place and only lie otherwise."""

    def build(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
        place = _pick(show, choices, lambda p: _clear(show, p) and bool(p.things) and fits(p), what)
        track = _track(show, script)
        target = next(iter(place.things.values()))
        _reach(show, track, target.x, target.y)
        track.stay(show.rng, _frames(show, 2, 3), "pinch")

        def do(_: Track) -> None:
            change(show, place)
            script.note(place, 0, show.stage.box_of(place))

        track.stay(show.rng, _frames(show, 2, 3), "pinch", do)
        _away(show, track)

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


def _left_over(form: str) -> Build:
    """A rag, a glove or swarf is left lying over places."""

    def build(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
        place = _pick(show, choices, lambda p: _clear(show, p), "clear")
        thing = litter(show.rng, form, place).to(
            place.centre[0] + float(show.rng.normal(0, 12)),
            place.centre[1] + float(show.rng.normal(0, 12)),
            float(show.rng.uniform(0, 6.28)),
        )
        track = _track(show, script)
        if form != "swarf":
            track.held = replace(thing, x=0.0, y=0.0)
        _reach(show, track, thing.x, thing.y, "grip")
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
        _away(show, track)

    return build


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


def _cleared(show: RackShow, script: Script, _: dict[str, Any]) -> None:
    stage = show.stage
    guests = [p for p in stage.places if p.guests or p.stacked()]
    opened = [p for p in stage.places if p.opened]
    if not (stage.litter or guests or opened):
        raise CannotPlayError("nothing is left over the rack")
    track = _track(show, script)
    for thing in list(stage.litter):
        _reach(show, track, thing.x, thing.y)
        track.stay(show.rng, 1, "grip")

        def lift(track: Track, thing: Thing = thing) -> None:
            rect = stage.rect_of([thing])
            for place in stage.places:
                if stage.covered(place, thing) > 0:
                    script.touch(place)
                    script.unsure.add(place.id)
            stage.litter.remove(thing)
            track.held = replace(thing, x=0.0, y=0.0)
            script.note(None, 0, rect)

        track.stay(show.rng, 1, "grip", lift)
    for place in guests:
        _reach(show, track, *place.centre)
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
        _reach(show, track, *place.centre)
        track.stay(show.rng, 1, "grip", _shut(show, script, place))
        script.unsure.add(place.id)
    _away(show, track)


def _shut(show: RackShow, script: Script, place: Place) -> Do:
    def do(_: Track) -> None:
        place.opened = not place.opened
        for spot, thing in place.things.items():
            place.things[spot] = replace(thing, flipped=place.opened, seed=thing.seed + 1)
        script.note(place, 0, show.stage.box_of(place))

    return do


def _stacked(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = _pick(
        show,
        choices,
        lambda p: _countable(show, 1)(p) and not p.family.holes,
        "countable, stocked, and not of holes",
    )
    spot, laid = _on_top(show.rng, place)
    track = _track(show, script)
    track.held = laid.to(0, 0, track.arm.angle)
    _reach(show, track, laid.x, laid.y, "pinch")
    track.stay(show.rng, _frames(show, 1, 3), "pinch")

    def do(track: Track) -> None:
        track.held = None
        place.things[spot] = laid
        script.note(place, 1, show.stage.rect_of([laid]))

    track.stay(show.rng, 1, "open", do)
    _away(show, track)


def stack(rng: np.random.Generator, place: Place) -> None:
    """Lay a piece of its own on another one of `place`."""
    spot, laid = _on_top(rng, place)
    place.things[spot] = laid


def _on_top(rng: np.random.Generator, place: Place) -> tuple[int, Thing]:
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


def _lid_opened(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = _pick(
        show,
        choices,
        lambda p: p.family.form in {"box", "lidbox"} and bool(p.things) and show.state(p.id) in {"clear", "hidden"},
        "a box that is shut",
    )
    script.touch(place)
    track = _track(show, script)
    _reach(show, track, *place.centre, "grip")
    track.stay(show.rng, _frames(show, 2, 3), "grip", _shut(show, script, place))
    track.stay(show.rng, _frames(show, 3, 4), "pinch")
    if place.hidden and show.rng.random() < 0.5:
        track.stay(show.rng, 2, "grip", _shut(show, script, place))
    _away(show, track)


def _heap_touched(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = _pick(show, choices, lambda p: p.family.klass == "bulk", "a heap")
    script.touch(place)
    track = _track(show, script)
    _reach(show, track, *place.centre)
    track.stay(show.rng, _frames(show, 2, 4), "pinch")

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
    _away(show, track)


def _nothing(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    fits = [p for p in show.stage.places if _clear(show, p)]
    if not fits:
        raise CannotPlayError("no place is clear")
    track = _track(show, script)
    chosen = (
        [show.stage.place(str(choices["slot"]))]
        if choices.get("slot")
        else [fits[i] for i in show.rng.permutation(len(fits))[: int(show.rng.integers(1, 4))]]
    )
    for place in chosen:
        dx, dy = show.rng.normal(0, 10, 2)
        _reach(show, track, place.centre[0] + float(dx), place.centre[1] + float(dy), "open")
        track.stay(show.rng, _frames(show, 2, 5), str(show.rng.choice(["open", "pinch", "rest"])))
        script.touch(place)
    _away(show, track)


def _take_and_put_back(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    place = _pick(show, choices, _stocked(show), "stocked and clear")
    spot = sorted(place.things)[int(show.rng.integers(len(place.things)))]
    thing = place.things[spot]
    track = _track(show, script)
    script.touch(place)
    _reach(show, track, thing.x, thing.y)
    track.stay(show.rng, 2, "pinch", _lift(show, script, place, spot))
    x, y, _ = place.spots[spot]
    sx, sy = show.seen(thing.x, thing.y)
    if show.rng.random() < 0.5:
        track.go(show.rng, sx + 60, sy + 90, 3, "pinch")
    track.go(show.rng, *show.seen(x, y), 2, "pinch")
    track.stay(show.rng, 2, "open", _lay(show, script, place, spot))
    _away(show, track)


def _restock(show: RackShow, script: Script, choices: dict[str, Any]) -> None:
    fits = [p for p in show.stage.places if _clear(show, p) and p.free()]
    if len(fits) < 2:
        raise CannotPlayError("fewer than two places have room")
    n = int(choices.get("n") or show.rng.integers(3, 7))
    track = _track(show, script)
    for i in show.rng.permutation(len(fits))[:n]:
        place = fits[int(i)]
        _bring(show, script, track, place, int(show.rng.integers(1, 4)))
    _away(show, track)


_BUILD: Final[dict[str, Build]] = {
    "take": _take,
    "take_several": _take_several,
    "take_slots": _take_slots,
    "put_back": _put_back,
    "wrong_slot": _wrong_slot,
    "foreign_left": _foreign_left,
    "two_hands": _two_hands,
    "two_people": _two_people,
    "forearm": _forearm,
    "box_taken": _box_taken,
    "moved_between": _moved_between,
    "turned_over": _stir(_turn_over, lambda p: p.family.klass == "insert", "an insert's, stocked and clear"),
    "slid": _stir(_slide, lambda p: not p.family.holes, "stocked, clear and not of holes"),
    "nudged": _stir(_nudge, lambda _: True, "stocked and clear"),
    "rag_left": _left_over("rag"),
    "glove_left": _left_over("glove"),
    "swarf_left": _left_over("swarf"),
    "cleared": _cleared,
    "stacked": _stacked,
    "lid_opened": _lid_opened,
    "heap_touched": _heap_touched,
    "nothing": _nothing,
    "take_and_put_back": _take_and_put_back,
    "restock": _restock,
}
