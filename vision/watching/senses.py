"""What the watcher sees a frame with: the gate, the camera's health, and where the rack lies."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame
from vision.gate import Gate, Sight
from vision.health import Condition, Health
from vision.memory import Kept
from vision.privacy import Outline, OutlineError
from vision.registration import Fix, Registration
from vision.slots import Rack, Slot
from vision.watching.evidence import with_pictures
from vision.watching.hands import Hands
from vision.watching.modes import Modes
from vision.watching.said import ModeChange

log = logging.getLogger(__name__)

_KEPT_FRAMES = 5
_THING_S = 3.0
_AROUND_SHARE = 0.1
_LOCATE_S = 1.0
_CALM_S = 5.0
_HEALTH_S = 0.25
_DIRT_S = 1.0
_SUSPECT: Final = ("dark", "covered", "closed")
_HEALTH: Final = ("dark", "covered", "frozen", "dirty", "flicker", "closed")


class Senses:
    """Gate, health and registration of one camera, from its first frame on.

    Args:
        rack: the places.
        modes: the causes of blindness, which it sets and clears.
        hands: what a pushed camera is not.
        cut: called when whatever was going on is cut short: everything is to be looked at again.
        picture: the taught picture, or None.

    Attributes:
        size: width and height of the taught picture, None before it is known.
        taught: the picture in which the rack was taught.
        given: whether the caller gave it.
        newest, sight: the last frame and what the gate saw of it.
        still: the last frames without motion, oldest first.
        told_in: first and last moment of the last session that told a change.
        moved: where the rack lies in a camera that moved too far, until a person looked.
    """

    def __init__(
        self, rack: Rack, modes: Modes, hands: Hands, cut: Callable[[], None], picture: Frame | None = None
    ) -> None:
        self._rack, self._modes, self._hands, self._cut = rack, modes, hands, cut
        self.given = picture is not None
        self.taught = picture
        self.size = rack.picture
        self.restored: Kept | None = None
        self.newest: Frame | None = None
        self.sight: Sight | None = None
        self.moved: Fix | None = None
        self.still: deque[Frame] = deque(maxlen=_KEPT_FRAMES)
        self.told_in = (float("inf"), float("-inf"))
        self._gate: Gate | None = None
        self._health: Health | None = None
        self._registration: Registration | None = None
        self._calm = self._located = self._felt = float("-inf")
        self._condition: Condition | None = None
        self._still_since: float | None = None
        self._followed = np.eye(3)
        self._dim_since: float | None = None
        self._dim_explained = False
        self._pushed = self._health_moved = False
        self._large = 0

    @property
    def gate(self) -> Gate:
        """Raises RuntimeError before the first frame."""
        if self._gate is None:
            raise RuntimeError("no frame has come yet")
        return self._gate

    @property
    def awake(self) -> bool:
        """Whether a first frame has come."""
        return self._gate is not None

    @property
    def homography(self) -> npt.NDArray[np.float64]:
        """Where the rack lies now, taught → frame, (3, 3)."""
        return np.eye(3) if self._registration is None else self._registration.homography

    def dump_pose(self) -> dict[str, object] | None:
        """The registration's own dump."""
        return None if self._registration is None else self._registration.dump()

    def fitted(self, frame: Frame) -> Frame | None:
        """The frame in the taught size; None when it cannot be used. One of another shape is a camera lost."""
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or min(frame.shape[:2]) < 16:
            log.warning("a frame that is no picture is passed over")
            return None
        height, width = frame.shape[:2]
        if self.size is None:
            self.size = (width, height)
        if (width, height) == self.size:
            self._modes.cleared("lost")
            return frame
        wide, high = self.size
        if abs(width / height - wide / high) > 0.02 * wide / high:
            detail = f"the camera's picture changed from {wide}x{high} to {width}x{height}"
            if not self._modes.has("lost"):
                log.error("%s: set it back or teach the rack again", detail)
            self._modes.blinded("lost", detail)
            self._cut()
            return None
        self._modes.cleared("lost")
        return np.asarray(cv2.resize(frame, self.size, interpolation=cv2.INTER_AREA), np.uint8)

    def look(self, picture: Frame, ts: float) -> Sight:
        """Take a frame of the taught size."""
        self._wake(picture)
        self.newest = picture
        sight = self.sight = self.gate.look(picture)
        if not sight.moving:
            self._still_since = ts if self._still_since is None else self._still_since
            self.still.append(picture)
            if not sight.arm:
                self._calm = ts
        else:
            self._still_since = None
            self.still.clear()
        return sight

    def feel(self, picture: Frame, ts: float, sight: Sight, idle: bool) -> bool:
        """Ask the health: of each frame when something goes on, a few times a second in an `idle` rack; whether it
        doubts the picture.
        """
        assert self._health is not None
        idle = idle and not self._modes.blind and not sight.moving and not sight.arm
        last = self._condition
        if last is None or not idle or not 0 <= ts - self._felt < _HEALTH_S:
            self._felt = ts
            last = self._condition = self._health.look(picture, ts, not sight.moving)
            if "dirty" not in (last.code, last.suspect):
                self._dim_since, self._dim_explained = None, False
            elif self._dim_since is None:
                self._dim_since = ts
            code = "ok" if last.code == "dirty" and self._is_explained() else last.code
            self._heed(code, last.detail, ts)
        return last.suspect in _SUSPECT

    def is_thing(self, ts: float) -> bool:
        """A "hand" without an arm that does not move at all: a glove, or part of the scene. It masks what it covers."""
        return self._still_since is not None and ts - self._still_since >= _THING_S

    def stay_blind(self, picture: Frame, ts: float, sight: Sight) -> None:
        """While it is blind only a moved camera is looked after: it may be put back, or a new person's look be due."""
        if not self._modes.has("moved") or self._modes.code != "moved" or sight.moving or self._registration is None:
            return
        if ts - self._located < _LOCATE_S:
            return
        self._located = ts
        fix = self._registration.locate(picture)
        if fix.kind in ("still", "small") and not self._health_moved:
            self.moved = None
            self._modes.cleared("moved")
            self._follow()
            self._cut()
        elif fix.kind == "large":
            self.moved = fix

    def realign(self, sight: Sight, picture: Frame, ts: float) -> Sight | None:
        """Something stands in the picture's border: perhaps the picture itself moved. None: so far that it is blind."""
        gate = self.gate
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
            if self._large > 1 and not self._hands.find(picture, gate, sight):
                self._has_moved(fix)
                return None
        else:
            self._large = 0
        return sight

    def place(self, frames: list[Frame], ts: float) -> bool:
        """Find the rack in clear frames; False when it stands so far off that a person must look."""
        if self._registration is None:
            if self.taught is None or self.taught.shape != frames[-1].shape:
                self.taught = frames[-1].copy()
            self._registration = Registration(self._rack, self.taught)
        self._located = ts
        fix = self._registration.locate(frames[-1])
        if fix.kind == "large" and not self._stands_as_before():
            first = self._registration.locate(frames[0])
            if first.kind == "large":
                self._has_moved(fix)
                return False
        self._follow()
        return True

    def accept(self) -> bool:
        """A person accepts where the rack lies now; False when nothing moved."""
        if self.moved is None or self._registration is None:
            return False
        self._registration.accept(self.moved)
        self._follow()
        self._modes.cleared("moved")
        self.moved = None
        self._health_moved = False
        return True

    def gap(self, ts: float) -> None:
        """No frame came for a while, up to now."""
        self._calm = self._located = ts

    def settled(self) -> None:
        """The places were looked at, and the gate has a new reference."""
        self._pushed = False

    def opened(self) -> None:
        """A session begins, or is cut."""
        self._large = 0

    def small(self, slot: Slot) -> npt.NDArray[np.float32]:
        """The place's polygon in px of the gate's picture."""
        at = cv2.perspectiveTransform(slot.polygon[None], self.homography)[0]
        return np.asarray(at * self.gate.scale, np.float32)

    def shown(self, arms: bool) -> Frame | None:
        """The newest frame, (H, W, 3) in the taught picture's coordinates, hands filled, and what reaches in with
        `arms`; nothing outside the outline. None before the first.
        """
        if self.newest is None or self.sight is None:
            return None
        shown = self._hands.filled(self.newest, self.gate.reaching(self.sight) if arms else None)
        size = (shown.shape[1], shown.shape[0])
        if not np.array_equal(self.homography, np.eye(3)):
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            shown = np.asarray(cv2.warpPerspective(shown, self.homography, size, flags=flags), np.uint8)
        return Outline(self._rack, shown.shape).cut(shown)

    def illustrated(self, news: ModeChange) -> ModeChange:
        """The news of a camera that moved, with its pictures before and after."""
        if news.code != "moved" or self.taught is None or self.newest is None:
            return news
        if self.moved is None and self._registration is not None:
            fix = self._registration.locate(self.newest)
            self.moved = fix if fix.kind == "large" else None
        stands = np.eye(3) if self.moved is None else self.moved.homography
        return with_pictures(news, self._rack, self.taught, self._hands.filled(self.newest), stands)

    def _wake(self, picture: Frame) -> None:
        if self._gate is not None and self._health is not None:
            return
        self._gate = Gate(picture.shape, self._rack)
        taught = self.taught if self.taught is not None and self.taught.shape == picture.shape else None
        self.taught = taught
        try:
            self._health = Health(self._rack, taught)
        except OutlineError as problem:  # cannot be: `_fitted` gives the taught size
            raise ValueError(str(problem)) from problem
        restored = self.restored
        if taught is not None:
            self._registration = Registration(self._rack, taught)
            if restored is not None and restored.pose is not None:
                self._registration.load(restored.pose)
            self._follow()
        reference = None if restored is None else restored.reference
        if reference is not None and reference.shape[:2] == (self._gate.size[1], self._gate.size[0]):
            self._gate.adopt(reference)
        if restored is not None and restored.moved and self._registration is not None:
            self._modes.blinded("moved")

    def _is_explained(self) -> bool:
        """Whether the edges that are gone left with what was taken: they went in a session that told a change, and
        dirt that comes with nobody near does not.
        """
        began, ended = self.told_in
        if self._dim_since is not None and began <= self._dim_since <= ended + _DIRT_S:
            self._dim_explained = True
        return self._dim_explained

    def _heed(self, code: str, detail: str, ts: float) -> None:
        """Begin or end a blindness that the health tells. Flicker is none as long as the gate comes to rest in it."""
        if code == "flicker" and ts - self._calm < _CALM_S:
            code = "ok"
        if code == "moved":
            self._health_moved = True
        elif self._health_moved and code != "closed":  # a pushed drawer is put back or taken for a drawer again
            self._health_moved = False
            self._modes.cleared("moved")
        was_blind = self._modes.blind
        self._modes.cleared(*(c for c in _HEALTH if c != code))
        if code != "ok":
            self._modes.blinded(code, detail)
            if not was_blind:
                log.info("blind: %s, %s", code, detail)
            self._cut()

    def _stands_as_before(self) -> bool:
        """Whether the gate sees the surroundings of the places where they were: then nothing moved, and a fix that says
        so is one pitch aside in a rack that repeats itself.
        """
        gate, sight = self._gate, self.sight
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
        self.moved = fix
        self._modes.blinded("moved", f"{fix.moved_px:.0f} px, {fix.turned_deg:.1f} deg")
        self._cut()
