"""The guard's judgement: levels, masks, learning, and time that misbehaves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnc_bridge.guard import Guard, GuardSettings, Limits, Memory, Verdict

PERIOD = 0.1
FIXED = {"spindle_load": Limits(alert=100.0, hold=130.0)}


def guard(**settings: object) -> Guard:
    chosen = GuardSettings.model_validate({"limits": FIXED, "learn": False, **settings})
    one = Guard(chosen)
    one.feed(0.0, "execution", "ACTIVE")
    return one


def feed(one: Guard, values: list[float], *, since: float = 10.0, signal: str = "spindle_load") -> list[Verdict]:
    """`values` at the sampling period, after enough quiet ones for the period to be known."""
    out: list[Verdict] = []
    for number in range(10):
        out += one.feed(since - (10 - number) * PERIOD, signal, 10.0)
    for number, value in enumerate(values):
        out += one.feed(since + number * PERIOD, signal, value)
    return out


def levels(verdicts: list[Verdict]) -> list[str]:
    return [verdict.level for verdict in verdicts]


def test_a_lone_spike_is_only_watched() -> None:
    assert levels(feed(guard(), [500.0, 10.0, 10.0, 10.0])) == ["watch"]


def test_two_samples_alert_and_three_hold() -> None:
    assert levels(feed(guard(), [500.0, 500.0, 10.0])) == ["watch", "alert"]
    found = feed(guard(), [500.0, 500.0, 500.0])
    assert levels(found) == ["watch", "alert", "hold"]
    assert found[-1].ts == pytest.approx(10.2)
    assert found[-1].first == pytest.approx(10.0)
    assert (found[-1].value, found[-1].limit, found[-1].unit) == (500.0, 130.0, "%")


def test_above_the_alert_limit_alone_never_holds() -> None:
    assert levels(feed(guard(), [120.0] * 50)) == ["watch", "alert"]


def test_one_line_for_each_level_of_an_episode_however_long() -> None:
    assert len(feed(guard(), [500.0] * 500)) == 3


def test_persistence_in_seconds_delays() -> None:
    found = feed(guard(alert_s=0.45, hold_s=0.95), [500.0] * 20)
    assert [(v.level, round(v.ts - v.first, 2)) for v in found] == [("watch", 0.0), ("alert", 0.5), ("hold", 1.0)]


def test_a_signal_on_change_that_says_nothing_more_is_still_above() -> None:
    one = guard()
    assert levels(feed(one, [500.0])) == ["watch"]
    found = [v for number in range(1, 40) for v in one.feed(10.0 + number * 0.01, "feed", 100.0)]
    assert levels(found) == ["alert", "hold"]


def test_another_signal_of_the_same_moment_does_not_make_a_spike_an_alert() -> None:
    one = guard()
    feed(one, [500.0])
    assert one.feed(10.0 + PERIOD, "feed", 100.0) == []
    assert one.feed(10.0 + PERIOD, "spindle_load", 10.0) == []


def test_the_same_sample_twice_is_one() -> None:
    one = guard()
    feed(one, [500.0])
    assert [v for _ in range(20) for v in one.feed(10.0, "spindle_load", 500.0)] == []


def test_a_silence_ends_what_was_above() -> None:
    one = guard()
    feed(one, [500.0])
    assert levels(one.feed(100.0, "spindle_load", 500.0)) == []
    assert levels(one.feed(100.0 + PERIOD, "spindle_load", 500.0)) == ["alert"]


def test_time_that_goes_back_is_a_new_session() -> None:
    one = guard()
    feed(one, [500.0, 500.0])
    found = one.feed(-5000.0, "spindle_load", 500.0)
    assert levels(found) == ["watch"]
    assert levels([v for n in range(1, 4) for v in one.feed(-5000.0 + n * PERIOD, "spindle_load", 500.0)]) == [
        "alert",
        "hold",
    ]


def test_a_sample_a_little_late_is_judged() -> None:
    one = guard()
    feed(one, [10.0])
    one.feed(10.3, "feed", 100.0)
    assert levels(one.feed(10.1, "spindle_load", 500.0)) == ["watch"]


@pytest.mark.parametrize("rubbish", [math.nan, math.inf, -math.inf, "abc", "", 1e300])
def test_rubbish_is_counted_and_hides_nothing(rubbish: float | str) -> None:
    one = guard()
    assert levels(feed(one, [500.0, rubbish, 500.0])) == ["watch", "alert", "hold"]  # type: ignore[list-item]  # that is the point
    assert one.refused == 1
    quiet = guard()
    assert feed(quiet, [rubbish] * 20) == []  # type: ignore[list-item]  # that is the point
    assert quiet.feed(math.nan, "spindle_load", 500.0) == []


def test_an_unavailable_signal_is_not_seen() -> None:
    one = guard()
    feed(one, [10.0])
    assert one.seeing == ["spindle_load"]
    one.feed(11.0, "spindle_load", None)
    assert (one.seeing, one.watched) == ([], ["spindle_load"])


def test_the_sign_does_not_matter() -> None:
    assert levels(feed(guard(), [-500.0] * 3)) == ["watch", "alert", "hold"]


def test_a_contact_holds_at_once() -> None:
    one = guard(limits={"contact": Limits(hold=0.5)})
    one.feed(1.0, "contact", 0.0)
    assert levels(one.feed(1.001, "contact", 1.0)) == ["hold"]


@pytest.mark.parametrize(
    ("signal", "value"), [("motion", "G33"), ("motion", "G1 G84 X0"), ("motion", "G76"), ("segment", "Taraudage M8")]
)
def test_threading_and_tapping_are_never_held(signal: str, value: str) -> None:
    one = guard()
    one.feed(0.1, signal, value)
    found = feed(one, [500.0] * 20)
    assert levels(found) == ["watch", "alert"]
    assert "pas d'arrêt" in found[-1].why


def test_tapping_by_tool_and_by_programme() -> None:
    for settings, signal, value in (
        ({"tapping_tools": ("12",)}, "tool", "12"),
        ({"tapping_programmes": ("TAR*",)}, "programme", "TARAUD-8"),
    ):
        one = guard(**settings)
        one.feed(0.1, signal, value)
        assert levels(feed(one, [500.0] * 20)) == ["watch", "alert"]


def test_a_machine_that_does_not_run_a_programme_is_not_held() -> None:
    one = guard()
    one.feed(0.1, "execution", "STOPPED")
    assert levels(feed(one, [500.0] * 20)) == ["watch", "alert"]


def test_the_spindle_is_not_judged_while_it_accelerates() -> None:
    one = guard()
    one.feed(9.0, "spindle_speed", 0)
    one.feed(9.95, "spindle_speed", 1500)
    assert feed(one, [500.0] * 10) == []
    assert levels(feed(one, [500.0] * 10, since=14.0)) == ["watch", "alert", "hold"]


def test_an_absolute_limit_that_is_always_judged() -> None:
    one = guard(limits={"spindle_load": Limits(alert=100.0, hold=130.0, always=True)})
    one.feed(9.0, "spindle_speed", 0)
    one.feed(9.95, "spindle_speed", 1500)
    assert levels(feed(one, [500.0] * 3)) == ["watch", "alert", "hold"]


def test_a_spindle_that_slows_under_its_command_while_cutting_is_a_stall() -> None:
    one = guard()
    for signal, value in (("spindle_command", 2000), ("spindle_speed", 2000), ("feed", 300)):
        one.feed(8.0, signal, value)
    one.feed(9.95, "spindle_speed", 900)
    assert levels(feed(one, [500.0] * 3)) == ["watch", "alert", "hold"]


def test_a_spindle_that_stops_between_cuts_is_not() -> None:
    one = guard()
    for signal, value in (("spindle_command", 2000), ("spindle_speed", 2000), ("feed", 0)):
        one.feed(8.0, signal, value)
    one.feed(9.95, "spindle_speed", 900)
    assert feed(one, [500.0] * 3) == []


def test_axes_are_not_judged_in_rapids_and_tool_changes() -> None:
    axis = {"x_load": Limits(alert=100.0, hold=130.0)}
    rapid = guard(limits=axis)
    rapid.feed(9.9, "feed", 30_000)
    assert feed(rapid, [500.0] * 5, signal="x_load") == []
    change = guard(limits=axis)
    change.feed(8.0, "tool", "1")
    change.feed(9.9, "tool", "")
    assert feed(change, [500.0] * 5, signal="x_load") == []


def test_a_spike_before_a_mask_and_one_after_it_are_two_spikes() -> None:
    one = guard(limits={"x_load": Limits(alert=100.0, hold=130.0)})
    one.feed(0.1, "feed", 200.0)
    assert levels(feed(one, [500.0], signal="x_load")) == ["watch"]
    one.feed(10.05, "feed", 30_000)
    assert one.feed(10.1, "x_load", 10.0) == []
    one.feed(10.15, "feed", 200.0)
    assert levels(one.feed(12.0, "x_load", 500.0)) == ["watch"]


def test_what_stays_above_through_a_mask_goes_on() -> None:
    one = guard(limits={"x_load": Limits(alert=100.0, hold=130.0)})
    one.feed(0.1, "feed", 200.0)
    assert levels(feed(one, [500.0, 500.0], signal="x_load")) == ["watch", "alert"]
    one.feed(10.15, "feed", 30_000)
    assert [v for n in range(5) for v in one.feed(10.2 + n * PERIOD, "x_load", 500.0)] == []
    one.feed(10.7, "feed", 200.0)
    found = [v for n in range(12) for v in one.feed(10.8 + n * PERIOD, "x_load", 500.0)]
    assert levels(found) == ["hold"]


def test_an_alarm_between_cycles_spoils_none() -> None:
    one = learner()
    one.alarmed()
    cycle(one, 0.0, 40.0)
    assert one.learnt_cycles == 1


def cycle(one: Guard, start: float, load: float, *, end: str = "PROGRAM_COMPLETED", tool: str = "3") -> list[Verdict]:
    """20 s of a programme: the load in the middle, little at both ends."""
    out: list[Verdict] = []
    for signal, value in (("programme", "P1"), ("tool", tool), ("execution", "ACTIVE")):
        one.feed(start, signal, value)
    for number in range(200):
        value = load if 50 <= number < 150 else 5.0
        out += one.feed(start + number * PERIOD, "spindle_load", value)
    one.feed(start + 20.0, "execution", end)
    one.feed(start + 20.1, "execution", "READY")
    return out


def learner(**settings: object) -> Guard:
    return Guard(GuardSettings.model_validate({"min_cycles": 3, **settings}))


def taught(count: int = 3, load: float = 40.0) -> Guard:
    one = learner()
    for number in range(count):
        cycle(one, number * 100.0, load)
    return one


def test_a_learnt_limit_counts_only_after_enough_good_cycles() -> None:
    assert cycle(taught(2), 1000.0, 300.0) == []
    assert levels(cycle(taught(3), 1000.0, 300.0)) == ["watch", "alert", "hold"]


def test_what_good_cycles_did_is_good() -> None:
    one = taught(3)
    assert cycle(one, 1000.0, 42.0) == []
    assert one.learnt_cycles == 4


def test_a_cycle_that_runs_a_little_late_is_good() -> None:
    one = taught(5)
    for signal, value in (("programme", "P1"), ("tool", "3"), ("execution", "ACTIVE")):
        one.feed(1000.0, signal, value)
    late = [
        v
        for number in range(200)
        for v in one.feed(1000.0 + number * PERIOD, "spindle_load", 40.0 if 65 <= number < 165 else 5.0)
    ]
    assert late == []


def test_a_load_where_there_was_none_alerts_but_only_one_never_seen_holds() -> None:
    one = taught(5)
    for signal, value in (("programme", "P1"), ("tool", "3"), ("execution", "ACTIVE")):
        one.feed(1000.0, signal, value)
    early = [v for number in range(10) for v in one.feed(1000.0 + number * PERIOD, "spindle_load", 40.0)]
    assert levels(early) == ["alert"]
    assert early[-1].learnt


def test_a_cycle_with_an_alert_an_alarm_or_an_abort_teaches_nothing() -> None:
    one = taught(3)
    cycle(one, 1000.0, 300.0)
    assert (one.learnt_cycles, one.dropped_cycles) == (3, 1)
    cycle(one, 2000.0, 40.0, end="STOPPED")
    assert (one.learnt_cycles, one.dropped_cycles) == (3, 2)
    one.feed(3000.0, "execution", "ACTIVE")
    one.feed(3000.1, "spindle_load", 300.0)
    one.alarmed()
    one.feed(3001.0, "execution", "PROGRAM_COMPLETED")
    assert (one.learnt_cycles, one.dropped_cycles) == (3, 3)


def test_a_lone_spike_in_a_good_cycle_does_not_widen_the_limit() -> None:
    one = learner()
    for number in range(5):
        for signal, value in (("programme", "P1"), ("tool", "3"), ("execution", "ACTIVE")):
            one.feed(number * 100.0, signal, value)
        for at in range(100):
            one.feed(number * 100.0 + at * PERIOD, "spindle_load", 300.0 if at == 50 else 40.0)
        one.feed(number * 100.0 + 10.0, "execution", "PROGRAM_COMPLETED")
    assert one.learnt_cycles == 5
    assert levels(cycle(one, 1000.0, 150.0)) == ["alert", "hold"]  # a lone one such is not even watched


def test_another_programme_with_a_known_tool_is_alerted_not_held() -> None:
    one = taught(5)
    for signal, value in (("programme", "P2"), ("tool", "3"), ("execution", "ACTIVE")):
        one.feed(1000.0, signal, value)
    found = [v for number in range(30) for v in one.feed(1000.0 + number * PERIOD, "spindle_load", 400.0)]
    assert levels(found) == ["watch", "alert"]


def test_a_pause_does_not_shift_the_cycle() -> None:
    one = taught(5)
    for signal, value in (("programme", "P1"), ("tool", "3"), ("execution", "ACTIVE")):
        one.feed(1000.0, signal, value)
    for number in range(20):
        one.feed(1000.0 + number * PERIOD, "spindle_load", 5.0)
    one.feed(1002.0, "execution", "FEED_HOLD")
    one.feed(1300.0, "execution", "ACTIVE")
    found = [
        v
        for number in range(20, 200)
        for v in one.feed(1298.0 + number * PERIOD, "spindle_load", 40.0 if 50 <= number < 150 else 5.0)
    ]
    assert found == []


def test_loops_that_only_count_parts_are_cycles() -> None:
    one = learner()
    one.feed(0.0, "programme", "P1")
    one.feed(0.0, "part_count", 10)
    one.feed(0.0, "execution", "ACTIVE")
    for number in range(600):
        one.feed(number * PERIOD, "spindle_load", 40.0)
        if number % 200 == 199:
            one.feed(number * PERIOD + 0.01, "part_count", 11 + number // 200)
    assert one.learnt_cycles == 3


def test_by_block_a_slower_feed_changes_nothing() -> None:
    one = learner()

    def run(start: float, pace: float, load: float) -> list[Verdict]:
        out: list[Verdict] = []
        for signal, value in (("programme", "P1"), ("tool", "3"), ("execution", "ACTIVE")):
            one.feed(start, signal, value)
        ts = start
        for line in range(10, 60, 10):
            one.feed(ts, "line", line)
            for _ in range(20):
                ts += pace
                out += one.feed(ts, "spindle_load", load if line == 40 else 5.0)
        one.feed(ts + 0.1, "execution", "PROGRAM_COMPLETED")
        return out

    for number in range(3):
        run(number * 100.0, 0.1, 60.0)
    assert run(1000.0, 0.4, 60.0) == []
    assert levels(run(2000.0, 0.1, 300.0)) == ["watch", "alert", "hold"]


def test_cycles_that_agree_narrow_the_limit_and_those_that_differ_do_not() -> None:
    def limit(loads: tuple[float, ...]) -> float:
        one = learner()
        for number, load in enumerate(loads):
            cycle(one, number * 100.0, load)
        assert one.learnt_cycles == 3
        return cycle(one, 1000.0, 300.0)[0].limit

    assert limit((40.0, 40.0, 40.0)) == pytest.approx(48.33, abs=0.01)
    assert limit((30.0, 36.0, 40.0)) == pytest.approx(50.0)


def test_a_place_that_one_cycle_alone_passed_is_judged_by_the_whole_piece() -> None:
    one = learner(min_cycles=1)
    cycle(one, 0.0, 40.0)
    for signal, value in (("programme", "P1"), ("tool", "3"), ("execution", "ACTIVE")):
        one.feed(1000.0, signal, value)
    assert [v for n in range(10) for v in one.feed(1000.0 + n * PERIOD, "spindle_load", 40.0)] == []


def test_a_tool_that_never_loaded_an_axis_says_nothing_of_it_in_a_new_programme() -> None:
    one = taught(5, load=6.0)
    for signal, value in (("programme", "P2"), ("tool", "3"), ("execution", "ACTIVE")):
        one.feed(1000.0, signal, value)
    assert [v for n in range(30) for v in one.feed(1000.0 + n * PERIOD, "spindle_load", 40.0)] == []


def test_a_rounded_following_error_alerts_beyond_its_rounding_only() -> None:
    one = learner()

    def run(start: float, error: float) -> list[Verdict]:
        out: list[Verdict] = []
        for signal, value in (("programme", "P1"), ("tool", "3"), ("execution", "ACTIVE")):
            one.feed(start, signal, value)
        for at in range(100):
            ts = start + at * PERIOD
            out += one.feed(ts, "z_following_error", error if 40 <= at < 50 else (0.1 if at == 70 else 0.0))
        one.feed(start + 10.0, "execution", "PROGRAM_COMPLETED")
        return out

    for number in range(3):
        run(number * 100.0, 0.0)
    assert run(1000.0, 0.1) == []
    assert levels(run(2000.0, 0.3)) == ["watch", "alert", "hold"]


def test_silence_in_a_tool_change_confirms_nothing() -> None:
    one = guard()
    assert levels(feed(one, [500.0])) == ["watch"]
    one.feed(10.05, "tool", "4")
    one.feed(10.06, "tool", "5")
    assert [v for n in range(8, 180) for v in one.feed(10.0 + n * 0.01, "feed", 100.0)] == []


def test_a_sample_before_a_masked_moment_and_one_after_it_alert_when_it_stayed_above() -> None:
    one = guard(limits={"x_load": Limits(alert=100.0, hold=130.0)})
    one.feed(0.1, "feed", 200.0)
    assert levels(feed(one, [500.0], signal="x_load")) == ["watch"]
    one.feed(10.05, "feed", 30_000)
    assert one.feed(10.1, "x_load", 500.0) == []
    one.feed(10.15, "feed", 200.0)
    found = [v for n in range(2, 10) for v in one.feed(10.0 + n * PERIOD, "x_load", 500.0)]
    assert levels(found) == ["alert"]


def test_a_signal_that_was_always_nothing_has_no_limit() -> None:
    one = learner()
    for number in range(4):
        for signal, value in (("programme", "P1"), ("tool", "3"), ("execution", "ACTIVE")):
            one.feed(number * 100.0, signal, value)
        found = [
            v
            for at in range(50)
            for v in one.feed(number * 100.0 + at * PERIOD, "z_current", 0.0 if number < 3 else 0.01)
        ]
        assert found == []
        one.feed(number * 100.0 + 10.0, "execution", "PROGRAM_COMPLETED")


def test_a_changed_unit_takes_the_percent_limits_away() -> None:
    percent = {"spindle": FIXED["spindle_load"]}
    assert levels(feed(Guard(GuardSettings(learn=False), percent_limits=percent), [5000.0] * 5))
    one = Guard(GuardSettings(learn=False), percent_limits=percent)
    one.tell_unit("spindle_load", "W")
    assert feed(one, [5000.0] * 5) == []


def test_the_memory_is_used_as_it_is_taught_elsewhere() -> None:
    memory = taught(3).memory
    assert isinstance(memory, Memory)
    other = Guard(GuardSettings(min_cycles=3), memory)
    assert levels(cycle(other, 0.0, 300.0)) == ["watch", "alert", "hold"]


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=True, allow_infinity=True, width=32),
            st.sampled_from(
                ["spindle_load", "x_load", "execution", "tool", "feed", "line", "spindle_speed", "part_count"]
            ),
            st.one_of(
                st.floats(allow_nan=True, allow_infinity=True),
                st.none(),
                st.sampled_from(["ACTIVE", "READY", "", "7", "UNAVAILABLE"]),
            ),
        ),
        max_size=60,
    )
)
def test_whatever_comes_nothing_breaks_and_limits_stay_finite(
    samples: list[tuple[float, str, float | str | None]],
) -> None:
    one = Guard(GuardSettings(limits=FIXED, min_cycles=1))
    for ts, signal, value in samples:
        for verdict in one.feed(ts, signal, value):
            assert math.isfinite(verdict.limit)
            assert math.isfinite(verdict.value)
            assert verdict.value > verdict.limit or verdict.level != "hold"


def test_hundreds_of_signals_that_say_nothing_of_a_collision_leave_room_for_those_that_do() -> None:
    one = guard()
    for number in range(400):
        one.feed(0.0, f"temperature_{number}", 20.0)
    one.feed(0.0, "spindle_load", 20.0)
    assert one.watched == ["spindle_load"]


def test_a_lone_spike_that_comes_later_than_other_signals_is_no_hold() -> None:
    """Two subscriptions: what is known of the feed is 0.3 s ahead of what is known of the load."""
    one = guard()
    said: list[Verdict] = []
    for number in range(100):
        ts = 10.0 + number * 0.02
        said += one.feed(ts + 0.3, "feed", 500.0 + number % 2)
        said += one.feed(ts, "spindle_load", 180.0 if number == 60 else 20.0)
    assert [verdict.level for verdict in said] == ["watch"]
