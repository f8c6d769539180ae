"""Two judges, one reading."""

from __future__ import annotations

from typing import Any

from vision.judging import SlotState, judge_any, judge_known
from vision.slots import Count

SURE, DOUBTFUL = 1.0, 0.5


def test_both_judges_agree_on_a_pick(looks: Any) -> None:
    verdict = judge_known(SlotState(1, looks.full), Count(0, SURE), looks.empty)
    assert (verdict.delta, verdict.mode) == (-1, "auto")


def test_both_judges_agree_on_a_return(looks: Any) -> None:
    verdict = judge_known(SlotState(1, looks.full), Count(2, SURE), looks.two)
    assert (verdict.delta, verdict.mode) == (1, "auto")


def test_a_detector_that_misses_an_item_debits_nothing_while_the_place_is_unchanged(looks: Any) -> None:
    for now in (looks.full, looks.nudged):
        assert judge_known(SlotState(1, looks.full), Count(0, SURE), now).delta == 0


def test_a_doubtful_count_is_for_review(looks: Any) -> None:
    verdict = judge_known(SlotState(1, looks.full), Count(0, DOUBTFUL), looks.empty)
    assert (verdict.delta, verdict.mode) == (-1, "review")


def test_judges_that_disagree_on_the_direction_are_for_review(looks: Any) -> None:
    verdict = judge_known(SlotState(1, looks.full), Count(2, SURE), looks.empty)
    assert verdict.mode == "review"


def test_another_class_than_the_planogram_is_for_review(looks: Any) -> None:
    verdict = judge_known(SlotState(0, looks.empty), Count(1, SURE), looks.full, foreign=True)
    assert (verdict.delta, verdict.mode) == (1, "review")


def test_a_thing_that_the_detector_does_not_see_come_is_for_review(looks: Any) -> None:
    verdict = judge_known(SlotState(0, looks.empty), Count(0, SURE), looks.full)
    assert (verdict.delta, verdict.mode) == (1, "review")


def test_a_thing_that_was_doubted_and_left_is_for_review(looks: Any) -> None:
    verdict = judge_known(SlotState(0, looks.full, confidence=0.4), Count(0, SURE), looks.empty)
    assert (verdict.before, verdict.after, verdict.mode) == (1, 0, "review")


def test_any_present_then_absent_then_present(looks: Any) -> None:
    gone = judge_any(SlotState(1, looks.full, full=looks.full), looks.empty)
    back = judge_any(SlotState(0, looks.empty, full=looks.full, empty=looks.empty), looks.nudged)
    assert (gone.delta, gone.mode) == (-1, "auto")
    assert (back.delta, back.mode) == (1, "auto")
    assert back.confidence > 0.9, "it matches the taught look"


def test_any_nudged_is_nothing(looks: Any) -> None:
    assert judge_any(SlotState(1, looks.full), looks.nudged).delta == 0


def test_any_with_an_assumed_count_may_turn_out_to_have_been_empty(looks: Any) -> None:
    verdict = judge_any(SlotState(1, looks.empty, declared=False), looks.full)
    assert (verdict.before, verdict.after, verdict.mode) == (0, 1, "auto")


def test_any_with_a_declared_item_and_something_more_is_for_review(looks: Any) -> None:
    verdict = judge_any(SlotState(1, looks.full), looks.two)
    assert (verdict.delta, verdict.mode) == (1, "review")


def test_any_never_debits_below_zero(looks: Any) -> None:
    assert judge_any(SlotState(0, looks.full), looks.empty).delta == 0


def test_any_with_several_items_cannot_count_and_asks(looks: Any) -> None:
    verdict = judge_any(SlotState(2, looks.two), looks.full)
    assert (verdict.delta, verdict.mode) == (-1, "review")


def test_any_swapped_for_another_thing_is_no_debit(looks: Any) -> None:
    assert judge_any(SlotState(1, looks.full), looks.other).delta == 0
