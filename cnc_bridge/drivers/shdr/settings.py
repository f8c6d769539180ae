"""Settings of an SHDR adapter; the defaults fit an Okuma OSP-P300 lathe with Okuma's own adapter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from cnc_bridge.settings import DriverSettings, Source, named_signals, shorthand


class KeySource(Source):
    """A signal from one adapter key."""

    key: Annotated[str, Field(min_length=1, max_length=200)]
    entry: Annotated[str | None, Field(description="of a data set: the name of one of its entries")] = None


OKUMA = {
    "availability": KeySource(key="avail"),
    "execution": KeySource(key="pexecution"),
    "mode": KeySource(key="pmode"),
    "functional_mode": KeySource(key="fmode"),
    "emergency_stop": KeySource(key="estop"),
    "programme": KeySource(key="pprogram"),
    "tool": KeySource(key="p1CurrentTool"),
    "part_count": KeySource(key="ppartcount"),
    "spindle_load": KeySource(key="S1load"),
    "spindle_speed": KeySource(key="S1speed"),
    "feed": KeySource(key="p1Fact"),
    "feed_override": KeySource(key="pFovr"),
    "spindle_override": KeySource(key="S1ovr"),
    "spindle2_load": KeySource(key="S6load"),
    "x_load": KeySource(key="X1load"),
    "z_load": KeySource(key="Z1load"),
}


class Settings(DriverSettings):
    """`signals` adds to or replaces the default keys; a signal set to "" is not read."""

    kind: Literal["shdr"]
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)] = 7878
    device: Annotated[str | None, Field(description="the adapter's device name, where keys come as `device:key`")] = (
        None
    )
    heartbeat_s: Annotated[float, Field(ge=0.1, le=4, description="longest pause between two PINGs")] = 2.0
    connect_timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    max_line: Annotated[int, Field(ge=1024, le=2**24, description="bytes; a longer line is refused and counted")] = (
        2**16
    )
    conditions: Annotated[
        tuple[str, ...], Field(strict=False, description="keys that carry conditions, with * and ?")
    ] = ("*_cond", "system", "*_condition")
    series: Annotated[
        tuple[str, ...], Field(strict=False, description="keys that carry time series (`count|rate|v v v`), * and ?")
    ] = ()
    signals: dict[str, KeySource] = OKUMA

    @field_validator("signals", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        merged = {**OKUMA, **shorthand("key")(named_signals(value))}
        return {name: source for name, source in merged.items() if source != {"key": ""}}

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"
