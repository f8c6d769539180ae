"""Controller-neutral machine model: signals, MTConnect words, and the state that the shop says.

Words follow MTConnect Part 2 (Execution, ControllerMode, FunctionalMode, EmergencyStop); the mapping to the shop's
states follows the state table of docs/glossary.md (OPC 40001-1 and OPC 40502 beside it).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Value: TypeAlias = float | int | str | None
"""A cleaned value; None is "the controller says that it does not know" (UNAVAILABLE, bad quality)."""

State: TypeAlias = Literal["off", "ready", "running", "stopped", "setup", "alarm", "silent"]

EXECUTION_WORDS = frozenset({
    "ACTIVE", "READY", "INTERRUPTED", "FEED_HOLD", "STOPPED", "OPTIONAL_STOP", "PROGRAM_STOPPED", "PROGRAM_COMPLETED",
    "PROGRAM_OPTIONAL_STOP", "WAIT",
})  # fmt: skip
WAITING = frozenset(
    {"READY", "FEED_HOLD", "OPTIONAL_STOP", "PROGRAM_OPTIONAL_STOP", "PROGRAM_STOPPED", "PROGRAM_COMPLETED", "WAIT"}
)
"""A person or the programme meant it (M00, M01, feed hold, M30): "attente". STOPPED and INTERRUPTED are not."""
HAND_MODES = frozenset({"MANUAL", "MANUAL_DATA_INPUT"})

_WORDS = {
    "execution": EXECUTION_WORDS,
    "availability": frozenset({"AVAILABLE", "UNAVAILABLE"}),
    "mode": frozenset({"AUTOMATIC", "SEMI_AUTOMATIC", "MANUAL", "MANUAL_DATA_INPUT", "EDIT"}),
    "functional_mode": frozenset({"PRODUCTION", "SETUP", "TEARDOWN", "MAINTENANCE", "PROCESS_DEVELOPMENT"}),
    "emergency_stop": frozenset({"ARMED", "TRIGGERED"}),
}

MAX_SHORT = 120
MAX_TEXT = 4096
_WHOLE = re.compile(r"^(\d+)\.0+$")
"""A tool number that some controllers write as a decimal: 4.000000 is tool 4."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Signal:
    """What a signal is: `word` (one of MTConnect's), `text`, `count` (integer ≥ 0), `sample` (a number that flows)."""

    name: str
    kind: Literal["word", "text", "count", "sample", "alarm"]
    unit: str = ""


SIGNALS: Mapping[str, Signal] = {
    signal.name: signal
    for signal in (
        Signal("availability", "word"),
        Signal("execution", "word"),
        Signal("mode", "word"),
        Signal("functional_mode", "word"),
        Signal("emergency_stop", "word"),
        Signal("programme", "text"),
        Signal("tool", "text"),
        Signal("part_count", "count"),
        Signal("alarm", "alarm"),
        Signal("spindle_load", "sample", "%"),  # percent of rated power, 0–200
        Signal("spindle_speed", "sample", "rpm"),
        Signal("feed", "sample", "mm/min"),
        Signal("feed_override", "sample", "%"),
        Signal("spindle_override", "sample", "%"),
        Signal("rapid_override", "sample", "%"),
        Signal("clock_offset", "sample", "ms"),  # of the controller's clock to ours: + when it is late
    )
}
_UNITS = {"load": "%", "override": "%", "temperature": "°C", "speed": "rpm", "feed": "mm/min"}


def signal_named(name: str, unit: str = "") -> Signal:
    """The known signal of this name, or a sample of that unit when the shop made the name up (`x_load`).

    Without a unit the last word of the name gives it: `coolant_temperature` is in °C, `x_load` in %.
    """
    return SIGNALS.get(name) or Signal(name, "sample", unit or _UNITS.get(name.rpartition("_")[2], ""))


class BadValueError(ValueError):
    """A value that a signal cannot have; `code` is stable, the text is for the log."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def clean(signal: Signal, raw: object) -> Value:
    """`raw` as this signal's value; "UNAVAILABLE" and emptiness become None. Raises BadValueError."""
    if raw is None:
        return None
    if isinstance(raw, str):
        if len(raw) > MAX_TEXT:
            raise BadValueError("too_long", f"a text of {len(raw)} characters")
        raw = _UNPRINTABLE.sub(" ", raw).strip()
        if not raw or (raw.upper() == "UNAVAILABLE" and signal.name != "availability"):
            return None
    if signal.kind == "alarm" and isinstance(raw, bool):
        return int(raw)
    if signal.kind in ("text", "alarm"):
        return _text(_WHOLE.sub(r"\1", raw) if signal.name == "tool" and isinstance(raw, str) else raw)
    if signal.kind == "word":
        return _word(signal.name, raw)
    number = _number(raw)
    if signal.kind == "count":
        if number < 0 or number != int(number) or number > 10**12:
            raise BadValueError("not_a_count", f"{number!r} is not a part count")
        return int(number)
    return number


def _text(raw: object) -> str:
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, (str, int)):
        raise BadValueError("wrong_type", f"{type(raw).__name__} where a text is expected")
    text = str(raw)
    return text if len(text) <= MAX_SHORT else text[: MAX_SHORT - 1] + "…"


def _word(name: str, raw: object) -> str:
    if not isinstance(raw, str):
        raise BadValueError("wrong_type", f"{type(raw).__name__} where a word is expected: map it with `words`")
    word = raw.upper().replace(" ", "_").replace("-", "_")
    if word not in _WORDS[name]:
        raise BadValueError("unknown_word", f"{raw[:40]!r} is not a word of {name}: map it with `words`")
    return word


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise BadValueError("wrong_type", f"{type(raw).__name__} where a number is expected")
    try:
        number = float(raw)
    except (ValueError, OverflowError) as error:
        raise BadValueError("not_a_number", f"{str(raw)[:40]!r} is not a number") from error
    if not math.isfinite(number) or abs(number) > 1e15:
        raise BadValueError("not_finite", f"{number!r} is not a usable number")
    return number


def shop_state(values: Mapping[str, Value], *, fault: bool) -> State:
    """The shop's word for what the controller says now.

    `values` are the current values by signal name, `fault` whether a FAULT condition is active. A machine that cuts
    with a fault shown (low coolant) is running; a fault explains a machine that does not cut. Without an execution
    word nothing can be said: silent.
    """
    if values.get("availability") == "UNAVAILABLE":
        return "off"
    if values.get("emergency_stop") == "TRIGGERED":
        return "alarm"
    execution = values.get("execution")
    setting_up = values.get("functional_mode") == "SETUP" or values.get("mode") in HAND_MODES
    if execution == "ACTIVE":
        return "setup" if setting_up else "running"
    if fault:
        return "alarm"
    if execution is None:
        return "silent"
    if setting_up:
        return "setup"
    return "ready" if execution in WAITING else "stopped"
