"""A drawer is closed, its camera was pushed, or the camera cannot be believed: which of them is said."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.unit.vision.placing.conftest import (
    BEYOND,
    IDS,
    Camera,
    Shots,
    Watch,
    half_rack,
    halved,
    hand,
    noisy,
    push,
)
from vision.detectors.base import Frame
from vision.fiducials import find_markers
from vision.registration import Registration

INNER = [(102.0, 57.0), (858.0, 57.0), (858.0, 483.0), (102.0, 483.0)]
"""An outline drawn along the drawer: a marker that is displaced outwards is cut off."""


@pytest.fixture
def drawer(scene: Frame) -> Watch:
    return Watch(half_rack(drawer=True), scene)


@pytest.fixture
def tight(scene: Frame) -> Watch:
    return Watch(half_rack(drawer=True, outline=INNER), scene)


def shot(camera: Camera, bench: Frame | None = None) -> Shots:
    return noisy(halved(camera.shoot(bench)))


def slid(pushed: int) -> Frame:
    """The bench with the drawer `pushed` px into its cabinet, which stays where it is."""
    bench = Camera().bench()
    top, bottom, left, right = (BEYOND + v for v in (110, 970, 200, 1720))
    inside = bench[top:bottom, left:right].copy()
    bench[bottom - pushed : bottom, left:right] = (70, 74, 78)
    bench[top : bottom - pushed, left:right] = inside[pushed:]
    return bench


def front() -> Frame:
    """A closed drawer: its face with a handle, sharp."""
    face = np.full((540, 960, 3), (96, 92, 84), np.uint8)
    for y in (130, 270, 410):
        cv2.line(face, (0, y), (960, y), (30, 30, 30), 3)
        cv2.rectangle(face, (380, y - 60), (580, y - 46), (200, 200, 205), -1)
    return face


def cloth() -> Frame:
    rough = np.random.default_rng(0).integers(20, 120, (6, 10, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (960, 540), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_open_partial_closed_and_open_again(drawer: Watch, scene: Frame) -> None:
    assert {(c.code, c.drawer) for c in drawer.see(noisy(scene), 2)} == {("ok", "open")}
    partial = drawer.see(shot(Camera(), slid(400)), 3, still=False)[-1]
    assert (partial.code, partial.drawer) == ("closed", "partial")
    closed = drawer.see(noisy(front()), 3, still=False)[-1]
    assert (closed.code, closed.drawer) == ("closed", "closed")
    assert {c.code for c in drawer.see(noisy(front()), 12)} == {"closed"}
    again = drawer.see(noisy(scene), 3, still=False)[-1]
    assert (again.code, again.drawer) == ("ok", "open")


def test_a_hand_over_two_markers_leaves_it_open(drawer: Watch) -> None:
    bench = hand(hand(Camera().bench(), 260, 170), 260, 910)
    assert {c.drawer for c in drawer.see(shot(Camera(), bench), 3, still=False)} == {"open"}


@pytest.mark.parametrize("case", ["covered", "dark", "dirty"])
@pytest.mark.parametrize("still", [True, False])
def test_a_lens_that_sees_nothing_is_not_a_closed_drawer(drawer: Watch, scene: Frame, case: str, still: bool) -> None:
    pictures = {
        "covered": cloth(),
        "dark": (scene * 0.02).astype(np.uint8),
        "dirty": np.asarray(cv2.GaussianBlur(scene, (0, 0), 6), np.uint8),
    }
    drawer.see(noisy(scene), 1)
    said = [c.code for c in drawer.see(noisy(pictures[case]), 5, still)]
    assert said[-1] == case
    assert set(said) == {"ok", case}


def test_covered_while_it_is_closed_and_closed_again(drawer: Watch) -> None:
    assert drawer.see(noisy(front()), 4)[-1].code == "closed"
    said = [c.code for c in drawer.see(noisy(cloth()), 5)]
    assert said[-1] == "covered"
    assert "ok" not in said
    back = [c.code for c in drawer.see(noisy(front()), 4)]
    assert back[-1] == "closed"
    assert "ok" not in back


def test_a_frozen_picture_of_a_closed_drawer_is_frozen(drawer: Watch) -> None:
    assert drawer.see(noisy(front()), 4)[-1].code == "closed"
    assert drawer.see(lambda _: front(), 4)[-1].code == "frozen"


@pytest.mark.parametrize(
    "pose", [push(0, 100), push(-100, 0), push(70, -70), push(deg=5)], ids=["down", "left", "aslant", "turned"]
)
@pytest.mark.parametrize("eyes", ["drawer", "tight"])
def test_a_pushed_camera_is_asked_and_nothing_is_judged_meanwhile(
    eyes: str, pose: np.ndarray, scene: Frame, request: pytest.FixtureRequest
) -> None:
    watch: Watch = request.getfixturevalue(eyes)
    watch.see(noisy(scene), 1)
    picture = halved(Camera(pose=pose).shoot())
    watch.see(noisy(picture), 0.4, still=False)
    said = watch.see(noisy(picture), 10.6)
    assert said[-1].code == "moved"
    assert "pushed" in said[-1].detail
    assert {c.code for c in said[12:]} <= {"closed", "moved"}, "never ok once it was seen"
    registration = Registration(watch.health.rack, watch.outline.cut(scene.copy()))
    fix = registration.locate(watch.outline.cut(noisy(picture)(1)))
    assert fix.kind == "large", "the person is shown the pose that is meant"
    registration.accept(fix)
    watch.health.follow(registration.homography)
    watch.outline.place(registration.homography)
    assert watch.see(noisy(picture), 3)[-1].code == "ok"


def test_markers_that_lie_beyond_the_picture_since_it_was_pushed_are_not_waited_for(
    drawer: Watch, scene: Frame
) -> None:
    pose = push(-260, 60, deg=6)
    drawer.see(noisy(scene), 1)
    half = np.diag([0.5, 0.5, 1.0])
    drawer.health.follow(half @ pose @ np.linalg.inv(half))
    drawer.outline.place(half @ pose @ np.linalg.inv(half))
    picture = drawer.outline.cut(halved(Camera(pose=pose).shoot()))
    assert len(find_markers(picture, IDS)) == 1
    assert drawer.see(noisy(picture), 3)[-1].drawer == "open"
    assert drawer.see(shot(Camera(pose=pose), slid(400)), 3, still=False)[-1].drawer != "open"


def test_a_drawer_left_ajar_in_a_cabinet_that_is_seen_is_not_asked(drawer: Watch, scene: Frame) -> None:
    drawer.see(noisy(scene), 1)
    said = drawer.see(shot(Camera(), slid(90)), 16)
    assert said[-1].drawer == "partial"
    assert {c.code for c in said} == {"ok", "closed"}


def test_a_drawer_that_is_moved_to_and_fro_is_not_asked(drawer: Watch, scene: Frame) -> None:
    drawer.see(noisy(scene), 1)
    poses = [halved(Camera(pose=push(0, -60 - 30 * (n % 2))).shoot()) for n in range(2)]
    said = drawer.see(lambda n: noisy(poses[n // 5 % 2])(n), 12, still=False)
    assert "moved" not in {c.code for c in said}


def test_a_pushed_camera_put_back_is_open_again(drawer: Watch, scene: Frame) -> None:
    picture = halved(Camera(pose=push(0, 100)).shoot())
    drawer.see(noisy(picture), 0.4, still=False)
    assert drawer.see(noisy(picture), 10)[-1].code == "moved"
    drawer.see(noisy(scene), 0.4, still=False)
    assert drawer.see(noisy(scene), 2)[-1].code == "ok"


def test_a_small_push_is_followed_and_not_asked(drawer: Watch, scene: Frame) -> None:
    drawer.see(noisy(scene), 1)
    assert {c.code for c in drawer.see(shot(Camera(pose=push(24, 20))), 10)} == {"ok"}
