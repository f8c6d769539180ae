"""The former name of `vision.watching`, for callers that only want movements; it goes when they have moved."""

from __future__ import annotations

from vision.detectors.base import Frame
from vision.watching import RackWatcher as Watcher
from vision.watching import SlotChange, WatchSettings, changes

__all__ = ["RackWatcher", "SlotChange", "WatchSettings"]


class RackWatcher(Watcher):
    """A watcher that says only movements."""

    def feed(self, frame: Frame, ts: float) -> list[SlotChange]:  # type: ignore[override]  # narrower on purpose, see above
        """See `vision.watching.RackWatcher.feed`."""
        return changes(super().feed(frame, ts))
