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
    ADOPTED = "adopted"


@dataclass(frozen=True)
class SessionRules:
    """Times that decide.

    Attributes:
        clear_frames: consecutive quiet frames before places are compared; two are enough after `slow_s`, for cameras
            of a few frames a second.
        clear_s: least duration of that quiet, seconds.
        slow_s: see `clear_frames`, seconds.
        hold_s: an arm or hand that does not move for so long rests: what it does not hide is looked at, for review;
            the session stays open, seconds.
        adopt_s: after so long without moving what reaches in is taken for part of the scene, seconds.
    """

    clear_frames: int = 4
    clear_s: float = 0.3
    slow_s: float = 1.0
    hold_s: float = 12.0
    adopt_s: float = 90.0


class SessionMachine:
    """Counts quiet frames; pure, no images.

    `step` takes what the gate and the detector saw in one frame and returns the event. While someone rests it says
    `Event.HELD` every `SessionRules.hold_s`.
    """

    def __init__(self, rules: SessionRules | None = None) -> None:
        self.rules = rules or SessionRules()
        self.state = State.LEARNING
        self.began = 0.0
        self.number = 0
        self._quiet_since: float | None = None
        self._still_since: float | None = None
        self._reset()

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
            return self._resting(ts - self._still_since)
        self._quiet += 1
        self._quiet_since = ts if self._quiet_since is None else self._quiet_since
        quiet_s = ts - self._quiet_since + 1e-6
        enough = self._quiet >= self.rules.clear_frames or (self._quiet > 1 and quiet_s >= self.rules.slow_s)
        if not enough or quiet_s < self.rules.clear_s:
            return Event.NONE
        return self._close(Event.LEARNED if self.state is State.LEARNING else Event.SETTLED)

    def begin(self) -> None:
        """Wait for quiet as at the start, whatever was going on: the places will all be looked at."""
        self.state = State.LEARNING
        self._reset()

    def close(self) -> None:
        """Clear from now on, on somebody else's word."""
        self._close(Event.NONE)

    @property
    def quiet_frames(self) -> int:
        """Length of the present run of quiet frames."""
        return self._quiet

    def _resting(self, still_s: float) -> Event:
        self._quiet, self._quiet_since = 0, None
        if still_s >= self.rules.adopt_s:
            return self._close(Event.LEARNED if self.state is State.LEARNING else Event.ADOPTED)
        if still_s >= (self._held + 1) * self.rules.hold_s:
            self._held += 1
            return Event.HELD
        return Event.NONE

    def _close(self, event: Event) -> Event:
        self.state = State.CLEAR
        self._reset()
        return event

    def _reset(self) -> None:
        self._quiet, self._held = 0, 0
        self._quiet_since, self._still_since = None, None
