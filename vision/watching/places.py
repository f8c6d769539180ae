"""The places of one rack between two looks: the book, and what the judge remembers of each place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.racks import SlotKind
from vision.appearance import Look, compare
from vision.detectors.base import Frame
from vision.judging import Crop, Judge, Judgement, MemoryProblemError, SlotMemory, level_points, rack_level, take_crop
from vision.judging.taught import look_of, nearest_looks
from vision.slots import Rack, Slot
from vision.watching.rules import Entry, Occasion, Outcome, Place, View, readable, say_count, settle
from vision.watching.said import PlaceSeen

log = logging.getLogger(__name__)

_CONFIRM_S = 1.0

Points = npt.NDArray[np.float32]


@dataclass
class Stills:
    """Clear frames of one moment, and where the rack lies in them (taught → these frames).

    Attributes:
        frames: (H, W, 3) uint8 BGR each, oldest first.
        homography: (3, 3).
        points: where the light is measured (`vision.judging.level_points`).
    """

    frames: Sequence[Frame]
    homography: npt.NDArray[np.float64]
    points: Points
    _levels: list[float] = field(default_factory=list)

    def of(self, slot: Slot) -> list[Crop]:
        """The place, once a frame."""
        moved = None if np.array_equal(self.homography, np.eye(3)) else self.homography
        if not self._levels:
            self._levels = [rack_level(frame, self.points, moved) for frame in self.frames]
        return [take_crop(f, slot, moved, level) for f, level in zip(self.frames, self._levels, strict=True)]


class Places:
    """Book and memories.

    Args:
        rack: the places.
        judge: says what happened to one.
    """

    def __init__(self, rack: Rack, judge: Judge) -> None:
        self.rack = rack
        self.judge = judge
        self.book: dict[str, Entry] = {}
        self.points = level_points(rack)
        self._described = {s.id: Place(s.id, s.item, s.klass, s.kind, s.capacity) for s in rack.slots}
        self._memories: dict[str, SlotMemory] = {}
        self._covers: dict[str, Look] = {}
        self._suspects: dict[str, tuple[float, tuple[Any, ...]]] = {}
        self._previous: dict[str, npt.NDArray[np.uint8]] = {}
        self._dumped: dict[str, tuple[SlotMemory, dict[str, Any]]] = {}

    @property
    def known(self) -> bool:
        """Whether every place has been taught or restored."""
        return all(slot.id in self._memories for slot in self.rack.slots)

    @property
    def counts(self) -> dict[str, int]:
        """Slot → count of the book, places without one left out."""
        return {slot_id: entry.count for slot_id, entry in self.book.items() if entry.count is not None}

    def look(
        self,
        slots: Iterable[Slot],
        stills: Stills,
        occasion: Occasion,
        moment: Callable[[Slot], float],
        covered: Collection[str] = (),
        passed: Collection[str] = (),
    ) -> Outcome:
        """Judge some places now.

        Args:
            slots: which.
            stills: one to five frames.
            occasion: why.
            moment: when a place changed, seconds.
            covered: places that lie under an arm in these frames: not judged, masked.
            passed: hidden places over which an arm only passed: touched if they look otherwise than before.
        """
        views, judged, looks = [], {}, {}
        for slot in slots:
            if slot.id in covered:
                self.book.setdefault(slot.id, Entry(slot.count))
                self._covers[slot.id] = look_of(stills.of(slot))
                views.append(View(slot.id, None, "none", "masked", why="an arm lies over it", at=moment(slot)))
                continue
            crops = stills.of(slot)
            judgement = self._judge(slot, crops, occasion, slot.id in passed)
            if judgement is not None:
                judged[slot.id] = judgement
                looks[slot.id] = look_of(crops)
                views.append(self._view(slot, judgement, moment(slot)))
        return self._entered(views, judged, looks, occasion)

    def check(self, slot: Slot, stills: Stills, ts: float) -> Outcome | None:
        """Look at one place although nobody came. What seems to have changed is looked at again later before it is
        said; None while there is nothing to say.
        """
        first, seen = self._suspects.get(slot.id, (ts, None))
        if seen is not None and ts - first < _CONFIRM_S:
            return None
        crops = stills.of(slot)
        judgement = self._judge(slot, crops, Occasion.CHECK)
        if judgement is None:
            return None
        view = self._view(slot, judgement, ts)
        outcome = settle(self.book, self._described, [view], Occasion.CHECK)
        same = not (outcome.changes or outcome.asks or outcome.lost or outcome.freed)
        key = (view.count, view.state, view.mode)
        if not same and key != seen:
            self._suspects[slot.id] = (ts, key)
            return None
        self._suspects.pop(slot.id, None)
        outcome = self._entered([view], {slot.id: judgement}, {slot.id: look_of(crops)}, Occasion.CHECK)
        return None if same else outcome

    def suspects(self, ts: float) -> list[Slot]:
        """Places that `check` must look at a second time, and may by now."""
        return [s for s in self.rack.slots if s.id in self._suspects and ts - self._suspects[s.id][0] >= _CONFIRM_S]

    def say(self, slot: Slot, count: int, stills: Stills | None) -> None:
        """A person said what lies in a place; `stills` show it, None when it cannot be seen now."""
        entry, memory = self.book[slot.id], self._memories.get(slot.id)
        self.book = say_count(self.book, slot.id, count)
        self._suspects.pop(slot.id, None)
        if memory is None:
            return
        if stills is None or entry.state in ("masked", "foreign") or slot.id in self._covers:
            self._memories[slot.id] = replace(memory, count=count, declared=True)
        else:
            told = self.judge.learn(slot, stills.of(slot), count)
            # how it looked with as many before stays known: a stray thing may lie there now, and go again
            former = {**told.looks, **({} if memory.count is None else {memory.count: memory.look}), **memory.looks}
            self._memories[slot.id] = replace(told, looks=nearest_looks(former, count))
            if entry.state == "unlike":
                self.book[slot.id] = Entry(count)

    def seen(self, slots: Iterable[str]) -> tuple[PlaceSeen, ...]:
        """Places as a reading gives them."""
        return tuple(self._seen(slot_id) for slot_id in slots)

    def before(self, slot: Slot) -> npt.NDArray[np.uint8] | None:
        """The place as it was remembered before the last look at it, a small BGR picture."""
        return self._previous.get(slot.id)

    def told(self, slot: Slot, count: int) -> None:
        """A person's word about a place that has not been looked at yet."""
        self.book[slot.id] = Entry(count)

    def shift_times(self, by: float) -> None:
        """Move every time in the book, seconds."""
        self.book = {
            slot_id: entry if entry.since is None else replace(entry, since=entry.since + by)
            for slot_id, entry in self.book.items()
        }

    def dump(self, since: Callable[[float], float] = lambda t: t) -> dict[str, Any]:
        """The book and the memories, JSON-able; `since` turns a time of the frames' clock into the one to store."""
        out = {}
        for slot in self.rack.slots:
            entry = self.book.get(slot.id)
            if entry is None:
                continue
            raw: dict[str, Any] = {"polygon": _corners(slot), "count": entry.count, "state": entry.state}
            if entry.since is not None:
                raw["since"] = round(since(entry.since), 1)
            memory = self._memories.get(slot.id)
            if memory is not None:
                cached = self._dumped.get(slot.id)
                if cached is None or cached[0] is not memory:
                    cached = self._dumped[slot.id] = (memory, self.judge.dump(memory))
                raw["memory"] = cached[1]
            out[slot.id] = raw
        return out

    def load(self, raw: Mapping[str, Any], since: Callable[[float], float] = lambda t: t) -> None:
        """Go on from a `dump`. A place whose polygon is another one keeps its count and is taught its look anew.

        Args:
            raw: the dump.
            since: turns a stored time into one on the present clock.

        Raises:
            KeyError, TypeError, ValueError: damaged.
        """
        for slot in self.rack.slots:
            mine = raw.get(slot.id)
            if mine is None:
                continue
            count, stored = mine["count"], mine.get("since")
            entry = Entry(
                None if count is None else int(count), mine["state"], None if stored is None else since(stored)
            )
            self.book[slot.id] = entry
            if mine["polygon"] != _corners(slot) or "memory" not in mine:
                self.book[slot.id] = Entry(entry.count)
                continue
            try:
                self._memories[slot.id] = self.judge.load(slot, mine["memory"])
            except MemoryProblemError as problem:
                log.warning("slot %s keeps its count and is taught its look anew: %s", slot.id, problem)

    def doubt(self) -> None:
        """Whatever the counts were, they are not known to be what was said (an old snapshot): none is in the book."""
        self.book = {slot_id: replace(entry, count=None) for slot_id, entry in self.book.items()}

    def _judge(self, slot: Slot, crops: list[Crop], occasion: Occasion, passed: bool = False) -> Judgement | None:
        """The judgement; None when there is nothing to judge: taught only now, as unreadable as before, a heap nobody
        touched.
        """
        cover = self._covers.get(slot.id)
        if cover is not None and compare(cover, look_of(crops)).verdict == "same":
            return None
        memory = self._memories.get(slot.id)
        if memory is None:
            self._learn(slot, crops)
            return None
        untouched = passed or occasion not in (Occasion.SESSION, Occasion.RESTOCKING)
        if slot.kind is SlotKind.HIDDEN and untouched:
            same = compare(memory.look, look_of(crops)).verdict == "same"
            if same or occasion is Occasion.CHECK:
                return None
        return self.judge.judge(slot, memory, crops)

    def _learn(self, slot: Slot, crops: list[Crop]) -> None:
        entry = self.book.get(slot.id)
        told = self.judge.learn(slot, crops, slot.count if entry is None else entry.count)
        hidden = slot.kind is SlotKind.HIDDEN
        count = told.count if entry is None or entry.count is None else entry.count
        self._memories[slot.id] = told
        self.book[slot.id] = Entry(count, "hidden" if hidden else told.state)

    def _view(self, slot: Slot, judgement: Judgement, at: float) -> View:
        memory = self._memories[slot.id]
        return View(
            slot=slot.id,
            count=judgement.after,
            mode=judgement.mode,
            state=judgement.state,
            reason=judgement.reason,
            confidence=min(max(judgement.confidence, 0.0), 1.0),
            why=judgement.why,
            at=at,
            assumed=None if memory.declared else judgement.before,
            guess=judgement.guess,
        )

    def _entered(
        self, views: list[View], judged: Mapping[str, Judgement], looks: Mapping[str, Look], occasion: Occasion
    ) -> Outcome:
        outcome = settle(self.book, self._described, views, occasion)
        self.book = outcome.book
        for slot_id, judgement in judged.items():
            if self.book[slot_id].state == "seen" or self.book[slot_id].state == "hidden":
                self._covers.pop(slot_id, None)
            else:
                self._covers[slot_id] = looks[slot_id]
            self._suspects.pop(slot_id, None)
            count = self.book[slot_id].count
            memory = judgement.memory
            if self.book[slot_id].state == "hidden":  # asked once, a heap is compared with how it lies now
                memory = replace(memory, look=looks[slot_id])
            self._previous[slot_id] = self._memories[slot_id].picture
            self._memories[slot_id] = memory if memory.count == count else replace(memory, count=count)
        return outcome

    def _seen(self, slot_id: str) -> PlaceSeen:
        place, entry = self._described[slot_id], self.book[slot_id]
        memory = self._memories.get(slot_id)
        if not readable(place, entry):
            state = "hidden" if place.kind is SlotKind.HIDDEN and entry.state == "seen" else entry.state
            return PlaceSeen(slot_id, None, state, entry.since, confidence=0.0)
        present = entry.count > 0 if place.kind is SlotKind.PRESENCE and entry.count is not None else None
        confidence = 1.0 if memory is None else min(max(memory.confidence, 0.0), 1.0)
        state = "seen" if entry.count is not None else "unreadable"
        return PlaceSeen(slot_id, entry.count, state, None, present, confidence)


def _corners(slot: Slot) -> list[list[float]]:
    return [[round(float(x), 1), round(float(y), 1)] for x, y in slot.polygon]
