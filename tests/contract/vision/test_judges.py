"""What every judge of a place must do, whatever it is made of."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.racks import SlotKind
from vision.judging import Crop, Judge, TaughtJudge, TrainedJudge, level_points, rack_level, take_crop
from vision.judging.net import MODEL
from vision.rendering.items import draw_item, draw_style, make_item
from vision.slots import Rack, Slot

X, Y, W, H = 150, 110, 220, 160
CORNERS = np.array([[X, Y], [X + W, Y], [X + W, Y + H], [X, Y + H]], np.float32)
SPOTS = ((0.28, 0.3), (0.72, 0.3), (0.28, 0.7), (0.72, 0.7))

NETWORK = pytest.param(
    TrainedJudge, id="network and taught", marks=pytest.mark.skipif(not MODEL.exists(), reason="no model is shipped")
)
judges = pytest.mark.parametrize("make", [pytest.param(TaughtJudge, id="taught only"), NETWORK])


def slot(klass: str = "insert", kind: SlotKind = SlotKind.COUNTABLE) -> Slot:
    return Slot("A1", CORNERS, "CNMG 120408", klass, kind=kind, px_per_item=40.0)


def picture(items: int, seed: int = 5, push: float = 0.0) -> npt.NDArray[np.uint8]:
    """A pocket with so many inserts, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    image = np.full((380, 520, 3), (52, 50, 48), np.uint8)
    cv2.rectangle(image, (X, Y), (X + W, Y + H), (150, 110, 60), -1)
    cv2.rectangle(image, (X, Y), (X + W, Y + H), (40, 40, 40), 3)
    style = draw_style("insert", H, rng)
    for fx, fy in SPOTS[:items]:
        item = make_item("insert", style, rng).moved(X + W * fx + push, Y + H * fy + push, 0.4)
        draw_item(image, item)
    return image


def crops(
    image: npt.NDArray[np.uint8], noise: float = 2.0, gain: float = 1.0, by: tuple[float, float] = (0, 0), seed: int = 1
) -> list[Crop]:
    """Three frames of it in other light, with the camera a little off where registration thinks it is."""
    rng = np.random.default_rng(seed)
    place = slot()
    points = level_points(Rack((place,)))
    off = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float64)
    moved = cv2.warpAffine(image, off, (image.shape[1], image.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    taken = []
    for _ in range(3):
        frame = np.clip(moved * gain + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
        taken.append(take_crop(frame, place, None, rack_level(frame, points)))
    return taken


@judges
@settings(max_examples=25, deadline=None)
@given(
    items=st.integers(0, 4),
    gain=st.floats(0.6, 1.3),
    noise=st.floats(0.5, 6.0),
    dx=st.floats(-2, 2),
    dy=st.floats(-2, 2),
    seed=st.integers(0, 50),
)
def test_the_same_place_in_other_light_is_nothing(
    make: type[Judge], items: int, gain: float, noise: float, dx: float, dy: float, seed: int
) -> None:
    judge = make()
    memory = judge.learn(slot(), crops(picture(items, seed)), items)
    said = judge.judge(slot(), memory, crops(picture(items, seed), noise, gain, (dx, dy), seed + 1))
    assert said.mode == "none"
    assert (said.before, said.after, said.state) == (items, items, "seen")


@judges
def test_what_left_is_never_nothing(make: type[Judge]) -> None:
    judge = make()
    for seed in range(6):
        for had, has in ((1, 0), (2, 1), (4, 3), (4, 2), (4, 0)):
            memory = judge.learn(slot(), crops(picture(had, seed)), had)
            said = judge.judge(slot(), memory, crops(picture(has, seed), seed=9))
            assert said.mode != "none", (seed, had, has)
            if said.mode == "auto":
                assert (said.before, said.after) == (had, has)


@judges
def test_a_hidden_place_asks(make: type[Judge]) -> None:
    judge, place = make(), slot(kind=SlotKind.HIDDEN)
    memory = judge.learn(place, crops(picture(2)), None)
    said = judge.judge(place, memory, crops(picture(2)))
    assert (said.mode, said.reason, said.state, said.after) == ("ask", "hidden", "hidden", None)


@judges
def test_an_ask_has_a_reason_and_no_number(make: type[Judge]) -> None:
    judge = make()
    memory = judge.learn(slot(), crops(picture(2)), 2)
    dark = judge.judge(slot(), memory, crops(picture(2), gain=0.03))
    assert (dark.mode, dark.after) == ("ask", None)
    assert dark.reason is not None
    assert dark.memory.count == 2, "what lies there is still what was known"


@judges
def test_a_persons_word_is_the_count(make: type[Judge]) -> None:
    assert make().learn(slot(), crops(picture(2)), 3).count == 3


@judges
def test_a_judgement_leaves_its_memory_alone_and_gives_the_next(make: type[Judge]) -> None:
    judge = make()
    memory = judge.learn(slot("any"), crops(picture(1)), 1)
    gone = judge.judge(slot("any"), memory, crops(picture(0)))
    assert memory.count == 1
    assert gone.memory.count == 0
    assert judge.judge(slot("any"), gone.memory, crops(picture(0), seed=4)).mode == "none"


@judges
def test_a_memory_is_small_json_and_judges_as_before(make: type[Judge]) -> None:
    judge = make()
    memory = judge.learn(slot(), crops(picture(3)), 3)
    stored = json.dumps(judge.dump(memory))
    assert len(stored) < 10_000
    again = judge.load(slot(), json.loads(stored))
    for now in (3, 2):
        fresh, kept = (judge.judge(slot(), m, crops(picture(now), seed=7)) for m in (memory, again))
        assert (fresh.mode, fresh.after, fresh.state) == (kept.mode, kept.after, kept.state)


@judges
def test_a_place_whose_count_is_not_known_gives_no_movement(make: type[Judge]) -> None:
    judge = make()
    memory = replace(judge.learn(slot(), crops(picture(2)), 2), count=None)
    said = judge.judge(slot(), memory, crops(picture(1)))
    assert said.mode == "none"
    assert said.before is None
    assert said.delta == 0


@judges
def test_the_version_is_said(make: type[Judge]) -> None:
    assert make().version
