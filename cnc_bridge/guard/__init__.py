"""The collision guard: an aid beside the machine, never a safety function (see docs/guide/garde-collision.md)."""

from cnc_bridge.guard.core import Guard, Level, Verdict
from cnc_bridge.guard.envelope import Memory
from cnc_bridge.guard.settings import GuardSettings, Limits

__all__ = ["Guard", "GuardSettings", "Level", "Limits", "Memory", "Verdict"]
