"""Facts of the floor that move stock."""

from __future__ import annotations

from central.core.facts import Consumers
from central.stock.intake import apply_counted, apply_observed, apply_scanned


def register(consumers: Consumers) -> None:
    consumers.on("stock.observed", apply_observed)
    consumers.on("stock.counted", apply_counted)
    consumers.on("code.scanned", apply_scanned)
