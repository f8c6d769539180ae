"""Looking at the places: at the start, after a session, under a resting arm, and now and then in a quiet rack."""

from __future__ import annotations

import logging
from collections import deque

import cv2
import numpy as np

from contracts.facts import ReadReason
from contracts.racks import SlotKind
from vision.detectors.base import Detection, Frame
from vision.gate import Mask, Sight
from vision.sessions import Event, SessionMachine, State
from vision.slots import Slot
from vision.timing import SessionFilm
from vision.watching.evidence import Evidence
from vision.watching.hands import Hands
from vision.watching.modes import Modes
from vision.watching.places import Places, Stills
from vision.watching.rules import Occasion, Outcome
from vision.watching.said import Reading, Said
from vision.watching.senses import Senses

log = logging.getLogger(__name__)

_KEPT_FRAMES = 5
_TOUCHED_SHARE = 0.02
_UNDER_SHARE = 0.05
_DWELT_S = 0.28
_REACHES_PX = (4.0, 7.0, 10.0)  # of the gate's picture, 192 px wide
_FEW_FRAMES = 3
_BLEND_EVERY, _BLEND = 10, 0.2


class Looks:
    """Follows the sessions of one camera, and says what the places came to.

    Args:
        places: book and memories.
        senses: gate and registration.
        hands: finds hands.
        modes: the wish of a person, and whether everything was looked at.
        machine: opens and closes sessions.
        recheck_s: while clear, every place is looked at again within this time, seconds.
        reading_s: while clear, all places are read out this often, seconds.

    Attributes:
        owed: why everything must be looked at next; None: it need not.
        clear: the last frames of a clear rack.
    """

    def __init__(
        self,
        places: Places,
        senses: Senses,
        hands: Hands,
        modes: Modes,
        machine: SessionMachine,
        recheck_s: float,
        reading_s: float,
    ) -> None:
        self._places, self._senses, self._hands = places, senses, hands
        self._modes, self._machine = modes, machine
        self._recheck_s, self._reading_s = recheck_s, reading_s
        self.owed: ReadReason | None = "start"
        self.clear: deque[Frame] = deque(maxlen=_KEPT_FRAMES)
        self._slots = places.rack.slots
        self._heaps = [slot for slot in self._slots if slot.kind is SlotKind.HIDDEN]
        self._quiet: deque[tuple[Frame, list[Detection], Sight]] = deque(maxlen=_KEPT_FRAMES)
        self._film: SessionFilm | None = None
        self._before: Stills | None = None
        self._swept = self._read = float("-inf")
        self._sweep_at = self._clear_seen = 0

    def step(self, picture: Frame, ts: float, sight: Sight, doubtful: bool) -> list[Said]:
        """Take a frame of a rack that is not blind; `doubtful`: the health is not sure of it."""
        machine = self._machine
        found: list[Detection] = []
        hand = False
        if machine.state is not State.CLEAR and not sight.moving and not sight.arm:
            found = self._hands.boxes(picture)
            hand = bool(self._hands.real(found, self._senses.gate, sight)) and not self._senses.is_thing(ts)
        moving = sight.moving or (doubtful and machine.state is not State.CLEAR)
        event = machine.step(ts, moving, sight.arm, bool(sight.foreground.mean() > 0.002), hand)
        if event is Event.OPENED:
            self._before = self.stills([self.clear[0] if self.clear else picture])
            self._film = SessionFilm()
            self._senses.opened()
        if machine.state is not State.CLEAR or event is not Event.NONE:
            if self._film is not None:
                self._film.add(ts, sight.band, sight.foreground)
                if self._heaps:
                    self._film.rest_at(ts, self._senses.gate.arms(sight))
            if machine.quiet_frames or event in (Event.LEARNED, Event.SETTLED):
                self._quiet.append((picture, found, sight))
            else:
                self._quiet.clear()
        if event is Event.LEARNED or (event is Event.HELD and machine.state is State.LEARNING):
            return self._catch_up(picture, ts, sight, resting=event is Event.HELD)
        if event is Event.SETTLED:
            return self._settle(ts)
        if event in (Event.HELD, Event.ADOPTED):
            thing = event is Event.ADOPTED or not self._hands.find(picture, self._senses.gate, sight)
            if thing:
                machine.close()
            return self._held(ts, sight, adopted=thing)
        if event is Event.NONE and machine.state is State.CLEAR:
            return self._clear_frame(picture, sight, ts)
        return []

    def abandon(self) -> None:
        """Whatever session was going on is cut: everything will be looked at once it is quiet."""
        self._machine.begin()
        self._film = None
        self._before = None
        self._quiet.clear()
        self.clear.clear()
        self._senses.opened()

    def owe(self, why: ReadReason) -> None:
        """Everything is to be looked at, for this reason unless there is a stronger one."""
        if self.owed is None or (self.owed == "clear" and why == "uncovered"):
            self.owed = why

    def gap(self, ts: float) -> None:
        """No frame came for a while, up to now."""
        self.abandon()
        self.owe("clear")
        self._swept = ts
        self._read = min(self._read, ts)

    def stills(self, frames: list[Frame]) -> Stills:
        """Frames of now, with where the rack lies in them."""
        return Stills(frames, self._senses.homography, self._places.points)

    def _catch_up(self, picture: Frame, ts: float, sight: Sight, resting: bool) -> list[Said]:
        """Everything is looked at: at the start, after a blindness or a gap, at the end of a restocking."""
        if resting:  # something reaches in or looks like a hand, and does not move
            gate = self._senses.gate
            if gate.reference is not None and self._hands.find(picture, gate, sight):
                return []
            self._machine.close()
        frames = [frame for frame, _, _ in self._quiet] or list(self._senses.still) or [picture]
        if not self._senses.place(frames, ts):
            return []
        owed: ReadReason = self.owed or "clear"
        restocked = owed == "restocked" or self._modes.wish == "restocking"
        occasion = Occasion.RESTOCKING if restocked else Occasion.ABSENCE
        stills = self.stills(frames)
        self._before = None
        hidden = set() if self._quiet else self._under(sight, frames[-1])
        outcome = self._places.look(self._slots, stills, occasion, lambda _: ts, hidden)
        said = self._told(outcome, stills, ts, session=0)
        if owed == "restocked":
            self._modes.wish = "counting"
        self._modes.seeing = True
        self.owed = None
        said.append(self._reading(owed, ts, [slot.id for slot in self._slots], whole=True))
        self._rest(ts, sight)
        return said

    def _settle(self, ts: float) -> list[Said]:
        frames = [frame for frame, _, _ in self._quiet]
        if not self._senses.place(frames, ts):
            return []
        stills = self.stills(frames)
        touched = [slot for slot in self._slots if self._touched(slot)]
        restocking = self._modes.wish == "restocking"
        occasion = Occasion.RESTOCKING if restocking else Occasion.SESSION
        _, found, sight = self._quiet[-1]
        hidden = self._beneath(self._hands.real(found, self._senses.gate, sight), None)
        outcome = self._places.look(
            touched, stills, occasion, lambda slot: self._moment(slot, ts), hidden, self._passed()
        )
        if not (restocking or outcome.changes or outcome.asks or outcome.lost or outcome.freed):
            near = [slot for slot in self._near_by() if slot.id not in hidden]
            outcome = (
                self._places.look(near, stills, occasion, lambda slot: self._moment(slot, ts)) if near else outcome
            )
        if outcome.changes:
            self._senses.told_in = (self._machine.began, ts)
        said = [] if restocking else self._told(outcome, stills, ts, self._machine.number)
        if not restocking:
            said += self._readings(outcome, [slot.id for slot in touched], ts)
        self._rest(ts, None)
        return said

    def _held(self, ts: float, sight: Sight, adopted: bool) -> list[Said]:
        """Someone rests in the picture: what is under the arm cannot be seen, the rest is looked at, for review."""
        frames = list(self._senses.still)
        if not frames or self._modes.wish == "restocking":
            if adopted:
                self._rest(ts, sight)
            return []
        # a thing that lies there, or the trace of one that was taken away: the judge tells which
        hidden = set() if adopted else self._under(sight, frames[-1])
        touched = [slot for slot in self._slots if self._touched(slot) or slot.id in hidden]
        stills = self.stills(frames)
        outcome = self._places.look(touched, stills, Occasion.HELD, lambda slot: self._moment(slot, ts), hidden)
        over = self._senses.gate.reaching(sight)
        said = self._told(outcome, stills, ts, self._machine.number, over) + self._readings(outcome, [], ts)
        if adopted:
            self._rest(ts, sight)
        return said

    def _clear_frame(self, picture: Frame, sight: Sight, ts: float) -> list[Said]:
        self.clear.append(picture)
        self._clear_seen += 1
        if self._clear_seen % _BLEND_EVERY == 0:
            self._senses.gate.adopt(sight.band, _BLEND)
        said = self._sweep(ts)
        if not said and ts - self._read >= self._reading_s and self._modes.wish == "counting":
            said.append(self._reading("clear", ts, [slot.id for slot in self._slots], whole=True))
        return said

    def _sweep(self, ts: float) -> list[Said]:
        """Look at a place or two although nobody came, so that all are seen again within `WatchSettings.recheck_s`."""
        if self._modes.wish == "restocking" or len(self.clear) < _KEPT_FRAMES:
            return []
        slots = self._slots
        due = self._places.suspects(ts)
        interval = self._recheck_s / len(slots)
        if ts - self._swept >= interval:
            for _ in range(min(int((ts - self._swept) / interval), 3)):
                due.append(slots[self._sweep_at % len(slots)])
                self._sweep_at += 1
            self._swept = ts
        said: list[Said] = []
        stills = self.stills(list(self.clear)[:3]) if due else None
        for slot in due:
            outcome = None if stills is None else self._places.check(slot, stills, ts)
            if outcome is not None and stills is not None:
                self._before = None
                said += self._told(outcome, stills, ts, session=0) + self._readings(outcome, [slot.id], ts, session=0)
        return said

    def _rest(self, ts: float, sight: Sight | None) -> None:
        bands = [seen.band for _, _, seen in self._quiet] or ([] if sight is None else [sight.band])
        if bands:
            self._senses.gate.adopt(np.mean(bands, axis=0).astype(np.float32))
        self.clear.clear()
        self.clear.extend(frame for frame, _, _ in self._quiet)
        if self._quiet:
            self._hands.learn(self._quiet[-1][1])
        self._quiet.clear()
        self._film = None
        self._senses.settled()
        self._swept = ts

    def _touched(self, slot: Slot) -> bool:
        if self._film is None or self._film.seen <= _FEW_FRAMES:
            return True
        return self._film.touched(self._senses.small(slot)) > _TOUCHED_SHARE

    def _passed(self) -> set[str]:
        """Hidden places over which an arm only passed, as far as the gate can tell."""
        film = self._film
        if film is None or film.seen <= _FEW_FRAMES:
            return set()
        return {slot.id for slot in self._heaps if film.dwelt(self._senses.small(slot)) < _DWELT_S}

    def _near_by(self) -> list[Slot]:
        """The hidden place nearest to which an arm's end stayed: fingers reach on beyond the place that the hand is in.
        Asked about when the session left nothing else to tell.
        """
        film = self._film
        if film is None or film.seen <= _FEW_FRAMES:
            return []
        for reach in _REACHES_PX:
            for slot in self._heaps:
                if film.dwelt(self._senses.small(slot), reach) >= _DWELT_S:
                    return [slot]
        return []

    def _moment(self, slot: Slot, ts: float) -> float:
        if self._film is None or self._senses.gate.reference is None:
            return ts
        return self._film.moment(self._senses.small(slot), self._senses.gate.reference)

    def _under(self, sight: Sight, picture: Frame) -> set[str]:
        """Places under what reaches in."""
        return self._beneath(self._hands.find(picture, self._senses.gate, sight), self._senses.gate.reaching(sight))

    def _beneath(self, hands: list[Detection], over: Mask | None) -> set[str]:
        """Places under some boxes, or under what `over` (h, w, the gate's picture) marks."""
        if over is None and not hands:
            return set()
        gate = self._senses.gate
        over = np.zeros((gate.size[1], gate.size[0]), np.uint8) if over is None else over
        for d in hands:
            x0, y0, x1, y1 = (int(v * gate.scale) for v in (d.x0, d.y0, d.x1, d.y1))
            over[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 1
        hidden = set()
        for slot in self._slots:
            mask = np.zeros_like(over)
            cv2.fillPoly(mask, [np.round(self._senses.small(slot)).astype(np.int32)], 1)
            if mask.any() and over[mask > 0].mean() > _UNDER_SHARE:
                hidden.add(slot.id)
        return hidden

    def _told(self, outcome: Outcome, stills: Stills, ts: float, session: int, over: Mask | None = None) -> list[Said]:
        if not outcome.changes and not outcome.asks:
            return []
        began = self._machine.began if session else ts
        evidence = Evidence(self._places, self._hands, self._before, stills, over, session, began, ts)
        for change in outcome.changes:
            log.info(
                "slot %s %d -> %d (%.2f, %s)", change.slot, change.before, change.after, change.confidence, change.why
            )
        return [*map(evidence.change, outcome.changes), *map(evidence.ask, outcome.asks)]

    def _readings(self, outcome: Outcome, looked: list[str], ts: float, session: int | None = None) -> list[Said]:
        number = self._machine.number if session is None else session
        rest = [slot for slot in looked if slot not in outcome.freed and slot not in outcome.lost]
        groups: list[tuple[ReadReason, list[str]]] = [
            ("uncovered", list(outcome.freed)),
            ("masked", list(outcome.lost)),
            ("clear", rest),
        ]
        return [self._reading(why, ts, slots, number) for why, slots in groups if slots]

    def _reading(self, why: ReadReason, ts: float, slots: list[str], session: int = 0, whole: bool = False) -> Reading:
        if whole:
            self._read = ts
        return Reading(why, ts, self._places.seen(slots), session, whole, self._places.judge.version)
