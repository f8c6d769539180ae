"""The hard rendered rack: the same seed the same frames, its truth equals its events, each case does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from contracts.racks import SlotKind, dump, parse
from vision.rendering.faults import SMALL_MOVE_PX
from vision.rendering.photos import PHOTO_SPLIT
from vision.rendering.show import RackShow
from vision.rendering.truth import CASES, FAULTS, CannotPlayError, Shot

SMALL = (960, 540)
"""Half the size: the same code, a quarter of the work."""


def small_show(seed: int, slots: int = 12, **wish: Any) -> RackShow:
    return RackShow(seed, slots, SMALL, least_px=14.0, **wish)


def play(show: RackShow, case: str, **choices: Any) -> list[Shot]:
    return list(show.act(case, **choices))


def sums(shots: list[Shot]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for shot in shots:
        for event in shot.events:
            total[event.slot] += event.delta
    return {slot: delta for slot, delta in total.items() if delta}


def changes(before: dict[str, int | None], after: dict[str, int | None]) -> dict[str, int]:
    both = {slot: (n, after[slot]) for slot, n in before.items()}
    return {slot: b - a for slot, (a, b) in both.items() if a is not None and b is not None and a != b}


def test_the_same_seed_gives_the_same_frames_in_another_process() -> None:
    """Nothing hangs on the order in which a set of names is walked."""
    code = """
import hashlib
from vision.rendering.show import RackShow
show = RackShow(7, 24, (480, 270), least_px=8.0)
print(hashlib.sha256(b"".join(shot.image.tobytes() for shot in show.rest(2))).hexdigest())
"""
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": order, "PYTHONPATH": str(Path.cwd())},
            check=True, capture_output=True, text=True,
        ).stdout
        for order in ("1", "2", "3")
    }  # fmt: skip
    assert len(seen) == 1


def test_the_same_seed_and_calls_give_the_same_frames() -> None:
    first, second = small_show(3), small_show(3)
    assert dump(first.description) == dump(second.description)
    for a, b in zip(play(first, "take"), play(second, "take"), strict=True):
        assert np.array_equal(a.image, b.image)
        assert (a.events, a.answers, a.hands) == (b.events, b.answers, b.hands)
    assert not np.array_equal(next(iter(first.rest(1))).image, next(iter(small_show(4).rest(1))).image)


@pytest.mark.parametrize("slots", [12, 96])
def test_a_rack_has_its_places_inside_the_picture_and_can_be_read(slots: int) -> None:
    rack = parse(dump(RackShow(slots, slots, (1920, 1080)).description))
    assert len(rack.slots) == slots
    assert rack.markers is not None
    for slot in rack.slots:
        points = np.array(slot.polygon)
        assert points.min() >= 0
        assert (points.max(0) <= (1920, 1080)).all()
        assert slot.px_per_item is not None
        if slot.kind is SlotKind.COUNTABLE:
            assert slot.px_per_item >= 24
            assert slot.count is not None


def test_the_printed_markers_stand_where_the_description_says() -> None:
    show = RackShow(5, 24)
    finder = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50))
    corners, ids, _ = finder.detectMarkers(next(iter(show.rest(1))).image)
    assert ids is not None
    found = {int(n): c.reshape(-1, 2).mean(0) for n, c in zip(np.ravel(ids), corners, strict=True)}
    markers = show.description.markers
    assert markers is not None
    for number, centre in zip(markers.ids, markers.centres, strict=True):
        assert np.hypot(*(found[number] - centre)) < 1.5


EXPECTED = {
    "take": {"auto"},
    "take_several": {"auto"},
    "take_slots": {"auto"},
    "put_back": {"auto"},
    "two_hands": {"auto"},
    "two_people": {"auto"},
    "box_taken": {"auto"},
    "restock": {"auto"},
    "moved_between": {"transfer"},
    "turned_over": {"nothing"},
    "slid": {"nothing"},
    "nudged": {"nothing"},
    "nothing": {"nothing"},
    "take_and_put_back": {"nothing"},
    "foreign_left": {"ask"},
    "stacked": {"ask"},
    "lid_opened": {"ask"},
    "heap_touched": {"ask"},
    "take_in_fault": {"later"},
}
"""What the answers of a case are when the rack was clear; of the others they depend on what lies there."""


@pytest.fixture(scope="module")
def busy() -> RackShow:
    """A rack on which every case can be played."""
    return small_show(3, 40, hidden=0.15, presence=0.25, layout="bins")


@pytest.mark.parametrize("case", CASES)
def test_the_truth_of_a_case_is_what_its_events_and_answers_say(busy: RackShow, case: str) -> None:
    before = busy.truth
    shots = play(busy, case)
    assert sums(shots) == changes(before, busy.truth)
    answers = shots[-1].answers
    assert answers
    assert all(not shot.answers for shot in shots[:-1])
    assert answers == busy.last.answers
    assert any(shot.hands for shot in shots) or case == "take_in_fault"  # a frozen picture shows none
    said = {a.slot: a.delta for a in answers if a.delta and a.kind != "transfer"}
    for answer in answers:
        if answer.kind == "transfer":
            assert answer.to is not None
            said |= {answer.slot: -answer.delta, answer.to: answer.delta}
        if answer.kind == "auto":
            assert busy.state(answer.slot) == "clear"
        if answer.kind == "nothing":
            assert answer.delta == 0
    assert said == changes(before, busy.truth)
    assert {answer.kind for answer in answers} <= EXPECTED.get(case, {"auto", "nothing", "ask", "free"})


def test_what_is_left_over_places_masks_them_until_it_is_cleared() -> None:
    show = small_show(6, 24)
    for case in ("rag_left", "glove_left", "swarf_left"):
        answers = play(show, case)[-1].answers
        masked = [a.slot for a in answers if a.kind == "ask"]
        assert masked
        for slot in masked:
            assert show.state(slot) == "masked"
            assert show.readable(slot) is None
    play(show, "cleared")
    assert "masked" not in {show.state(slot.id) for slot in show.description.slots}


def test_a_stranger_in_a_place_forbids_its_number_until_it_is_gone() -> None:
    show = small_show(7, 24)
    asked = [a.slot for a in play(show, "wrong_slot")[-1].answers if a.kind == "ask"]
    assert [show.state(slot) for slot in asked] == ["foreign"]
    play(show, "cleared")
    assert show.readable(asked[0]) == show.truth[asked[0]]


def test_a_taken_thing_is_gone_from_the_picture() -> None:
    show = small_show(8, hard=0.0)
    before = next(iter(show.rest(1))).image
    shots = play(show, "take")
    slot = shots[-1].answers[0].slot
    polygon = next(np.array(s.polygon) for s in show.description.slots if s.id == slot)
    (x0, y0), (x1, y1) = polygon.min(0).astype(int), polygon.max(0).astype(int)
    inside = cv2.absdiff(before, shots[-1].image)
    assert inside[y0:y1, x0:x1].max() > 60
    rest = inside.copy()
    rest[y0 - 20 : y1 + 20, x0 - 20 : x1 + 20] = 0
    assert np.percentile(rest, 99.9) < 40


def test_a_hand_is_where_its_box_says() -> None:
    show = small_show(9, hard=0.0)
    still = next(iter(show.rest(1))).image
    for shot in play(show, "forearm"):
        for box in shot.hands:
            part = np.s_[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
            changed = cv2.absdiff(still[part], shot.image[part]).max(2) > 25
            assert changed.mean() > 0.1


def test_a_case_that_cannot_be_played_says_what_is_missing() -> None:
    show = small_show(10, hidden=0.0, presence=0.0)
    assert not show.can("heap_touched")
    with pytest.raises(CannotPlayError, match="heap"):
        next(show.act("heap_touched"))
    with pytest.raises(ValueError, match="no case"):
        next(show.act("dance"))


def test_asking_whether_a_case_can_be_played_changes_nothing() -> None:
    first, second = small_show(11), small_show(11)
    assert [first.can(case) for case in CASES]
    assert np.array_equal(play(first, "take")[-1].image, play(second, "take")[-1].image)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_changes_the_picture_and_its_end_restores_it(kind: str) -> None:
    show = small_show(12, hard=0.0)
    before = np.mean([s.image for s in show.rest(3)], axis=0)
    amount = {"moved": 60.0, "turned": 5.0, "covered": 0.8, "dark": 0.05, "flicker": 0.3, "dirt": 0.8}.get(kind, 0.6)
    during = list(show.fault(kind, amount))
    after = np.mean([s.image for s in show.clear_fault(3)], axis=0)
    if kind == "frozen":
        assert all(np.array_equal(during[0].image, shot.image) for shot in during)
    elif kind == "flicker":
        means = [shot.image.mean() for shot in during]
        assert max(means) > 1.15 * min(means)
    else:
        assert np.abs(during[-1].image - before).mean() > 3
    assert during[-1].blind is (kind not in {"dirt", "exposure"})
    assert np.abs(after - before).mean() < 3
    assert not show.blind


def test_a_small_move_counts_on_and_a_large_one_is_blind() -> None:
    show = small_show(13)
    for px in (5.0, 20.0, 60.0):
        list(show.fault("moved", px, 1))
        assert show.blind is (px > SMALL_MOVE_PX)
        list(show.clear_fault(1))


def test_what_is_taken_in_a_fault_is_to_be_found_later() -> None:
    show = small_show(14)
    before = show.truth
    shots = play(show, "take_in_fault", fault="covered", amount=1.0)
    (answer,) = shots[-1].answers
    assert answer.kind == "later"
    assert changes(before, show.truth) == {answer.slot: answer.delta} == {answer.slot: -1}
    assert not shots[-1].blind


def test_training_and_evaluation_share_no_photograph() -> None:
    assert not set(PHOTO_SPLIT["train"]) & set(PHOTO_SPLIT["evaluate"])


def test_without_the_photographs_a_rack_is_rendered_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("COPEAU_PHOTOS", str(tmp_path_factory.mktemp("none")))
    show = small_show(15, presence=0.6)
    assert not any(place.family.form.startswith("photo") for place in show.stage.places)
    assert play(show, "take")[-1].answers
