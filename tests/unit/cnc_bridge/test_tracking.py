import itertools
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cnc_bridge.events import (
    AlarmCleared,
    AlarmRaised,
    CycleEnded,
    Event,
    PartsCounted,
    SamplesReady,
    SourceTrouble,
    StateChanged,
)
from cnc_bridge.model import Value
from cnc_bridge.port import Condition, Heard, Link, Moment, Position, Reading
from cnc_bridge.tracking import Tracker, TrackerState

Kind = TypeVar("Kind")
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def moment(seconds: float) -> Moment:
    return Moment(START + timedelta(seconds=seconds), 1000.0 + seconds)


class Machine:
    """A tracker with a clock that the test moves."""

    def __init__(self, state: TrackerState | None = None, stale_after_s: float = 10, at: float = 0) -> None:
        self.t = at
        self.tracker = Tracker(stale_after_s, moment(at), state, {"x_load": "%"})
        self.events: list[Event] = []

    def says(self, signal: str, value: Value, after: float = 0.1, source: datetime | None = None) -> list[Event]:
        self.t += after
        return self._keep(self.tracker.feed(Reading(signal, value, source, moment(self.t))))

    def condition(self, level: str, code: str = "", key: str = "system", text: str = "", *, sole: bool = False) -> None:
        self.t += 0.1
        self._keep(self.tracker.feed(Condition(key, level, code, text, None, moment(self.t), sole)))

    def link(self, *, up: bool) -> list[Event]:
        self.t += 0.1
        return self._keep(self.tracker.feed(Link(up, "test", moment(self.t))))

    def waits(self, seconds: float, *, heartbeat: bool = False) -> list[Event]:
        out: list[Event] = []
        for _ in range(round(seconds / 0.2)):
            self.t += 0.2
            if heartbeat:
                out += self.tracker.feed(Heard(moment(self.t)))
            out += self.tracker.tick(moment(self.t))
        return self._keep(out)

    def restarts(self, absent: float = 60) -> "Machine":
        """The agent's process ends and another begins from what was saved, through JSON as the agent does."""
        saved = msgspec.json.decode(msgspec.json.encode(self.tracker.state), type=TrackerState)
        return Machine(saved, at=self.t + absent)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def states(self) -> list[str]:
        return [event.state for event in self.events if isinstance(event, StateChanged)]

    @property
    def deltas(self) -> list[int]:
        return [event.delta for event in self.events if isinstance(event, PartsCounted)]

    def _keep(self, events: list[Event]) -> list[Event]:
        self.events += events
        return events


def test_states_follow_the_execution_word() -> None:
    machine = Machine()
    for word in ("READY", "ACTIVE", "ACTIVE", "FEED_HOLD", "ACTIVE", "PROGRAM_COMPLETED", "READY", "STOPPED"):
        machine.says("execution", word)
    assert machine.states == ["ready", "running", "ready", "running", "ready", "stopped"]


def test_a_silent_machine_is_silent_within_its_bound_and_shows_no_old_value() -> None:
    machine = Machine(stale_after_s=10)
    machine.says("execution", "ACTIVE")
    machine.says("spindle_load", 40.0)
    machine.waits(9)
    assert machine.states == ["running"]
    assert machine.tracker.current()["spindle_load"] == 40.0
    machine.waits(2)
    assert machine.states == ["running", "silent"]
    assert machine.tracker.current() == {}


def test_an_idle_machine_with_a_heartbeat_is_not_silent() -> None:
    machine = Machine(stale_after_s=10)
    machine.says("execution", "READY")
    machine.waits(60, heartbeat=True)
    assert machine.states == ["ready"]


def test_heard_again_on_the_same_connection_the_values_hold_again() -> None:
    machine = Machine(stale_after_s=10)
    machine.says("execution", "ACTIVE")
    machine.waits(12)
    machine.waits(0.4, heartbeat=True)
    assert machine.states == ["running", "silent", "running"]


def test_a_new_connection_without_an_execution_word_never_brings_back_the_old_state() -> None:
    machine = Machine(stale_after_s=10)
    machine.says("execution", "ACTIVE")
    machine.link(up=False)
    machine.link(up=True)
    machine.waits(30, heartbeat=True)
    assert machine.states == ["running", "silent"]


def test_a_short_loss_of_the_link_is_told_but_changes_no_state() -> None:
    machine = Machine(stale_after_s=10)
    machine.says("execution", "ACTIVE")
    machine.link(up=False)
    machine.waits(3)
    machine.link(up=True)
    machine.says("execution", "ACTIVE")
    assert machine.states == ["running"]
    assert [event.status for event in machine.of(SourceTrouble)] == ["lost", "ok"]


def test_a_restart_that_finds_the_same_state_says_nothing_and_another_one_says_so() -> None:
    before = Machine()
    before.says("execution", "ACTIVE")
    same = before.restarts()
    same.says("execution", "ACTIVE")
    assert same.states == []
    other = before.restarts()
    other.says("execution", "STOPPED")
    assert other.states == ["stopped"]


def test_an_execution_that_becomes_unavailable_is_not_shown_as_before() -> None:
    machine = Machine()
    machine.says("execution", "ACTIVE")
    machine.says("execution", None)
    assert machine.states == ["running", "silent"]


def test_parts_are_counted_once_with_their_programme() -> None:
    machine = Machine()
    machine.says("programme", "O1")
    for count in (5, 5, 6, 6, 8):
        machine.says("part_count", count)
    counted = [event for event in machine.events if isinstance(event, PartsCounted)]
    assert [(event.first, event.last, event.delta, event.programme) for event in counted] == [
        (5, 6, 1, "O1"),
        (6, 8, 2, "O1"),
    ]
    assert not any(event.during_absence for event in counted)


def test_parts_made_while_the_agent_was_down_are_one_event_of_the_absence() -> None:
    before = Machine()
    before.says("part_count", 10)
    after = before.restarts()
    after.says("part_count", 14)
    after.says("part_count", 15)
    counted = [event for event in after.events if isinstance(event, PartsCounted)]
    assert [(event.delta, event.during_absence) for event in counted] == [(4, True), (1, False)]


def test_a_counter_that_goes_back_began_again_at_zero() -> None:
    machine = Machine()
    for count in (10, 3, 0, 1):
        machine.says("part_count", count)
    counted = [event for event in machine.events if isinstance(event, PartsCounted)]
    assert [(event.delta, event.reset) for event in counted] == [(3, True), (0, True), (1, False)]


def test_a_counter_that_jumps_beyond_reason_is_reported_and_not_counted() -> None:
    machine = Machine()
    machine.says("part_count", 1)
    machine.says("part_count", 4_294_967_295)
    machine.says("part_count", 4_294_967_296)
    assert machine.deltas == [1]
    assert [event.code for event in machine.of(SourceTrouble)] == ["count_jumped"]


def test_a_counter_of_another_programme_is_no_part() -> None:
    """Controllers that count for each programme show another number when the programme is changed, before any cut."""
    machine = Machine()
    for signal, value in (
        ("programme", "O1"), ("part_count", 10), ("execution", "ACTIVE"), ("execution", "PROGRAM_COMPLETED"),
        ("part_count", 11), ("execution", "READY"),
        ("programme", "O2"), ("part_count", 50), ("execution", "ACTIVE"), ("execution", "READY"), ("part_count", 51),
        ("part_count", 11), ("programme", "O1"), ("execution", "ACTIVE"), ("part_count", 12),
    ):  # fmt: skip
        machine.says(signal, value)
    counted = [event for event in machine.events if isinstance(event, PartsCounted)]
    assert [(event.delta, event.reset, event.programme) for event in counted] == [
        (1, False, "O1"),
        (0, True, "O2"),
        (1, False, "O2"),
        (0, True, "O2"),
        (1, False, "O1"),
    ]


def test_a_counter_is_believed_where_no_execution_word_ever_said_active() -> None:
    machine = Machine()
    machine.says("execution", "READY")
    machine.says("part_count", 4)
    machine.says("part_count", 6)
    assert machine.deltas == [2]


class Shop:
    """A controller with its part counter, and what really was made; it tells the tracker what a controller tells."""

    def __init__(self, count: int, *, tells_execution: bool, per_programme: bool) -> None:
        self.machine = Machine()
        self.made, self.deltas = 0, list[int]()
        self.tells_execution, self.per_programme = tells_execution, per_programme
        self.programme, self.counts = "O1", {"O1": count, "O2": 3 * count + 7}
        self.tell_all()

    @property
    def count(self) -> int:
        return self.counts[self.programme if self.per_programme else "O1"]

    @count.setter
    def count(self, value: int) -> None:
        self.counts[self.programme if self.per_programme else "O1"] = value

    def tell_all(self) -> None:
        """The controller's present state, as it is sent after a connection."""
        self.machine.says("programme", self.programme)
        if self.tells_execution:
            self.machine.says("execution", "READY")
        self.machine.says("part_count", self.count)

    def cuts(self, parts: int) -> None:
        """A cycle that makes `parts` (0: warm-up, probing)."""
        if self.tells_execution:
            self.machine.says("execution", "ACTIVE")
        self.count, self.made = self.count + parts, self.made + parts
        self.machine.says("part_count", self.count)
        if self.tells_execution:
            self.machine.says("execution", "PROGRAM_COMPLETED")

    def cuts_unheard(self, parts: int) -> None:
        """Parts of the absence: only the counter knows of them."""
        self.count, self.made = self.count + parts, self.made + parts

    def is_reset(self) -> None:
        self.count = 0
        self.machine.says("part_count", 0)

    def changes_programme(self) -> None:
        self.programme = {"O1": "O2", "O2": "O1"}[self.programme]
        self.machine.says("programme", self.programme)
        self.machine.says("part_count", self.count)

    def counter_is_lost(self) -> None:
        self.machine.says("part_count", None)
        self.machine.says("part_count", self.count)

    def loses_the_link(self, parts: int) -> None:
        self.machine.link(up=False)
        self.cuts_unheard(parts)
        self.machine.link(up=True)
        self.tell_all()

    def controller_restarts(self) -> None:
        """Power off and on: the counter begins at 0, and everything is told again."""
        self.machine.link(up=False)
        self.machine.waits(12)
        self.counts = dict.fromkeys(self.counts, 0)
        self.machine.link(up=True)
        self.tell_all()

    def agent_restarts(self, parts: int) -> None:
        self.deltas += self.machine.deltas
        self.machine = self.machine.restarts()
        self.cuts_unheard(parts)
        self.machine.link(up=True)
        self.tell_all()

    def total(self) -> list[int]:
        return self.deltas + self.machine.deltas


moves = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["cuts", "loses_the_link", "agent_restarts"]), st.integers(0, 4)),
        st.tuples(st.sampled_from(["is_reset", "changes_programme", "counter_is_lost", "controller_restarts"])),
    ),
    max_size=40,
)


@given(st.integers(0, 50), moves, st.booleans(), st.booleans())
def test_whatever_the_counter_goes_through_the_sum_is_the_parts_made(
    start: int, doings: list[tuple[str, int] | tuple[str]], tells_execution: bool, per_programme: bool
) -> None:
    """Counter reset, controller and agent restarted, link and counter lost, programme changed: never twice, never less.

    A counter for each programme can only be followed where the machine tells when it runs, and not over an absence.
    """
    shop = Shop(start, tells_execution=tells_execution, per_programme=per_programme and tells_execution)
    shop.cuts(1)
    for doing, *parts in doings:
        getattr(shop, doing)(*parts)
    assert sum(shop.total()) == shop.made
    assert all(delta >= 0 for delta in shop.total())


def test_a_cycle_runs_from_active_to_the_end_of_the_programme_through_a_feed_hold() -> None:
    machine = Machine()
    machine.says("programme", "O1")
    for word in ("READY", "ACTIVE", "FEED_HOLD", "ACTIVE", "PROGRAM_COMPLETED", "READY"):
        machine.says("execution", word, after=10)
    (cycle,) = machine.of(CycleEnded)
    assert isinstance(cycle, CycleEnded)
    assert (cycle.ended - cycle.began).total_seconds() == 30
    assert (cycle.programme, cycle.completed, cycle.uncertain) == ("O1", True, False)


def test_a_cycle_that_is_stopped_is_not_completed() -> None:
    machine = Machine()
    for word in ("READY", "ACTIVE", "STOPPED", "ACTIVE", "INTERRUPTED", "READY", "ACTIVE", "READY"):
        machine.says("execution", word)
    assert [event.completed for event in machine.events if isinstance(event, CycleEnded)] == [False, False, True]


def test_a_cycle_seen_only_in_part_is_uncertain() -> None:
    machine = Machine()
    for word in ("ACTIVE", "READY", "ACTIVE"):
        machine.says("execution", word)
    machine.link(up=False)
    machine.link(up=True)
    for word in ("ACTIVE", "READY", "ACTIVE"):
        machine.says("execution", word)
    after = machine.restarts()
    for word in ("ACTIVE", "READY"):
        after.says("execution", word)
    assert [event.uncertain for event in machine.events if isinstance(event, CycleEnded)] == [True, True]
    assert [event.uncertain for event in after.events if isinstance(event, CycleEnded)] == [True]


def test_a_cycle_during_which_the_execution_was_unavailable_is_uncertain() -> None:
    machine = Machine()
    for word in ("READY", "ACTIVE", None, "ACTIVE", "READY", "ACTIVE", "READY"):
        machine.says("execution", word)
    assert [event.uncertain for event in machine.of(CycleEnded)] == [True, False]


def test_parts_that_the_far_side_kept_were_counted_in_the_absence() -> None:
    machine = Machine()
    machine.says("part_count", 3)
    machine.link(up=False)
    machine.link(up=True)
    for count in (4, 5):
        machine._keep(machine.tracker.feed(Reading("part_count", count, None, moment(machine.t), kept=True)))
    machine.says("part_count", 6)
    assert [(event.delta, event.during_absence) for event in machine.of(PartsCounted)] == [
        (1, True),
        (1, True),
        (1, False),
    ]


def test_an_alarm_is_raised_and_cleared_once_also_over_a_restart() -> None:
    machine = Machine()
    machine.says("execution", "STOPPED")
    machine.condition("FAULT", "1042", text="spindle overload")
    machine.condition("FAULT", "1042", text="spindle overload")
    machine.condition("WARNING", "77")
    after = machine.restarts()
    after.says("execution", "STOPPED")
    after.condition("FAULT", "1042", text="spindle overload")
    after.condition("NORMAL", "1042")
    after.condition("NORMAL")
    raised = [(event.code, event.severity) for event in machine.events if isinstance(event, AlarmRaised)]
    assert raised == [("1042", "fault"), ("77", "warning")]
    assert machine.states == ["stopped", "alarm"]
    assert after.of(AlarmRaised) == []
    assert [event.code for event in after.events if isinstance(event, AlarmCleared)] == ["1042", "77"]
    assert after.states == ["stopped"]


def test_all_the_alarms_of_a_condition_at_once_end_the_others() -> None:
    """What an MTConnect agent gives after a reconnect: under one condition these are active, and no other."""
    machine = Machine()
    machine.condition("FAULT", "1")
    machine.condition("FAULT", "2")
    for code in ("2", "3"):
        now = moment(machine.t + 1)
        machine._keep(machine.tracker.feed(Condition("system", "FAULT", code, "", None, now, True, ("2", "3"))))
    said = [
        (type(event).__name__, event.code) for event in machine.events if isinstance(event, AlarmRaised | AlarmCleared)
    ]
    assert said == [("AlarmRaised", "1"), ("AlarmRaised", "2"), ("AlarmCleared", "1"), ("AlarmRaised", "3")]


def test_a_fault_whose_condition_is_unavailable_makes_no_state_and_is_not_over() -> None:
    machine = Machine()
    machine.says("execution", "STOPPED")
    machine.condition("FAULT", "1")
    machine.says("execution", None)
    machine.condition("UNAVAILABLE")
    assert machine.states == ["stopped", "alarm", "silent"]
    machine.says("execution", "STOPPED")
    machine.condition("FAULT", "1")
    assert machine.states[3:] == ["stopped", "alarm"]
    assert len(machine.of(AlarmRaised)) == 1
    assert machine.of(AlarmCleared) == []


def test_a_plain_alarm_number_replaces_the_one_before() -> None:
    machine = Machine()
    machine.condition("FAULT", "1", key="alarm", sole=True)
    machine.condition("FAULT", "1", key="alarm", sole=True)
    machine.condition("FAULT", "2", key="alarm", sole=True)
    machine.condition("NORMAL", key="alarm", sole=True)
    said = [
        (type(event).__name__, event.code) for event in machine.events if isinstance(event, AlarmRaised | AlarmCleared)
    ]
    assert said == [("AlarmRaised", "1"), ("AlarmCleared", "1"), ("AlarmRaised", "2"), ("AlarmCleared", "2")]


def test_samples_come_in_batches_of_a_second_or_two_hundred() -> None:
    machine = Machine()
    for number in range(15):
        machine.says("spindle_load", float(number), after=0.1)
        machine._keep(machine.tracker.tick(moment(machine.t)))
    for _ in range(450):
        machine.says("x_load", 1.0, after=0.001)
    machine._keep(machine.tracker.close())
    batches = [event for event in machine.events if isinstance(event, SamplesReady)]
    assert [len(batch.values) for batch in batches if batch.signal == "x_load"] == [200, 200, 50]
    loads = [value for batch in batches if batch.signal == "spindle_load" for value in batch.values]
    assert loads == [float(number) for number in range(15)]
    assert {batch.signal: batch.unit for batch in batches} == {"spindle_load": "%", "x_load": "%"}
    assert all(batch.dt == sorted(batch.dt) and batch.dt[0] == 0 for batch in batches)


def test_the_controllers_clock_times_samples_even_when_it_is_two_hours_off() -> None:
    """Measured every 50 ms, delivered by ten: the first delivery teaches the offset, the second is spaced right."""
    machine = Machine()
    wrong = START - timedelta(hours=2)
    for number in range(20):
        after = 0.5 if number % 10 == 0 else 0
        machine.says("spindle_load", 1.0, after, source=wrong + timedelta(milliseconds=50 * number))
    machine._keep(machine.tracker.close())
    (batch,) = machine.of(SamplesReady)
    assert isinstance(batch, SamplesReady)
    second = batch.dt[10:]
    assert [later - first for first, later in itertools.pairwise(second)] == [50] * 9
    assert batch.t0 + timedelta(milliseconds=batch.dt[-1]) <= moment(machine.t).wall


def test_an_event_is_timed_by_the_agent_when_the_source_time_is_old() -> None:
    """After a reconnect an adapter repeats values with the time of their last change, hours ago."""
    machine = Machine()
    machine.says("mode", "AUTOMATIC", source=START)
    (changed,) = machine.says("execution", "READY", source=START - timedelta(hours=3))
    assert isinstance(changed, StateChanged)
    assert changed.at == moment(machine.t).wall
    assert changed.source_time == START - timedelta(hours=3)


def test_state_events_never_go_back_in_time() -> None:
    machine = Machine()
    for number, word in enumerate(("READY", "ACTIVE", "READY", "ACTIVE")):
        machine.says("execution", word, source=START + timedelta(seconds=10 - number))
    times = [event.at for event in machine.events if isinstance(event, StateChanged)]
    assert times == sorted(times)


def test_the_offset_of_the_controllers_clock_is_said_once_a_minute() -> None:
    """Two hours slow, readings 50 to 250 ms on their way: the least delayed of them tells the offset."""
    machine = Machine()
    machine.link(up=True)
    machine.says("mode", "AUTOMATIC", source=START - timedelta(days=3))
    for number in range(700):
        delay = timedelta(milliseconds=50 + 100 * (number % 3))
        source = moment(machine.t + 0.2).wall - timedelta(hours=2) - delay
        machine.says("spindle_load", 1.0, 0.2, source=source)
        machine._keep(machine.tracker.tick(moment(machine.t)))
    said = machine.of(SamplesReady)
    offsets = [value for batch in said if batch.signal == "clock_offset" for value in batch.values]
    assert len(offsets) == 2
    assert all(abs(offset - (7_200_000 + 50)) < 1 for offset in offsets)
    assert {batch.unit for batch in said if batch.signal == "clock_offset"} == {"ms"}


def test_no_offset_is_told_from_old_values_alone() -> None:
    machine = Machine(stale_after_s=1000)
    machine.link(up=True)
    machine.says("mode", "AUTOMATIC", source=START - timedelta(hours=3))
    machine.waits(130, heartbeat=True)
    assert not [one for one in machine.of(SamplesReady) if one.signal == "clock_offset"]


def test_what_the_far_side_kept_during_a_short_absence_has_its_own_time() -> None:
    machine = Machine(stale_after_s=30)
    machine.says("execution", "ACTIVE", 3, source=moment(3).wall)
    machine.link(up=False)
    machine.waits(20)
    machine.link(up=True)
    for word, at in (("READY", 8), ("ACTIVE", 12)):
        kept = Reading("execution", word, moment(at).wall, moment(machine.t), kept=True)
        machine._keep(machine.tracker.feed(kept))
    changes = [(event.state, event.at) for event in machine.events if isinstance(event, StateChanged)]
    assert changes == [("running", moment(3).wall), ("ready", moment(8).wall), ("running", moment(12).wall)]


def test_an_absence_that_was_said_to_be_silent_stays_silent_but_its_cycles_have_their_times() -> None:
    machine = Machine(stale_after_s=10)
    machine.says("execution", "ACTIVE", 3, source=moment(3).wall)
    machine.link(up=False)
    machine.waits(60)
    machine.link(up=True)
    back = machine.t
    for word, at in (("READY", 20), ("ACTIVE", 25), ("READY", 45)):
        kept = Reading("execution", word, moment(at).wall, moment(machine.t), kept=True)
        machine._keep(machine.tracker.feed(kept))
    changes = [(event.state, event.at) for event in machine.events if isinstance(event, StateChanged)]
    assert [state for state, _ in changes] == ["running", "silent", "ready", "running", "ready"]
    assert {at for _, at in changes[2:]} == {moment(back).wall}
    cycles = [(event.began, event.ended) for event in machine.events if isinstance(event, CycleEnded)]
    assert cycles == [(moment(3).wall, moment(20).wall), (moment(25).wall, moment(45).wall)]


def test_an_agent_that_restarts_places_what_was_kept_by_the_offset_that_it_knew() -> None:
    before = Machine(stale_after_s=30)
    before.says("execution", "ACTIVE", 3, source=moment(3).wall - timedelta(hours=2))
    before.tracker.feed(Position("7:12", moment(3)))
    after = before.restarts(absent=20)
    assert after.tracker.state.position == "7:12"
    after.link(up=True)
    kept = Reading("execution", "READY", moment(10).wall - timedelta(hours=2), moment(after.t), kept=True)
    (cycle, ready) = after._keep(after.tracker.feed(kept))
    assert isinstance(cycle, CycleEnded)
    assert isinstance(ready, StateChanged)
    assert (cycle.ended, ready.at) == (moment(10).wall, moment(10).wall)
