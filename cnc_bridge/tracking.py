"""From a controller's readings to events: pure, no clock, no input or output.

What the tracker must remember to be right after a restart is its `TrackerState`, a small value that the agent saves in
the same transaction as the facts that the events become. Feed it every driver event, `tick` it a few times a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from cnc_bridge import model
from cnc_bridge.port import Condition, DriverEvent, Link, Moment, Problem, Reading, Solved

MAX_ALARMS = 200
BATCH_VALUES = 200
BATCH_SECONDS = 1.0
BUSY_VALUES = 1000
"""So many values waiting together are not kept waiting: a busy machine's samples come soon, a calm one's cost little."""
MAX_PARTS_STEP = 10**9
TRUST_SOURCE = timedelta(seconds=5)


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

    `reset`: the counter went backwards, so it began again at 0 and `delta` is its new value. `during_absence`: counted
    while nobody listened.
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


class ActiveAlarm(msgspec.Struct, frozen=True):
    key: str
    code: str
    text: str
    severity: str


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


class _Batch:
    """Values of one signal that wait for company."""

    __slots__ = ("began", "times", "values")

    def __init__(self, began: float) -> None:
        self.began = began
        self.times: list[datetime] = []
        self.values: list[float] = []


class _SourceClock:
    """The smallest (received - source) of the last 5 to 10 minutes: the controller clock's offset, least delayed."""

    def __init__(self) -> None:
        self._best: timedelta | None = None
        self._older: timedelta | None = None
        self._since = 0.0

    def to_ours(self, source: datetime, received: Moment) -> datetime:
        """`source` on this agent's clock, when it is believable: within 5 s before `received`."""
        lag = received.wall - source
        if self._best is None or received.mono - self._since > 300:
            self._older, self._best, self._since = self._best, lag, received.mono
        self._best = min(self._best, lag)
        offset = self._best if self._older is None else min(self._best, self._older)
        ours = source + offset
        return ours if received.wall - TRUST_SOURCE <= ours <= received.wall else received.wall


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
        self._units = dict(units or {})
        self._state: model.State = saved.state
        self._execution = saved.execution
        self._programme = saved.programme
        self._tool = saved.tool
        self._part_count = saved.part_count
        self._cycle_began = saved.cycle_began
        self._cycle_programme = saved.cycle_programme
        self._cycle_uncertain = saved.cycle_uncertain or saved.cycle_began is not None
        self._alarms = {(alarm.key, alarm.code): alarm for alarm in saved.alarms}
        self._values: dict[str, model.Value] = {}
        self._batches: dict[str, _Batch] = {}
        self._said = (saved.state, saved.programme, saved.tool)
        self._heard = self._now = self._blind_since = started.mono
        self._waiting = 0
        self._silent = False
        self._count_gap = self._execution_gap = True
        self._last_at: datetime | None = None
        self._clock = _SourceClock()

    @property
    def state(self) -> TrackerState:
        """What to save together with the events returned so far."""
        return TrackerState(
            self._state,
            self._execution,
            self._programme,
            self._tool,
            self._part_count,
            self._cycle_began,
            self._cycle_programme,
            self._cycle_uncertain,
            list(self._alarms.values()),
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
        return out

    def tick(self, now: Moment) -> list[Event]:
        """What time alone brings: full batches, and silence."""
        out: list[Event] = []
        self._now = max(self._now, now.mono)
        busy = self._waiting >= BUSY_VALUES
        for signal, batch in list(self._batches.items()):
            if busy or now.mono - batch.began >= BATCH_SECONDS:
                out += self._flush(signal)
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
        return [event for signal in list(self._batches) for event in self._flush(signal)]

    def _alive(self, received: Moment) -> list[Event]:
        self._heard = max(self._heard, received.mono)
        if not self._silent:
            return []
        self._silent = False
        return self._restate(received.wall, None, "heard again")

    def _link(self, link: Link) -> list[Event]:
        wall = link.received.wall
        if link.up:
            out = [*self._alive(link.received)]
            return [*out, SourceTrouble("ok", "connected", "", link.detail, "Liaison avec la machine établie.", wall)]
        out = self.close()
        if "execution" in self._values:
            self._blind_since = link.received.mono
        self._values.clear()
        self._clock = _SourceClock()
        self._lose_sight()
        sentence = "Liaison avec la machine perdue ; nouvelle tentative en cours."
        return [*out, SourceTrouble("lost", "link_lost", "", link.detail, sentence, wall)]

    def _lose_sight(self) -> None:
        self._count_gap = self._execution_gap = True
        self._cycle_uncertain = self._cycle_began is not None

    def _reading(self, reading: Reading) -> list[Event]:
        signal, value = reading.signal, reading.value
        if signal == "part_count":
            return self._counted(value, self._at(reading), reading.source_time)
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
            return [*out, *self._restate(at, reading.source_time, "")]
        return self._sample(reading)

    def _at(self, heard: Reading | Condition) -> datetime:
        """When it happened, on our clock; never before the last event, unless the clock itself was put back."""
        received = heard.received
        at = received.wall if heard.source_time is None else self._clock.to_ours(heard.source_time, received)
        if self._last_at is not None and at < self._last_at <= received.wall:
            at = self._last_at
        self._last_at = at
        return at

    def _counted(self, value: model.Value, at: datetime, source_time: datetime | None) -> list[Event]:
        self._values["part_count"] = value
        if not isinstance(value, int):
            self._count_gap = True
            return []
        before, gap = self._part_count, self._count_gap
        self._part_count, self._count_gap = value, False
        if before is None or before == value:
            return []
        reset = value < before
        delta = value if reset else value - before
        if delta > MAX_PARTS_STEP:
            sentence = "Le compteur de pièces a sauté : vérifier l'affectation du signal « part_count »."
            return [SourceTrouble("error", "count_jumped", "part_count", f"{before} to {value}", sentence, at)]
        return [PartsCounted(before, value, delta, self._programme, reset, gap, at, source_time)]

    def _cycle(self, value: model.Value, at: datetime) -> list[Event]:
        before, self._execution = self._execution, None if value is None else str(value)
        gap, self._execution_gap = self._execution_gap, value is None
        if value == "ACTIVE":
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
        at, source = self._at(condition), condition.source_time
        out: list[Event] = []
        level = condition.level.upper()
        key, code = condition.key[: model.MAX_SHORT], (condition.code or condition.key)[: model.MAX_SHORT]
        if level == "NORMAL" or condition.sole:
            for alarm in list(self._alarms.values()):
                spared = condition.sole and level != "NORMAL" and alarm.code in (code, *condition.beside)
                if alarm.key == key and not spared and (condition.sole or condition.code in ("", alarm.code)):
                    del self._alarms[(key, alarm.code)]
                    out.append(AlarmCleared(key, alarm.code, alarm.text, alarm.severity, at, source))
        if level in ("FAULT", "WARNING"):
            alarm = ActiveAlarm(key, code, condition.text[:2000], level.lower())
            known = self._alarms.get((key, code))
            if (known is None and len(self._alarms) < MAX_ALARMS) or (known and known.severity != alarm.severity):
                self._alarms[(key, code)] = alarm
                out.append(AlarmRaised(key, code, alarm.text, alarm.severity, at, source))
        return [*out, *self._restate(at, source, "")]

    def _restate(self, at: datetime, source_time: datetime | None, detail: str) -> list[Event]:
        """Compare what the machine is now with what was last said of it."""
        fault = next((alarm for alarm in self._alarms.values() if alarm.severity == "fault"), None)
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
        signal, value, received = reading.signal, reading.value, reading.received
        at = received.wall if reading.source_time is None else self._clock.to_ours(reading.source_time, received)
        self._values[signal] = value
        if not isinstance(value, (int, float)):
            return self._flush(signal)
        out: list[Event] = []
        batch = self._batches.get(signal)
        if batch is not None and batch.times and at < batch.times[0]:  # the agent's clock was put back
            out += self._flush(signal)
            batch = None
        if batch is None:
            batch = self._batches[signal] = _Batch(received.mono)
        batch.times.append(max(at, batch.times[-1]) if batch.times else at)
        batch.values.append(float(value))
        self._waiting += 1
        return [*out, *self._flush(signal)] if len(batch.values) >= BATCH_VALUES else out

    def _flush(self, signal: str) -> list[Event]:
        batch = self._batches.pop(signal, None)
        if batch is None or not batch.values:
            return []
        self._waiting -= len(batch.values)
        t0 = batch.times[0]
        dt = [round((time - t0).total_seconds() * 1000) for time in batch.times]
        unit = self._units.get(signal) or model.signal_named(signal).unit
        return [SamplesReady(signal, unit, t0, dt, batch.values)]
