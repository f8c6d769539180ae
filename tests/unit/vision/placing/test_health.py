"""What a camera's frames say of the camera itself."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from tests.unit.vision.placing.conftest import Camera, grained, hand, push
from vision.detectors.base import Frame
from vision.health import Condition, Health
from vision.privacy import Outline
from vision.slots import Rack

FPS = 5.0
Shots = Callable[[int], Frame]


class Watch:
    """Feeds a `Health` and keeps what it said, with its time."""

    def __init__(self, rack: Rack, picture: Frame) -> None:
        self.outline = Outline(rack, picture.shape)
        self.health = Health(rack, self.outline.cut(picture))
        self.ts = 0.0

    def see(self, shots: Shots, seconds: float, still: bool = True) -> list[Condition]:
        said = []
        for number in range(round(seconds * FPS)):
            said.append(self.health.look(self.outline.cut(shots(number)), self.ts, still))
            self.ts += 1 / FPS
        return said


@pytest.fixture(scope="module")
def scene() -> Frame:
    return Camera().shoot()


@pytest.fixture
def watch(scene: Frame) -> Watch:
    return Watch(Camera().rack, scene.copy())


def noisy(picture: Frame, noise: float = 2.0) -> Shots:
    return lambda number: grained(picture, number + 1, noise)


def smear(picture: Frame, sigma: float = 9.0) -> Frame:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def paper() -> Frame:
    return np.full((1080, 1920, 3), 190, np.uint8)


def rag() -> Frame:
    rough = np.random.default_rng(0).integers(0, 255, (12, 20, 3), dtype=np.uint8)
    near = cv2.resize(cv2.GaussianBlur(rough, (0, 0), 1.5), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    return np.asarray(near, np.uint8)


def test_a_good_picture_is_ok(watch: Watch, scene: Frame) -> None:
    assert {c.code for c in watch.see(noisy(scene), 8)} == {"ok"}


@pytest.mark.parametrize("noise", [6.0, 12.0])
def test_a_noisy_sensor_is_no_dirt(watch: Watch, scene: Frame, noise: float) -> None:
    assert {(c.code, c.suspect) for c in watch.see(noisy(scene, noise), 4)} == {("ok", "ok")}


def test_the_lamp_out_is_dark_and_over_when_it_is_back(watch: Watch, scene: Frame) -> None:
    dark = watch.see(noisy((scene * 0.03).astype(np.uint8)), 3)
    assert dark[0].suspect == "dark"
    assert dark[-1].code == "dark"
    assert dark[-1].since == 0.0
    back = watch.see(noisy(scene), 3)
    assert back[0].code == "dark"
    assert back[-1].code == "ok"
    assert back[-1].since > dark[-1].since


@pytest.mark.parametrize("over", [paper, rag])
def test_paper_or_a_rag_over_the_lens_is_covered(watch: Watch, scene: Frame, over: Callable[[], Frame]) -> None:
    said = watch.see(noisy(over()), 4)
    assert said[0].suspect == "covered"
    assert said[-1].code == "covered"
    assert "edges are gone" in said[-1].detail
    assert watch.see(noisy(scene), 3)[-1].code == "ok"


@pytest.mark.parametrize("tone", [25, 215])
def test_something_soft_before_most_of_the_lens_is_covered(watch: Watch, scene: Frame, tone: int) -> None:
    hard = np.zeros(scene.shape[:2], np.float32)
    hard[:, :1200] = 1.0
    share = np.asarray(cv2.GaussianBlur(hard, (0, 0), 60))[..., None]
    assert watch.see(noisy((scene * (1 - share) + tone * share).astype(np.uint8)), 4)[-1].code == "covered"


def test_a_short_covering_only_suspects(watch: Watch, scene: Frame) -> None:
    watch.see(noisy(scene), 1)
    assert {c.code for c in watch.see(noisy(paper()), 1.4)} == {"ok"}
    assert watch.see(noisy(scene), 2)[-1].suspect == "ok"


def test_the_same_frame_again_and_again_is_frozen(watch: Watch, scene: Frame) -> None:
    said = watch.see(lambda _: scene.copy(), 18)
    assert said[40].code == "ok"
    assert said[-1].code == "frozen"
    assert watch.see(noisy(scene), 1)[-1].code == "ok"


def test_a_stream_that_repeats_until_its_next_key_frame_is_not_frozen(watch: Watch, scene: Frame) -> None:
    shots = noisy(scene)
    assert {c.code for c in watch.see(lambda number: shots(number // 40), 24)} == {"ok"}


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_greasy_lens_is_dirty_after_a_while(watch: Watch, scene: Frame, share: float) -> None:
    dirty = scene.copy()
    dirty[:, : round(1920 * share)] = smear(scene)[:, : round(1920 * share)]
    said = watch.see(noisy(dirty), 17)
    assert said[0].suspect == "dirty"
    assert said[50].code == "ok"
    assert said[-1].code == "dirty"
    assert watch.see(noisy(scene), 7)[-1].code == "ok"


@pytest.mark.parametrize("case", ["emptied", "arm", "sheet", "60 px", "5 degrees"])
def test_what_lies_over_the_rack_or_a_pushed_camera_is_no_dirt(watch: Watch, case: str) -> None:
    camera = Camera()
    bench = camera.bench()
    if case == "emptied":
        camera.taken = frozenset(range(32))
        bench = camera.bench()
    elif case == "arm":
        bench = hand(bench, 900, 500, 400)
    elif case == "sheet":
        cv2.rectangle(bench, (500, 400), (1300, 1100), (235, 235, 235), -1)
    else:
        camera.pose = push(50, -33) if case == "60 px" else push(deg=5)
    assert {c.code for c in watch.see(noisy(camera.shoot(bench)), 18)} == {"ok"}


def test_a_wholly_emptied_rack_is_not_covered(watch: Watch) -> None:
    empty = Camera(taken=frozenset(range(32))).shoot()
    assert {(c.code, c.suspect) for c in watch.see(noisy(empty), 4)} == {("ok", "ok")}


@pytest.mark.parametrize("bands", [False, True])
def test_light_that_swings_is_flicker(watch: Watch, scene: Frame, bands: bool) -> None:
    rows = np.arange(1080, dtype=np.float32)[:, None, None] / 1080 * 12 * bands

    def shots(number: int) -> Frame:
        return grained(scene * (1 + 0.14 * np.sin(rows + 2.1 * number)), number + 1)

    assert watch.see(shots, 7)[-1].code == "flicker"
    assert watch.see(noisy(scene), 10)[-1].code == "ok"


def test_slow_light_and_a_small_swing_are_no_flicker(watch: Watch, scene: Frame) -> None:
    slow = watch.see(lambda n: grained(scene * (1 - 0.4 * n / 60), n + 1), 12)
    assert {c.code for c in slow} == {"ok"}
    small = watch.see(lambda n: grained(scene * (0.6 + 0.03 * np.sin(2.1 * n)), n + 1), 8)
    assert {c.code for c in small} == {"ok"}


def test_exposure_and_white_balance_are_told_not_blind(watch: Watch, scene: Frame) -> None:
    assert not watch.see(noisy(scene), 1)[-1].light_changed
    brighter = watch.see(noisy(np.clip(scene * 1.6, 0, 255).astype(np.uint8)), 1)[-1]
    assert brighter.code == "ok"
    assert brighter.light_changed
    assert brighter.exposure_ev == pytest.approx(0.68, abs=0.1)
    warm = watch.see(noisy(np.clip(scene * [0.6, 1, 1.4], 0, 255).astype(np.uint8)), 1)[-1]
    assert warm.code == "ok"
    assert warm.light_changed
    assert "colour" in warm.detail


def test_a_drawer_is_open_partial_or_closed_by_its_markers(scene: Frame) -> None:
    camera = Camera()
    watch = Watch(camera.drawer, scene.copy())
    opened = watch.see(noisy(scene), 2)
    assert {(c.code, c.drawer) for c in opened} == {("ok", "open")}
    camera.pose = push(0, -300)
    partial = watch.see(noisy(camera.shoot()), 2, still=False)[-1]
    assert (partial.code, partial.drawer) == ("closed", "partial")
    closed = watch.see(noisy(Camera(markers=False).shoot()), 2, still=False)[-1]
    assert (closed.code, closed.drawer) == ("closed", "closed")
    again = watch.see(noisy(scene), 3, still=False)[-1]
    assert (again.code, again.drawer) == ("ok", "open")


def test_a_hand_over_two_markers_leaves_a_drawer_open(scene: Frame) -> None:
    camera = Camera()
    watch = Watch(camera.drawer, scene.copy())
    bench = hand(hand(camera.bench(), 260, 170), 260, 910)
    assert {c.drawer for c in watch.see(noisy(camera.shoot(bench)), 3, still=False)} == {"open"}


def test_dark_since_the_start_waits_for_light_before_it_learns(scene: Frame) -> None:
    rack = Camera().rack
    outline, health = Outline(rack, scene.shape), Health(rack)
    for number in range(10):
        dark = grained((scene * 0.03).astype(np.uint8), number)
        assert health.look(outline.cut(dark), number / FPS).code in ("ok", "dark")
    said = [health.look(outline.cut(grained(scene, n)), 2 + n / FPS) for n in range(12)]
    assert said[0].code == "dark"
    assert said[-1].code == "ok"
