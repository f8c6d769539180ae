"""The rack of a play: what truly lies there, and what its camera says.

`NumberFloor` has no pictures: judgements are drawn (how often a doubt, a miss, a wrong number) and go through the real
rules of `vision.watching`. `PixelFloor` plays a rendered rack before the real watcher. Both are restarted from the
snapshot that was saved with the facts, or from the one before when the facts were lost with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from contracts.facts import ReadReason
from contracts.racks import RackDescription, SlotDescription, SlotKind
from vision.evaluation.playing import Heard, NotLearntError, Stage
from vision.evaluation.stages import Eyes
from vision.rendering.truth import CannotPlayError
from vision.slots import Rack
from vision.watching.rules import Entry, Occasion, Outcome, Place, View, readable, say_count, settle
from vision.watching.said import ModeChange, PlaceSeen, Reading, Said, SlotAsk, SlotChange

_SESSION_S = 8.0
_CASES: Mapping[str, float] = {"take": 0.5, "take_several": 0.1, "take_slots": 0.15, "put_back": 0.15, "nothing": 0.1}
_READING_S = 300.0


@dataclass
class Happening:
    """What was said in one stretch, and what truly moved."""

    said: list[Said] = field(default_factory=list)
    deltas: Counter[str] = field(default_factory=Counter)


class Floor(Protocol):
    """One rack. Times are seconds of the play's clock, set by whoever plays."""

    ts: float

    @property
    def rack(self) -> Rack: ...

    def truth(self) -> dict[str, int]: ...

    def begin(self) -> Happening: ...

    def session(self) -> Happening: ...

    def blind(self, sessions: int) -> Happening:
        """A fault, picks inside, its end, the catching up."""
        ...

    def restart(self, sessions: int, *, lose: bool) -> Happening:
        """The watcher is killed (`lose`: before its last words were saved), picks meanwhile, it starts again."""
        ...

    def restock(self) -> Happening:
        """Mode rangement: many places filled, no movements, one reading at its end."""
        ...

    def look(self) -> Happening:
        """Nobody is there for a while: what the watcher says by itself, a whole reading at the latest."""
        ...

    def tell(self, slot: str, count: int) -> None: ...

    def save(self) -> None:
        """What was said is on disk, and the snapshot with it."""
        ...


@dataclass(frozen=True)
class Rates:
    """Drawn per changed place: `asked` (a question or a proposal), `missed`, `wrong` (booked). The rest is right."""

    asked: float = 0.06
    missed: float = 0.0
    wrong: float = 0.0


class NumberFloor:
    """Counts alone; see `Rates`."""

    def __init__(self, seed: int, slots: int, rates: Rates, items: int = 30) -> None:
        self.rng = np.random.default_rng((seed, 61))
        self.rates = rates
        self.ts = 0.0
        square = [(0.0, 0.0), (60.0, 0.0), (60.0, 60.0), (0.0, 60.0)]
        described = [
            SlotDescription(
                id=f"{chr(65 + n // 8)}{n % 8 + 1}", polygon=square, item=f"ART-{n % items:03d}", count=6, capacity=12
            )
            for n in range(slots)
        ]
        self.rack = Rack.of(RackDescription(slots=described))
        self._places = {s.id: Place(s.id, s.item, s.klass, s.kind, s.capacity) for s in self.rack.slots}
        self._true = {s.id: 6 for s in self.rack.slots}
        self._book: dict[str, Entry] = {s.id: Entry(6) for s in self.rack.slots}
        self._saved = dict(self._book)
        self._session = 0
        self._read_at = 0.0

    def truth(self) -> dict[str, int]:
        return dict(self._true)

    def begin(self) -> Happening:
        return Happening([ModeChange("counting", "ok", self.ts), self._reading("start", list(self._true))])

    def session(self) -> Happening:
        happening = Happening(deltas=self._move())
        self.ts += _SESSION_S
        self._session += 1
        views = [self._view(slot) for slot in happening.deltas]
        happening.said = self._settled(views, Occasion.SESSION, self._session)
        return happening

    def blind(self, sessions: int) -> Happening:
        happening = Happening([ModeChange("blind", "covered", self.ts)])
        self._meanwhile(sessions, happening)
        happening.said += self._catch_up("uncovered")
        return happening

    def restart(self, sessions: int, *, lose: bool) -> Happening:
        happening = Happening()
        if lose:
            self._book = dict(self._saved)
        self._meanwhile(sessions, happening)
        happening.said += self._catch_up("start")
        return happening

    def restock(self) -> Happening:
        happening = Happening([ModeChange("restocking", "ok", self.ts)])
        for slot, count in self._true.items():
            if count < 4:
                happening.deltas[slot] = 8 - count
                self._true[slot] = 8
        self.ts += 300.0
        views = [self._view(slot, sure=True) for slot in self._true]
        happening.said += self._settled(views, Occasion.RESTOCKING, 0, readings=False)
        happening.said += [ModeChange("counting", "ok", self.ts), self._reading("restocked", list(self._true))]
        return happening

    def look(self) -> Happening:
        """The sweep and the reading of a quiet rack."""
        self.ts += 30.0
        views = [self._view(slot) for slot, true in self._true.items() if self._book[slot].count != true]
        said = self._settled(views, Occasion.CHECK, 0)
        if self.ts - self._read_at >= _READING_S:
            said.append(self._reading("clear", list(self._true)))
        return Happening(said)

    def tell(self, slot: str, count: int) -> None:
        self._book = say_count(self._book, slot, count)
        self._saved = say_count(self._saved, slot, count)

    def save(self) -> None:
        self._saved = dict(self._book)

    def _move(self) -> Counter[str]:
        """One person's session."""
        kind = str(self.rng.choice(list(_CASES), p=list(_CASES.values())))
        full = [s for s, n in self._true.items() if n > 2]
        deltas: Counter[str] = Counter()
        for _ in range({"take_slots": int(self.rng.integers(2, 4)), "nothing": 0}.get(kind, 1)):
            if kind == "put_back" or not full:
                room = [s for s, n in self._true.items() if n < 10]
                deltas[room[int(self.rng.integers(len(room)))]] += 1
            else:
                slot = full[int(self.rng.integers(len(full)))]
                deltas[slot] -= 2 if kind == "take_several" else 1
        for slot, delta in list(deltas.items()):
            self._true[slot] += delta
            if self._true[slot] < 0:
                deltas[slot] -= self._true[slot]
                self._true[slot] = 0
        return Counter({slot: delta for slot, delta in deltas.items() if delta})

    def _meanwhile(self, sessions: int, happening: Happening) -> None:
        for _ in range(sessions):
            for slot, delta in self._move().items():
                happening.deltas[slot] += delta
            self.ts += _SESSION_S
        self.ts += 30.0

    def _catch_up(self, why: ReadReason) -> list[Said]:
        views = [self._view(slot, sure=True) for slot in self._true]
        said = self._settled(views, Occasion.ABSENCE, 0, readings=False)
        return [*said, ModeChange("counting", "ok", self.ts), self._reading(why, list(self._true))]

    def _view(self, slot: str, *, sure: bool = False) -> View:
        """The judge's answer; `sure`: a whole look at rest makes no miss that it did not make before."""
        true, known = self._true[slot], self._book[slot].count
        draw = self.rng.random()
        rates = self.rates
        if known == true:
            return View(slot, true, "none", at=self.ts)
        if not sure and draw < rates.missed:
            return View(slot, known, "none", at=self.ts)
        if not sure and draw < rates.missed + rates.wrong:
            return View(slot, true + 1, "auto", at=self.ts, why="drawn wrong")
        if draw < rates.missed + rates.wrong + rates.asked:
            if self.rng.random() < 0.5:
                return View(slot, None, "ask", "stacked", "stacked", 0.3, "drawn doubt", self.ts, guess=true)
            return View(slot, true, "review", confidence=0.5, why="drawn doubt", at=self.ts)
        return View(slot, true, "auto", confidence=0.95, at=self.ts)

    def _settled(self, views: Sequence[View], occasion: Occasion, session: int, readings: bool = True) -> list[Said]:
        outcome = settle(self._book, self._places, views, occasion)
        self._book = dict(outcome.book)
        said = _words(outcome, self.ts, session)
        if readings and views:
            said.append(self._reading("clear", [view.slot for view in views], session))
        return said

    def _reading(self, why: ReadReason, slots: Sequence[str], session: int = 0) -> Reading:
        seen = []
        for slot in slots:
            entry, place = self._book[slot], self._places[slot]
            count = entry.count if readable(place, entry) else None
            seen.append(PlaceSeen(slot, count, entry.state, entry.since))
        if len(slots) == len(self._true):
            self._read_at = self.ts
        return Reading(why, self.ts, tuple(seen), session, len(slots) == len(self._true), "drawn")


def _words(outcome: Outcome, ts: float, session: int) -> list[Said]:
    said: list[Said] = [
        SlotChange(
            c.slot, c.delta, c.before, c.after, c.confidence, c.mode, c.at, ts - _SESSION_S, ts, session, b"", b"",
            "drawn", c.why, c.during_absence, c.transfer,
        )
        for c in outcome.changes
    ]  # fmt: skip
    said += [
        SlotAsk(
            a.slot, a.reason, a.before, a.guess, a.confidence, a.at, ts - _SESSION_S, ts, session, b"", b"", "drawn",
            a.why, a.during_absence,
        )
        for a in outcome.asks
    ]  # fmt: skip
    return said


class PixelFloor:
    """A rendered rack before the real watcher; the frames between sessions are left out, the clock goes on."""

    _FAULTS: tuple[tuple[str, float], ...] = (("covered", 1.0), ("dark", 0.05), ("frozen", 0.0))

    def __init__(self, seed: int, slots: int, eyes: Eyes, size: tuple[int, int] = (1920, 1080)) -> None:
        self.rng = np.random.default_rng((seed, 67))
        self._stage: Stage = eyes.stage(seed, slots, size)
        self.rack = Rack.of(self._stage.show.description)
        self._saved: dict[str, Any] = {}

    @property
    def ts(self) -> float:
        return self._stage.ts

    @ts.setter
    def ts(self, seconds: float) -> None:
        self._stage.ts = seconds

    def truth(self) -> dict[str, int]:
        return {slot: count for slot, count in self._stage.show.truth.items() if count is not None}

    def begin(self) -> Happening:
        return Happening(self._stage.begin().said)

    def session(self) -> Happening:
        return self._between(self._stage.play)

    def blind(self, sessions: int) -> Happening:
        kind, amount = self._FAULTS[int(self.rng.integers(len(self._FAULTS)))]
        before = self.truth()
        heard = [self._awake(), self._stage.fault(kind, amount, 30)]
        heard += [self._any(lambda case: self._stage.play(case, patient=False)) for _ in range(sessions)]
        heard.append(self._stage.clear_fault())
        heard.append(self._stage.settle(frames=30))
        return self._happening(before, heard)

    def restart(self, sessions: int, *, lose: bool) -> Happening:
        before = self.truth()
        for _ in range(sessions):
            self._any(lambda case: self._stage.away(case, 20.0))
        self._stage.restart(self._saved if lose else None)
        try:
            heard = [self._stage.begin()]
        except NotLearntError:  # it goes on learning in the frames that come
            heard = []
        return self._happening(before, heard)

    def restock(self) -> Happening:
        before = self.truth()
        heard = [self._awake(), self._stage.mode("restocking")]
        for _ in range(3):
            try:
                heard.append(self._stage.play("restock"))
            except CannotPlayError:
                break
        heard += [self._stage.mode("counting"), self._stage.settle(frames=10)]
        return self._happening(before, heard)

    def look(self) -> Happening:
        self._stage.pass_time(2.0)
        return Happening(self._stage.settle(frames=12).said)

    def tell(self, slot: str, count: int) -> None:
        self._stage.eye.set_count(slot, count)

    def save(self) -> None:
        self._saved = self._stage.eye.snapshot()

    def _between(self, play: Any) -> Happening:
        before = self.truth()
        return self._happening(before, [self._awake(), self._any(play)])

    def _awake(self) -> Heard:
        """Some clear frames after the frames that were left out, so that what comes is no absence."""
        return self._stage.settle(frames=8)

    def _any(self, play: Any) -> Heard:
        for case in self.rng.choice(list(_CASES), size=8, p=list(_CASES.values())):
            try:
                heard: Heard = play(str(case))
            except CannotPlayError:
                continue
            return heard
        return Heard()

    def _happening(self, before: Mapping[str, int], heard: Sequence[Heard]) -> Happening:
        after = self.truth()
        deltas = Counter({slot: after[slot] - before.get(slot, 0) for slot in after if after[slot] != before.get(slot)})
        return Happening([one for part in heard for one in part.said], deltas)


def visible(rack: Rack) -> dict[str, str]:
    """Place → item, of the places that can have a number."""
    return {slot.id: slot.item or f"ART-{slot.id}" for slot in rack.slots if slot.kind is not SlotKind.HIDDEN}


Kind = Literal["numbers", "pixels"]
