"""What became of each place in one session: pure, no images.

The truth of a session is what moved, place by place, and where no number can be right; what was said are claims. A
place has one outcome. A review (a proposal) and a question are both *asked*: a person's tap decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Outcome(StrEnum):
    """One place in one session."""

    RIGHT = "automatic_right"
    """Booked without a person, and so it was."""
    WRONG = "automatic_wrong"
    """Booked without a person, and it was not so; any booked number where none can be known."""
    MISSED = "missed"
    """Something moved, or must be asked, and nothing was said."""
    ASKED = "asked_right"
    """Asked, where something moved or must be asked."""
    NEEDLESS = "asked_needlessly"
    """Asked, where nothing moved."""


@dataclass(frozen=True)
class Claim:
    """One thing said about one place.

    Attributes:
        slot: its id.
        delta: change of count; None for a question without a guess.
        mode: "auto" is booked, "review" waits, "ask" has no number.
        confidence: 0..1.
        why: the judge's reason.
        transfer: the other place, when it went from one to another.
    """

    slot: str
    delta: int | None
    mode: Literal["auto", "review", "ask"]
    confidence: float = 1.0
    why: str = ""
    transfer: str | None = None


@dataclass(frozen=True)
class Truth:
    """What one session did.

    Attributes:
        case: its kind, for the table.
        deltas: slot → change of count, zeros left out. Of a place of presence: -1, 0 or 1.
        ask: places where the right answer is to ask (stacked, opened in place, hidden, masked, foreign).
        may_ask: places where a question is no fault though nothing need be asked.
    """

    case: str
    deltas: Mapping[str, int] = field(default_factory=dict)
    ask: frozenset[str] = frozenset()
    may_ask: frozenset[str] = frozenset()

    @property
    def idle(self) -> bool:
        """Nothing was taken and nothing came."""
        return not any(self.deltas.values()) and not self.ask


@dataclass(frozen=True)
class Judged:
    """The outcome of one place; ``debits`` are the pieces that were booked as taken."""

    slot: str
    outcome: Outcome
    expected: int
    claimed: int | None
    debits: int
    number_possible: bool
    why: str = ""


def judge_session(truth: Truth, claims: Iterable[Claim]) -> list[Judged]:
    """One outcome per place that moved, must be asked, or was spoken of, by place."""
    by_slot: dict[str, list[Claim]] = {}
    for claim in claims:
        by_slot.setdefault(claim.slot, []).append(claim)
    moved = {slot for slot, delta in truth.deltas.items() if delta}
    judged = []
    for slot in sorted(moved | truth.ask | by_slot.keys()):
        said = by_slot.get(slot, [])
        booked = [c for c in said if c.mode == "auto" and c.delta]
        questions = [c for c in said if c.mode != "auto"]
        expected = truth.deltas.get(slot, 0)
        total = sum(c.delta or 0 for c in booked)
        outcome = _outcome(expected, slot in truth.ask, total if booked else None, bool(questions))
        if outcome is None or (outcome is Outcome.NEEDLESS and slot in truth.may_ask):
            continue
        judged.append(
            Judged(
                slot,
                outcome,
                expected,
                total if booked else next((c.delta for c in questions), None),
                sum(-(c.delta or 0) for c in booked if (c.delta or 0) < 0),
                slot not in truth.ask,
                "; ".join(c.why for c in said if c.why),
            )
        )
    return judged


def _outcome(expected: int, must_ask: bool, booked: int | None, asked: bool) -> Outcome | None:
    if booked is not None:
        return Outcome.RIGHT if expected and booked == expected and not must_ask else Outcome.WRONG
    if asked:
        return Outcome.ASKED if expected or must_ask else Outcome.NEEDLESS
    return Outcome.MISSED if expected or must_ask else None
