"""A ledger as small as it can be: what automatic movements add up to, and what stands open beside it.

It answers the only question that matters at the end of a run: is each place right, or is its difference shown? The
simulator of `bench/rack_days` asks the centre's own ledger the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from vision.evaluation.outcomes import Claim


class Standing(StrEnum):
    """A place at the end."""

    RIGHT = "right"
    SHOWN = "shown"
    """Not right, but a question, a proposal or an écart is open for it, or it is said not to be readable."""
    SILENT = "silent"
    """Not right, and nobody would know."""


class Books:
    """Places and their pieces, from known beginnings."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.ledger = dict(counts)
        self.asked: set[str] = set()
        self.read: dict[str, int | None] = {}

    def book(self, claims: Iterable[Claim], read: Mapping[str, int | None] | None = None) -> None:
        """What was said in some frames; a reading fixes nothing, it only shows a difference."""
        for claim in claims:
            if claim.slot not in self.ledger:
                continue
            if claim.mode == "auto":
                self.ledger[claim.slot] += claim.delta or 0
            else:
                self.asked.add(claim.slot)
            self.read.pop(claim.slot, None)
        for slot, count in (read or {}).items():
            self.read[slot] = count

    def answer(self, slot: str, count: int) -> None:
        """A person said what lies there."""
        self.ledger[slot] = count
        self.asked.discard(slot)
        self.read.pop(slot, None)

    @property
    def differing(self) -> set[str]:
        """Places where a reading differs from the ledger, or could not be made."""
        return {slot for slot, count in self.read.items() if slot in self.ledger and count != self.ledger[slot]}

    def standing(self, truth: Mapping[str, int | None]) -> dict[str, Standing]:
        """Each place whose true number is known."""
        shown = self.asked | self.differing
        found = {}
        for slot, ledger in self.ledger.items():
            true = truth.get(slot)
            if true is not None:
                right = ledger == true
                found[slot] = Standing.RIGHT if right else Standing.SHOWN if slot in shown else Standing.SILENT
        return found


def summary(standings: Mapping[str, Standing]) -> dict[str, int]:
    """How many of each."""
    counts = Counter(standings.values())
    return {standing.value: counts[standing] for standing in Standing}
