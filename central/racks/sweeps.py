"""What of racks comes back by itself: commands that were not answered, pictures over their time, models that fell."""

from __future__ import annotations

from central.core.sweeps import Sweeps
from central.racks import commands, crops, rollout


def register(sweeps: Sweeps) -> None:
    sweeps.every(5.0, "racks.chase", commands.chase)
    sweeps.every(30.0, "racks.purge", crops.purge)
    sweeps.every(300.0, "racks.watch_models", rollout.watch)
