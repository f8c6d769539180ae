"""Freeze the limits of a trained network, on pairs of other seeds than those it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from vision.judging.classes import KLASSES, STATES
from vision.judging.combining import Doubts, joint
from vision.judging.examples import Examples
from vision.judging.measuring import Judged, judge_examples
from vision.judging.net import Answer, Distribution, Limits, SlotNetwork, prepare
from vision.judging.trained import TrainedJudge

WRONG: Final = 0.0005
"""Share of wrong numbers among the automatic ones that the limit is set for, a quarter of what is promised."""

LEAST_DEBIT: Final = 0.85
LEAST_CREDIT: Final = 0.93
"""Limits are never set below these: a few thousand pairs cannot show that less would do."""

MISSED: Final = 0.008
"""Share of changes that may pass as nothing."""

_TEMPERATURES: Final = np.geomspace(0.4, 2.0, 17)


def calibrate(model: Path, sets: Sequence[Examples], most: int | None = None) -> Limits:
    """Temperature and limits for `model` (whose sheet must exist) from `sets`, at most `most` pairs of each."""
    judge = TrainedJudge(model)
    judge.limits = Limits(temperature=temperature(model, sets, most or 600), auto=0.0, credit=0.0, quiet=0.0)
    judged = [j for examples in sets for j in judge_examples(judge, examples, most)]
    return limits_of(judge.limits, judged)


def temperature(model: Path, sets: Sequence[Examples], most: int) -> float:
    """The divisor of logits that makes the joint distribution of counts most likely to be true."""
    net = SlotNetwork(model)
    net.limits = Limits()
    answers: list[tuple[int, int, Answer]] = []
    for examples in sets:
        for i in range(min(most, len(examples))):
            level_b, level_a, klass, before, after, state = (float(v) for v in examples.facts[i, :6])
            if STATES[int(state)] == "seen":
                pictures = examples.pictures[i]
                pair = prepare(pictures[0], level_b), prepare(pictures[1], level_a)
                answer = net.answer(*pair, np.asarray(examples.masks[i]), KLASSES[int(klass)], turns=2)
                answers.append((int(before), int(after), answer))

    def surprise(divisor: float) -> float:
        chances = [joint(before, _cooled(answer, divisor), Doubts())[after] for before, after, answer in answers]
        return float(-np.log(np.maximum(chances, 1e-9)).mean())

    return round(float(min(_TEMPERATURES, key=surprise)), 3)


def limits_of(open_: Limits, judged: Sequence[Judged]) -> Limits:
    """The limits for what was judged with open ones."""
    debits = [j for j in judged if j.said.delta < 0]
    credits_ = [j for j in judged if j.said.delta > 0]
    return replace(
        open_,
        auto=automatic_limit(debits, LEAST_DEBIT),
        credit=automatic_limit(credits_, LEAST_CREDIT),
        quiet=quiet_limit(judged),
    )


def automatic_limit(judged: Sequence[Judged], least: float, wrong: float = WRONG) -> float:
    """Least confidence above which at most the share `wrong` of automatic numbers is wrong; never below `least`."""
    booked = sorted((j.said.confidence, j.outcome == "right") for j in judged if j.said.mode == "auto")
    limit = least
    failures = [i for i, (_, right) in enumerate(booked) if not right]
    for k, i in enumerate(failures):
        remaining, above = len(failures) - k, len(booked) - i
        if remaining > wrong * above:
            limit = max(limit, booked[i][0] + 1e-4)
    return round(min(limit, 0.9999), 4)


def quiet_limit(judged: Sequence[Judged], missed: float = MISSED) -> float:
    """Least confidence of "nothing" with which at most the share `missed` of all changes passes; never below 0.6."""
    changes = sum(j.before != j.after for j in judged if j.state == "seen")
    passed = sorted(
        (j.said.confidence for j in judged if j.said.mode == "none" and j.before != j.after and j.state == "seen"),
        reverse=True,
    )
    allowed = int(missed * changes)
    return round(max(0.6, min(passed[allowed] + 1e-4, 0.99)) if len(passed) > allowed else 0.6, 4)


def _cooled(answer: Answer, divisor: float) -> Answer:
    return Answer(
        *(_power(d, divisor) for d in (answer.before, answer.after, answer.change, answer.state, answer.alone))
    )


def _power(distribution: Distribution, divisor: float) -> Distribution:
    powers = np.maximum(distribution, 1e-12) ** (1 / divisor)
    return np.asarray(powers / powers.sum(), np.float64)
