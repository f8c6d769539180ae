"""A place judged by its own taught looks alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from contracts.racks import SlotKind
from vision.judging.crops import Crop
from vision.judging.port import MemoryProblemError, SlotMemory
from vision.judging.taught import TaughtJudge, nearest_looks
from vision.slots import Slot

CORNERS = np.array([[20, 20], [140, 20], [140, 140], [20, 140]], np.float32)
SLOT = Slot("A1", CORNERS, "item", "any")
ONE, TWO = (50, 80, 0), (105, 80, 0)


def crops(*items: tuple[int, int, int], seed: int = 0, tone: int = 200, gain: float = 1.0) -> list[Crop]:
    """Three pictures of a place with items at (x, y, degrees)."""
    rng = np.random.default_rng(seed)
    image = np.full((160, 160, 3), 130, np.uint8)
    for x, y, degrees in items:
        box = cv2.boxPoints(((x, y), (24, 52), degrees)).astype(np.int32)
        cv2.fillPoly(image, [box], (tone, tone, min(tone + 30, 255)))
        cv2.circle(image, (x, y), 8, (30, 30, 30), -1)
    noisy = [np.clip(image * gain + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8) for _ in range(3)]
    return [Crop(picture, CORNERS, 130.0 * gain) for picture in noisy]


def painted(colour: tuple[int, int, int], *items: tuple[int, int, int]) -> list[Crop]:
    """The same with a rag over most of it."""
    covered = []
    for crop in crops(*items):
        pixels: npt.NDArray[np.uint8] = crop.pixels.copy()
        cv2.ellipse(pixels, (80, 80), (55, 42), 20, 0, 360, colour, -1)
        for k in range(0, 100, 12):
            cv2.line(pixels, (30 + k, 45), (50 + k, 115), tuple(int(c * 0.6) for c in colour), 2)
        covered.append(replace(crop, pixels=pixels))
    return covered


@pytest.fixture
def judge() -> TaughtJudge:
    return TaughtJudge()


def taught(judge: TaughtJudge, *items: tuple[int, int, int], slot: Slot = SLOT) -> SlotMemory:
    return judge.learn(slot, crops(*items), len(items))


def test_a_take_and_the_return_of_the_same_item(judge: TaughtJudge) -> None:
    gone = judge.judge(SLOT, taught(judge, ONE), crops(seed=1))
    assert (gone.before, gone.after, gone.mode) == (1, 0, "auto")
    back = judge.judge(SLOT, gone.memory, crops((53, 78, 3), seed=2))
    assert (back.before, back.after, back.mode) == (0, 1, "auto")
    assert back.confidence > 0.9, "it matches its taught look"


@pytest.mark.parametrize("now", [(50, 80, 0), (53, 77, 4), (62, 88, 0), (80, 85, 90), (50, 80, 180)])
def test_an_item_nudged_turned_or_slid_is_nothing(judge: TaughtJudge, now: tuple[int, int, int]) -> None:
    said = judge.judge(SLOT, taught(judge, ONE), crops(now, seed=1))
    assert (said.mode, said.after, said.state) == ("none", 1, "seen")


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.3])
def test_other_light_is_nothing(judge: TaughtJudge, gain: float) -> None:
    assert judge.judge(SLOT, taught(judge, ONE), crops(ONE, seed=1, gain=gain)).mode == "none"


def test_a_rag_over_the_item_has_no_number(judge: TaughtJudge) -> None:
    said = judge.judge(SLOT, taught(judge, ONE), painted((40, 60, 190), ONE))
    assert (said.mode, said.after) == ("ask", None)
    free = judge.judge(SLOT, said.memory, crops(ONE, seed=3))
    assert (free.mode, free.after, free.state) == ("none", 1, "seen"), "the settled look was kept under the rag"


def test_a_foreign_thing_in_an_empty_place_is_no_return(judge: TaughtJudge) -> None:
    emptied = judge.judge(SLOT, taught(judge, ONE), crops(seed=1)).memory
    said = judge.judge(SLOT, emptied, painted((40, 60, 190)))
    assert (said.mode, said.after, said.reason) == ("ask", None, "foreign")


def test_a_return_whose_look_was_never_taught_is_for_a_person(judge: TaughtJudge) -> None:
    said = judge.judge(SLOT, taught(judge), crops(ONE, seed=1))
    assert (said.before, said.after, said.mode) == (0, 1, "review")


def test_an_assumed_count_may_turn_out_to_have_been_none(judge: TaughtJudge) -> None:
    memory = judge.learn(SLOT, crops(), None)
    assert (memory.count, memory.declared) == (1, False)
    said = judge.judge(SLOT, memory, crops(ONE, seed=1))
    assert (said.before, said.after, said.mode) == (0, 1, "review")


def test_several_items_cannot_be_counted_unless_that_was_taught(judge: TaughtJudge) -> None:
    two = taught(judge, ONE, TWO)
    said = judge.judge(SLOT, two, crops(ONE, seed=1))
    assert (said.after, said.mode) == (1, "review")
    both = replace(two, looks={**two.looks, **taught(judge, ONE).looks})
    assert judge.judge(SLOT, both, crops(ONE, seed=1)).mode == "auto"


def test_something_leaving_an_empty_place_is_asked_about(judge: TaughtJudge) -> None:
    memory = replace(taught(judge, ONE), count=0, looks={})
    assert judge.judge(SLOT, memory, crops(seed=1)).mode == "ask"


def test_a_hidden_place_that_was_touched_asks_even_if_it_looks_the_same(judge: TaughtJudge) -> None:
    heap = replace(SLOT, kind=SlotKind.HIDDEN)
    said = judge.judge(heap, judge.learn(heap, crops(ONE), None), crops(ONE, seed=1))
    assert (said.mode, said.reason, said.after) == ("ask", "hidden", None)


def test_in_the_dark_nothing_is_read(judge: TaughtJudge) -> None:
    said = judge.judge(SLOT, taught(judge, ONE), crops(seed=1, gain=0.04))
    assert (said.mode, said.state, said.after) == ("ask", "unreadable", None)


def test_a_persons_word_is_taken(judge: TaughtJudge) -> None:
    assert judge.learn(SLOT, crops(ONE), 7).count == 7


def test_a_memory_survives_as_json(judge: TaughtJudge) -> None:
    memory = taught(judge, ONE)
    stored = json.dumps(judge.dump(memory))
    assert len(stored) < 10_000, "96 places stay below a megabyte"
    again = judge.load(SLOT, json.loads(stored))
    assert judge.judge(SLOT, again, crops(ONE, seed=4)).mode == "none"
    assert judge.judge(SLOT, again, crops(seed=4)).mode == "auto"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("look"),
        lambda d: d.update(state="lost"),
        lambda d: d.update(picture="no picture"),
        lambda d: d["look"].update(pixels="AAAA"),
        lambda d: d.update(looks=[1]),
    ],
)
def test_a_damaged_memory_is_named(judge: TaughtJudge, spoil: Any) -> None:
    raw = judge.dump(taught(judge, ONE))
    spoil(raw)
    with pytest.raises(MemoryProblemError, match="A1"):
        judge.load(SLOT, raw)


def test_a_place_that_looks_as_it_did_with_as_many_is_known(judge: TaughtJudge) -> None:
    """A stray thing lay there, a person said that nothing had come, and it is taken away."""
    clean, strayed = taught(judge, ONE), judge.learn(SLOT, crops(ONE, TWO), 1)
    memory = replace(strayed, looks={1: clean.look})
    said = judge.judge(SLOT, memory, crops(ONE, seed=4))
    assert (said.mode, said.after) == ("none", 1)
    assert judge.judge(SLOT, strayed, crops(ONE, seed=4)).mode != "none"


def test_how_a_place_looked_before_it_changed_stays_known_and_no_more_than_three_looks(judge: TaughtJudge) -> None:
    memory = taught(judge, ONE)
    gone = judge.judge(SLOT, memory, crops(seed=1)).memory
    assert set(gone.looks) == {0, 1}
    assert gone.looks[1] is memory.look
    many = dict.fromkeys(range(9), memory.look)
    assert set(nearest_looks(many, 4)) == {3, 4, 5}
