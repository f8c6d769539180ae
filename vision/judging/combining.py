"""How the two judges become one answer. Pure: distributions and comparisons in, a finding out.

- They agree: a number may be booked.
- They do not, or either is not sure: a person sees both pictures.
- "Nothing" is said only when neither is sure of the contrary.
- No number where the place cannot be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.facts import AskReason
from vision.appearance import Comparison
from vision.judging.classes import MOST, STATES, STEPS
from vision.judging.net import Answer, Distribution, Limits
from vision.judging.port import SlotView
from vision.judging.taught import KNOWN_LOOK, Finding

_SEEN: Final = STATES.index("seen")
_VIEWS: Final[dict[str, tuple[SlotView, AskReason]]] = {
    "masked": ("masked", "masked"),
    "foreign": ("foreign", "foreign"),
    "stacked": ("stacked", "stacked"),
    "opened": ("hidden", "hidden"),
}
_ONE_WAY: Final = 0.6
"""|direction| of a comparison from which the looks contradict a change the other way."""

_EACH: Final = 0.5
"""Least probability of the number by either head of the network."""

_KNOWN: Final = 0.3
"""Least probability of the settled count by the settled picture, from which the absolute count is believed."""

_MUCH: Final = 0.05
"""Share of a place that lost its structure, from which the looks are sure that something left."""


@dataclass(frozen=True)
class Doubts:
    """What is known of the place beforehand: `presence` only (0 or 1), items `small` below the least px."""

    presence: bool = False
    small: bool = False


def combine(
    before: int | None, answer: Answer, change: Comparison, taught: Finding, limits: Limits, doubts: Doubts
) -> Finding:
    """One answer.

    Args:
        before: the settled count; None when it is not known.
        answer: the network's.
        change: the settled look against the present one.
        taught: what the looks say alone.
        limits: of the network's sheet.
        doubts: of the place.
    """
    state = answer.alone if before is None else answer.state
    worst = int(np.argmax(state))
    same = change.verdict == "same" and before is not None
    if worst != _SEEN and float(state[_SEEN]) < (1 - limits.auto if same else limits.seen):
        view, reason = _VIEWS[STATES[worst]]
        guess = None if before is None else int(np.argmax(joint(before, answer, doubts)))
        why = f"the place is {STATES[worst]}"
        return Finding(before, None, float(state[worst]), "ask", why, view, reason, guess, settled=False)
    if same and before is not None:
        return _unchanged(before, answer, change, limits, doubts)
    if before is None:
        return _reading(answer, limits, doubts)
    return _changed(before, answer, change, taught, limits, doubts)


def joint(before: int, answer: Answer, doubts: Doubts) -> Distribution:
    """Distribution over counts 0..MOST of both heads together: how many lie there, and how many came or left.

    A place whose settled picture is itself read wrongly (a thing that the network hardly knows) is judged by how much
    more or less is read now: what is miscounted alike in both pictures cancels out.
    """
    counts = np.arange(MOST + 1)
    steps = np.clip(counts - before, -STEPS, STEPS) + STEPS
    relative = answer.change[steps]
    far = np.abs(counts - before) > STEPS
    product = np.where(far, relative * 0.5, relative)
    counted = answer.after if _is_known(before, answer) else difference(answer)[steps]
    product = product * np.maximum(counted, 1e-6)
    if doubts.presence:
        product = np.where(counts <= 1, product, 0.0)
    total = float(product.sum())
    return product / total if total > 0 else np.full(MOST + 1, 1 / (MOST + 1))


def difference(answer: Answer) -> Distribution:
    """Distribution over -STEPS..STEPS: what is counted in the present picture less what is in the settled one."""
    every = np.convolve(answer.after, answer.before[::-1])
    middle = len(answer.before) - 1
    return np.asarray(every[middle - STEPS : middle + STEPS + 1], np.float64)


def _is_known(before: int, answer: Answer) -> bool:
    """Whether the settled picture reads as the count that it is known to hold."""
    return before <= MOST and float(answer.before[before]) >= _KNOWN


def _unchanged(before: int, answer: Answer, change: Comparison, limits: Limits, doubts: Doubts) -> Finding:
    """The looks say that nothing changed. A network that is sure of a change is not silenced by that."""
    chances = joint(before, answer, doubts)
    likely = int(np.argmax(chances))
    if likely != before and float(chances[likely]) >= limits.auto and float(answer.state[_SEEN]) >= limits.seen:
        why = "the network is sure of a change, the look is unchanged"
        return Finding(before, likely, 0.5, "review", why)
    return Finding(before, before, max(change.confidence, float(chances[before])), "none", "unchanged")


def _reading(answer: Answer, limits: Limits, doubts: Doubts) -> Finding:
    chances = answer.after[:2] / answer.after[:2].sum() if doubts.presence else answer.after
    likely = int(np.argmax(chances))
    if float(chances[likely]) < limits.credit or doubts.small:
        return Finding(None, None, float(chances[likely]), "none", "its count cannot be read for sure", settled=False)
    return Finding(None, likely, float(chances[likely]), "none", "read without a count before")


def _changed(
    before: int, answer: Answer, change: Comparison, taught: Finding, limits: Limits, doubts: Doubts
) -> Finding:
    chances = joint(before, answer, doubts)
    likely = int(np.argmax(chances))
    chance = float(chances[likely]) * float(answer.state[_SEEN])
    if before > MOST or likely > MOST - 1:
        return Finding(
            before, None, chance, "ask", "more than can be told apart", "seen", "many", likely, settled=False
        )
    if likely == before:
        return _nothing(before, chances, chance, change, taught, limits)
    delta = likely - before
    against = change.verdict == "changed" and delta * change.direction < 0 and abs(change.direction) >= _ONE_WAY
    if against:
        return Finding(before, likely, min(chance, 0.5), "review", "the judges disagree on the direction")
    if taught.after == before and taught.mode == "none" and taught.confidence >= KNOWN_LOOK:
        return Finding(before, likely, min(chance, 0.5), "review", "it looks as it did before with as many")
    if before == 0 and taught.mode == "ask" and taught.reason == "foreign":
        return taught
    if doubts.small:
        return Finding(before, likely, min(chance, 0.6), "review", "its items are too small to be counted unseen")
    step = int(np.clip(delta, -STEPS, STEPS)) + STEPS
    counted = max(float(answer.after[likely]) if _is_known(before, answer) else 0.0, float(difference(answer)[step]))
    by_look = not _is_known(before, answer) and taught.after is not None and taught.after - before == delta
    if min(float(answer.change[step]), 1.0 if by_look else counted) < _EACH:
        return Finding(before, likely, min(chance, 0.6), "review", "what is counted and what changed do not agree")
    if chance >= (limits.auto if delta < 0 else limits.credit):
        return Finding(before, likely, chance, "auto", "both judges agree")
    return Finding(before, likely, chance, "review", "the network is not sure")


def _nothing(
    before: int, chances: Distribution, chance: float, change: Comparison, taught: Finding, limits: Limits
) -> Finding:
    others = np.array(chances)
    others[before] = -1.0
    second = int(np.argmax(others))
    gone = change.verdict == "changed" and change.direction <= -_ONE_WAY and change.lost >= _MUCH and before > 0
    if gone and chance < 0.999:
        return Finding(before, before - 1, 0.4, "review", "the look says that something left, the network does not")
    if chance >= limits.quiet:
        return Finding(before, before, chance, "none", "moved or turned in its place", settled=chance >= limits.auto)
    if taught.mode == "ask":
        return Finding(before, None, chance, "ask", taught.why, taught.state, taught.reason, second, settled=False)
    return Finding(before, second, 1 - chance, "review", "perhaps changed")
