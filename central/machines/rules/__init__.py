"""The pure rules of machines: states, samples, calendar, what programmes make, the guard's verdicts, what alerts."""

from central.machines.rules.calendar import (
    SHOP_WEEK,
    Calendar,
    Span,
    day_span,
    hours_from_json,
    minutes_outside,
    union,
)
from central.machines.rules.samples import (
    HOUR_S,
    MINUTE_MS,
    MINUTE_S,
    Block,
    Bucket,
    Summary,
    buckets,
    merge,
    split_minutes,
)
from central.machines.rules.states import (
    STATE_LABELS,
    StateEvent,
    StateInterval,
    clip,
    intervals,
    minutes_by_state,
)

__all__ = [
    "HOUR_S",
    "MINUTE_MS",
    "MINUTE_S",
    "SHOP_WEEK",
    "STATE_LABELS",
    "Block",
    "Bucket",
    "Calendar",
    "Span",
    "StateEvent",
    "StateInterval",
    "Summary",
    "buckets",
    "clip",
    "day_span",
    "hours_from_json",
    "intervals",
    "merge",
    "minutes_by_state",
    "minutes_outside",
    "split_minutes",
    "union",
]
