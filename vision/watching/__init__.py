"""Watching one rack: frames in, what may be said out. docs/decisions/0018."""

from vision.watching.said import (
    ModeChange,
    PlaceSeen,
    Reading,
    Said,
    SlotAsk,
    SlotChange,
    asks,
    changes,
    readings,
)
from vision.watching.watcher import RackWatcher, WatchSettings

__all__ = [
    "ModeChange",
    "PlaceSeen",
    "RackWatcher",
    "Reading",
    "Said",
    "SlotAsk",
    "SlotChange",
    "WatchSettings",
    "asks",
    "changes",
    "readings",
]
