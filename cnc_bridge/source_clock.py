"""The controller's clock against ours, from the times that its readings carry."""

from __future__ import annotations

from datetime import datetime, timedelta

from cnc_bridge.port import Moment

TRUST_SOURCE = timedelta(seconds=5)
"""A reading that would have been on its way for longer is a repetition: it is timed when it was received."""
_WINDOW_S = 300.0
_SETTLE_S = 2.0
"""On connection a far side repeats its present values with the times of their last change, hours old."""


class SourceClock:
    """The smallest (received - source) of the last 5 to 10 minutes: the controller clock's offset, least delayed.

    `known_ms`: what it was before, for a clock of which nothing has been heard yet.
    """

    def __init__(self, connected: float, known_ms: float | None = None) -> None:
        self._known = None if known_ms is None else timedelta(milliseconds=known_ms)
        self._best: timedelta | None = None
        self._older: timedelta | None = None
        self._since = 0.0
        self._connected = connected
        self._fresh = False

    @property
    def offset(self) -> timedelta | None:
        """What must be added to the controller's time to have ours: positive when its clock is late.

        At most the shortest delay on the way too large. None until something fresh was heard.
        """
        return self._smallest() if self._fresh else self._known

    def to_ours(self, source: datetime, received: Moment) -> datetime:
        """`source` on this agent's clock, when it is believable: within 5 s before `received`."""
        lag = received.wall - source
        if self._best is None or received.mono - self._since > _WINDOW_S:
            self._older, self._best, self._since = self._best, lag, received.mono
        self._best = min(self._best, lag)
        self._fresh = self._fresh or received.mono - self._connected > _SETTLE_S
        ours = source + self._smallest()
        return ours if received.wall - TRUST_SOURCE <= ours <= received.wall else received.wall

    def when(self, source: datetime, received: Moment) -> datetime:
        """`source` on our clock, however long ago it was; for what the far side kept while we were away."""
        offset = self.offset
        return received.wall if offset is None else min(source + offset, received.wall)

    def _smallest(self) -> timedelta:
        assert self._best is not None
        return self._best if self._older is None else min(self._best, self._older)
