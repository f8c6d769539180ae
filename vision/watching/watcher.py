"""`RackWatcher`: frames of one camera in; changes of its places, questions, readings and modes out."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from contracts.facts import ReadReason
from contracts.racks import SlotKind
from vision import memory
from vision.detectors.base import Detection, Detector, Frame
from vision.gate import Gate, Sight
from vision.health import Condition, Health
from vision.judging import Judge, make_judge
from vision.privacy import Outline, OutlineError, mask_hands
from vision.registration import Fix, Registration
from vision.sessions import Event, SessionMachine, SessionRules, State
from vision.slots import HAND, Rack, Slot
from vision.timing import SessionFilm
from vision.watching.evidence import SAME_BOX, Evidence, overlap, strange_hands, with_pictures
from vision.watching.modes import Modes
from vision.watching.places import Places, Stills
from vision.watching.rules import Occasion, Outcome
from vision.watching.said import Reading, Said, SlotChange, changes

log = logging.getLogger(__name__)

_FLOOR = 0.15
_HAND_SCORE = 0.45
_KEPT_FRAMES = 5
_TOUCHED_SHARE = 0.02
_UNDER_SHARE = 0.05
_FEW_FRAMES = 3
_THING_S = 3.0
_HAND_SHARE, _SCENERY_SHARE = 0.1, 0.35
_AROUND_SHARE = 0.1
_LOCATE_S = 1.0
_CALM_S = 5.0
_HEALTH_S = 0.25
_DIRT_S = 1.0
_BLEND_EVERY, _BLEND = 10, 0.2
_SUSPECT: Final = ("dark", "covered", "closed")
_HEALTH: Final = ("dark", "covered", "frozen", "dirty", "flicker", "closed")


@dataclass(frozen=True)
class WatchSettings:
    """How one camera is watched.

    Attributes:
        rules: times of the session machine.
        recheck_s: while clear, every place is looked at again within this time, seconds; what changed unseen is for
            review.
        reading_s: while clear, all places are read out this often, seconds.
        gap_s: no frame for longer is a blindness, seconds.
    """

    rules: SessionRules = field(default_factory=SessionRules)
    recheck_s: float = 30.0
    reading_s: float = 300.0
    gap_s: float = 3.0


class RackWatcher:
    """Watches one rack.

    Feed it frames in time order with `feed`; it answers what became certain with that frame (most often nothing). With
    no `restore`, the first clear frames teach it. The `snapshot` after whatever it said is to be saved together with
    it, in one transaction: then nothing is lost and nothing said twice, wherever it is killed (docs/decisions/0018).

    Args:
        rack: the places.
        detector: finds hands.
        settings: times.
        judge: says what happened to a place; the best one at hand unless given.
        picture: the picture in which the rack was taught, (H, W, 3), cut to its outline; else the first clear one.
        wall: seconds of the wall clock, for times that outlive a restart.
    """

    def __init__(
        self,
        rack: Rack,
        detector: Detector,
        settings: WatchSettings | None = None,
        judge: Judge | None = None,
        picture: Frame | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.rack = rack
        self.detector = detector
        self.settings = settings or WatchSettings()
        self.machine = SessionMachine(self.settings.rules)
        self.places = Places(rack, judge or make_judge())
        self.modes = Modes()
        self._wall = wall
        self._given = picture is not None
        self._taught = picture
        self._size = rack.picture  # width, height
        self._gate: Gate | None = None
        self._health: Health | None = None
        self._registration: Registration | None = None
        self._owed: ReadReason | None = "start"
        self._restored: memory.Kept | None = None
        self._waiting: list[Said] = []
        self._newest: Frame | None = None
        self._sight: Sight | None = None
        self._moved: Fix | None = None
        self._film: SessionFilm | None = None
        self._quiet: deque[tuple[Frame, list[Detection], Sight]] = deque(maxlen=_KEPT_FRAMES)
        self._still: deque[Frame] = deque(maxlen=_KEPT_FRAMES)
        self._clear: deque[Frame] = deque(maxlen=_KEPT_FRAMES)
        self._before: Stills | None = None
        self._last_ts: float | None = None
        self._calm = self._located = self._swept = self._read = float("-inf")
        self._felt = float("-inf")
        self._condition_now: Condition | None = None
        self._still_since: float | None = None
        self._scenery: list[Detection] = []
        self._followed = np.eye(3)
        self._dim_since: float | None = None
        self._dim_explained = False
        self._told_in = (float("inf"), float("-inf"))
        self._has_hidden = any(slot.kind is SlotKind.HIDDEN for slot in rack.slots)
        self._pushed = self._health_moved = False
        self._sweep_at = self._clear_seen = self._large = 0

    @property
    def state(self) -> State:
        """Learning, clear or in a session."""
        return self.machine.state

    @property
    def counts(self) -> dict[str, int]:
        """Slot → count that everything said adds up to; places without a known one left out."""
        return self.places.counts

    @property
    def homography(self) -> npt.NDArray[np.float64]:
        """Where the rack lies now, taught → frame, (3, 3): for the outline's cut to follow."""
        return np.eye(3) if self._registration is None else self._registration.homography

    def feed(self, frame: Frame, ts: float) -> list[Said]:
        """Take the next frame.

        Args:
            frame: (H, W, 3) uint8 BGR, cut to the outline. One of another size is fitted when its shape allows it; a
                strange one is passed over.
            ts: monotonic time, seconds; a gap or a jump back is a blindness.
        """
        said, self._waiting = self._waiting, []
        picture = self._fitted(frame)
        if picture is None:
            return self._with_news(said, ts)
        self._clock(ts)
        self._newest = picture
        gate, health = self._senses(picture)
        sight = self._sight = gate.look(picture)
        if not sight.moving:
            self._still_since = ts if self._still_since is None else self._still_since
            self._still.append(picture)
            if not sight.arm:
                self._calm = ts
        else:
            self._still_since = None
            self._still.clear()
        condition = self._condition(health, picture, ts, sight)
        if self.modes.blind:
            self._blind_frame(picture, ts, sight)
            return self._with_news(said, ts)
        if sight.arm and not sight.moving:
            aligned = self._realign(gate, sight, picture, ts)
            if aligned is None:
                return self._with_news(said, ts)
            sight = aligned
        doubtful = condition.suspect in _SUSPECT
        return self._with_news(said + self._step(picture, ts, sight, doubtful), ts)

    def set_mode(self, mode: Literal["counting", "restocking"]) -> list[Said]:
        """Begin or end the *mode rangement*. At its end everything is read once, and what is seen is what counts.

        The snapshot is to be saved with the answer.
        """
        ts = self._last_ts or 0.0
        if mode == "restocking":
            self.modes.wish = "restocking"
            if self._owed == "restocked":
                self._owed = "clear"
        elif self.modes.wish == "restocking":
            self._owed = "restocked"
            self._abandon()
        return self._with_news([], ts)

    def set_count(self, slot: str, count: int) -> None:
        """A person said what lies in a place: the book follows, and the judge learns from its look.

        The snapshot is to be saved with the answer. Raises KeyError: no such place; ValueError: a negative count.
        """
        place = self.rack.slot(slot)
        if count < 0:
            raise ValueError(f"slot {slot}: a count is zero or more, not {count}")
        if slot not in self.places.book:
            self.places.told(place, count)
            return
        frames = list(self._clear)[-3:] if self.machine.state is State.CLEAR and not self.modes.blind else []
        self.places.say(place, count, self._stills(frames) if frames else None)

    def settle_move(self, accept: bool) -> list[Said]:
        """A person looked at before and after of a camera that moved. Refused, it waits for the camera to be put back.

        The snapshot is to be saved with the answer.
        """
        if accept and self._moved is not None and self._registration is not None:
            self._registration.accept(self._moved)
            self._follow()
            self.modes.cleared("moved")
            self._moved = None
            self._health_moved = False
            self._abandon()
            self._owe("uncovered")
        return self._with_news([], self._last_ts or 0.0)

    def camera_lost(self) -> list[Said]:
        """The source gives no frames any more; the next frame ends that."""
        self.modes.blinded("lost")
        self._abandon()
        self._owe("uncovered")
        return self._with_news([], self._last_ts or 0.0)

    def picture(self) -> Frame | None:
        """The newest frame, (H, W, 3) in the taught picture's coordinates, hands and arms filled, nothing outside the
        outline; None before the first.
        """
        if self._newest is None or self._gate is None or self._sight is None:
            return None
        hands = strange_hands(self.detector, self._newest, self._scenery)
        over = None if self.machine.state is State.LEARNING else self._gate.reaching(self._sight)
        shown = mask_hands(self._newest, hands, foreground=over)
        size = (shown.shape[1], shown.shape[0])
        if not np.array_equal(self.homography, np.eye(3)):
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            shown = np.asarray(cv2.warpPerspective(shown, self.homography, size, flags=flags), np.uint8)
        return Outline(self.rack, shown.shape).cut(shown)

    def snapshot(self) -> dict[str, Any]:
        """Everything that must survive a restart, JSON-able, below 1 MB for 96 places. Empty before the first look."""
        if not self.places.book or self._size is None:
            return {}
        wall, now = self._wall(), self._last_ts or 0.0
        kept = memory.Kept(
            size=self._size,
            places=self.places.dump(lambda since: wall - (now - since)),
            reference=None if self._gate is None else self._gate.reference,
            pose=None if self._registration is None else self._registration.dump(),
            picture=None if self._given else self._taught,
            wish=self.modes.wish,
            owed=self._owed if self._owed in ("restocked", "start") else None,
            session=self.machine.number,
            moved=self.modes.has("moved"),
        )
        return memory.dump(kept)

    def restore(self, snapshot: Mapping[str, Any], trusted: bool = True) -> None:
        """Go on from a `snapshot`: the first clear frames are compared with it, and what differs is told as
        ``during_absence``, for review.

        A place whose polygon is not the snapshot's keeps its count and is taught its look anew. Not `trusted`: the
        snapshot is older than what was said since (a file that went back in time): no count of it is used, what is
        seen is only read out, and the centre compares.

        Raises:
            SnapshotError: not a snapshot that this version reads, or damaged.
        """
        if not snapshot:
            return
        restored = memory.load(snapshot)
        try:
            wall = self._wall()  # times before the first frame, until `_clock` knows its own
            self.places.load(restored.places, lambda since: since - wall)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise memory.SnapshotError(f"damaged snapshot: {problem!r}") from problem
        if not trusted:
            self.places.doubt()
        self._restored = restored
        self.modes.wish = restored.wish
        self.machine.number = restored.session
        self._owed = "restocked" if restored.owed == "restocked" else "start"
        if self._size is None:
            self._size = restored.size
        if self._taught is None:
            self._taught = restored.picture

    def compare_after_absence(self, frames: Iterable[tuple[Frame, float]]) -> list[SlotChange]:
        """Feed frames until the first clear state was compared; the changes found."""
        found: list[Said] = []
        for frame, ts in frames:
            found += self.feed(frame, ts)
            if self.machine.state is not State.LEARNING:
                break
        return changes(found)

    def _fitted(self, frame: Frame) -> Frame | None:
        """The frame in the taught size; None when it cannot be used. One of another shape is a camera lost."""
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or min(frame.shape[:2]) < 16:
            log.warning("a frame that is no picture is passed over")
            return None
        height, width = frame.shape[:2]
        if self._size is None:
            self._size = (width, height)
        if (width, height) == self._size:
            self.modes.cleared("lost")
            return frame
        wide, high = self._size
        if abs(width / height - wide / high) > 0.02 * wide / high:
            detail = f"the camera's picture changed from {wide}x{high} to {width}x{height}"
            if not self.modes.has("lost"):
                log.error("%s: set it back or teach the rack again", detail)
            self.modes.blinded("lost", detail)
            self._abandon()
            self._owe("uncovered")
            return None
        self.modes.cleared("lost")
        return np.asarray(cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA), np.uint8)

    def _clock(self, ts: float) -> None:
        last, self._last_ts = self._last_ts, ts
        if last is None:
            self.places.shift_times(ts)
        elif ts < last or ts - last > self.settings.gap_s:
            log.info("no frame for %.1f s", ts - last)
            self._abandon()
            self._owe("clear")
            self._calm, self._located, self._swept = ts, ts, ts
            self._read = min(self._read, ts)

    def _senses(self, picture: Frame) -> tuple[Gate, Health]:
        if self._gate is None or self._health is None:
            self._gate = Gate(picture.shape, self.rack)
            taught = self._taught if self._taught is not None and self._taught.shape == picture.shape else None
            self._taught = taught
            try:
                self._health = Health(self.rack, taught)
            except OutlineError as problem:  # cannot be: `_fitted` gives the taught size
                raise ValueError(str(problem)) from problem
            restored = self._restored
            if taught is not None:
                self._registration = Registration(self.rack, taught)
                if restored is not None and restored.pose is not None:
                    self._registration.load(restored.pose)
                self._follow()
            reference = None if restored is None else restored.reference
            if reference is not None and reference.shape[:2] == (self._gate.size[1], self._gate.size[0]):
                self._gate.adopt(reference)
            if restored is not None and restored.moved and self._registration is not None:
                self.modes.blinded("moved")
        return self._gate, self._health

    def _condition(self, health: Health, picture: Frame, ts: float, sight: Sight) -> Condition:
        """What the health says: of each frame when something goes on, a few times a second in an idle rack."""
        idle = self.machine.state is State.CLEAR and not self.modes.blind and not sight.moving and not sight.arm
        last = self._condition_now
        if last is None or not idle or not 0 <= ts - self._felt < _HEALTH_S:
            self._felt = ts
            last = self._condition_now = health.look(picture, ts, not sight.moving)
            if "dirty" not in (last.code, last.suspect):
                self._dim_since, self._dim_explained = None, False
            elif self._dim_since is None:
                self._dim_since = ts
            code = "ok" if last.code == "dirty" and self._is_explained() else last.code
            self._feel(code, last.detail, ts)
        return last

    def _is_explained(self) -> bool:
        """Whether the edges that are gone left with what was taken: they went in a session that told a change, and
        dirt that comes with nobody near does not.
        """
        began, ended = self._told_in
        if self._dim_since is not None and began <= self._dim_since <= ended + _DIRT_S:
            self._dim_explained = True
        return self._dim_explained

    def _feel(self, code: str, detail: str, ts: float) -> None:
        """Begin or end a blindness that the health tells. Flicker is none as long as the gate comes to rest in it."""
        if code == "flicker" and ts - self._calm < _CALM_S:
            code = "ok"
        if code == "moved":
            self._health_moved = True
        elif self._health_moved and code != "closed":  # a pushed drawer is put back or taken for a drawer again
            self._health_moved = False
            self.modes.cleared("moved")
        was_blind = self.modes.blind
        self.modes.cleared(*(c for c in _HEALTH if c != code))
        if code != "ok":
            self.modes.blinded(code, detail)
            if not was_blind:
                log.info("blind: %s, %s", code, detail)
            self._abandon()
            self._owe("uncovered")

    def _blind_frame(self, picture: Frame, ts: float, sight: Sight) -> None:
        """While it is blind only a moved camera is looked after: it may be put back, or a new person's look be due."""
        if not self.modes.has("moved") or self.modes.code != "moved" or sight.moving or self._registration is None:
            return
        if ts - self._located < _LOCATE_S:
            return
        self._located = ts
        fix = self._registration.locate(picture)
        if fix.kind in ("still", "small") and not self._health_moved:
            self._moved = None
            self.modes.cleared("moved")
            self._follow()
            self._abandon()
        elif fix.kind == "large":
            self._moved = fix

    def _realign(self, gate: Gate, sight: Sight, picture: Frame, ts: float) -> Sight | None:
        """Something stands in the picture's border: perhaps the picture itself moved. None: so far that it is blind."""
        dx, dy = gate.displacement(sight.band)
        if dx or dy:
            gate.shift(dx, dy)
            self._pushed = True
            sight = gate.again(sight)
        if not sight.arm or self._registration is None or ts - self._located < _LOCATE_S:
            return sight
        if self._still_since is None or ts - self._still_since < _LOCATE_S:
            return sight
        self._located = ts
        before = self._registration.homography
        fix = self._registration.locate(picture)
        if fix.kind == "small":
            gate.warp(fix.homography @ np.linalg.inv(before))
            self._follow()
            return gate.again(sight)
        if fix.kind == "large":
            self._large += 1
            if self._large > 1 and not self._hands(picture, sight):
                self._has_moved(fix)
                return None
        else:
            self._large = 0
        return sight

    def _step(self, picture: Frame, ts: float, sight: Sight, doubtful: bool) -> list[Said]:
        machine = self.machine
        found: list[Detection] = []
        hand = False
        if machine.state is not State.CLEAR and not sight.moving and not sight.arm:
            found = self.detector.detect(picture, _FLOOR)
            hand = bool(self._real(found, sight)) and not self._is_thing(ts)
        moving = sight.moving or (doubtful and machine.state is not State.CLEAR)
        event = machine.step(ts, moving, sight.arm, bool(sight.foreground.mean() > 0.002), hand)
        if event is Event.OPENED:
            self._before = self._stills([self._clear[0] if self._clear else picture])
            self._film = SessionFilm()
            self._large = 0
        if machine.state is not State.CLEAR or event is not Event.NONE:
            if self._film is not None:
                self._film.add(ts, sight.band, sight.foreground)
                if self._has_hidden and self._gate is not None:
                    self._film.rest_at(ts, self._gate.tips(sight))
            if machine.quiet_frames or event in (Event.LEARNED, Event.SETTLED):
                self._quiet.append((picture, found, sight))
            else:
                self._quiet.clear()
        if event is Event.LEARNED or (event is Event.HELD and machine.state is State.LEARNING):
            return self._catch_up(picture, ts, sight, resting=event is Event.HELD)
        if event is Event.SETTLED:
            return self._settle(ts)
        if event in (Event.HELD, Event.ADOPTED):
            thing = event is Event.ADOPTED or not self._hands(picture, sight)
            if thing:
                machine.close()
            return self._held(ts, sight, adopted=thing)
        if event is Event.NONE and machine.state is State.CLEAR:
            return self._clear_frame(picture, sight, ts)
        return []

    def _catch_up(self, picture: Frame, ts: float, sight: Sight, resting: bool) -> list[Said]:
        """Everything is looked at: at the start, after a blindness or a gap, at the end of a restocking."""
        if resting:  # something reaches in or looks like a hand, and does not move
            if self._gate is not None and self._gate.reference is not None and self._hands(picture, sight):
                return []
            self.machine.close()
        frames = [frame for frame, _, _ in self._quiet] or list(self._still) or [picture]
        if not self._place(frames, ts):
            return []
        owed: ReadReason = self._owed or "clear"
        restocked = owed == "restocked" or self.modes.wish == "restocking"
        occasion = Occasion.RESTOCKING if restocked else Occasion.ABSENCE
        stills = self._stills(frames)
        self._before = None
        hidden = set() if self._quiet else self._under(sight, frames[-1])
        outcome = self.places.look(self.rack.slots, stills, occasion, lambda _: ts, hidden)
        said = self._told(outcome, stills, ts, session=0)
        if owed == "restocked":
            self.modes.wish = "counting"
        self.modes.seeing = True
        self._owed = None
        said.append(self._reading(owed, ts, [slot.id for slot in self.rack.slots], whole=True))
        self._rest(ts, sight)
        return said

    def _settle(self, ts: float) -> list[Said]:
        assert self._gate is not None
        frames = [frame for frame, _, _ in self._quiet]
        if not self._place(frames, ts):
            return []
        stills = self._stills(frames)
        touched = [slot for slot in self.rack.slots if self._touched(slot)]
        restocking = self.modes.wish == "restocking"
        occasion = Occasion.RESTOCKING if restocking else Occasion.SESSION
        _, found, sight = self._quiet[-1]
        hidden = self._beneath(self._real(found, sight), None)
        outcome = self.places.look(
            touched, stills, occasion, lambda slot: self._moment(slot, ts), hidden, self._passed()
        )
        if outcome.changes:
            self._told_in = (self.machine.began, ts)
        said = [] if restocking else self._told(outcome, stills, ts, self.machine.number)
        if not restocking:
            said += self._readings(outcome, [slot.id for slot in touched], ts)
        self._rest(ts, None)
        return said

    def _held(self, ts: float, sight: Sight, adopted: bool) -> list[Said]:
        """Someone rests in the picture: what is under the arm cannot be seen, the rest is looked at, for review."""
        assert self._gate is not None
        frames = list(self._still)
        if not frames or self.modes.wish == "restocking":
            if adopted:
                self._rest(ts, sight)
            return []
        # a thing that lies there, or the trace of one that was taken away: the judge tells which
        hidden = set() if adopted else self._under(sight, frames[-1])
        touched = [slot for slot in self.rack.slots if self._touched(slot) or slot.id in hidden]
        stills = self._stills(frames)
        outcome = self.places.look(touched, stills, Occasion.HELD, lambda slot: self._moment(slot, ts), hidden)
        over = self._gate.reaching(sight)
        said = self._told(outcome, stills, ts, self.machine.number, over) + self._readings(outcome, [], ts)
        if adopted:
            self._rest(ts, sight)
        return said

    def _clear_frame(self, picture: Frame, sight: Sight, ts: float) -> list[Said]:
        assert self._gate is not None
        self._clear.append(picture)
        self._clear_seen += 1
        if self._clear_seen % _BLEND_EVERY == 0:
            self._gate.adopt(sight.band, _BLEND)
        said = self._sweep(ts)
        if not said and ts - self._read >= self.settings.reading_s and self.modes.wish == "counting":
            said.append(self._reading("clear", ts, [slot.id for slot in self.rack.slots], whole=True))
        return said

    def _sweep(self, ts: float) -> list[Said]:
        """Look at a place or two although nobody came, so that all are seen again within `WatchSettings.recheck_s`."""
        if self.modes.wish == "restocking" or len(self._clear) < _KEPT_FRAMES:
            return []
        slots = self.rack.slots
        due = self.places.suspects(ts)
        interval = self.settings.recheck_s / len(slots)
        if ts - self._swept >= interval:
            for _ in range(min(int((ts - self._swept) / interval), 3)):
                due.append(slots[self._sweep_at % len(slots)])
                self._sweep_at += 1
            self._swept = ts
        said: list[Said] = []
        stills = self._stills(list(self._clear)[:3]) if due else None
        for slot in due:
            outcome = None if stills is None else self.places.check(slot, stills, ts)
            if outcome is not None and stills is not None:
                self._before = None
                said += self._told(outcome, stills, ts, session=0) + self._readings(outcome, [slot.id], ts, session=0)
        return said

    def _place(self, frames: list[Frame], ts: float) -> bool:
        """Find the rack in clear frames; False when it stands so far off that a person must look."""
        if self._registration is None:
            if self._taught is None or self._taught.shape != frames[-1].shape:
                self._taught = frames[-1].copy()
            self._registration = Registration(self.rack, self._taught)
        self._located = ts
        fix = self._registration.locate(frames[-1])
        if fix.kind == "large" and not self._stands_as_before():
            first = self._registration.locate(frames[0])
            if first.kind == "large":
                self._has_moved(fix)
                return False
        self._follow()
        return True

    def _stands_as_before(self) -> bool:
        """Whether the gate sees the surroundings of the places where they were: then nothing moved, and a fix that says
        so is one pitch aside in a rack that repeats itself.
        """
        gate, sight = self._gate, self._sight
        if gate is None or sight is None or gate.reference is None or self._pushed:
            return False
        return gate.surroundings(sight) < _AROUND_SHARE

    def _follow(self) -> None:
        if self._gate is None or self._registration is None:
            return
        now = self._registration.homography
        if not np.array_equal(now, self._followed):
            self._followed = now
            self._gate.place(now)
            if self._health is not None:
                self._health.follow(now)

    def _has_moved(self, fix: Fix) -> None:
        log.warning("the camera moved by %.0f px, %.1f deg: a person must look", fix.moved_px, fix.turned_deg)
        self._moved = fix
        self.modes.blinded("moved", f"{fix.moved_px:.0f} px, {fix.turned_deg:.1f} deg")
        self._abandon()
        self._owe("uncovered")

    def _abandon(self) -> None:
        """Whatever session was going on is cut: everything will be looked at once it is quiet."""
        self.machine.begin()
        self._film = None
        self._before = None
        self._quiet.clear()
        self._clear.clear()
        self._large = 0

    def _owe(self, why: ReadReason) -> None:
        if self._owed is None or (self._owed == "clear" and why == "uncovered"):
            self._owed = why

    def _rest(self, ts: float, sight: Sight | None) -> None:
        assert self._gate is not None
        bands = [seen.band for _, _, seen in self._quiet] or ([] if sight is None else [sight.band])
        if bands:
            self._gate.adopt(np.mean(bands, axis=0).astype(np.float32))
        self._clear.clear()
        self._clear.extend(frame for frame, _, _ in self._quiet)
        if self._quiet:
            self._scenery = [d for d in self._quiet[-1][1] if d.label == HAND and d.score >= _HAND_SCORE - 0.15]
        self._quiet.clear()
        self._film = None
        self._pushed = False
        self._swept = ts

    def _touched(self, slot: Slot) -> bool:
        if self._film is None or self._gate is None or self._film.seen <= _FEW_FRAMES:
            return True
        return self._film.touched(self._small(slot)) > _TOUCHED_SHARE

    def _passed(self) -> set[str]:
        """Hidden places over which an arm only passed, as far as the gate can tell."""
        film = self._film
        if film is None or film.seen <= _FEW_FRAMES:
            return set()
        heaps = [slot for slot in self.rack.slots if slot.kind is SlotKind.HIDDEN]
        return {slot.id for slot in heaps if film.dwelt(self._small(slot)) < _TOUCHED_SHARE}

    def _moment(self, slot: Slot, ts: float) -> float:
        if self._film is None or self._gate is None or self._gate.reference is None:
            return ts
        return self._film.moment(self._small(slot), self._gate.reference)

    def _small(self, slot: Slot) -> npt.NDArray[np.float32]:
        """The place's polygon in px of the gate's picture."""
        scale = 1.0 if self._gate is None else self._gate.scale
        at = cv2.perspectiveTransform(slot.polygon[None], self.homography)[0]
        return np.asarray(at * scale, np.float32)

    def _under(self, sight: Sight, picture: Frame) -> set[str]:
        """Places under what reaches in."""
        assert self._gate is not None
        return self._beneath(self._hands(picture, sight), self._gate.reaching(sight))

    def _beneath(self, hands: list[Detection], over: npt.NDArray[np.uint8] | None) -> set[str]:
        """Places under some boxes, or under what `over` (h, w, the gate's picture) marks."""
        assert self._gate is not None
        if over is None and not hands:
            return set()
        over = np.zeros((self._gate.size[1], self._gate.size[0]), np.uint8) if over is None else over
        for d in hands:
            x0, y0, x1, y1 = (int(v * self._gate.scale) for v in (d.x0, d.y0, d.x1, d.y1))
            over[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 1
        hidden = set()
        for slot in self.rack.slots:
            mask = np.zeros_like(over)
            cv2.fillPoly(mask, [np.round(self._small(slot)).astype(np.int32)], 1)
            if mask.any() and over[mask > 0].mean() > _UNDER_SHARE:
                hidden.add(slot.id)
        return hidden

    def _hands(self, picture: Frame, sight: Sight) -> list[Detection]:
        return self._real(self.detector.detect(picture, _FLOOR), sight)

    def _real(self, found: list[Detection], sight: Sight) -> list[Detection]:
        """The hands among some boxes. One where little changed is part of the scene, the more so if it was there
        before.
        """
        hands = [d for d in found if d.label == HAND and d.score >= _HAND_SCORE]
        gate = self._gate
        if gate is None or gate.reference is None:
            return hands
        real = []
        for d in hands:
            x0, y0, x1, y1 = (int(v * gate.scale) for v in (d.x0, d.y0, d.x1, d.y1))
            part = sight.foreground[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1]
            least = _SCENERY_SHARE if any(overlap(d, other) > SAME_BOX for other in self._scenery) else _HAND_SHARE
            if part.size and part.mean() > least:
                real.append(d)
        return real

    def _is_thing(self, ts: float) -> bool:
        """A "hand" without an arm that does not move at all: a glove, or part of the scene. It masks what it covers."""
        return self._still_since is not None and ts - self._still_since >= _THING_S

    def _stills(self, frames: list[Frame]) -> Stills:
        return Stills(frames, self.homography, self.places.points)

    def _told(
        self, outcome: Outcome, stills: Stills, ts: float, session: int, over: npt.NDArray[np.uint8] | None = None
    ) -> list[Said]:
        if not outcome.changes and not outcome.asks:
            return []
        began = self.machine.began if session else ts
        evidence = Evidence(self.places, self.detector, self._scenery, self._before, stills, over, session, began, ts)
        for change in outcome.changes:
            log.info(
                "slot %s %d -> %d (%.2f, %s)", change.slot, change.before, change.after, change.confidence, change.why
            )
        return [*map(evidence.change, outcome.changes), *map(evidence.ask, outcome.asks)]

    def _readings(self, outcome: Outcome, looked: list[str], ts: float, session: int | None = None) -> list[Said]:
        number = self.machine.number if session is None else session
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
        return Reading(why, ts, self.places.seen(slots), session, whole, self.places.judge.version)

    def _with_news(self, said: list[Said], ts: float) -> list[Said]:
        news = self.modes.news(ts)
        if news is None:
            return said
        if news.code == "moved" and self._taught is not None and self._newest is not None:
            if self._moved is None and self._registration is not None:
                fix = self._registration.locate(self._newest)
                self._moved = fix if fix.kind == "large" else None
            stands = np.eye(3) if self._moved is None else self._moved.homography
            now = mask_hands(self._newest, strange_hands(self.detector, self._newest, self._scenery))
            news = with_pictures(news, self.rack, self._taught, now, stands)
        return [news, *said]
