"""What a camera's frames say of the camera itself."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from tests.unit.vision.placing.conftest import FPS, Camera, Watch, grained, half_rack, halved, hand, noisy, push
from vision.detectors.base import Frame
from vision.health import REPEATS_S, Health
from vision.privacy import Outline


@pytest.fixture
def watch(scene: Frame) -> Watch:
    return Watch(half_rack(), scene)


def smear(picture: Frame, sigma: float = 5.0) -> Frame:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def paper() -> Frame:
    return np.full((540, 960, 3), 190, np.uint8)


def rag() -> Frame:
    rough = np.random.default_rng(0).integers(0, 255, (12, 20, 3), dtype=np.uint8)
    near = cv2.resize(cv2.GaussianBlur(rough, (0, 0), 1.5), (960, 540), interpolation=cv2.INTER_CUBIC)
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
    assert "edges are hidden" in said[-1].detail
    assert watch.see(noisy(scene), 3)[-1].code == "ok"


@pytest.mark.parametrize("tone", [25, 215])
def test_something_soft_before_most_of_the_lens_is_covered(watch: Watch, scene: Frame, tone: int) -> None:
    hard = np.zeros(scene.shape[:2], np.float32)
    hard[:, :600] = 1.0
    share = np.asarray(cv2.GaussianBlur(hard, (0, 0), 30))[..., None]
    assert watch.see(noisy((scene * (1 - share) + tone * share).astype(np.uint8)), 4)[-1].code == "covered"


def test_a_short_covering_only_suspects(watch: Watch, scene: Frame) -> None:
    watch.see(noisy(scene), 1)
    assert {c.code for c in watch.see(noisy(paper()), 1.4)} == {"ok"}
    assert watch.see(noisy(scene), 2)[-1].suspect == "ok"


def test_the_same_frame_again_and_again_is_frozen_within_seconds(watch: Watch, scene: Frame) -> None:
    watch.see(noisy(scene), 2)
    said = watch.see(lambda _: scene.copy(), 3)
    assert said[4].code == "ok"
    assert said[-1].code == "frozen"
    assert watch.see(noisy(scene), 1)[-1].code == "ok"


def test_a_stream_that_was_seen_to_repeat_until_its_next_key_frame_is_frozen_late(watch: Watch, scene: Frame) -> None:
    def repeating(number: int) -> Frame:
        return noisy(scene)(number // 30)

    said = watch.see(repeating, 36)
    assert {c.code for c in said[:60]} == {"ok", "frozen"}, "nobody can know it at first"
    assert {c.code for c in said[65:]} == {"ok"}
    assert watch.see(lambda _: scene.copy(), REPEATS_S + 1)[-1].code == "frozen"


def test_a_picture_without_light_is_dark_though_it_repeats(watch: Watch, scene: Frame) -> None:
    assert {c.code for c in watch.see(lambda _: np.zeros_like(scene), 6)} == {"ok", "dark"}


@pytest.mark.parametrize("share", [0.35, 1.0])
def test_a_greasy_lens_is_dirty_within_seconds(watch: Watch, scene: Frame, share: float) -> None:
    dirty = scene.copy()
    dirty[:, : round(960 * share)] = smear(scene)[:, : round(960 * share)]
    said = watch.see(noisy(dirty), 4)
    assert said[0].suspect == "dirty"
    assert said[8].code == "ok"
    assert said[-1].code == "dirty"
    assert watch.see(noisy(scene), 5)[-1].code == "ok"


def test_a_film_that_leaves_the_edges_is_the_judges_business(watch: Watch, scene: Frame) -> None:
    hazy = (scene * 0.85 + np.float32(0.15 * 85)).astype(np.uint8)
    assert {(c.code, c.suspect) for c in watch.see(noisy(hazy), 5)} == {("ok", "ok")}


def test_something_soft_before_a_quarter_of_the_lens_is_told(watch: Watch, scene: Frame) -> None:
    hard = np.zeros(scene.shape[:2], np.float32)
    hard[:, :340] = 1.0
    share = np.asarray(cv2.GaussianBlur(hard, (0, 0), 20))[..., None]
    partly = (scene * (1 - share) + 25 * share).astype(np.uint8)
    moving = watch.see(noisy(partly), 5, still=False)
    assert {c.code for c in moving} == {"ok"}, "an arm moves"
    assert watch.see(noisy(partly), 4)[-1].code == "covered"


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
    assert {c.code for c in watch.see(noisy(halved(camera.shoot(bench))), 6)} == {"ok"}


def test_a_wholly_emptied_rack_is_not_covered(watch: Watch) -> None:
    empty = halved(Camera(taken=frozenset(range(32))).shoot())
    assert {(c.code, c.suspect) for c in watch.see(noisy(empty), 4)} == {("ok", "ok")}


@pytest.mark.parametrize("bands", [False, True])
def test_light_that_swings_is_flicker(watch: Watch, scene: Frame, bands: bool) -> None:
    rows = np.arange(540, dtype=np.float32)[:, None, None] / 540 * 12 * bands

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


def test_dark_since_the_start_waits_for_light_before_it_learns(scene: Frame) -> None:
    rack = half_rack()
    outline, health = Outline(rack, scene.shape), Health(rack)
    for number in range(10):
        dark = grained((scene * 0.03).astype(np.uint8), number)
        assert health.look(outline.cut(dark), number / FPS).code in ("ok", "dark")
    said = [health.look(outline.cut(grained(scene, n)), 2 + n / FPS) for n in range(12)]
    assert said[0].code == "dark"
    assert said[-1].code == "ok"
