"""When is a place to be compared? The state of one camera: learning → clear → session → (settling) → clear."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where the camera stands."""

    LEARNING = "learning"
    CLEAR = "clear"
    SESSION = "session"


class Event(StrEnum):
    """What a frame made happen."""

    NONE = "none"
    LEARNED = "learned"
    OPENED = "opened"
    SETTLED = "settled"
    HELD = "held"


@dataclass(frozen=True)
class SessionRules:
    """Times that decide.

    Attributes:
        clear_frames: consecutive quiet frames before places are compared.
        clear_s: least duration of that quiet, seconds.
        hold_s: an unmoving arm or hand is taken for part of the scene after this long, and what changed then is for
            review, seconds.
    """

    clear_frames: int = 4
    clear_s: float = 0.3
    hold_s: float = 12.0


class SessionMachine:
    """Counts quiet frames; pure, no images.

    `step` takes what the gate and the detector saw in one frame and returns the event.
    """

    def __init__(self, rules: SessionRules | None = None) -> None:
        self.rules = rules or SessionRules()
        self.state = State.LEARNING
        self.began = 0.0
        self.number = 0
        self._quiet_since: float | None = None
        self._still_since: float | None = None
        self._quiet = 0

    def step(self, ts: float, moving: bool, arm: bool, foreground: bool, hand: bool) -> Event:
        """One frame.

        Args:
            ts: monotonic time, seconds.
            moving: it differs from the frame before.
            arm: something reaches in from the border.
            foreground: anything differs from the reference.
            hand: the detector sees a hand (asked only when nothing else speaks against quiet).
        """
        if self.state is State.CLEAR:
            if not (moving or arm or foreground or hand):
                return Event.NONE
            self.state = State.SESSION
            self.began, self.number = ts, self.number + 1
            self._reset()
            return Event.OPENED
        if moving:
            self._reset()
            return Event.NONE
        self._still_since = ts if self._still_since is None else self._still_since
        if arm or hand:
            self._quiet, self._quiet_since = 0, None
            if ts - self._still_since >= self.rules.hold_s:
                return self._close(Event.HELD)
            return Event.NONE
        self._quiet += 1
        self._quiet_since = ts if self._quiet_since is None else self._quiet_since
        if self._quiet < self.rules.clear_frames or ts - self._quiet_since < self.rules.clear_s - 1e-6:
            return Event.NONE
        return self._close(Event.LEARNED if self.state is State.LEARNING else Event.SETTLED)

    @property
    def quiet_frames(self) -> int:
        """Length of the present run of quiet frames."""
        return self._quiet

    def _close(self, event: Event) -> Event:
        self.state = State.CLEAR
        self._reset()
        return event

    def _reset(self) -> None:
        self._quiet, self._quiet_since, self._still_since = 0, None, None
