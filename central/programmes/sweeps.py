"""What comes back by itself: unanswered commands, texts that no version names."""

from __future__ import annotations

from central.core.sweeps import Sweeps
from central.programmes import service, transfers


def register(sweeps: Sweeps) -> None:
    sweeps.every(5.0, "programmes.chase", transfers.chase)
    sweeps.every(3600.0, "programmes.orphans", service.forget_orphans)
