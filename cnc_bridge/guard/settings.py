"""How a machine is guarded: the ``[machine.guard]`` table, and the figures behind it, each with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from cnc_bridge.settings import STRICT

Mode = Literal["shadow", "alert", "hold"]


class Limits(BaseModel):
    """Absolute limits of one signal, in its own unit: a magnitude above `alert`, above `hold`."""

    model_config = STRICT

    alert: Annotated[float | None, Field(gt=0, strict=False)] = None
    hold: Annotated[float | None, Field(gt=0, strict=False)] = None
    always: Annotated[bool, Field(description="also while the spindle accelerates, in rapids, at tool changes")] = False

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        if self.alert is None and self.hold is None:
            raise ValueError("give `alert`, `hold`, or both")
        if self.alert is not None and self.hold is not None and self.hold < self.alert:
            raise ValueError("`hold` must not be below `alert`")
        return self


class Relay(BaseModel):
    """A dry contact on the feed-hold input, wired by an electrician; never in the emergency-stop chain."""

    model_config = STRICT

    pin: Annotated[int, Field(ge=0, le=27, description="GPIO number (BCM)")]
    active_high: bool = True
    pulse_s: Annotated[float, Field(ge=0.01, le=10, strict=False)] = 0.5


class GuardSettings(BaseModel):
    """``[machine.guard]``. Its presence starts the guard, in shadow mode unless `mode` says more."""

    model_config = STRICT

    mode: Mode = "shadow"
    signals: Annotated[
        tuple[str, ...], Field(strict=False, description="guarded signals; default: every load, error, vibration")
    ] = ()
    limits: Annotated[dict[str, Limits], Field(description="by signal, absolute, in its own unit")] = {}
    learn: Annotated[bool, Field(description="also limits learnt by programme and tool")] = True
    min_cycles: Annotated[int, Field(ge=1, le=1000, description="good cycles before a learnt limit counts")] = 5
    margin: Annotated[
        float, Field(ge=0, le=10, strict=False, description="share added to what good cycles reached")
    ] = 0.25
    hold_factor: Annotated[
        float, Field(ge=1, le=10, strict=False, description="a learnt limit times this, for a hold")
    ] = 1.2
    alert_s: Annotated[float, Field(ge=0, le=60, strict=False, description="over the limit for so long: alert")] = 0.0
    hold_s: Annotated[float, Field(ge=0, le=60, strict=False, description="for so long: hold")] = 0.0
    velocity_signal: Annotated[str, Field(description="shows the standstill after a hold, in mm/min")] = "feed"
    standstill: Annotated[float, Field(ge=0, strict=False, description="velocity taken for zero, mm/min")] = 1.0
    held_within_s: Annotated[float, Field(gt=0, le=60, strict=False, description="else the hold is deferred")] = 2.0
    rapid_feed: Annotated[float, Field(gt=0, strict=False, description="mm/min from which a motion is a rapid")] = (
        10_000
    )
    tapping_programmes: Annotated[tuple[str, ...], Field(strict=False, description="alert only; * and ? allowed")] = ()
    tapping_tools: Annotated[tuple[str, ...], Field(strict=False, description="taps and thread tools: alert only")] = ()
    blind_after_s: Annotated[
        float | None,
        Field(gt=0, le=600, strict=False, description="nothing heard for so long: blind; default: the driver's"),
    ] = None
    before_s: Annotated[float, Field(ge=0, le=60, strict=False)] = 8.0
    after_s: Annotated[float, Field(ge=0, le=60, strict=False)] = 3.0
    memory: Annotated[Path | None, Field(strict=False, description="learnt limits; default: beside the outbox")] = None
    relay: Relay | None = None
    driver: Annotated[
        dict[str, Any], Field(description="driver settings of the guard's own connection, for example a faster period")
    ] = {}
