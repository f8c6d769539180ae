"""What a judge does with rendered pairs of known truth: for its limits, its sheet and its model card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vision.judging.classes import KLASSES, SIDE, STATES
from vision.judging.crops import Crop
from vision.judging.examples import Examples
from vision.judging.pairs import CASES
from vision.judging.port import Judge, Judgement
from vision.slots import Slot

SIZES: Final = (14.0, 18.0, 22.0, 28.0, 40.0, 64.0, 200.0)
"""Limits of the table by px per item."""


@dataclass(frozen=True)
class Judged:
    """One pair and what was said of it: `case`, `state` (truth), counts, px per item, judgement."""

    case: str
    state: str
    klass: str
    before: int
    after: int
    px: float
    said: Judgement

    @property
    def outcome(self) -> str:
        """right, wrong, missed, asked, or needless (asked where nothing happened, or a doubt that is no number)."""
        if self.state != "seen":
            number = self.said.mode in ("auto", "review") or (self.said.mode == "none" and self.said.state == "seen")
            return "wrong" if self.said.mode == "auto" else ("missed" if number else "right")
        happened = self.after != self.before
        if self.said.mode == "auto":
            return "right" if self.said.after == self.after else "wrong"
        if self.said.mode == "none":
            return "missed" if happened else "right"
        return "asked" if happened else "needless"


def judge_examples(
    judge: Judge, examples: Examples, most: int | None = None, trust_counts: bool = True
) -> list[Judged]:
    """Teach each pair's place with its picture before, and judge its picture after."""
    return list(_judged(judge, examples, most, trust_counts))


def _judged(judge: Judge, examples: Examples, most: int | None, trust_counts: bool) -> Iterator[Judged]:
    for i in range(min(len(examples), most or len(examples))):
        level_b, level_a, klass, before, after, state, case, px = (float(v) for v in examples.facts[i])
        corners = polygon_of(examples.masks[i])
        slot = Slot(f"P{i}", corners, "item", KLASSES[int(klass)], None)
        first = Crop(np.asarray(examples.pictures[i, 0]), corners, level_b)
        second = Crop(np.asarray(examples.pictures[i, 1]), corners, level_a)
        memory = judge.learn(slot, [first], int(before) if trust_counts else None)
        said = judge.judge(slot, memory, [second])
        yield Judged(CASES[int(case)], STATES[int(state)], slot.klass, int(before), int(after), px, said)


def polygon_of(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The rectangle of a mask, (4, 2)."""
    ys, xs = np.nonzero(mask)
    x0, x1, y0, y1 = xs.min(), xs.max(), ys.min(), ys.max()
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def tables(judged: list[Judged]) -> dict[str, Any]:
    """Outcomes by case, by px per item, by class, and of automatic debits alone."""
    debits = [j for j in judged if j.said.mode == "auto" and j.said.delta < 0]
    takes = [j for j in judged if j.state == "seen" and j.after < j.before]
    still = [j for j in judged if j.state == "seen" and j.after == j.before]
    return {
        "by_case": {case: dict(Counter(j.outcome for j in judged if j.case == case)) for case in CASES},
        "by_px": {
            f"{low:.0f}-{high:.0f}": dict(
                Counter(j.outcome for j in judged if low <= j.px < high and j.state == "seen")
            )
            for low, high in pairwise(SIZES)
        },
        "by_class": {
            k: dict(Counter(j.outcome for j in judged if j.klass == k and j.state == "seen")) for k in KLASSES
        },
        "auto_debits": len(debits),
        "auto_debits_wrong": sum(j.outcome == "wrong" for j in debits),
        "takes": len(takes),
        "takes_missed": sum(j.outcome == "missed" for j in takes),
        "takes_asked": sum(j.outcome == "asked" for j in takes),
        "nothing_happened": len(still),
        "debits_of_nothing": sum(j.said.mode == "auto" for j in still),
        "asked_of_nothing": sum(j.outcome == "needless" for j in still),
    }


__all__ = ["SIDE", "Judged", "judge_examples", "polygon_of", "tables"]
