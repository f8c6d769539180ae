"""Settings of contacts and lamps: which wire is on which pin, and what a combination of lamps means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from cnc_bridge import model
from cnc_bridge.settings import STRICT, DriverSettings, named_signals, shorthand

LAMPS = frozenset({"red", "yellow", "orange", "green", "blue", "white"})
COUNTER, POWER = "part", "power"
Look = Literal["on", "off", "blink", "lit"]
"""What a lamp does; lit is on or blinking."""


class Input(BaseModel):
    """One wire. A dry contact between the pin and ground needs nothing more than its pin.

    `active_low` false: the wire is driven to 3.3 V when active (an opto-coupler module). `inverted`: the contact is
    normally closed.
    """

    model_config = STRICT

    pin: Annotated[int | str, Field(description="GPIO number, or `BOARD11`, `J8:11`")]
    active_low: bool = True
    pull: Annotated[Literal["up", "down", "none"] | None, Field(description="default: up for active_low")] = None
    inverted: bool = False
    debounce_ms: Annotated[float, Field(ge=0, le=1000, description="shorter than this is no change")] = 20.0

    @model_validator(mode="after")
    def _rests_inactive(self) -> Input:
        if self.pull not in (None, "none") and (self.pull == "up") != self.active_low:
            raise ValueError(f"pull = {self.pull!r} does not go with active_low = {str(self.active_low).lower()}")
        return self


class Rule(BaseModel):
    """When all of `when` holds, the machine is in that `execution`; with `alarm`, that text is an active fault."""

    model_config = STRICT

    when: Annotated[dict[str, Look], Field(min_length=1)]
    execution: str
    alarm: Annotated[str, Field(max_length=60)] = ""

    @field_validator("execution")
    @classmethod
    def _word(cls, value: str) -> str:
        if value not in model.EXECUTION_WORDS:
            raise ValueError(f"{value!r} is no execution word: one of {', '.join(sorted(model.EXECUTION_WORDS))}")
        return value


_USUAL = (
    ({"red": "lit"}, "STOPPED", "Lampe rouge"),
    ({"cycle": "on"}, "ACTIVE", ""),
    ({"green": "on"}, "ACTIVE", ""),
    ({"green": "blink"}, "READY", ""),
    ({"yellow": "lit"}, "READY", ""),
    ({"orange": "lit"}, "READY", ""),
    ({"blue": "lit"}, "READY", ""),
    ({"white": "lit"}, "READY", ""),
    ({"cycle": "off"}, "READY", ""),
)


class Settings(DriverSettings):
    """`rules` are tried in their order, the first that fits holds; without them red is an alarm, green is cutting.

    Inputs named by a colour are lamps, which may blink; all others are contacts. `part` counts parts, `power` says
    that the machine is switched on.
    """

    kind: Literal["gpio"]
    inputs: Annotated[dict[str, Input], Field(min_length=1)]
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = ()
    otherwise: Annotated[
        str | None, Field(description="execution when no rule fits, all lamps dark for example; nothing: not known")
    ] = None
    blink_s: Annotated[
        float,
        Field(ge=0.05, le=5, description="longest time that a blinking lamp stays on, or off; delays each change"),
    ] = 1.2

    @field_validator("inputs", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        pins = {name: {"pin": pin} if isinstance(pin, int) else pin for name, pin in named_signals(value).items()}
        return shorthand("pin")(pins)

    @model_validator(mode="after")
    def _whole(self) -> Settings:
        pins = [entry.pin for entry in self.inputs.values()]
        twice = next((pin for pin in pins if pins.count(pin) > 1), None)
        if twice is not None:
            raise ValueError(f"pin {twice} is given to two inputs")
        for rule in self.rules:
            unknown = next((name for name in rule.when if name not in self.inputs), None)
            if unknown is not None:
                raise ValueError(f"a rule speaks of {unknown!r}, which is none of the inputs")
        if self.otherwise is not None and self.otherwise not in model.EXECUTION_WORDS:
            raise ValueError(f"otherwise = {self.otherwise!r} is no execution word")
        if not self.effective_rules:
            raise ValueError("no lamp and no cycle contact has a usual name: write `rules`")
        return self

    @property
    def effective_rules(self) -> tuple[Rule, ...]:
        """The rules given, or the usual ones for the inputs that are there."""
        if self.rules:
            return self.rules
        return tuple(
            Rule.model_validate({"when": when, "execution": execution, "alarm": alarm})
            for when, execution, alarm in _USUAL
            if set(when) <= set(self.inputs)
        )

    @property
    def address(self) -> str:
        return "GPIO"
