from __future__ import annotations

from datetime import UTC, datetime, timedelta

from contracts.control import TimeReply
from edge_agents.clock import Clock

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class FakeTicks:
    """The true time is `NOON + mono`; the wall clock is `wrong` by so much."""

    def __init__(self, wrong: timedelta = timedelta(0)) -> None:
        self.milliseconds = 5_000
        self.wrong = wrong

    def wall(self) -> datetime:
        return NOON + timedelta(milliseconds=self.milliseconds) + self.wrong

    def mono(self) -> int:
        return self.milliseconds


def heard(clock: Clock, ticks: FakeTicks, there: int, back: int) -> None:
    request = clock.request()
    ticks.milliseconds += there
    now = NOON + timedelta(milliseconds=ticks.milliseconds)
    ticks.milliseconds += back
    clock.heard(TimeReply(run=request.run, mono=request.mono, now=now))


def test_offset_is_unknown_before_the_centre_was_heard() -> None:
    clock = Clock(FakeTicks())
    assert clock.off(clock.now()) is None


def test_a_clock_two_hours_off_is_corrected() -> None:
    ticks = FakeTicks(wrong=timedelta(hours=2))
    clock = Clock(ticks)
    heard(clock, ticks, 20, 20)
    assert clock.off(clock.now()) == -2 * 3600 * 1000


def test_a_jump_of_the_wall_clock_in_mid_run_changes_no_duration() -> None:
    ticks = FakeTicks(wrong=timedelta(hours=2))
    clock = Clock(ticks)
    heard(clock, ticks, 5, 5)
    before = clock.now()
    off_before = clock.off(before)
    ticks.milliseconds += 60_000
    ticks.wrong = timedelta(0)
    after = clock.now()
    off_after = clock.off(after)
    assert off_before is not None
    assert off_after is not None
    start = before.wall + timedelta(milliseconds=off_before)
    end = after.wall + timedelta(milliseconds=off_after)
    assert end - start == timedelta(seconds=60)


def test_the_reply_with_the_shortest_round_trip_decides() -> None:
    ticks = FakeTicks()
    clock = Clock(ticks)
    heard(clock, ticks, 900, 100)
    assert clock.off(clock.now()) == 400
    heard(clock, ticks, 4, 6)
    assert clock.off(clock.now()) == -1
    heard(clock, ticks, 900, 100)
    assert clock.off(clock.now()) == -1


def test_an_old_reply_gives_way_even_to_a_slower_one() -> None:
    ticks = FakeTicks()
    clock = Clock(ticks)
    heard(clock, ticks, 9, 1)
    assert clock.off(clock.now()) == 4
    ticks.milliseconds += 11 * 60 * 1000
    heard(clock, ticks, 10, 30)
    assert clock.off(clock.now()) == -10


def test_a_reply_to_another_run_is_not_ours() -> None:
    ticks = FakeTicks()
    clock = Clock(ticks)
    clock.heard(TimeReply(run="another-run", mono=0, now=NOON))
    assert clock.anchor is None


def test_a_source_stamp_gets_the_monotonic_time_of_its_wall_time() -> None:
    ticks = FakeTicks()
    clock = Clock(ticks)
    assert clock.at(ticks.wall() - timedelta(seconds=2)).mono == 3_000
