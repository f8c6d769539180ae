"""What happens at a machine, as its tracker says it; the agent makes a fact of each."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

import msgspec

from cnc_bridge import model


class StateChanged(msgspec.Struct, frozen=True, tag="state_changed"):
    """The machine is in `state` from `at` on. `execution` is the controller's own word, kept as evidence."""

    state: model.State
    previous: model.State
    execution: str | None
    programme: str | None
    tool: str | None
    detail: str
    at: datetime
    source_time: datetime | None = None


class ContextChanged(msgspec.Struct, frozen=True, tag="context_changed"):
    """Same state, another programme or tool."""

    state: model.State
    execution: str | None
    programme: str | None
    tool: str | None
    at: datetime
    source_time: datetime | None = None


class PartsCounted(msgspec.Struct, frozen=True, tag="parts_counted"):
    """The controller's counter went from `first` to `last`; `delta` ≥ 0 were counted.

    `reset`: the counter went backwards, so it began again at 0 and `delta` is its new value; or it changed while
    nothing ran (set by hand, or another programme's own counter), and `delta` is 0. `during_absence`: counted while
    nobody listened.
    """

    first: int
    last: int
    delta: int
    programme: str | None
    reset: bool
    during_absence: bool
    at: datetime
    source_time: datetime | None = None


class CycleEnded(msgspec.Struct, frozen=True, tag="cycle_ended"):
    """One run of a programme. `uncertain`: contact was lost in between, so it may be more than one run."""

    programme: str | None
    began: datetime
    ended: datetime
    completed: bool
    uncertain: bool


class AlarmRaised(msgspec.Struct, frozen=True, tag="alarm_raised"):
    key: str
    code: str
    text: str
    severity: str
    """fault or warning"""
    at: datetime
    source_time: datetime | None = None


class AlarmCleared(msgspec.Struct, frozen=True, tag="alarm_cleared"):
    key: str
    code: str
    text: str
    severity: str
    at: datetime
    source_time: datetime | None = None


class SamplesReady(msgspec.Struct, frozen=True, tag="samples_ready"):
    """Values of one signal; ``t0 + dt[i]`` milliseconds is the time of ``values[i]``, dt never decreases."""

    signal: str
    unit: str
    t0: datetime
    dt: list[int]
    values: list[float]


class SourceTrouble(msgspec.Struct, frozen=True, tag="source_trouble"):
    """The driver reports: `status` lost, ok (link back) or error; `message_fr` is for the page, with the next step."""

    status: str
    code: str
    about: str
    message: str
    message_fr: str
    at: datetime


class TroubleOver(msgspec.Struct, frozen=True, tag="trouble_over"):
    code: str
    about: str
    at: datetime


Event: TypeAlias = (
    StateChanged
    | ContextChanged
    | PartsCounted
    | CycleEnded
    | AlarmRaised
    | AlarmCleared
    | SamplesReady
    | SourceTrouble
    | TroubleOver
)
