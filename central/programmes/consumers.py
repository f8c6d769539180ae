"""Which facts move programmes."""

from __future__ import annotations

from central.core.facts import Consumers
from central.programmes import transfers


def register(consumers: Consumers) -> None:
    consumers.on("machine.programme", transfers.on_programmes)
    consumers.on("agent.answered", transfers.on_answers)
