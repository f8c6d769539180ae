"""How two judges become one answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vision.appearance import Comparison
from vision.judging.classes import MOST, STATES, STEPS
from vision.judging.combining import Doubts, combine, joint
from vision.judging.net import Answer, Distribution, Limits
from vision.judging.taught import KNOWN_LOOK, Finding

LIMITS = Limits(auto=0.8, credit=0.95, quiet=0.6, seen=0.5)
SAME = Comparison(0.0, 0.0, 0.0)
LOST = Comparison(0.2, 0.01, 0.2)
CAME = Comparison(0.01, 0.2, 0.2)
STIRRED = Comparison(0.1, 0.1, 0.15)


def at(size: int, index: int, sure: float = 0.99) -> Distribution:
    spread = np.full(size, (1 - sure) / (size - 1))
    spread[index] = sure
    return spread


def answer(
    before: int, after: int, change: int | None = None, state: str = "seen", sure: float = 0.99, known: bool = True
) -> Answer:
    """A network that reads `before` and `after` alone, and `change` from the pair."""
    step = after - before if change is None else change
    seen = at(len(STATES), STATES.index(state), sure)
    was = at(MOST + 1, before if known else (before + 3) % MOST)
    return Answer(was, at(MOST + 1, after, sure), at(2 * STEPS + 1, step + STEPS, sure), seen, seen)


def said(
    before: int | None, net: Answer, change: Comparison, doubts: Doubts | None = None, taught: Finding | None = None
) -> Finding:
    looks = taught or Finding(before, before, 0.5, "none", "", settled=False)
    return combine(before, net, change, looks, LIMITS, doubts or Doubts())


def test_agreement_is_booked() -> None:
    finding = said(4, answer(4, 3), LOST)
    assert (finding.before, finding.after, finding.mode) == (4, 3, "auto")
    finding = said(3, answer(3, 5), CAME)
    assert (finding.before, finding.after, finding.mode) == (3, 5, "auto")


def test_bug_a_sure_network_is_not_silenced_by_an_unchanged_look() -> None:
    finding = said(4, answer(4, 3), SAME)
    assert (finding.after, finding.mode) == (3, "review")


def test_a_network_that_is_not_sure_says_nothing_of_an_unchanged_look() -> None:
    finding = said(4, answer(4, 3, sure=0.45), SAME)
    assert (finding.after, finding.mode) == (4, "none")


def test_nothing_is_not_said_while_the_look_is_sure_that_something_left() -> None:
    finding = said(4, answer(4, 4, sure=0.97), LOST)
    assert finding.mode == "review"
    assert finding.after == 3


def test_turned_or_slid_is_nothing() -> None:
    finding = said(4, answer(4, 4), STIRRED)
    assert (finding.after, finding.mode) == (4, "none")


def test_the_heads_of_the_network_must_agree_too() -> None:
    assert said(4, answer(4, 3, change=0), LOST).mode == "review"


def test_judges_that_disagree_on_the_direction_are_for_review() -> None:
    assert said(4, answer(4, 3), CAME).mode == "review"


@pytest.mark.parametrize(
    ("state", "view", "reason"),
    [
        ("masked", "masked", "masked"),
        ("foreign", "foreign", "foreign"),
        ("stacked", "stacked", "stacked"),
        ("opened", "hidden", "hidden"),
    ],
)
def test_no_number_where_the_place_cannot_be_read(state: str, view: str, reason: str) -> None:
    finding = said(2, answer(2, 3, state=state), CAME)
    assert (finding.after, finding.mode, finding.state, finding.reason) == (None, "ask", view, reason)
    assert said(2, answer(2, 2, state=state), SAME).mode == "ask", "not even when it looks the same"


def test_items_below_the_least_px_are_never_booked() -> None:
    assert said(4, answer(4, 3), LOST, Doubts(small=True)).mode == "review"


def test_more_than_can_be_told_apart_asks() -> None:
    finding = said(MOST + 3, answer(MOST, MOST, change=-1), LOST)
    assert (finding.mode, finding.reason) == ("ask", "many")


def test_a_place_of_presence_is_there_or_not() -> None:
    assert joint(1, answer(1, 2, change=1), Doubts(presence=True))[2:].sum() == 0
    assert said(1, answer(1, 0), LOST, Doubts(presence=True)).mode == "auto"


def test_what_is_miscounted_alike_in_both_pictures_cancels_out() -> None:
    net = replace(answer(4, 3), before=at(MOST + 1, 5), after=at(MOST + 1, 4))
    finding = said(4, net, LOST)
    assert (finding.before, finding.after, finding.mode) == (4, 3, "auto")


def test_a_thing_that_is_read_as_nobody_knows_what_needs_the_looks() -> None:
    blurred = np.full(MOST + 1, 1 / (MOST + 1))
    net = replace(answer(4, 3), before=blurred, after=blurred)
    assert said(4, net, LOST).mode == "review"
    assert said(4, net, LOST, taught=Finding(4, 3, 0.95, "auto", "matches its taught look")).mode == "auto"


def test_a_difference_that_contradicts_the_change_is_for_review() -> None:
    assert said(4, answer(4, 3, known=False), LOST).mode == "review"


def test_a_place_without_a_count_is_read_or_not() -> None:
    read = said(None, answer(2, 3), LOST)
    assert (read.before, read.after, read.mode) == (None, 3, "none")
    assert said(None, answer(2, 3, sure=0.6), LOST).after is None


def test_an_unsure_change_is_for_review() -> None:
    assert said(4, answer(4, 3, sure=0.5), LOST).mode == "review"


def test_what_came_must_be_surer_than_what_left() -> None:
    """A thing that does not belong there looks like a return."""
    assert said(4, answer(4, 3, sure=0.93), LOST).mode == "auto"
    assert said(4, answer(4, 5, sure=0.93), CAME).mode == "review"


def test_what_came_to_an_empty_place_in_other_colours_than_its_item_is_asked_about() -> None:
    strange = Finding(0, None, 0.3, "ask", "not its item", "foreign", "foreign", 1, settled=False)
    assert said(0, answer(0, 1), CAME, taught=strange).mode == "ask"


def test_a_look_that_is_known_with_as_many_contradicts_the_network() -> None:
    known = Finding(4, 4, KNOWN_LOOK, "none", "matches its taught look")
    assert said(4, answer(4, 3), LOST, taught=known).mode == "review"
    assert said(4, answer(4, 3), LOST, taught=replace(known, confidence=0.8)).mode == "auto"
