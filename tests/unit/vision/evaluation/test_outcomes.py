"""What became of a place: every combination of what moved and what was said."""

from __future__ import annotations

import pytest

from vision.evaluation.outcomes import Claim, Outcome, Truth, judge_session

AUTO, REVIEW, ASK = Claim("A1", -1, "auto"), Claim("A1", -1, "review"), Claim("A1", None, "ask")
TAKEN, STILL = Truth("take", {"A1": -1}), Truth("nothing")
STACKED = Truth("stacked", {"A1": -1}, ask=frozenset({"A1"}))


@pytest.mark.parametrize(
    ("truth", "claims", "outcome"),
    [
        (TAKEN, [AUTO], Outcome.RIGHT),
        (TAKEN, [Claim("A1", -2, "auto")], Outcome.WRONG),
        (TAKEN, [AUTO, AUTO], Outcome.WRONG),
        (TAKEN, [REVIEW], Outcome.ASKED),
        (TAKEN, [ASK], Outcome.ASKED),
        (TAKEN, [], Outcome.MISSED),
        (STILL, [AUTO], Outcome.WRONG),
        (STILL, [ASK], Outcome.NEEDLESS),
        (STILL, [REVIEW], Outcome.NEEDLESS),
        (STACKED, [ASK], Outcome.ASKED),
        (STACKED, [REVIEW], Outcome.ASKED),
        (STACKED, [AUTO], Outcome.WRONG),  # right by luck is a number where none can be known
        (STACKED, [], Outcome.MISSED),
        (Truth("hidden", ask=frozenset({"A1"})), [], Outcome.MISSED),
    ],
)
def test_one_place(truth: Truth, claims: list[Claim], outcome: Outcome) -> None:
    (judged,) = judge_session(truth, claims)
    assert judged.outcome is outcome


def test_nothing_happened_and_nothing_was_said() -> None:
    assert judge_session(STILL, []) == []


def test_a_debit_and_its_return_where_nothing_moved_is_wrong_though_it_adds_up() -> None:
    (judged,) = judge_session(STILL, [AUTO, Claim("A1", 1, "auto")])
    assert (judged.outcome, judged.debits) == (Outcome.WRONG, 1)


def test_a_question_that_is_no_fault_is_not_counted() -> None:
    assert judge_session(Truth("rag", may_ask=frozenset({"A1"})), [ASK]) == []
    assert judge_session(Truth("rag", may_ask=frozenset({"A1"})), [AUTO])[0].outcome is Outcome.WRONG


def test_places_are_judged_apart() -> None:
    truth = Truth("two places", {"A1": -1, "B2": -2})
    claims = [Claim("B2", -2, "auto"), Claim("C3", 1, "auto")]
    judged = {one.slot: one.outcome for one in judge_session(truth, claims)}
    assert judged == {"A1": Outcome.MISSED, "B2": Outcome.RIGHT, "C3": Outcome.WRONG}


def test_debits_are_pieces() -> None:
    (judged,) = judge_session(Truth("take", {"A1": -3}), [Claim("A1", -3, "auto")])
    assert (judged.debits, judged.claimed) == (3, -3)
    (back,) = judge_session(Truth("return", {"A1": 2}), [Claim("A1", 2, "auto")])
    assert back.debits == 0
