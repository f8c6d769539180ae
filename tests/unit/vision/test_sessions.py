"""The session machine: clear, hand, occluded, clear."""

from __future__ import annotations

import pytest

from vision.sessions import Event, SessionMachine, SessionRules, State

QUIET = {"moving": False, "arm": False, "foreground": False, "hand": False}


def learned() -> tuple[SessionMachine, float]:
    machine = SessionMachine(SessionRules(clear_frames=3, clear_s=0.2, hold_s=5))
    ts = 0.0
    while machine.step(ts, **QUIET) is not Event.LEARNED:
        ts += 0.1
    return machine, ts


def test_it_learns_only_from_quiet_frames() -> None:
    machine = SessionMachine(SessionRules(clear_frames=3, clear_s=0.2))
    events = [machine.step(i / 10, **{**QUIET, "moving": i < 5}) for i in range(8)]
    assert events[:7] == [Event.NONE] * 7
    assert events[7] is Event.LEARNED


def test_a_quiet_rack_stays_clear() -> None:
    machine, ts = learned()
    assert {machine.step(ts + i / 10, **QUIET) for i in range(1, 200)} == {Event.NONE}
    assert machine.state is State.CLEAR
    assert machine.number == 0


def test_a_session_opens_and_settles_once() -> None:
    machine, ts = learned()
    assert machine.step(ts + 0.1, **{**QUIET, "moving": True}) is Event.OPENED
    assert machine.step(ts + 0.2, **{**QUIET, "moving": True}) is Event.NONE
    events = [machine.step(ts + 0.3 + i / 10, **QUIET) for i in range(3)]
    assert events == [Event.NONE, Event.NONE, Event.SETTLED]
    assert machine.state is State.CLEAR
    assert machine.began == ts + 0.1


def test_a_hand_that_rests_is_no_end() -> None:
    for sign in ("arm", "hand"):
        machine, ts = learned()
        machine.step(ts + 0.1, **{**QUIET, "moving": True})
        events = [machine.step(ts + 0.2 + i / 10, **{**QUIET, sign: True}) for i in range(40)]
        assert set(events) == {Event.NONE}, sign


def test_who_rests_is_held_again_and_again_and_the_session_stays_open() -> None:
    machine, ts = learned()
    machine.step(ts + 0.1, **{**QUIET, "moving": True})
    events = [machine.step(ts + 0.2 + i / 10, **{**QUIET, "arm": True}) for i in range(160)]
    assert [i for i, e in enumerate(events) if e is Event.HELD] == pytest.approx([50, 100, 150], abs=1)
    assert set(events) == {Event.NONE, Event.HELD}
    assert machine.state is State.SESSION


def test_what_stays_for_very_long_becomes_part_of_the_scene() -> None:
    machine, ts = learned()
    machine.step(ts + 0.1, **{**QUIET, "moving": True})
    events = [machine.step(ts + 1 + i, **{**QUIET, "arm": True}) for i in range(92)]
    assert Event.ADOPTED in events
    assert Event.SETTLED not in events


def test_two_frames_a_second_settle_after_a_second() -> None:
    machine, ts = learned()
    machine.step(ts + 0.5, **{**QUIET, "moving": True})
    events = [machine.step(ts + 1 + i / 2, **QUIET) for i in range(3)]
    assert events == [Event.NONE, Event.NONE, Event.SETTLED]


def test_begun_again_it_learns_whatever_was_going_on() -> None:
    machine, ts = learned()
    machine.step(ts + 0.1, **{**QUIET, "moving": True})
    machine.begin()
    events = [machine.step(ts + 0.2 + i / 10, **QUIET) for i in range(3)]
    assert events == [Event.NONE, Event.NONE, Event.LEARNED]


def test_movement_in_the_quiet_run_begins_it_again() -> None:
    machine, ts = learned()
    machine.step(ts + 0.1, **{**QUIET, "moving": True})
    events = [machine.step(ts + 0.2 + i / 10, **{**QUIET, "moving": i == 2}) for i in range(6)]
    assert events.index(Event.SETTLED) == 5


def test_many_frames_in_no_time_are_not_quiet_enough() -> None:
    machine, ts = learned()
    machine.step(ts + 0.1, **{**QUIET, "moving": True})
    assert {machine.step(ts + 0.11 + i / 1000, **QUIET) for i in range(50)} == {Event.NONE}
