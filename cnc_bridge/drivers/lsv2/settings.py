"""Settings of a Heidenhain controller."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator

from cnc_bridge.polling import PollSettings
from cnc_bridge.settings import Source, named_signals, shorthand

_FIXED = frozenset(
    {"programme state", "execution mode", "programme", "current programme", "tool", "feed override",
     "spindle override", "rapid override"}
)  # fmt: skip
_PLC = re.compile(r"plc ([MBWDS]\d{1,6}|[IO][WD]?\d{1,6})")
_STATE = {
    "STARTED": "ACTIVE", "STOPPED": "PROGRAM_STOPPED", "FINISHED": "PROGRAM_COMPLETED", "CANCELLED": "STOPPED",
    "INTERRUPTED": "INTERRUPTED", "ERROR": "STOPPED", "ERROR_CLEARED": "READY", "IDLE": "READY",
    "UNDEFINED": "UNAVAILABLE",
}  # fmt: skip
_MODE = {
    "MANUAL": "MANUAL", "MDI": "MANUAL_DATA_INPUT", "PASS_REFERENCES": "MANUAL", "SINGLE_STEP": "SEMI_AUTOMATIC",  # nosec B105  # a mode of the control
    "AUTOMATIC": "AUTOMATIC", "UNDEFINED": "UNAVAILABLE",
}  # fmt: skip


class PlaceSource(Source):
    """A signal from one place: `programme state`, `tool`, `feed override`, …, or the PLC's memory: `plc D120`."""

    at: Annotated[str, Field(max_length=40)]

    @field_validator("at")
    @classmethod
    def _place(cls, value: str) -> str:
        if value not in _FIXED and not _PLC.fullmatch(value):
            raise ValueError(f"{value!r} is no place: one of {', '.join(sorted(_FIXED))}, or `plc D120`, `plc M4000`")
        return value


HEIDENHAIN = {
    "execution": PlaceSource(at="programme state", words=_STATE),
    "mode": PlaceSource(at="execution mode", words=_MODE),
    "programme": PlaceSource(at="programme"),
    "tool": PlaceSource(at="tool"),
    "feed_override": PlaceSource(at="feed override"),
    "spindle_override": PlaceSource(at="spindle override"),
}


class Settings(PollSettings):
    """`signals` adds to or replaces the usual places; a signal set to "" is not read."""

    kind: Literal["lsv2"]
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)] = 19000
    period_s: Annotated[float, Field(ge=0.1, le=3)] = 1.0
    timeout_s: Annotated[float, Field(ge=0.1, le=4, description="of all answers of one reading")] = 4.0
    messages: Annotated[bool, Field(description="read the pending messages as alarms")] = True
    plc_password: Annotated[SecretStr | None, Field(description="of the login PLCDEBUG, for `plc …` places")] = None
    folder: Annotated[
        str, Field(pattern=r"^[A-Za-z]+:\\[^*?<>|]*$", description="of the programmes that may be listed and sent")
    ] = "TNC:\\nc_prog"
    signals: dict[str, PlaceSource] = HEIDENHAIN

    @field_validator("signals", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        merged = {**HEIDENHAIN, **shorthand("at")(named_signals(value))}
        for name, source in merged.items():
            usual = HEIDENHAIN.get(name)
            if usual and isinstance(source, dict) and source.get("at") == usual.at:
                merged[name] = {"words": usual.words} | source
        return {name: source for name, source in merged.items() if source != {"at": ""}}

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"
