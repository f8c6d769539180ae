"""What the alert rules find, on plain values."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.machines.rules import StateEvent, intervals
from central.machines.rules.watch import (
    RULES,
    Limit,
    Setting,
    Stop,
    checked,
    checked_limit,
    drift,
    idle_since,
    passed,
    still_since,
    unexpected_stops,
)

START = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def stops(script: Sequence[tuple[float, str]], until: float, completed: tuple[float, ...] = ()) -> list[Stop]:
    events = [StateEvent(at(minutes), n, n, state, "O1") for n, (minutes, state) in enumerate(script)]
    return unexpected_stops(intervals(events), [at(m) for m in completed], at(until), MINUTE)


def test_a_stop_without_completion_stands_out_once_it_is_no_micro_stop() -> None:
    script = [(0, "ready"), (5, "running"), (10, "stopped")]
    assert stops(script, until=10.9) == []
    [stop] = stops(script, until=11.1)
    assert (stop.begin, stop.end, stop.state, stop.programme) == (at(10), None, "stopped", "O1")


def test_the_end_of_a_cycle_is_no_stop() -> None:
    script = [(0, "running"), (10, "stopped")]
    assert stops(script, until=30, completed=(10.05,)) == []
    assert len(stops(script, until=30, completed=(5,))) == 1, "an earlier cycle completes nothing"


def test_waiting_is_meant() -> None:
    assert stops([(0, "running"), (10, "ready"), (12, "stopped")], until=30) == []
    assert stops([(0, "ready"), (10, "stopped")], until=30) == []


def test_an_alarm_within_a_stop_is_the_same_stop() -> None:
    [stop] = stops([(0, "running"), (10, "stopped"), (10.5, "alarm"), (14, "stopped"), (20, "running")], until=30)
    assert (stop.begin, stop.end, stop.state) == (at(10), at(20), "alarm")


def test_a_stop_that_is_over_is_told_with_its_end() -> None:
    found = stops([(0, "running"), (10, "stopped"), (13, "running"), (20, "alarm")], until=22)
    assert [(s.begin, s.end) for s in found] == [(at(10), at(13)), (at(20), None)]


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["ready", "running", "stopped", "alarm"])), max_size=12))
def test_stops_lie_in_order_and_never_overlap(script: list[tuple[int, str]]) -> None:
    found = stops(script, until=60)
    for stop, following in itertools.pairwise(found):
        assert stop.end is not None
        assert stop.end <= following.begin
    assert all(stop.end is None or stop.end - stop.begin > MINUTE for stop in found)


def test_a_tool_is_idle_while_the_feed_stays_at_zero() -> None:
    values = [(at(0), 200.0), (at(4), 0.0), (at(5), 0.3), (at(9), 0.0)]
    random.Random(1).shuffle(values)
    still = still_since(values, 0.5)
    assert still == at(4)
    assert idle_since(at(0), still, at(6.9), 3 * MINUTE) is None
    assert idle_since(at(0), still, at(7.1), 3 * MINUTE) == at(4)
    assert idle_since(at(6), still, at(9.5), 3 * MINUTE) == at(6), "it produces only since then"
    assert still_since([*values, (at(10), 5.0)], 0.5) is None


def test_drift_needs_a_reference_that_it_does_not_share() -> None:
    assert drift([60] * 5, [80] * 5, 9, None) is None
    found = drift([60, 61, 59, 60, 300], [80, 81, 79, 80, 400], 10, None)
    assert found is not None
    assert (found.reference_s, found.recent_s, round(found.share, 3), found.declared) == (60, 80, 0.333, False)


def test_a_declared_time_is_the_reference_at_once() -> None:
    found = drift([], [45] * 5, 5, 60)
    assert found is not None
    assert (found.share, found.declared) == (-0.25, True)
    assert drift([], [45] * 4, 4, 60) is None


HOT = Limit("tour-1", "temperature", "high", 70, 80, 5)
WEAK = Limit("tour-1", "pressure", "low", 4, 3, 0.5)


def test_a_limit_is_over_only_after_its_hysteresis() -> None:
    up = [(at(0), 60.0), (at(1), 81.0), (at(2), 79.0), (at(3), 75.0)]
    found = passed(HOT, 80, up)
    assert found is not None
    assert (found.at, found.value) == (at(1), 81.0)
    assert passed(HOT, 80, [*up, (at(4), 74.9)]) is None
    assert passed(HOT, 70, [*up, (at(4), 74.9)]) is not None


def test_a_low_limit_is_passed_downwards() -> None:
    down = [(at(0), 6.0), (at(1), 2.9), (at(2), 3.4)]
    assert passed(WEAK, 3, down) is not None
    assert passed(WEAK, 3, [*down, (at(3), 3.6)]) is None


@given(
    st.sampled_from([HOT, WEAK]),
    st.lists(st.floats(0, 100, allow_nan=False), max_size=20),
    st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=8),
)
def test_what_changes_nothing_need_not_be_asked(limit: Limit, before: list[float], new: list[float]) -> None:
    """The short cut of the consumer never hides a change, also of values that arrive late."""

    def standing(values: list[tuple[datetime, float]]) -> str | None:
        if passed(limit, limit.limit, values):
            return "limit"
        assert limit.warning is not None
        return "warning" if passed(limit, limit.warning, values) else None

    told = [(at(2 * n), v) for n, v in enumerate(before)]
    late = [(at(2 * n + 1), v) for n, v in enumerate(new)]
    if standing(told) != standing(told + late):
        assert limit.changes(standing(told), min(new), max(new))


@pytest.mark.parametrize("setting", [Setting("silent", True, "high", 1), Setting("cycle_drift", True, "medium", 9)])
def test_a_bound_out_of_range_is_refused_in_french(setting: Setting) -> None:
    with pytest.raises(ValueError, match="le seuil va de"):
        checked(setting)


def test_a_warning_lies_before_its_limit() -> None:
    with pytest.raises(ValueError, match="sous la limite haute"):
        checked_limit(HOT._replace(warning=80))
    with pytest.raises(ValueError, match="au-dessus de la limite basse"):
        checked_limit(WEAK._replace(warning=2))
    assert {rule.level for rule in RULES.values()} <= {"critical", "high", "medium", "info"}
