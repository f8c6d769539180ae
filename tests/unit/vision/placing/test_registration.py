"""A rack is found again after its camera was pushed: errors are px over the places of a 1920 x 1080 picture."""

from __future__ import annotations

import json
import logging

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.vision.placing.conftest import CENTRES, Camera, hand, push, stick
from vision.privacy import Outline
from vision.registration import Fix, Registration

PLACES = np.array([[330, 240], [1580, 240], [1580, 810], [330, 810]], np.float32)
PUSHES = {
    "5 px": (push(4, -3), "small"),
    "20 px": (push(16, 12), "small"),
    "60 px": (push(50, -33), "large"),
    "2 degrees": (push(deg=2), "small"),
    "5 degrees": (push(deg=5), "large"),
    "pushed and turned": (push(15, 5, 2), "small"),
    "leaning": (push(4, 3, 0.5, 2e-5), "small"),
}


def error(fix: Fix, pose: npt.NDArray[np.float64]) -> float:
    truth = cv2.perspectiveTransform(PLACES[None].astype(np.float64), pose)[0]
    return float(np.abs(fix.place(PLACES) - truth).max())


def taught(camera: Camera) -> tuple[Registration, Outline]:
    picture = camera.shoot()
    outline = Outline(camera.rack, picture.shape)
    return Registration(camera.rack, outline.cut(picture)), outline


@pytest.mark.parametrize("case", PUSHES)
def test_four_markers_place_it_to_a_fraction_of_a_px(camera: Camera, case: str) -> None:
    registration, outline = taught(camera)
    camera.pose, kind = PUSHES[case]
    fix = registration.locate(outline.cut(camera.shoot()))
    assert (fix.kind, fix.by, fix.seen, fix.weak) == (kind, "markers", 4, False)
    assert error(fix, camera.pose) < 0.25
    assert fix.residual_px < 0.4


@pytest.mark.parametrize("case", PUSHES)
def test_without_markers_its_look_places_it(bare: Camera, case: str) -> None:
    registration, outline = taught(bare)
    bare.pose, kind = PUSHES[case]
    fix = registration.locate(outline.cut(bare.shoot()))
    assert (fix.kind, fix.by, fix.seen, fix.weak) == (kind, "look", 0, True)
    assert error(fix, bare.pose) < 0.5


@pytest.mark.parametrize(("noise", "gain"), [(14.0, 1.0), (2.0, 0.12), (4.0, 2.0)])
def test_noise_darkness_and_glare_do_not_hide_the_markers(camera: Camera, noise: float, gain: float) -> None:
    registration, outline = taught(camera)
    camera.pose, camera.noise, camera.gain = push(16, 12, 1), noise, gain
    fix = registration.locate(outline.cut(camera.shoot()))
    assert (fix.kind, fix.seen) == ("small", 4)
    assert error(fix, camera.pose) < 0.5


@pytest.mark.parametrize("taken", [range(0, 32, 2), range(32)])
def test_the_look_holds_on_to_the_rack_not_to_what_lies_in_it(bare: Camera, taken: range) -> None:
    registration, outline = taught(bare)
    bare.pose, bare.taken = push(16, 12), frozenset(taken)
    fix = registration.locate(outline.cut(bare.shoot()))
    assert fix.kind == "small"
    assert error(fix, bare.pose) < 1.0


def test_one_marker_hidden_is_weaker_and_still_right(camera: Camera) -> None:
    registration, outline = taught(camera)
    camera.pose = push(10, 5, 1)
    fix = registration.locate(outline.cut(camera.shoot(hand(camera.bench(), *CENTRES[0]))))
    assert (fix.kind, fix.by, fix.seen, fix.weak) == ("small", "markers", 3, True)
    assert error(fix, camera.pose) < 0.6


def test_a_hand_over_two_markers_leaves_two(camera: Camera) -> None:
    registration, outline = taught(camera)
    camera.pose = push(10, 5, 1)
    bench = hand(hand(camera.bench(), *CENTRES[0]), *CENTRES[3])
    fix = registration.locate(outline.cut(camera.shoot(bench)))
    assert (fix.kind, fix.seen, fix.weak) == ("small", 2, True)
    assert error(fix, camera.pose) < 1.5


def test_all_markers_hidden_its_look_takes_over(camera: Camera) -> None:
    registration, outline = taught(camera)
    fix = registration.locate(outline.cut(Camera(markers=False, pose=push(10, 5, 1)).shoot()))
    assert (fix.kind, fix.by) == ("small", "look")
    assert error(fix, push(10, 5, 1)) < 1.0


def test_markers_of_another_rack_beside_ours_say_nothing(camera: Camera) -> None:
    registration, outline = taught(camera)
    bench = camera.bench()
    stick(bench, 3, 700, 140)
    stick(bench, 18, 760, 950)  # one of our numbers, printed twice
    camera.pose = push(16, 12)
    fix = registration.locate(outline.cut(camera.shoot(bench)))
    assert (fix.kind, fix.seen) == ("small", 4)
    assert error(fix, camera.pose) < 0.25


def test_a_marker_stuck_elsewhere_is_left_out_and_named(camera: Camera) -> None:
    registration, outline = taught(camera)
    x, y = CENTRES[1]
    bench = Camera(markers=False).bench()
    for number, centre in zip((7, 24, 41), (CENTRES[0], *CENTRES[2:]), strict=True):
        stick(bench, number, *centre)
    stick(bench, 18, x - 90, y + 20)
    fix = registration.locate(outline.cut(camera.shoot(bench)))
    assert (fix.kind, fix.odd, fix.seen) == ("still", (18,), 3)


def test_it_does_not_drift_and_does_not_jitter(camera: Camera) -> None:
    registration, outline = taught(camera)
    camera.pose = push(12, 7, 1)
    first = registration.locate(outline.cut(camera.shoot()))
    for _ in range(5):
        again = registration.locate(outline.cut(camera.shoot()))
        assert again.kind == "still"
        assert np.array_equal(again.homography, first.homography)
    camera.pose = push()
    assert error(registration.locate(outline.cut(camera.shoot())), push()) < 0.25


def test_creeping_by_small_steps_asks_in_the_end(camera: Camera) -> None:
    registration, outline = taught(camera)
    kinds = []
    for step in range(4):
        camera.pose = push(12.0 * step, 0)
        kinds.append(registration.locate(outline.cut(camera.shoot())).kind)
    assert kinds == ["still", "small", "small", "large"]


def test_a_large_move_changes_nothing_until_a_person_accepts_it(camera: Camera) -> None:
    registration, outline = taught(camera)
    camera.pose = push(50, -33)
    fix = registration.locate(outline.cut(camera.shoot()))
    assert fix.kind == "large"
    assert np.array_equal(registration.homography, np.eye(3))
    registration.accept(fix)
    assert registration.locate(outline.cut(camera.shoot())).kind == "still"
    camera.pose = push(60, -33)
    assert registration.locate(outline.cut(camera.shoot())).kind == "small"


def test_another_scene_is_lost_not_guessed(bare: Camera) -> None:
    registration, outline = taught(bare)
    rng = np.random.default_rng(0)
    other = cv2.resize(rng.integers(0, 255, (54, 96, 3), dtype=np.uint8), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    fix = registration.locate(outline.cut(np.asarray(other, np.uint8)))
    assert (fix.kind, fix.residual_px) == ("lost", float("inf"))
    assert np.array_equal(fix.homography, np.eye(3))


def test_a_black_picture_is_lost(camera: Camera) -> None:
    registration, outline = taught(camera)
    assert registration.locate(outline.cut(np.zeros((1080, 1920, 3), np.uint8))).kind == "lost"


def test_a_pose_goes_through_json_and_back(camera: Camera) -> None:
    registration, outline = taught(camera)
    camera.pose = push(12, 7, 1)
    registration.locate(outline.cut(camera.shoot()))
    again, _ = taught(Camera())
    again.load(json.loads(json.dumps(registration.dump())))
    assert np.allclose(again.homography, registration.homography)
    assert again.locate(outline.cut(camera.shoot())).kind == "still"


@pytest.mark.parametrize(
    "raw",
    [{}, {"size": [1080, 1920], "base": [1], "held": [1]}, {"size": [720, 1280], "base": [1] * 9, "held": [1] * 9},
     {"size": [1080, 1920], "base": [0] * 9, "held": [0] * 9}],
)  # fmt: skip
def test_a_pose_that_cannot_be_used_is_said(
    bare: Camera, raw: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    registration, _ = taught(bare)
    with caplog.at_level(logging.WARNING):
        registration.load(raw)
    assert "saved pose" in caplog.text
    assert np.array_equal(registration.homography, np.eye(3))


def test_another_picture_size_is_refused(bare: Camera) -> None:
    registration, _ = taught(bare)
    with pytest.raises(ValueError, match="1920x1080 to 1280x720"):
        registration.locate(np.zeros((720, 1280, 3), np.uint8))
