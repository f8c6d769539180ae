"""Pairs of single places: the same seed the same pairs, and what they say fits what they show."""

from __future__ import annotations

import numpy as np
import pytest

from vision.judging.crops import MOST_PX
from vision.rendering.pairs import PAIR_CASES, SlotPair, slot_pairs


@pytest.fixture(scope="module")
def pairs() -> list[SlotPair]:
    return list(slot_pairs(5, 300))


def test_the_same_seed_gives_the_same_pairs() -> None:
    for a, b in zip(slot_pairs(6, 20), slot_pairs(6, 20), strict=True):
        assert np.array_equal(a.before, b.before)
        assert np.array_equal(a.after, b.after)
        assert (a.counts, a.state, a.case, a.hard) == (b.counts, b.state, b.case, b.hard)


def test_a_pair_is_two_equal_crops_with_the_place_inside(pairs: list[SlotPair]) -> None:
    for pair in pairs:
        assert pair.before.shape == pair.after.shape
        assert max(pair.before.shape) <= MOST_PX
        height, width = pair.before.shape[:2]
        assert pair.polygon.min() > 0
        assert (pair.polygon.max(0) < (width, height)).all()


def test_counts_and_state_follow_from_the_case(pairs: list[SlotPair]) -> None:
    for pair in pairs:
        before, after = pair.counts
        match pair.case:
            case "take":
                assert after < before
            case "put_back":
                assert after > before
            case "still" | "stirred" | "exchange" | "masked" | "foreign" | "opened":
                assert after == before
            case "stacked":
                assert after == before + 1
        special = {"masked": "masked", "foreign": "foreign", "stacked": "stacked", "opened": "open"}
        assert pair.state == special.get(pair.case, "clear")


def test_every_case_and_every_difficulty_occurs(pairs: list[SlotPair]) -> None:
    assert {pair.case for pair in pairs} >= set(PAIR_CASES) - {"opened"}  # a box is rare
    assert {name for pair in pairs for name in pair.hard} == {"exposure", "lamp", "shadow", "dirt"}


def test_what_is_taken_shows_more_than_what_lies_still(pairs: list[SlotPair]) -> None:
    def unlike(pair: SlotPair) -> float:
        a, b = (crop.astype(float) / level for crop, level in zip((pair.before, pair.after), pair.levels, strict=True))
        return float(np.percentile(np.abs(a - b).max(2), 98))

    taken = [unlike(pair) for pair in pairs if pair.case == "take" and not pair.hard]
    still = [unlike(pair) for pair in pairs if pair.case == "still" and not pair.hard]
    assert np.median(taken) > 1.5 * np.median(still)
