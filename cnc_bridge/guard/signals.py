"""Which signals a guard watches, and which tell it what the machine is doing.

A guarded signal's class follows from its name: `spindle_load`, `spindle_load_2`, `x_load`, `z_following_error`,
`vibration`, `contact`… All are judged by their magnitude, so a sign (a current, a following error) does not matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Family = Literal["spindle", "axis", "following", "vibration", "contact", "other"]

CONTEXT: Final = frozenset({
    "execution", "mode", "programme", "tool", "segment", "line", "spindle_speed", "spindle_command", "feed",
    "feed_override", "motion", "part_count", "availability", "emergency_stop", "functional_mode", "spindle_override",
})  # fmt: skip
"""Signals that are read and never judged. `line` is the block being executed, `segment` a named piece of the programme
(Mazatrol unit, process step), `motion` the modal G code where a controller tells it (`G33`)."""

_FAMILIES: Final[tuple[tuple[Family, re.Pattern[str]], ...]] = (
    ("contact", re.compile(r"contact|touch")),
    ("following", re.compile(r"following_error|lag")),
    ("vibration", re.compile(r"vibration|acceleration|accelerometer|acoustic")),
    ("spindle", re.compile(r"spindle_(load|power|current|torque)|^s\d?_(load|power|current|torque)")),
    ("axis", re.compile(r"^[a-z]{1,2}\d?_(load|power|current|torque)|axis_load")),
    ("other", re.compile(r"(load|power|current|torque|force|pressure)")),
)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A signal to judge. `period_s`: its sampling period until it was seen to sample faster or slower."""

    name: str
    family: Family
    unit: str
    period_s: float


def is_context(name: str) -> bool:
    """Whether `name` only tells what the machine does; every spindle's speed does (`spindle_speed_2`)."""
    return name in CONTEXT or name.startswith(("spindle_speed", "spindle_command"))


def guarded(name: str, unit: str | None = None) -> Guarded | None:
    """How `name` is guarded; None when it is context, or a signal that says nothing of a collision."""
    if is_context(name):
        return None
    for family, pattern in _FAMILIES:
        if pattern.search(name):
            return Guarded(name, family, _unit(name, family) if unit is None else unit, 1.0)
    return None


def _unit(name: str, family: Family) -> str:
    if name.startswith("spindle_load") or (family == "axis" and name.endswith("_load")):
        return "%"
    return {"following": "mm", "vibration": "g"}.get(family, "")
