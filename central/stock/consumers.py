"""Facts of the floor that move stock."""

from __future__ import annotations

from central.core.facts import Consumers
from central.stock.intake import apply_counted, apply_observed, apply_scanned
from central.stock.readings import apply_asked, apply_read


def register(consumers: Consumers) -> None:
    consumers.on("stock.observed", apply_observed)
    consumers.on("stock.counted", apply_counted)
    consumers.on("stock.asked", apply_asked)
    consumers.on("rack.read", apply_read)
    consumers.on("code.scanned", apply_scanned)
