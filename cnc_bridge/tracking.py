"""From a controller's readings to events: pure, no clock, no input or output.

What the tracker must remember to be right after a restart is its `TrackerState`, a small value that the agent saves in
the same transaction as the facts that the events become. Feed it every driver event, `tick` it a few times a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from cnc_bridge import model
from cnc_bridge.alarms import ActiveAlarm, Alarms
from cnc_bridge.batches import Batches
from cnc_bridge.events import (
    AlarmCleared,
    AlarmRaised,
    ContextChanged,
    CycleEnded,
    Event,
    PartsCounted,
    SamplesReady,
    SourceTrouble,
    StateChanged,
    TroubleOver,
)
from cnc_bridge.port import Condition, DriverEvent, Link, Moment, Position, Problem, Reading, Solved
from cnc_bridge.source_clock import SourceClock

__all__ = [
    "ActiveAlarm", "AlarmCleared", "AlarmRaised", "ContextChanged", "CycleEnded", "Event", "PartsCounted",
    "SamplesReady", "SourceTrouble", "StateChanged", "Tracker", "TrackerState", "TroubleOver",
]  # fmt: skip

MAX_PARTS_STEP = 10**9
CLOCK_SAID_EVERY_S = 60.0


class TrackerState(msgspec.Struct, frozen=True):
    """What outlives a restart. JSON-able: `msgspec.json.encode` and `msgspec.json.decode(…, type=TrackerState)`."""

    state: model.State = "silent"
    execution: str | None = None
    programme: str | None = None
    tool: str | None = None
    part_count: int | None = None
    cycle_began: datetime | None = None
    cycle_programme: str | None = None
    cycle_uncertain: bool = False
    alarms: list[ActiveAlarm] = []
    has_run: bool = False
    """Whether this machine was ever heard to say ACTIVE: only then does its not saying it prove anything."""
    position: str = ""
    """Where the driver was in what the far side keeps."""
    clock_offset_ms: float | None = None
    """What the controller's clock was late by."""


class Tracker:
    """One machine. `stale_after_s`: nothing heard for so long, and its state is `silent`, whatever was last said."""

    def __init__(
        self,
        stale_after_s: float,
        started: Moment,
        state: TrackerState | None = None,
        units: Mapping[str, str] | None = None,
    ) -> None:
        saved = state or TrackerState()
        self._stale_after_s = stale_after_s
        self._state: model.State = saved.state
        self._execution = saved.execution
        self._programme = saved.programme
        self._tool = saved.tool
        self._part_count = saved.part_count
        self._cycle_began = saved.cycle_began
        self._cycle_programme = saved.cycle_programme
        self._cycle_uncertain = saved.cycle_uncertain or saved.cycle_began is not None
        self._alarms = Alarms(saved.alarms)
        self._values: dict[str, model.Value] = {}
        self._batches = Batches(units or {})
        self._said = (saved.state, saved.programme, saved.tool)
        self._heard = self._now = self._blind_since = started.mono
        self._silent = False
        self._count_gap = self._execution_gap = True
        self._last_at: datetime | None = None
        self._clock = self._clock_before = SourceClock(started.mono, saved.clock_offset_ms)
        self._position = saved.position
        self._clock_said = started.mono
        self._silent_at_link_up = False
        self._has_run = saved.has_run
        self._ran_since_count = self._began_since_count = False
        self._programme_at_count = saved.programme

    @property
    def state(self) -> TrackerState:
        """What to save together with the events returned so far."""
        clock = self._clock if self._clock.offset is not None else self._clock_before
        offset = clock.offset
        return TrackerState(
            self._state,
            self._execution,
            self._programme,
            self._tool,
            self._part_count,
            self._cycle_began,
            self._cycle_programme,
            self._cycle_uncertain,
            self._alarms.active,
            self._has_run,
            self._position,
            None if offset is None else offset.total_seconds() * 1000,
        )

    def current(self) -> Mapping[str, model.Value]:
        """The values that hold now by signal name; nothing at all when the machine is silent."""
        return {} if self._silent else dict(self._values)

    def feed(self, event: DriverEvent) -> list[Event]:
        """The events that follow from one driver event."""
        self._now = max(self._now, event.received.mono)
        if isinstance(event, Problem):
            now = event.received.wall
            return [SourceTrouble("error", event.code, event.about, event.message, event.message_fr, now)]
        if isinstance(event, Solved):
            return [TroubleOver(event.code, event.about, event.received.wall)]
        if isinstance(event, Link):
            return self._link(event)
        out = self._alive(event.received)
        if isinstance(event, Reading):
            out += self._reading(event)
        elif isinstance(event, Condition):
            out += self._condition(event)
        elif isinstance(event, Position):
            self._position = event.value
        return out

    def tick(self, now: Moment) -> list[Event]:
        """What time alone brings: full batches, and silence."""
        out: list[Event] = []
        self._now = max(self._now, now.mono)
        out += self._clock_offset(now)
        out += self._batches.due(now.mono)
        quiet = now.mono - self._heard
        if not self._silent and quiet > self._stale_after_s:
            self._silent = True
            self._lose_sight()
            return out + self._restate(now.wall, None, f"nothing heard for {quiet:.0f} s")
        if self._blind() and self._said[0] != "silent":
            out += self._restate(now.wall, None, "connected, but no execution state comes")
        return out

    def close(self) -> list[Event]:
        """The samples that still wait; the state is left as it is, the next start compares."""
        return [*self._batches.flush_all()]

    def _alive(self, received: Moment) -> list[Event]:
        self._heard = max(self._heard, received.mono)
        if not self._silent:
            return []
        self._silent = False
        return self._restate(received.wall, None, "heard again")

    def _link(self, link: Link) -> list[Event]:
        wall = link.received.wall
        if link.up:
            self._silent_at_link_up = self._said[0] == "silent"
            self._clock = SourceClock(link.received.mono)
            out = [*self._alive(link.received)]
            return [*out, SourceTrouble("ok", "connected", "", link.detail, "Liaison avec la machine établie.", wall)]
        out = self.close()
        if "execution" in self._values:
            self._blind_since = link.received.mono
        self._values.clear()
        self._clock_before = self._clock
        self._lose_sight()
        sentence = "Liaison avec la machine perdue ; nouvelle tentative en cours."
        return [*out, SourceTrouble("lost", "link_lost", "", link.detail, sentence, wall)]

    def _lose_sight(self) -> None:
        self._count_gap = self._execution_gap = True
        self._ran_since_count = self._began_since_count = True  # for all that is known
        self._cycle_uncertain = self._cycle_began is not None

    def _reading(self, reading: Reading) -> list[Event]:
        signal, value = reading.signal, reading.value
        if signal == "part_count":
            return self._counted(reading, value, self._at(reading))
        if signal in model.SIGNALS and model.SIGNALS[signal].kind in ("word", "text"):
            at = self._at(reading)
            self._values[signal] = value
            out = self._cycle(value, at) if signal == "execution" else []
            if signal == "programme":
                self._programme = None if value is None else str(value)
                if self._cycle_began is not None and self._cycle_programme is None:
                    self._cycle_programme = self._programme
            if signal == "tool":
                self._tool = None if value is None else str(value)
            return [*out, *self._restate(self._state_time(reading, at), reading.source_time, "")]
        return self._sample(reading)

    def _when(self, heard: Reading | Condition) -> datetime:
        """When it happened, on our clock."""
        if heard.source_time is None:
            return heard.received.wall
        if heard.kept:
            return self._clock_before.when(heard.source_time, heard.received)
        return self._clock.to_ours(heard.source_time, heard.received)

    def _state_time(self, heard: Reading | Condition, at: datetime) -> datetime:
        """`at`; but an absence that was already said to be silent stays so, whatever is learnt of it afterwards."""
        return heard.received.wall if heard.kept and self._silent_at_link_up else at

    def _at(self, heard: Reading | Condition) -> datetime:
        """When it happened; never before the last event, unless the clock itself was put back."""
        received = heard.received
        at = self._when(heard)
        if self._last_at is not None and at < self._last_at <= received.wall:
            at = self._last_at
        self._last_at = at
        return at

    def _counted(self, reading: Reading, value: model.Value, at: datetime) -> list[Event]:
        self._values["part_count"] = value
        if not isinstance(value, int):
            self._count_gap = True
            return []
        before, gap = self._part_count, self._count_gap
        idle = self._nothing_made_since_count() and not gap
        self._part_count, self._count_gap = value, False
        self._ran_since_count, self._began_since_count = self._execution == "ACTIVE", False
        self._programme_at_count = self._programme
        if before is None or before == value:
            return []
        reset = value < before or idle
        delta = 0 if idle else value if reset else value - before
        if delta > MAX_PARTS_STEP:
            sentence = "Le compteur de pièces a sauté : vérifier l'affectation du signal « part_count »."
            return [SourceTrouble("error", "count_jumped", "part_count", f"{before} to {value}", sentence, at)]
        absent = gap or reading.kept
        return [PartsCounted(before, value, delta, self._programme, reset, absent, at, reading.source_time)]

    def _nothing_made_since_count(self) -> bool:
        """Whether the counter was set, or is now another programme's: nothing ran since it was last read.

        The end of a cycle whose part was counted already is nothing new, when another programme has come since.
        """
        if not self._has_run or self._execution_gap or self._execution in (None, "ACTIVE"):
            return False
        changed = self._programme != self._programme_at_count
        return not self._ran_since_count or (changed and not self._began_since_count)

    def _cycle(self, value: model.Value, at: datetime) -> list[Event]:
        before, self._execution = self._execution, None if value is None else str(value)
        gap, self._execution_gap = self._execution_gap, value is None
        if value is None:  # for all that is known, anything may happen now
            self._ran_since_count = self._began_since_count = True
            self._cycle_uncertain = self._cycle_began is not None
        if value == "ACTIVE":
            self._has_run = self._ran_since_count = True
            self._began_since_count = self._began_since_count or before != "ACTIVE"
            if self._cycle_began is None and self._values.get("mode") not in model.HAND_MODES:
                # found running: it began before we looked
                self._cycle_began, self._cycle_uncertain = at, gap
                self._cycle_programme = self._programme
            return []
        if value not in ("PROGRAM_COMPLETED", "READY", "STOPPED") or self._cycle_began is None:
            return []
        # a controller without PROGRAM_COMPLETED goes from ACTIVE to READY at M30; from a hold it is a reset
        completed = value == "PROGRAM_COMPLETED" or (value == "READY" and before == "ACTIVE")
        ended = max(at, self._cycle_began)
        event = CycleEnded(self._cycle_programme, self._cycle_began, ended, completed, self._cycle_uncertain)
        self._cycle_began, self._cycle_programme, self._cycle_uncertain = None, None, False
        return [event]

    def _condition(self, condition: Condition) -> list[Event]:
        at = self._at(condition)
        heard = self._alarms.hear(condition, at)
        return [*heard, *self._restate(self._state_time(condition, at), condition.source_time, "")]

    def _restate(self, at: datetime, source_time: datetime | None, detail: str) -> list[Event]:
        """Compare what the machine is now with what was last said of it."""
        fault = self._alarms.fault
        state: model.State = "silent" if self._silent else model.shop_state(self._values, fault=fault is not None)
        if state == "silent" and not self._silent and "execution" not in self._values and not self._blind():
            return []  # just (re)connected: what was said last stands until the controller speaks or the bound is over
        execution = None if state == "silent" else self._execution
        if state != self._said[0]:
            previous, self._state = self._state, state
            self._said = (state, self._programme, self._tool)
            if state == "alarm" and fault is not None:
                detail = f"{fault.code} {fault.text}".strip()[:2000]
            return [StateChanged(state, previous, execution, self._programme, self._tool, detail, at, source_time)]
        if state != "silent" and self._said != (state, self._programme, self._tool):
            self._said = (state, self._programme, self._tool)
            return [ContextChanged(state, execution, self._programme, self._tool, at, source_time)]
        return []

    def _blind(self) -> bool:
        """No execution word since the bound: connected or not, the state is not known."""
        return "execution" not in self._values and self._now - self._blind_since > self._stale_after_s

    def _sample(self, reading: Reading) -> list[Event]:
        signal, value = reading.signal, reading.value
        at = self._when(reading)
        self._values[signal] = value
        if not isinstance(value, (int, float)):
            return [*self._batches.flush(signal)]
        return [*self._batches.add(signal, float(value), at, reading.received.mono)]

    def _clock_offset(self, now: Moment) -> list[SamplesReady]:
        """Once a minute, by how much the controller's clock is late, in ms."""
        offset = self._clock.offset
        if offset is None or self._silent or now.mono - self._clock_said < CLOCK_SAID_EVERY_S:
            return []
        self._clock_said = now.mono
        return self._batches.add("clock_offset", offset.total_seconds() * 1000, now.wall, now.mono)
