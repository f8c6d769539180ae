from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.work.rules import Event, Interval, minutes_by_phase, pieces_to_charge, progress, replay

START = datetime(2026, 5, 4, 6, tzinfo=UTC)
FIVE_S = timedelta(seconds=5)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


_ids = itertools.count(1)


def event(minutes: float, action: str, **rest: object) -> Event:
    return Event(next(_ids), at(minutes), action, rest.pop("post", "poste-1"), **rest)  # type: ignore[arg-type]  # brief in tests


def phases(*events: Event) -> list[tuple[float, float | None, str]]:
    def minutes(moment: datetime | None) -> float | None:
        return None if moment is None else (moment - START).total_seconds() / 60

    return [(minutes(i.begin) or 0.0, minutes(i.end), i.phase) for i in replay(events, FIVE_S).intervals]


def kinds(*events: Event) -> list[str]:
    return [b.kind for b in replay(events, FIVE_S).breaches]


def test_setup_until_the_first_good_part_then_run() -> None:
    events = event(0, "start"), event(20, "first_good"), event(60, "end", good=10)
    assert phases(*events) == [(0, 20, "setup"), (20, 60, "run")]
    assert kinds(*events) == []


def test_a_pause_comes_back_to_its_phase() -> None:
    events = event(0, "start"), event(10, "first_good"), event(20, "pause", reason="panne"), event(30, "resume")
    assert phases(*events) == [(0, 10, "setup"), (10, 20, "run"), (20, 30, "pause"), (30, None, "run")]
    assert replay(events, FIVE_S).intervals[2].reason == "panne"


def test_a_toggle_starts_then_ends_and_resumes_a_pause() -> None:
    assert phases(event(0, "toggle"), event(30, "toggle")) == [(0, 30, "setup")]
    assert phases(event(0, "toggle"), event(10, "pause"), event(20, "toggle"), event(30, "toggle")) == [
        (0, 10, "setup"),
        (10, 20, "pause"),
        (20, 30, "setup"),
    ]


def test_one_scan_read_twice_is_one() -> None:
    assert phases(event(0, "toggle"), event(0.05, "toggle"), event(30, "toggle")) == [(0, 30, "setup")]
    assert phases(event(0, "toggle"), event(0.05, "toggle", post="poste-2")) == [(0, 0.05, "setup")]


def test_an_end_without_a_start_is_kept_and_its_quantities_count() -> None:
    end = event(10, "end", good=4)
    found = replay([end], FIVE_S)
    assert [b.kind for b in found.breaches] == ["end_without_start"]
    assert found.intervals == []
    assert found.ends == [end]
    assert progress([found], 4)[:1] == ("done",)


def test_a_late_start_explains_the_end() -> None:
    end = event(10, "end")
    assert kinds(end, event(0, "start")) == []
    assert phases(end, event(0, "start")) == [(0, 10, "setup")]


def test_a_second_start_is_said_and_changes_nothing() -> None:
    events = event(0, "start"), event(10, "start"), event(20, "end")
    assert kinds(*events) == ["double_start"]
    assert phases(*events) == [(0, 20, "setup")]


@pytest.mark.parametrize("action", ["start", "toggle"])
def test_a_forgotten_end_is_flagged_and_not_counted(action: str) -> None:
    events = [event(0, "start"), event(24 * 60, action), event(24 * 60 + 30, "end")]
    found = replay(events, FIVE_S)
    assert [b.kind for b in found.breaches] == ["forgotten_end"]
    assert [i.forgotten for i in found.intervals] == [True, False]
    assert minutes_by_phase(found.intervals, at(10**5))["setup"] == 30


def test_a_pause_over_night_is_not_forgotten() -> None:
    events = event(0, "start"), event(60, "pause"), event(24 * 60, "toggle"), event(25 * 60, "end")
    assert kinds(*events) == []
    assert minutes_by_phase(replay(events, FIVE_S).intervals, at(10**5)) == {"setup": 120, "run": 0, "pause": 23 * 60}


def test_a_clock_two_hours_off_then_corrected_gives_right_durations() -> None:
    """Only `at`, the time on the centre's clock, is used: what the source's clock did in between is without effect."""
    wrong = timedelta(hours=2)
    source_clock = [at(0) + wrong, at(20) + wrong, at(60)]
    offsets = [-wrong, -wrong, timedelta(0)]
    moments = [clock + offset for clock, offset in zip(source_clock, offsets, strict=True)]
    events = [
        Event(n, moment, action, "poste-1")
        for n, (moment, action) in enumerate(zip(moments, ["start", "first_good", "end"], strict=True), 1)
    ]
    assert minutes_by_phase(replay(events, FIVE_S).intervals, at(999)) == {"setup": 20, "run": 40, "pause": 0}


def test_status_of_an_operation() -> None:
    one = [event(0, "start"), event(10, "end", good=4)]
    assert progress([], 10).status == "planned"
    assert progress([replay(one[:1], FIVE_S)], 10).status == "running"
    assert progress([replay([one[0], event(5, "pause")], FIVE_S)], 10).status == "paused"
    assert progress([replay(one, FIVE_S)], 10).status == "waiting", "4 of 10 made"
    assert progress([replay(one, FIVE_S)], 4).status == "done"
    relay = [replay(one, FIVE_S), replay([event(20, "start"), event(30, "end", good=6)], FIVE_S)]
    found = progress(relay, 10)
    assert (found.status, found.good, found.started_at, found.ended_at) == ("done", 10, at(0), at(30))


def test_material_of_a_debit() -> None:
    assert pieces_to_charge([event(0, "toggle")], 12) == 12
    assert pieces_to_charge([event(0, "end"), event(5, "end")], 12) == 12, "ended twice, cut once"
    assert pieces_to_charge([event(0, "end", good=5, scrap=1), event(5, "end")], 12) == 12
    assert pieces_to_charge([event(0, "end", good=13)], 12) == 13
    assert pieces_to_charge([], 12) == 0


actions = st.sampled_from(["start", "pause", "resume", "first_good", "end", "toggle"])
events = st.lists(
    st.builds(
        Event,
        st.integers(1, 10**6),
        st.integers(0, 40 * 60).map(at),
        actions,
        st.sampled_from(["poste-1", "poste-2"]),
        st.integers(0, 10**6),
    ),
    max_size=25,
    unique_by=(lambda e: e.id, lambda e: (e.at, e.action, e.seq)),
)


@given(events, st.randoms())
def test_any_order_of_arrival_gives_the_same(found: list[Event], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    assert replay(shuffled, FIVE_S) == replay(found, FIVE_S)


@given(events)
def test_intervals_never_overlap_and_only_the_last_is_open(found: list[Event]) -> None:
    made: list[Interval] = replay(found, FIVE_S).intervals
    for before, after in itertools.pairwise(made):
        assert before.end is not None
        assert before.begin < before.end <= after.begin
    until = at(41 * 60)
    totals = minutes_by_phase(made, until)
    assert all(minutes >= 0 for minutes in totals.values())
    assert sum(totals.values()) <= 41 * 60
