"""What comes of a verdict: standstill seen or not, trips with their curve, how often they are told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from cnc_bridge.guard import Guard, GuardSettings, Limits
from cnc_bridge.guard.acting import SampleAge, Standstill, Trips, Unsent, gpio_relay

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


def test_held_only_when_velocity_0_is_seen_after_the_command() -> None:
    wait = Standstill(10.0, 2.0, 1.0)
    wait.velocity(9.9, 10.5, 0.0)  # heard after the command, but taken before it
    wait.velocity(10.1, 10.1, 800.0)
    wait.velocity(10.2, 10.2, None)
    wait.tick(10.3)
    assert wait.outcome is None
    wait.velocity(10.35, 10.4, -0.5)
    assert (wait.outcome, wait.stop_s) == ("held", pytest.approx(0.4))
    wait.tick(99.0)
    assert wait.outcome == "held"


def test_deferred_when_it_is_not_seen_in_time() -> None:
    wait = Standstill(10.0, 2.0, 1.0)
    wait.tick(12.1)
    wait.velocity(12.2, 12.2, 0.0)
    assert (wait.outcome, wait.stop_s) == ("deferred", None)


def test_the_age_of_a_sample_is_its_delay_beyond_the_least_delayed() -> None:
    age = SampleAge()
    offset = timedelta(hours=2)  # the controller's clock is wrong, and that does not matter
    assert age.of(NOW - offset, NOW, 0.0) == 0.0
    assert age.of(NOW - offset - timedelta(seconds=0.25), NOW, 0.0) == pytest.approx(0.25)
    assert age.of(None, NOW, 0.0) is None


def test_a_controller_clock_that_was_set_back_makes_no_old_samples() -> None:
    age = SampleAge()
    assert age.of(NOW, NOW, 0.0) == 0.0
    later = NOW + timedelta(seconds=1)
    assert age.of(later - timedelta(hours=1), later, 1.0) is None
    assert age.of(later - timedelta(hours=1) + timedelta(seconds=1), later + timedelta(seconds=1), 2.0) == 0.0


@pytest.mark.parametrize("step", [-30.0, -5.0, 5.0, 29.0])
def test_a_wall_clock_that_was_set_makes_no_wrong_ages(step: float) -> None:
    age = SampleAge()
    ages = []
    for tenth in range(100):
        real = tenth / 10
        set_by = step if real >= 3.0 else 0.0
        ages.append(age.of(NOW + timedelta(seconds=real), NOW + timedelta(seconds=real + set_by), 100.0 + real))
    assert ages[:30] == [pytest.approx(0.0)] * 30
    assert all(one is None or one == pytest.approx(0.0) for one in ages[30:])
    assert ages[-1] == pytest.approx(0.0)
    late = age.of(NOW + timedelta(seconds=9.5), NOW + timedelta(seconds=10.0 + step), 110.0)
    assert late == pytest.approx(0.5)


def test_a_sample_on_its_way_while_the_clock_of_both_is_set_back_does_not_count() -> None:
    age = SampleAge()
    assert age.of(NOW, NOW, 0.0) == 0.0
    assert age.of(NOW + timedelta(seconds=1), NOW - timedelta(seconds=9), 1.0) is None  # stamped before the step
    for second in range(2, 6):
        at = NOW + timedelta(seconds=second - 10)
        last = age.of(at, at, float(second))
    assert last == 0.0


def tripping() -> tuple[Guard, Trips]:
    limits = {"spindle_load": Limits(alert=100.0, hold=130.0)}
    guard = Guard(GuardSettings(limits=limits, before_s=1.0, after_s=0.5))
    for number in range(100):
        guard.feed(number * 0.1, "spindle_load", 10.0)
    return guard, Trips(guard)


def test_a_trip_is_told_once_with_its_highest_level_and_its_curve() -> None:
    guard, trips = tripping()
    for number in range(100, 104):
        for verdict in guard.feed(number * 0.1, "spindle_load", 500.0):
            trips.add(verdict, "none")
    assert trips.due(10.4) == []
    for number in range(104, 120):
        guard.feed(number * 0.1, "spindle_load", 20.0)
    ((trip, points),) = trips.due(12.0)
    assert (trip.verdict.level, trip.verdict.first) == ("hold", pytest.approx(10.0))
    assert [points[0].ts, points[-1].ts] == [pytest.approx(9.0), pytest.approx(10.7)]
    assert max(point.value for point in points) == 500.0
    assert {point.limit for point in points} == {100.0}
    assert trips.due(99.0) == []


def test_millimetres_are_feed_times_age_latency_and_stop() -> None:
    guard, trips = tripping()
    verdicts = [v for number in range(100, 103) for v in guard.feed(number * 0.1, "spindle_load", 500.0)]
    trip = trips.add(verdicts[-1], "deferred")
    trip.age_s, trip.latency_s, trip.feed = 0.02, 0.01, 6000.0
    assert trip.travel_mm is None
    trip.standstill = Standstill(10.2, 2.0, 1.0)
    assert trips.due(11.0) == []
    trip.standstill.velocity(10.25, 10.27, 0.0)
    ((told, _),) = trips.due(11.0)
    assert told.outcome == "held"
    assert told.travel_mm == pytest.approx(100.0 * (0.02 + 0.01 + 0.07))


def test_a_signal_that_dances_is_told_once_a_minute_and_the_rest_counted() -> None:
    guard, trips = tripping()
    told = []
    for number in range(100, 1700):
        for verdict in guard.feed(number * 0.1, "spindle_load", 110.0 if number % 40 == 0 else 10.0):
            trips.add(verdict, "none")
        told += [trip for trip, _ in trips.due(number * 0.1)]
    assert [trip.verdict.level for trip in told] == ["watch"] * 3
    assert told[1].others >= 10


def test_what_is_open_is_told_at_the_end() -> None:
    guard, trips = tripping()
    for number in range(100, 103):
        for verdict in guard.feed(number * 0.1, "spindle_load", 500.0):
            trips.add(verdict, "deferred").standstill = Standstill(10.0, 2.0, 1.0)
    ((trip, _),) = trips.due(10.3, flush=True)
    assert trip.outcome == "deferred"


def test_a_relay_on_a_pin_closes_and_opens_again() -> None:
    factory = MockFactory()
    previous, Device.pin_factory = Device.pin_factory, factory
    try:
        waiting: list[tuple[float, Callable[[], None]]] = []
        relay = gpio_relay(17, active_high=True, pulse_s=0.5, later=lambda s, call: waiting.append((s, call)))
        pin = factory.pin(17)
        assert pin.state == 0
        relay.close_contact()
        assert pin.state == 1
        ((seconds, open_again),) = waiting
        open_again()
        assert (seconds, pin.state) == (0.5, 0)
    finally:
        factory.reset()
        Device.pin_factory = previous


def failing() -> tuple[Guard, Trips, Unsent]:
    """A hold did not pass at 10.4 s."""
    guard, trips = tripping()
    unsent = Unsent(guard)
    for number in range(100, 104):
        for verdict in guard.feed(number * 0.1, "spindle_load", 500.0):
            trip = trips.add(verdict, "failed")
            if verdict.level == "hold":
                unsent.add(trip, number * 0.1, 10.4)
    assert unsent
    return guard, trips, unsent


def test_a_hold_that_did_not_pass_is_due_again_every_half_second_while_above() -> None:
    guard, trips, unsent = failing()
    sent = []
    for number in range(104, 300):
        guard.feed(number * 0.1, "spindle_load", 500.0)
        assert trips.due(number * 0.1) == []
        if unsent.due(number * 0.1):
            sent.append(number)
            unsent.failed(number * 0.1)
    assert len(sent) == pytest.approx(196 / 5, abs=8)
    ((trip, _),) = unsent.take()
    assert trip.tries == len(sent)
    ((told, points),) = trips.due(30.0)
    assert told is trip
    assert points[0].ts == pytest.approx(9.0)


def test_a_dip_sends_nothing_and_ends_nothing_and_a_calm_moment_ends_it() -> None:
    guard, trips, unsent = failing()
    guard.feed(11.0, "spindle_load", 20.0)
    assert not unsent.due(11.0)
    guard.feed(11.1, "spindle_load", 500.0)
    assert unsent.due(11.1)
    for number in range(112, 130):
        guard.feed(number * 0.1, "spindle_load", 20.0)
        assert not unsent.due(number * 0.1)
    assert not unsent
    ((trip, _),) = trips.due(13.0)
    assert trip.outcome == "failed"


def test_a_guard_that_is_not_armed_sends_nothing_again() -> None:
    guard, _, unsent = failing()
    guard.armed = False
    assert not unsent.due(11.0)
    assert not unsent
