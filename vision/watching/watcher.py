"""`RackWatcher`: frames of one camera in; changes of its places, questions, readings and modes out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vision import memory
from vision.detectors.base import Detector, Frame
from vision.judging import Judge, make_judge
from vision.sessions import SessionMachine, SessionRules, State
from vision.slots import Rack
from vision.watching.hands import Hands
from vision.watching.looks import Looks
from vision.watching.modes import Modes
from vision.watching.places import Places
from vision.watching.said import Said, SlotChange, changes
from vision.watching.senses import Senses

log = logging.getLogger(__name__)


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
        self.settings = settings or WatchSettings()
        self.machine = SessionMachine(self.settings.rules)
        self.places = Places(rack, judge or make_judge())
        self.modes = Modes()
        self._wall = wall
        self._hands = Hands(detector)
        self._senses = Senses(rack, self.modes, self._hands, self._cut, picture)
        self._looks = Looks(
            self.places,
            self._senses,
            self._hands,
            self.modes,
            self.machine,
            self.settings.recheck_s,
            self.settings.reading_s,
        )
        self._waiting: list[Said] = []
        self._last_ts: float | None = None

    @property
    def state(self) -> State:
        """Learning, clear or in a session."""
        return self.machine.state

    @property
    def counts(self) -> dict[str, int]:
        """Slot → count that everything said adds up to; places without a known one left out."""
        return self.places.counts

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the models it looks through: "judge" and "hands"."""
        return {"judge": self.places.judge.version, "hands": self._hands.detector.version}

    @property
    def homography(self) -> npt.NDArray[np.float64]:
        """Where the rack lies now, taught → frame, (3, 3): for the outline's cut to follow."""
        return self._senses.homography

    def feed(self, frame: Frame, ts: float) -> list[Said]:
        """Take the next frame.

        Args:
            frame: (H, W, 3) uint8 BGR, cut to the outline. One of another size is fitted when its shape allows it; a
                strange one is passed over.
            ts: monotonic time, seconds; a gap or a jump back is a blindness.
        """
        said, self._waiting = self._waiting, []
        picture = self._senses.fitted(frame)
        if picture is None:
            return self._with_news(said, ts)
        self._clock(ts)
        senses = self._senses
        sight = senses.look(picture, ts)
        doubtful = senses.feel(picture, ts, sight, idle=self.machine.state is State.CLEAR)
        if self.modes.blind:
            senses.stay_blind(picture, ts, sight)
            return self._with_news(said, ts)
        if sight.arm and not sight.moving:
            aligned = senses.realign(sight, picture, ts)
            if aligned is None:
                return self._with_news(said, ts)
            sight = aligned
        return self._with_news(said + self._looks.step(picture, ts, sight, doubtful), ts)

    def set_mode(self, mode: Literal["counting", "restocking"]) -> list[Said]:
        """Begin or end the *mode rangement*. At its end everything is read once, and what is seen is what counts.

        The snapshot is to be saved with the answer.
        """
        ts = self._last_ts or 0.0
        if mode == "restocking":
            self.modes.wish = "restocking"
            if self._looks.owed == "restocked":
                self._looks.owed = "clear"
        elif self.modes.wish == "restocking":
            self._looks.owed = "restocked"
            self._looks.abandon()
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
        frames = list(self._looks.clear)[-3:] if self.machine.state is State.CLEAR and not self.modes.blind else []
        self.places.say(place, count, self._looks.stills(frames) if frames else None)

    def settle_move(self, accept: bool) -> list[Said]:
        """A person looked at before and after of a camera that moved. Refused, it waits for the camera to be put back.

        The snapshot is to be saved with the answer.
        """
        if accept and self._senses.accept():
            self._cut()
        return self._with_news([], self._last_ts or 0.0)

    def camera_lost(self) -> list[Said]:
        """The source gives no frames any more; the next frame ends that."""
        self.modes.blinded("lost")
        self._cut()
        return self._with_news([], self._last_ts or 0.0)

    def picture(self) -> Frame | None:
        """The newest frame, (H, W, 3) in the taught picture's coordinates, hands and arms filled, nothing outside the
        outline; None before the first.
        """
        return self._senses.shown(arms=self.machine.state is not State.LEARNING)

    def snapshot(self) -> dict[str, Any]:
        """Everything that must survive a restart, JSON-able, about 1 MB for 96 places; empty before the first look."""
        if not self.places.book or self._senses.size is None:
            return {}
        wall, now = self._wall(), self._last_ts or 0.0
        kept = memory.Kept(
            size=self._senses.size,
            places=self.places.dump(lambda since: wall - (now - since)),
            reference=self._senses.gate.reference if self._senses.awake else None,
            pose=self._senses.dump_pose(),
            picture=None if self._senses.given else self._senses.taught,
            wish=self.modes.wish,
            owed=self._looks.owed if self._looks.owed in ("restocked", "start") else None,
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
        self._senses.restored = restored
        self.modes.wish = restored.wish
        self.machine.number = restored.session
        self._looks.owed = "restocked" if restored.owed == "restocked" else "start"
        if self._senses.size is None:
            self._senses.size = restored.size
        if self._senses.taught is None:
            self._senses.taught = restored.picture

    def compare_after_absence(self, frames: Iterable[tuple[Frame, float]]) -> list[SlotChange]:
        """Feed frames until the first clear state was compared; the changes found."""
        found: list[Said] = []
        for frame, ts in frames:
            found += self.feed(frame, ts)
            if self.machine.state is not State.LEARNING:
                break
        return changes(found)

    def _clock(self, ts: float) -> None:
        last, self._last_ts = self._last_ts, ts
        if last is None:
            self.places.shift_times(ts)
        elif ts < last or ts - last > self.settings.gap_s:
            log.info("no frame for %.1f s", ts - last)
            self._looks.gap(ts)
            self._senses.gap(ts)

    def _cut(self) -> None:
        """What was going on is cut short, and everything must be looked at."""
        self._looks.abandon()
        self._looks.owe("uncovered")

    def _with_news(self, said: list[Said], ts: float) -> list[Said]:
        news = self.modes.news(ts)
        return said if news is None else [self._senses.illustrated(news), *said]
