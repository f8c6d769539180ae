"""`RackWatcher`: frames of one camera in, changes of its places out."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from vision import memory
from vision.appearance import Look, take_look
from vision.detectors.base import Detection, Detector, Frame
from vision.gate import Gate, Sight
from vision.judging.rules import Mode, SlotState, Verdict, judge_any, judge_known
from vision.sessions import Event, SessionMachine, SessionRules, State
from vision.slots import HAND, Rack, Slot, assign, count_slot
from vision.timing import SessionFilm

log = logging.getLogger(__name__)

_ACCEPTED = 0.35
_FLOOR = 0.15
_HAND_SCORE = 0.45
_KEPT_FRAMES = 5
_TOUCHED_SHARE = 0.02


@dataclass(frozen=True)
class SlotChange:
    """A place whose count changed.

    Attributes:
        slot: its id.
        delta: change of count.
        before_count, after_count: the counts.
        confidence: 0..1.
        mode: "auto" may be booked, "review" waits for a person.
        at: best estimate of the moment of the change, same clock as the frames, seconds.
        began, ended: first frame of the session and the frame at which it was compared, seconds.
        session: number of the session since the start of this watcher; 0 for what was found at the start or in a
            routine check.
        before_jpeg, after_jpeg: the place before and after, JPEG, nobody's hand in them.
        model: version of the detector.
        why: the judges' reason, English, for the log and the review page.
        during_absence: it happened while nobody watched.
    """

    slot: str
    delta: int
    before_count: int
    after_count: int
    confidence: float
    mode: Mode
    at: float
    began: float
    ended: float
    session: int
    before_jpeg: bytes = field(repr=False)
    after_jpeg: bytes = field(repr=False)
    model: str
    why: str = ""
    during_absence: bool = False


@dataclass(frozen=True)
class WatchSettings:
    """How one camera is watched.

    Attributes:
        rules: times of the session machine.
        recheck_s: while clear, all places are compared with their settled look this often, seconds; what changed
            unseen is for review.
    """

    rules: SessionRules = field(default_factory=SessionRules)
    recheck_s: float = 30.0


class RackWatcher:
    """Watches one rack.

    Feed it frames in time order with `feed`; it answers the changes that became certain with that frame (most often
    none). With no `restore`, the first clear frames teach it: counts from the detector for classes that it knows,
    else the declared count (default 1).

    Args:
        rack: the places.
        detector: the first judge, and the hand finder.
        settings: times.
    """

    def __init__(self, rack: Rack, detector: Detector, settings: WatchSettings | None = None) -> None:
        self.rack = rack
        self.detector = detector
        self.settings = settings or WatchSettings()
        self.machine = SessionMachine(self.settings.rules)
        self.offset = (0.0, 0.0)
        self._states: dict[str, SlotState] = {}
        self._gate: Gate | None = None
        self._shape: tuple[int, ...] = ()
        self._quiet: deque[tuple[Frame, list[Detection], Sight]] = deque(maxlen=_KEPT_FRAMES)
        self._clear: deque[Frame] = deque(maxlen=_KEPT_FRAMES)
        self._before: Frame | None = None
        self._film: SessionFilm | None = None
        self._checked = 0.0
        self._clear_seen = 0
        self._restored: Mapping[str, Any] | None = None

    @property
    def state(self) -> State:
        """Learning, clear or in a session."""
        return self.machine.state

    @property
    def counts(self) -> dict[str, int]:
        """Slot → count when it was last settled; empty while learning."""
        return {slot_id: state.count for slot_id, state in self._states.items()}

    def feed(self, frame: Frame, ts: float) -> list[SlotChange]:
        """Take the next frame.

        Args:
            frame: (H, W, 3) uint8 BGR, always the same size.
            ts: monotonic time, seconds.

        Raises:
            ValueError: the size differs from the first frame's.
        """
        gate = self._gate_for(frame)
        sight = gate.look(frame)
        if not sight.moving and sight.arm:
            sight = self._realign(gate, sight)
        found: list[Detection] = []
        hand = False
        if self.machine.state is not State.CLEAR and not sight.moving and not sight.arm:
            found = self.detector.detect(frame, _FLOOR)
            hand = self._has_hand(found, sight)
        event = self.machine.step(ts, sight.moving, sight.arm, bool(sight.foreground.mean() > 0.002), hand)
        if event is Event.OPENED:
            self._before = self._clear[-1] if self._clear else frame
            self._film = SessionFilm()
        if self.machine.state is not State.CLEAR or event is not Event.NONE:
            if self._film is not None:
                self._film.add(ts, sight.band, sight.foreground)
            if self.machine.quiet_frames or event in (Event.LEARNED, Event.SETTLED, Event.HELD):
                self._quiet.append((frame, found, sight))
            else:
                self._quiet.clear()
        if event is Event.NONE:
            return self._clear_frame(frame, sight, ts) if self.machine.state is State.CLEAR else []
        if event is Event.OPENED:
            self._quiet.clear()
            return []
        changes = self._learn(ts) if event is Event.LEARNED else self._settle(ts, doubtful=event is Event.HELD)
        self._rest(ts)
        return changes

    def snapshot(self) -> dict[str, Any]:
        """Counts and looks as a JSON-able value (tens of kB), to be saved with the fact that changed them. Empty
        while learning.
        """
        if not self._states or self._gate is None:
            return {}
        return memory.dump(self._states, self.rack, self._gate.reference, self.offset)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a `snapshot`: the first clear frames are compared with it, and what differs is marked
        ``during_absence``.

        A snapshot of another rack description is used for the places whose polygon is still the same.
        """
        self._restored = snapshot or None

    def compare_after_absence(self, frames: Iterable[tuple[Frame, float]]) -> list[SlotChange]:
        """Feed frames until the first clear state was compared; the changes found, all marked ``during_absence``."""
        changes: list[SlotChange] = []
        for frame, ts in frames:
            changes += self.feed(frame, ts)
            if self.machine.state is not State.LEARNING:
                break
        return changes

    def _gate_for(self, frame: Frame) -> Gate:
        if self._gate is None:
            self._gate, self._shape = Gate(frame.shape, self.rack), frame.shape
        if frame.shape != self._shape:
            raise ValueError(
                f"the camera's picture changed from {self._shape[1]}x{self._shape[0]} "
                f"to {frame.shape[1]}x{frame.shape[0]}"
            )
        return self._gate

    def _realign(self, gate: Gate, sight: Sight) -> Sight:
        dx, dy = gate.displacement(sight.band)
        if dx == 0.0 and dy == 0.0:
            return sight
        gate.shift(dx, dy)
        self.offset = (self.offset[0] + dx, self.offset[1] + dy)
        log.info("camera displaced by %.1f, %.1f px", dx, dy)
        return gate.again(sight)

    def _has_hand(self, found: list[Detection], sight: Sight) -> bool:
        hands = [d for d in found if d.label == HAND and d.score >= _HAND_SCORE]
        gate = self._gate
        if gate is None or gate.reference is None:
            return bool(hands)
        for d in hands:  # a "hand" where nothing changed is part of the scene
            x0, y0, x1, y1 = (int(v * gate.scale) for v in (d.x0, d.y0, d.x1, d.y1))
            if sight.foreground[y0 : y1 + 1, x0 : x1 + 1].mean() > 0.05:
                return True
        return False

    def _clear_frame(self, frame: Frame, sight: Sight, ts: float) -> list[SlotChange]:
        assert self._gate is not None
        self._clear.append(frame)
        self._clear_seen += 1
        if self._clear_seen % 10 == 0:
            self._gate.adopt(sight.band, 0.2)
        if ts - self._checked < self.settings.recheck_s:
            return []
        self._checked = ts
        frames = list(self._clear)[-3:]
        boxes = [self.detector.detect(f, _FLOOR) for f in frames]
        return self._compare(self.rack.slots, frames, boxes, ts, doubtful=True, session=0)

    def _rest(self, ts: float) -> None:
        assert self._gate is not None
        self._gate.adopt(np.mean([sight.band for _, _, sight in self._quiet], axis=0).astype(np.float32))
        self._clear.clear()
        self._clear.extend(frame for frame, _, _ in self._quiet)
        self._quiet.clear()
        self._film = None
        self._checked = ts

    def _learn(self, ts: float) -> list[SlotChange]:
        frames = [frame for frame, _, _ in self._quiet]
        boxes = [found for _, found, _ in self._quiet]
        band = np.mean([sight.band for _, _, sight in self._quiet], axis=0).astype(np.float32)
        if self._restored is not None and self._gate is not None:
            states, reference, self.offset = memory.load(self._restored, self.rack)
            self._states = states
            if reference is not None and reference.shape == band.shape:
                self._gate.adopt(reference)
                dx, dy = self._gate.displacement(band)
                self.offset = (self.offset[0] + dx, self.offset[1] + dy)
        in_places = [assign(_things(found), self.rack, self.offset) for found in boxes]
        known = [slot for slot in self.rack.slots if slot.id in self._states]
        for slot in self.rack.slots:
            if slot.id not in self._states:
                self._states[slot.id] = self._teach(slot, frames, [b[slot.id] for b in in_places])
        self._before = None
        self._restored = None
        changes = self._compare(known, frames, boxes, ts, doubtful=False, session=0)
        return [replace(change, during_absence=True) for change in changes]

    def _teach(self, slot: Slot, frames: list[Frame], boxes: list[list[Detection]]) -> SlotState:
        look = take_look(frames, slot.moved(*self.offset))
        if self._knows(slot):
            seen = count_slot(_relabelled(boxes, slot.klass), slot.klass, _ACCEPTED)
            if slot.count is not None and slot.count != seen.value:
                log.warning(
                    "slot %s: declared %d, seen %d; going on with what is seen", slot.id, slot.count, seen.value
                )
            return SlotState(seen.value, look, confidence=seen.confidence)
        count = 1 if slot.count is None else slot.count
        full, empty = (look, None) if count else (None, look)
        return SlotState(count, look, declared=slot.count is not None, full=full, empty=empty)

    def _settle(self, ts: float, doubtful: bool) -> list[SlotChange]:
        assert self._gate is not None
        band = np.mean([sight.band for _, _, sight in self._quiet], axis=0).astype(np.float32)
        dx, dy = self._gate.displacement(band)
        if dx or dy:
            self._gate.shift(dx, dy)
            self.offset = (self.offset[0] + dx, self.offset[1] + dy)
        touched = [slot for slot in self.rack.slots if doubtful or self._touched(slot)]
        frames = [frame for frame, _, _ in self._quiet]
        boxes = [found for _, found, _ in self._quiet]
        if doubtful:
            boxes = [self.detector.detect(frame, _FLOOR) for frame in frames]
        return self._compare(touched, frames, boxes, ts, doubtful, self.machine.number)

    def _touched(self, slot: Slot) -> bool:
        assert self._gate is not None
        return self._film is None or self._film.touched(slot.moved(*self.offset) * self._gate.scale) > _TOUCHED_SHARE

    def _compare(
        self,
        slots: Iterable[Slot],
        frames: list[Frame],
        boxes: list[list[Detection]],
        ts: float,
        doubtful: bool,
        session: int,
    ) -> list[SlotChange]:
        in_places = [assign(_things(found), self.rack, self.offset) for found in boxes]
        changes = []
        for slot in slots:
            state = self._states[slot.id]
            look = take_look(frames, slot.moved(*self.offset))
            mine = [b[slot.id] for b in in_places]
            verdict = self._judge(slot, state, look, mine)
            if verdict.delta:
                log.info(
                    "slot %s %d -> %d (%.2f, %s)",
                    slot.id,
                    verdict.before,
                    verdict.after,
                    verdict.confidence,
                    verdict.why,
                )
                changes.append(self._change(slot, verdict, frames[-1], ts, doubtful, session))
            self._states[slot.id] = self._next_state(slot, state, verdict, look)
        return changes

    def _judge(self, slot: Slot, state: SlotState, look: Look, boxes: list[list[Detection]]) -> Verdict:
        if not self._knows(slot):
            return judge_any(state, look)
        seen = count_slot(_relabelled(boxes, slot.klass), slot.klass, _ACCEPTED)
        flat = [d for per_frame in boxes for d in per_frame if d.score >= _ACCEPTED]
        foreign = bool(flat) and sum(d.label != slot.klass for d in flat) > len(flat) / 2
        return judge_known(state, seen, look, foreign)

    def _next_state(self, slot: Slot, state: SlotState, verdict: Verdict, look: Look) -> SlotState:
        if self._knows(slot):
            return SlotState(
                verdict.after,
                look,
                confidence=max(state.confidence, verdict.confidence) if verdict.delta else state.confidence,
            )
        full, empty = state.full, state.empty
        if not state.declared and verdict.delta > 0 and state.count == 1:
            full, empty = None, state.look
        if verdict.delta and verdict.mode == "auto":
            full, empty = (look, empty) if verdict.after else (full, look)
        declared = state.declared or (bool(verdict.delta) and verdict.mode == "auto")
        return SlotState(verdict.after, look, declared=declared, full=full, empty=empty)

    def _knows(self, slot: Slot) -> bool:
        return slot.klass in self.detector.classes and slot.klass != HAND

    def _change(
        self, slot: Slot, verdict: Verdict, frame: Frame, ts: float, doubtful: bool, session: int
    ) -> SlotChange:
        polygon = slot.moved(*self.offset)
        began, at = ts, ts
        if session and self._film is not None and self._gate is not None and self._gate.reference is not None:
            began = self.machine.began
            at = self._film.moment(polygon * self._gate.scale, self._gate.reference)
        return SlotChange(
            slot=slot.id,
            delta=verdict.delta,
            before_count=verdict.before,
            after_count=verdict.after,
            confidence=verdict.confidence,
            mode="review" if doubtful else verdict.mode,
            at=at,
            began=began,
            ended=ts,
            session=session,
            before_jpeg=_crop(self._before, slot)
            if self._before is not None
            else memory.jpeg(self._states[slot.id].look.pixels),
            after_jpeg=_crop(frame, slot),
            model=self.detector.version,
            why=verdict.why,
        )


def _things(found: list[Detection]) -> list[Detection]:
    """Boxes of items, one per thing whatever its class (a drill seen also as an end mill counts once)."""
    kept: list[Detection] = []
    for d in found:
        if d.label != HAND and all(_overlap(d, other) < 0.5 for other in kept):
            kept.append(d)
    return kept


def _overlap(a: Detection, b: Detection) -> float:
    w = min(a.x1, b.x1) - max(a.x0, b.x0)
    h = min(a.y1, b.y1) - max(a.y0, b.y0)
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - w * h)


def _relabelled(boxes: list[list[Detection]], klass: str) -> list[list[Detection]]:
    """The planogram names what lies in a place; the detector only counts it."""
    return [[replace(d, label=klass) for d in per_frame] for per_frame in boxes]


def _crop(frame: Frame, slot: Slot) -> bytes:
    x0, y0 = slot.polygon.min(0)
    x1, y1 = slot.polygon.max(0)
    pad = 0.15 * max(x1 - x0, y1 - y0)
    height, width = frame.shape[:2]
    left, top = max(int(x0 - pad), 0), max(int(y0 - pad), 0)
    cut = frame[top : min(int(y1 + pad), height), left : min(int(x1 + pad), width)]
    if cut.size == 0:
        return b""
    largest = max(cut.shape[:2])
    if largest > 320:
        cut = np.asarray(
            cv2.resize(cut, None, fx=320 / largest, fy=320 / largest, interpolation=cv2.INTER_AREA), np.uint8
        )
    return memory.jpeg(cut)
