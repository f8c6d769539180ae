"""What every driver's settings have: where, how often to try, and which of the controller's values is which signal."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
_SIGNAL_NAME = re.compile(r"^[a-z][a-z0-9_]{0,59}$")


class Source(BaseModel):
    """Where one signal comes from. Its drivers add `node` or `key`."""

    model_config = STRICT

    scale: Annotated[float, Field(description="multiplies a sample: 60 turns mm/s into mm/min")] = 1.0
    unit: Annotated[str | None, Field(max_length=20, description="of a signal that Copeau does not know by name")] = (
        None
    )
    words: Annotated[
        dict[str, str], Field(description="the controller's value → MTConnect word, for example `3` = `ACTIVE`")
    ] = {}


class DriverSettings(BaseModel):
    """Common to all drivers; `kind` names the driver's folder."""

    model_config = STRICT

    kind: str
    allow: Annotated[
        tuple[Literal["hold", "programme"], ...],
        Field(strict=False, description="what Copeau may do to this machine besides reading it; nothing unless said"),
    ] = ()
    reconnect_max_s: Annotated[float, Field(ge=0.1, le=300)] = 5.0

    @property
    def address(self) -> str:
        """Where the controller is, as a person would say it; never with a password."""
        raise NotImplementedError


def named_signals(value: Any) -> Any:
    """Validator: signal names are lower-case words, because they become topics and columns."""
    for name in value:
        if not _SIGNAL_NAME.match(name):
            raise ValueError(f"{name!r} is not a signal name: lower-case letters, digits and _")
    return value


def shorthand(field: str) -> Any:
    """Validator: `spindle_load = "S1load"` stands for `spindle_load = {field = "S1load"}`."""

    def expand(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {field: source} if isinstance(source, str) else source for name, source in value.items()}

    return expand


__all__ = ["STRICT", "DriverSettings", "Source", "field_validator", "named_signals", "shorthand"]
