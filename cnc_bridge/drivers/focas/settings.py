"""Settings of a Fanuc controller, and what can be asked of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from cnc_bridge.polling import PollSettings
from cnc_bridge.settings import Source, named_signals, shorthand

_PLACES = re.compile(
    r"run|aut|emergency|programme|programme name|feed|spindle speed|spindle load|spindle load [1-4]"
    r"|axis load ([1-9]|[12]\d|3[0-2])|macro \d{1,6}|param \d{1,5}|pmc [GFYXARTKCD]\d{1,5}( (byte|word|long))?"
)
_RUN = {"0": "READY", "1": "PROGRAM_STOPPED", "2": "FEED_HOLD", "3": "ACTIVE", "4": "ACTIVE"}
_AUT = {
    "0": "MANUAL_DATA_INPUT", "1": "AUTOMATIC", "2": "UNAVAILABLE", "3": "EDIT", "4": "MANUAL", "5": "MANUAL",
    "6": "MANUAL", "7": "MANUAL", "8": "MANUAL", "9": "MANUAL", "10": "AUTOMATIC",
}  # fmt: skip
_EMERGENCY = {"0": "ARMED", "1": "TRIGGERED", "2": "ARMED", "3": "ARMED"}


class PlaceSource(Source):
    """A signal from one place of the controller.

    `run`, `aut`, `emergency` (its status), `programme` (number of the main programme), `programme name` (its path,
    series 30i), `feed`, `spindle speed`, `spindle load`, `axis load 1`, `macro 3901`, `param 6711`, `pmc D100 word`.
    """

    at: Annotated[str, Field(max_length=40)]

    @field_validator("at")
    @classmethod
    def _place(cls, value: str) -> str:
        if not _PLACES.fullmatch(value):
            raise ValueError(f"{value!r} is no place: `programme`, `spindle load`, `macro 3901`, `param 6711`, …")
        return value


FANUC = {
    "execution": PlaceSource(at="run", words=_RUN),
    "mode": PlaceSource(at="aut", words=_AUT),
    "emergency_stop": PlaceSource(at="emergency", words=_EMERGENCY),
    "programme": PlaceSource(at="programme"),
    "part_count": PlaceSource(at="param 6711"),
    "tool": PlaceSource(at="macro 4120"),
    "spindle_load": PlaceSource(at="spindle load"),
    "spindle_speed": PlaceSource(at="spindle speed"),
    "feed": PlaceSource(at="feed"),
}
"""6711: parts machined. 4120: the modal T word. Both depend on how the machine's maker uses them."""


class Settings(PollSettings):
    """`signals` adds to or replaces the usual places; a signal set to "" is not read."""

    kind: Literal["focas"]
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)] = 8193
    period_s: Annotated[float, Field(ge=0.05, le=3)] = 0.5
    alarms: Annotated[bool, Field(description="read the alarms with their numbers and texts")] = True
    signals: dict[str, PlaceSource] = FANUC

    @field_validator("signals", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        merged = {**FANUC, **shorthand("at")(named_signals(value))}
        for name, source in merged.items():
            usual = FANUC.get(name)
            if usual and isinstance(source, dict) and source.get("at") == usual.at:
                merged[name] = {"words": usual.words} | source
        return {name: source for name, source in merged.items() if source != {"at": ""}}

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"
