"""`RackWatcher` over a small drawn rack: no model, a fake hand."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest

from tests.unit.vision.watching.bench import Bench, FakeJudge, rack, told
from vision.detectors.none import NoDetector
from vision.memory import SnapshotError
from vision.sessions import Event, State
from vision.watching import ModeChange, RackWatcher, WatchSettings


def test_a_pick_then_a_return() -> None:
    bench = Bench()
    assert bench.show(8) == []
    taken = bench.session(1, put=False)
    assert told(taken) == [("A2", -1, "auto")]
    assert bench.watcher.counts == {"A1": 1, "A2": 0, "A3": 1}
    assert told(bench.session(1, put=True)) == [("A2", 1, "auto")]


def test_a_change_carries_its_moment_and_its_evidence() -> None:
    bench = Bench()
    bench.show(8)
    (change,) = bench.session(0, put=False)
    assert change.began == pytest.approx(0.8, abs=0.11)
    assert change.began < change.at < change.ended
    assert change.at == pytest.approx(1.5, abs=0.45)
    for jpeg in (change.before_jpeg, change.after_jpeg):
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) is not None
    assert change.before_jpeg != change.after_jpeg


def test_a_hand_that_takes_nothing_debits_nothing() -> None:
    bench = Bench()
    bench.show(8)
    assert [c for slot in (0, 1, 2, 1) for c in bench.session(slot)] == []


def test_an_item_dragged_a_few_px_is_nothing() -> None:
    bench = Bench()
    bench.show(8)
    assert bench.session(1, nudge=5) == []
    assert bench.session(1, nudge=-8) == []


def test_light_that_changes_is_nothing() -> None:
    bench = Bench()
    found = bench.show(8)
    for gain in (1.3, 0.6, 0.95, 0.8, 1.1):
        bench.gain = gain
        found += bench.show(3)
    assert found + bench.session(2) == []


def test_a_bumped_camera_is_nothing_and_picks_are_still_seen() -> None:
    bench = Bench()
    found = bench.show(8)
    bench.shift = (3, -2)
    found += bench.show(12)
    assert found == []
    assert told(bench.session(2, put=False)) == [("A3", -1, "auto")]


def test_a_hand_that_rests_in_the_picture_is_no_end_of_the_session() -> None:
    bench = Bench()
    bench.show(8)
    bench.items[1] = False
    assert bench.show(30, (160, 120)) == []
    assert bench.watcher.state is State.SESSION
    assert told(bench.show(10)) == [("A2", -1, "auto")]


def test_what_vanishes_too_slowly_for_any_session_is_found_by_the_routine_check_and_is_for_review() -> None:
    bench = Bench(RackWatcher(rack(), NoDetector(), WatchSettings(recheck_s=6.0)))
    bench.show(8)
    bench.watcher.machine.step = _never  # type: ignore[method-assign]  # a session that the gate does not see
    bench.items[2] = False
    found = bench.show(90)
    assert [(c.slot, c.mode, c.session) for c in found] == [("A3", "review", 0)]
    assert bench.watcher.counts == {"A1": 1, "A2": 1, "A3": 0}


def _never(*_: object) -> Event:
    return Event.NONE


def test_a_restart_finds_what_was_taken_meanwhile() -> None:
    bench = Bench()
    bench.show(8)
    saved = json.loads(json.dumps(bench.watcher.snapshot()))
    assert len(json.dumps(saved)) < 1_000_000
    later = Bench(RackWatcher(rack(), NoDetector()), seed=9)
    later.items[0], later.gain = False, 0.7
    later.watcher.restore(saved)
    found = later.watcher.compare_after_absence((later.picture(), i / 10) for i in range(20))
    assert told(found) == [("A1", -1, "review")]
    assert found[0].during_absence
    later.ts = 3.0
    assert told(later.session(0, put=True)) == [("A1", 1, "auto")]


def test_a_restart_with_nothing_changed_says_nothing_even_when_the_camera_moved() -> None:
    bench = Bench()
    bench.show(8)
    later = Bench(RackWatcher(rack(), NoDetector()), seed=9)
    later.watcher.restore(bench.watcher.snapshot())
    later.shift = (4, 3)
    assert later.show(10) == []
    assert later.watcher.counts == bench.watcher.counts


@pytest.mark.parametrize(
    "damage", [{"version": 99}, {"version": 1}, {"version": 2}, {"version": 2, "places": {"A1": 3}, "size": "x"}]
)
def test_a_damaged_or_older_snapshot_is_refused(damage: dict[str, Any]) -> None:
    bench = Bench()
    with pytest.raises(SnapshotError):
        bench.watcher.restore(damage)
    assert bench.show(10) == []


def test_an_undeclared_place_that_starts_empty_is_understood_at_the_first_return() -> None:
    bench = Bench(RackWatcher(rack(count=None), NoDetector()))
    bench.items[1] = False
    bench.show(8)
    (change,) = bench.session(1, put=True)
    assert (change.delta, change.before_count, change.after_count) == (1, 0, 1)


def test_another_shape_of_picture_is_a_camera_lost_and_what_was_taken_meanwhile_is_found() -> None:
    bench = Bench()
    bench.show(8)
    bench.said += bench.watcher.feed(np.zeros((100, 100, 3), np.uint8), bench.ts)
    assert bench.watcher.modes.now == ("blind", "lost")
    bench.items[0] = False
    found = bench.show(10)
    assert [(c.slot, c.delta, c.mode, c.during_absence) for c in found] == [("A1", -1, "review", True)]
    assert [m.mode for m in bench.said if isinstance(m, ModeChange)] == ["counting", "blind", "counting"]


def test_a_picture_twice_as_large_is_fitted() -> None:
    bench = Bench()
    bench.show(8)
    large = [cv2.resize(bench.picture(), None, fx=2, fy=2) for _ in range(6)]
    assert [s for i, f in enumerate(large) for s in bench.watcher.feed(f, bench.ts + i / 10)] == []


@pytest.mark.parametrize(
    "strange", [np.zeros((0, 0, 3), np.uint8), np.zeros((200, 320), np.uint8), np.zeros((5, 5, 3))]
)
def test_a_strange_frame_is_passed_over(strange: Any) -> None:
    bench = Bench()
    bench.show(8)
    assert bench.watcher.feed(strange, bench.ts) == []
    assert told(bench.session(1, put=False)) == [("A2", -1, "auto")]


def test_phase_correlation_leaves_the_reference_alone() -> None:
    """It once multiplied the reference by its window in place, and a bumped camera never came to rest again."""
    bench = Bench()
    bench.show(8)
    gate = bench.watcher._senses.gate
    assert gate is not None
    assert gate.reference is not None
    before = gate.reference.copy()
    gate.displacement(gate.look(bench.picture()).band)
    assert np.array_equal(before, gate.reference)


def test_a_person_who_says_that_nothing_came_leaves_the_place_its_former_look() -> None:
    """What lies there now may be a stray thing that will go again."""
    bench = Bench(RackWatcher(rack(), NoDetector(), judge=FakeJudge()))
    bench.show(8)
    memories = bench.watcher.places._memories
    before = memories["A1"].look
    bench.watcher.set_count("A1", 1)
    assert memories["A1"].looks[1] is before
    bench.watcher.set_count("A1", 2)
    assert 2 not in memories["A1"].looks or memories["A1"].looks[2] is not before
