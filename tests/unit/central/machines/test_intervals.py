from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from central.machines.rules import StateEvent, StateInterval, clip, intervals, minutes_by_state

START = datetime(2026, 5, 4, 6, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def event(minutes: float, state: str, seq: int = 0, programme: str | None = None) -> StateEvent:
    return StateEvent(at(minutes), seq, seq, state, programme)


events = st.lists(
    st.builds(
        StateEvent,
        st.integers(0, 50).map(at),
        st.integers(1, 10**6),
        st.integers(1, 10**6),
        st.sampled_from(["running", "stopped", "alarm"]),
        st.sampled_from([None, "O1001"]),
    ),
    max_size=20,
    unique_by=lambda e: (e.at, e.seq, e.fact_id),
)


def test_a_state_lasts_until_the_next_one() -> None:
    assert intervals([event(0, "running"), event(10, "stopped")]) == [
        StateInterval(at(0), at(10), "running"),
        StateInterval(at(10), None, "stopped"),
    ]


def test_a_late_event_splits_the_interval_that_it_falls_into() -> None:
    found = intervals([event(0, "running", 1), event(20, "running", 3), event(10, "alarm", 2)])
    assert [(i.begin, i.end, i.state) for i in found] == [
        (at(0), at(10), "running"),
        (at(10), at(20), "alarm"),
        (at(20), None, "running"),
    ]


def test_saying_the_same_again_changes_nothing() -> None:
    assert intervals([event(0, "running"), event(5, "running"), event(9, "running")]) == [
        StateInterval(at(0), None, "running")
    ]


def test_another_programme_is_another_interval() -> None:
    found = intervals([event(0, "running", programme="O1"), event(5, "running", programme="O2")])
    assert [i.programme for i in found] == ["O1", "O2"]


def test_at_one_instant_the_later_of_its_source_wins() -> None:
    assert [i.state for i in intervals([event(0, "alarm", 2), event(0, "running", 1)])] == ["alarm"]


@given(events, st.randoms())
def test_any_order_of_arrival_gives_the_same_intervals(found: list[StateEvent], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    assert intervals(shuffled) == intervals(found)
    assert intervals(found + found) == intervals(found), "duplicates are harmless"


@given(events)
def test_intervals_fill_the_time_without_hole_or_overlap(found: list[StateEvent]) -> None:
    made = intervals(found)
    assert (len(made) == 0) == (len(found) == 0)
    for before, after in itertools.pairwise(made):
        assert before.end == after.begin
        assert before.begin < after.begin
        assert (before.state, before.programme) != (after.state, after.programme)
    if made:
        assert made[-1].end is None
        total = sum(minutes_by_state(clip(made, made[0].begin, at(60)), at(60)).values())
        assert total == (at(60) - made[0].begin).total_seconds() / 60


def test_clip_keeps_what_lies_inside() -> None:
    made = intervals([event(0, "running"), event(30, "stopped")])
    assert [(i.begin, i.end) for i in clip(made, at(10), at(40))] == [(at(10), at(30)), (at(30), at(40))]
    assert clip(made, at(-20), at(0)) == []
