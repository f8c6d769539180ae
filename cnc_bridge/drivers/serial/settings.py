"""Settings of a serial controller: which line, which dialect, and what a Haas is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from cnc_bridge.drivers.serial.haas import parse_query
from cnc_bridge.serial_line.settings import LineSettings, TapeSettings
from cnc_bridge.settings import DriverSettings, Source, named_signals, shorthand


class QuerySource(Source):
    """A signal from one Q command: `Q201`, `Q600 1098` (a macro variable), or a part of Q500 as `Q500:status`."""

    query: Annotated[str, Field(description="Q104, Q201, Q500:status, Q500:programme, Q500:parts, Q600 1098")]
    period_s: Annotated[float | None, Field(ge=0.02, le=3600, description="default: the driver's `poll_s`")] = None

    @field_validator("query")
    @classmethod
    def _known(cls, value: str) -> str:
        parse_query(value)
        return value


STATUS = {"IDLE": "READY", "FEED HOLD": "FEED_HOLD", "ALARM ON": "STOPPED", "BUSY": "ACTIVE", "RUNNING": "ACTIVE"}
MODES = {
    "MEM": "AUTOMATIC",
    "DNC": "AUTOMATIC",
    "MDI": "MANUAL_DATA_INPUT",
    "JOG": "MANUAL",
    "HANDLE JOG": "MANUAL",
    "ZERO RET": "MANUAL",
    "ZERO": "MANUAL",
    "EDIT": "EDIT",
    "LIST PROG": "EDIT",
}
HAAS = {
    "execution": QuerySource(query="Q500:status", words=STATUS),
    "mode": QuerySource(query="Q104", words=MODES, period_s=1.0),
    "programme": QuerySource(query="Q500:programme"),
    "alarm": QuerySource(query="Q500:alarm"),
    "part_count": QuerySource(query="Q402", period_s=1.0),
    "tool": QuerySource(query="Q201"),
    "spindle_load": QuerySource(query="Q600 1098"),
    "spindle_speed": QuerySource(query="Q600 3027"),
}
"""Macro numbers (1098 load, 3027 speed) are those users report, not the maker's table: to be checked on the machine."""


class Settings(DriverSettings):
    """`device` or `host`. `signals` adds to or replaces the default queries; a signal set to "" is not asked for."""

    kind: Literal["serial"]
    dialect: Literal["haas_mdc", "dnc"]
    device: Annotated[str | None, Field(pattern=r"^/", description="/dev/serial/by-id/…")] = None
    host: Annotated[str | None, Field(min_length=1, max_length=253)] = None
    port: Annotated[int, Field(ge=1, le=65535)] = 5051
    connect_timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    line: LineSettings = LineSettings()
    tape: TapeSettings = TapeSettings()
    poll_s: Annotated[float, Field(ge=0.02, le=3, description="how often each Q command is asked")] = 0.5
    answer_timeout_s: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    signals: dict[str, QuerySource] = HAAS

    @field_validator("signals", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = shorthand("query")(named_signals(value))
        merged: dict[str, Any] = {**HAAS, **given}
        for name, source in given.items():
            if isinstance(source, dict) and name in HAAS and source.get("query") == HAAS[name].query:
                merged[name] = {**source, "words": {**HAAS[name].words, **source.get("words", {})}}
        return {name: source for name, source in merged.items() if source != {"query": ""}}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.device is None) == (self.host is None):
            raise ValueError("give `device` (a serial port) or `host` (TCP), one of the two")
        if "programme" in self.allow and self.dialect != "dnc":
            raise ValueError('programmes go over `dialect = "dnc"` only; MDC carries none')
        return self

    @property
    def address(self) -> str:
        return self.device if self.device is not None else f"{self.host}:{self.port}"
