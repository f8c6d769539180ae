"""What watches one rack: frames in, what they say out, and a person's word in between.

:mod:`edge_agents.parts.rack` records what it says and sends what a person said. It keeps nothing: what it knows is the
snapshot that comes with each change and is saved with it, so that it may be killed at any moment. Pictures leave it
only as the watcher gives them: the rack's outline, hands filled.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from edge_agents import rack_messages as messages
from edge_agents.rack_words import word_of
from vision.detectors import DetectorError, make_detector
from vision.detectors.base import Detector
from vision.detectors.base import Frame as Image
from vision.judging import TrainedJudge, make_judge
from vision.judging.net import NetError
from vision.memory import SnapshotError, picture_text
from vision.privacy import OutlineCut, OutlineError
from vision.sessions import State
from vision.slots import Rack, RackError, load_rack
from vision.sources import CameraGoneError, Frame, FrameSource, SourceError, open_source
from vision.watching import RackWatcher, Said
from vision.watching.said import ModeChange

_log = logging.getLogger(__name__)

_PICTURE_EVERY_S: Final = 1.0
_PICTURE_QUALITY: Final = 80
_STAY_AWAKE_S: Final = 8.0
_TRIAL_SCORE: Final = 0.35


class StoppedError(Exception):
    """The agent wants no more of this eye."""


class Inbox:
    """What the agent sent, from the thread that reads it to the one that watches."""

    def __init__(self) -> None:
        self._fresh = threading.Condition()
        self._messages: list[messages.Told] = []
        self.stopped = False

    def stop(self) -> None:
        """Nobody listens any more."""
        with self._fresh:
            self.stopped = True
            self._fresh.notify()

    def put(self, message: messages.Told) -> None:
        with self._fresh:
            self._messages.append(message)
            self._fresh.notify()

    def take(self) -> list[messages.Told]:
        """Raises StoppedError."""
        with self._fresh:
            if self.stopped:
                raise StoppedError
            taken, self._messages = self._messages, []
            return taken

    def wait(self, seconds: float) -> None:
        """Until something came, at most so long."""
        with self._fresh:
            self._fresh.wait_for(lambda: self.stopped or bool(self._messages), timeout=seconds)


class Eye:
    """Watches one rack until its source ends."""

    def __init__(
        self,
        order: messages.Order,
        say: Callable[[messages.Said], None],
        inbox: Inbox,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._order = order
        self._say = say
        self._inbox = inbox
        self._sleep = sleep or self._rest
        self._snapshot = order.snapshot
        self._corrections: list[messages.Correction] = []
        """What a person said, the present watcher knows, and no snapshot that was said holds yet."""
        self._waiting: list[messages.Correction] = list(order.pending)
        """What a person said and the present watcher cannot take yet."""
        self._shows: dict[str, float] = {}
        self._shown_at = 0.0
        self._frame: Frame | None = None
        self._awake_until = 0.0
        self._fed_at = 0.0
        self._is_open = False
        self._is_fed = False
        self._has_said = False
        """The snapshot is this eye's own: it is as new as what was said."""
        self._code = ""
        """Of the mode that the present watcher said last."""
        self._rack: Rack
        self._watcher: RackWatcher

    def watch(self) -> None:
        order = self._order
        try:
            self._rack = load_rack(Path(order.rack))
            self._detector = _detector(order.detector, order.model)
            self._judge = make_judge() if order.judge is None else TrainedJudge(Path(order.judge))
            source = open_source(
                order.source, fps=order.fps, loop=order.loop, realtime=True, sleep=self._sleep, cut=self._only_the_rack
            )
        except RackError as error:
            french = f"Description du rack inutilisable : corriger {Path(order.rack).name}."
            self._say(messages.Unusable("rack_file", str(error), french))
            return
        except (DetectorError, NetError) as error:
            french = "Détecteur inutilisable : vérifier `model` et l'installation de l'agent."
            self._say(messages.Unusable("detector", str(error), french))
            return
        except SourceError as error:
            french = f"Source d'images introuvable ({order.source}) : corriger `source`."
            self._say(messages.Unusable("source", str(error), french))
            return
        self._renew()
        try:
            while self._watch_once(source):
                pass
        finally:
            source.close()

    def _watch_once(self, source: FrameSource) -> bool:
        """Until the camera is gone; false when there is nothing more to watch."""
        try:
            for frame in source:
                if self._frame is None:
                    self._say(messages.Watching())
                self._frame = frame
                self._obey_all()
                self._look(frame)
            self._say(messages.Ended())
            return False
        except CameraGoneError as error:
            self._frame = None
            self._settle(self._watcher.camera_lost())
            self._say(messages.Gone(str(error)))
            for asked in list(self._shows):
                self._answer(asked, "La caméra ne répond pas : pas d'image.")
            self._shows.clear()
            return True
        except OutlineError as error:
            french = "La caméra a changé de format d'image : remettre l'ancien réglage ou redessiner le rack."
            self._say(messages.Unusable("picture", str(error), french))
            return False
        except SourceError as error:
            french = f"Images illisibles ({self._order.source}) : vérifier la source."
            self._say(messages.Unusable("source", str(error), french))
            return False

    def _renew(self) -> None:
        """A watcher that knows what the last snapshot knew, and what was said to this one since."""
        self._cut = OutlineCut(self._rack)
        self._watcher = RackWatcher(self._rack, self._detector, judge=self._judge)
        self._is_fed = False
        self._code = ""
        if self._snapshot is not None:
            try:
                self._watcher.restore(json.loads(self._snapshot), trusted=self._order.trusted or self._has_said)
            except (SnapshotError, json.JSONDecodeError) as error:
                _log.error("the saved snapshot cannot be used, the rack is learnt anew: %s", error)
                self._snapshot = None
        self._waiting, self._corrections = self._corrections + self._waiting, []
        self._correct_all()

    # Frames

    def _only_the_rack(self, image: Image) -> Image:
        """The source's own step: what lies outside the outline of the present description is gone after it."""
        return self._cut(image)

    def _look(self, frame: Frame) -> None:
        watcher = self._watcher
        before = watcher.state
        if before is not State.CLEAR or not self._sleeps(frame.ts):
            said = watcher.feed(frame.image, frame.ts)
            if self._cut.outline is not None:
                self._cut.outline.place(watcher.homography)
            is_first, self._is_fed = not self._is_fed, True
            if said or is_first or (before is not State.CLEAR and watcher.state is State.CLEAR):
                self._settle(said)
            self._correct_all()
        self._show(frame)

    def _sleeps(self, ts: float) -> bool:
        """Whether this frame is one of those left out while nobody opened the rack."""
        idle = self._order.idle_fps
        if not idle or self._is_open or ts < self._awake_until:
            self._fed_at = ts
            return False
        if ts - self._fed_at < 1 / idle:
            return True
        self._fed_at = ts
        return False

    def _settle(self, said: list[Said]) -> None:
        """Say what is to be recorded together."""
        words = [word_of(one, self._rack) for one in said]
        self._code = next((one.code for one in reversed(said) if isinstance(one, ModeChange)), self._code)
        # before its first frame a watcher knows no pose, and would save that it has none
        snapshot = self._watcher.snapshot() if self._is_fed else {}
        applied: list[str] = []
        if snapshot:  # empty while it learns: nothing of what was said is in it
            self._snapshot, self._has_said = json.dumps(snapshot).encode(), True
            applied = [correction.id for correction in self._corrections]
            self._corrections = []
        if words or applied or snapshot:
            self._say(messages.Settled(words, self._snapshot or b"", applied))

    def _show(self, frame: Frame) -> None:
        if not self._shows or frame.ts - self._shown_at < _PICTURE_EVERY_S:
            return
        asked = list(self._shows)
        picture = self._watcher.picture()
        if picture is None:
            return
        self._shown_at = frame.ts
        jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _PICTURE_QUALITY])[1]
        self._say(messages.Picture(asked, bytes(jpeg)))
        now = time.monotonic()
        self._shows = {one: until for one, until in self._shows.items() if until > now}

    # A person's word

    def _rest(self, seconds: float) -> None:
        """A pause of the source, in which the agent is heard."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._inbox.wait(left)
            self._obey_all()

    def _obey_all(self) -> None:
        for told in self._inbox.take():
            match told:
                case messages.BeMode() | messages.HaveCount() | messages.HaveMoved():
                    self._waiting.append(told)
                    self._correct_all()
                case messages.BeTaught():
                    self._be_taught(told)
                case messages.UseModel():
                    self._use(told)
                case messages.Show():
                    if self._frame is None:
                        self._answer(told.id, "La caméra ne donne pas encore d'image.")
                    else:
                        self._shows[told.id] = time.monotonic() + told.seconds
                        self._shown_at = 0.0
                case messages.Wake():
                    self._is_open = told.awake
                    if not told.awake and self._frame is not None:
                        self._awake_until = self._frame.ts + _STAY_AWAKE_S

    def _correct_all(self) -> None:
        """Tell the watcher all that it can take now. A word about a move waits until it has seen the move."""
        if not self._waiting:
            return
        ready = self._code == "moved" or self._watcher.state is State.CLEAR
        waiting, self._waiting = self._waiting, []
        for correction in waiting:
            if isinstance(correction, messages.HaveMoved) and not ready:
                self._waiting.append(correction)
            else:
                self._corrections.append(correction)
                self._correct(correction)

    def _correct(self, correction: messages.Correction) -> None:
        """Tell the watcher; what it answers goes out with the next snapshot, at once where it has one."""
        watcher = self._watcher
        said: list[Said] = []
        match correction:
            case messages.BeMode():
                said = watcher.set_mode(correction.mode)
            case messages.HaveCount():
                try:
                    watcher.set_count(correction.slot, correction.count)
                except (KeyError, ValueError) as error:  # a place that was taken away since it was said
                    _log.warning("%s is not %s: %s", correction.slot, correction.count, error)
            case messages.HaveMoved():
                said = watcher.settle_move(correction.accept)
        self._settle(said)

    def _be_taught(self, told: messages.BeTaught) -> None:
        before = self._rack
        try:
            rack = Rack.of(told.rack)
        except RackError as error:
            self._answer(told.id, f"Description refusée : {error}.")
            return
        if self._frame is not None and rack.picture is not None:
            height, width = self._frame.image.shape[:2]
            if rack.picture != (width, height):
                drawn = f"{rack.picture[0]}×{rack.picture[1]}"
                self._answer(told.id, f"Rack dessiné sur une image de {drawn} px ; la caméra donne {width}×{height}.")
                return
        self._rack = rack
        if self._snapshot is not None and _is_drawn_anew(before, rack):
            self._snapshot = self._as_drawn_now(self._snapshot)
        self._renew()
        known = {slot.id: slot.polygon.tolist() for slot in before.slots}
        kept = sum(known.get(slot.id) == slot.polygon.tolist() for slot in rack.slots)
        new = len(rack.slots) - kept
        self._answer(told.id, f"{len(rack.slots)} places : {kept} gardées, {new} à apprendre.", done=True)

    def _as_drawn_now(self, snapshot: bytes) -> bytes:
        """The snapshot, its taught picture the present one, upon which the places were drawn: no move is left open."""
        picture = self._watcher.picture()
        drawn_on = None if picture is None else picture_text(picture)
        pose = self._watcher.snapshot().get("pose") if self._is_fed else None
        now = {"moved": False, "picture": drawn_on, "pose": pose, "reference": None}
        return json.dumps(json.loads(snapshot) | now).encode()

    def _use(self, told: messages.UseModel) -> None:
        """Try it on the present picture first: a model that cannot judge it is not taken."""
        try:
            detector = _detector(self._order.detector, told.detector)
            _try(detector, None if self._frame is None else self._frame.image)
            judge = make_judge() if told.judge is None else TrainedJudge(Path(told.judge))
        except (DetectorError, NetError, OSError, ValueError, RuntimeError) as error:
            self._answer(told.id, f"Modèle refusé à l'essai : {error}.")
            return
        self._judge = judge
        self._detector = detector
        self._renew()
        self._answer(told.id, "Modèle essayé et pris.", done=True)

    def _answer(self, asked: str, french: str, *, done: bool = False) -> None:
        self._say(messages.Answer(asked, done, french[:1000]))


def _is_drawn_anew(before: Rack, after: Rack) -> bool:
    """Whether a place or a marker that was there is elsewhere now; other words about a place move nothing."""
    corners = {slot.id: slot.polygon.tolist() for slot in before.slots}
    moved = any(corners.get(slot.id, slot.polygon.tolist()) != slot.polygon.tolist() for slot in after.slots)
    return moved or before.markers != after.markers


def _detector(name: str, model: str | None) -> Detector:
    """One for all racks of this process where its runtime lets threads share it. Raises DetectorError."""
    if name != "onnx":
        return make_detector(name, None if model is None else Path(model))
    changed = 0 if model is None or not Path(model).exists() else Path(model).stat().st_mtime_ns
    with _loading:
        return _shared(model, changed)


_loading = threading.Lock()


@lru_cache(maxsize=2)
def _shared(model: str | None, _changed: int) -> Detector:
    return make_detector("onnx", None if model is None else Path(model))


def _try(detector: Detector, picture: Image | None) -> None:
    """Raises DetectorError, or what its runtime raises, when it cannot judge a picture."""
    grey = np.full((480, 640, 3), 114, np.uint8)
    for image in [grey] if picture is None else [grey, picture]:
        if any(not np.isfinite((d.x0, d.y0, d.x1, d.y1, d.score)).all() for d in detector.detect(image, _TRIAL_SCORE)):
            raise DetectorError("it gives boxes that are no numbers")
