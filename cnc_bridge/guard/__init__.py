"""The collision guard: an aid beside the machine, never a safety function (see docs/guide/garde-collision.md)."""

from cnc_bridge.guard.core import Guard, Verdict
from cnc_bridge.guard.envelope import Memory
from cnc_bridge.guard.settings import GuardSettings, Limits
from cnc_bridge.guard.track import Level

__all__ = ["Guard", "GuardSettings", "Level", "Limits", "Memory", "Verdict"]
