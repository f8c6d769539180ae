"""Two judges, one reading: the detector's count and the place's own appearance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vision.appearance import Look, compare
from vision.slots import Count

AUTO = 0.7
"""Least confidence of a change that is booked without a person."""

_DIRECTED = 0.3  # |direction| from which lost and gained structure are told apart

Mode = Literal["auto", "review"]


@dataclass
class SlotState:
    """What is known of a place between sessions.

    Attributes:
        count: items there; presence is 1 or 0.
        declared: False while the count of an `any` place is only assumed.
        look: how it looked when it was last settled.
        full, empty: looks with and without its item (places judged by appearance).
        confidence: trust in ``count``, 0..1.
    """

    count: int
    look: Look
    declared: bool = True
    full: Look | None = None
    empty: Look | None = None
    confidence: float = 1.0


@dataclass(frozen=True)
class Verdict:
    """A judged place: counts before and after, confidence 0..1, and whether a person must confirm."""

    before: int
    after: int
    confidence: float
    mode: Mode
    why: str

    @property
    def delta(self) -> int:
        return self.after - self.before


def judge_known(state: SlotState, seen: Count, look: Look, foreign: bool = False) -> Verdict:
    """A place whose class the detector knows.

    Args:
        state: the settled state.
        seen: the detector's count now.
        look: the appearance now.
        foreign: what lies there mostly carries another class than the planogram's.

    The detector counts and the appearance must agree that something happened: an unchanged place changes no count,
    whatever the detector says.
    """
    change = compare(state.look, look)
    before = state.count
    if seen.value == before:
        if change.verdict == "changed" and seen.value == 0 and abs(change.direction) > 2 * _DIRECTED:
            if change.direction > 0:
                return _verdict(
                    before, before + 1, 0.4, "the detector sees nothing, the appearance says that something came"
                )
            if before == 0 and state.confidence < AUTO:
                return _verdict(1, 0, 0.4, "the detector had doubts, the appearance says that something left")
        return _verdict(before, before, seen.confidence, "same count")
    if change.verdict == "same":
        return _verdict(before, before, 0.5, "the detector's count changed, the place did not")
    confidence = min(seen.confidence, state.confidence) * (0.5 + 0.5 * change.confidence)
    why = "both judges agree"
    if change.verdict == "uncertain":
        confidence, why = min(confidence, 0.5), "the appearance is uncertain"
    elif (seen.value - before) * change.direction < 0 and abs(change.direction) > 2 * _DIRECTED:
        confidence, why = min(confidence, 0.45), "the judges disagree on the direction"
    elif foreign:
        confidence, why = min(confidence, 0.5), "another class than the place's"
    return _verdict(before, seen.value, confidence, why)


def judge_any(state: SlotState, look: Look) -> Verdict:
    """A place judged by appearance alone: present or absent (a declared count above 1 goes down one by one, for
    review).
    """
    change = compare(state.look, look)
    before = state.count
    if change.verdict == "same":
        return _verdict(before, before, change.confidence, "unchanged")
    toward = _known_state(state, look, before)
    if toward is not None:
        return _verdict(before, toward, 0.95, "matches its taught look")
    if change.verdict == "uncertain":
        return _verdict(before, before, 0.5, "a change too small to be the item")
    sure = 0.55 + 0.45 * min(1.0, abs(change.direction) / (2 * _DIRECTED)) * change.confidence
    if abs(change.direction) < _DIRECTED:
        return _verdict(before, before, 0.4, "as much came as left: moved, turned or swapped")
    if change.direction < 0:
        after = max(before - 1, 0)
        sure = sure if before == 1 else 0.5
        return _verdict(before, after, sure, "its structure is gone")
    if not state.declared and before == 1:
        return _verdict(0, 1, sure, "it was empty at the start: the count was only assumed")
    if before == 0:
        return _verdict(0, 1, sure, "structure came")
    return _verdict(before, before + 1, 0.4, "structure came to an occupied place")


def _known_state(state: SlotState, look: Look, before: int) -> int | None:
    """0 or 1 when ``look`` is like the taught empty or full one and the other is not; None when neither helps."""
    other, value = (state.empty, 0) if before > 0 else (state.full, 1)
    if other is None or before > 1:
        return None
    return value if compare(other, look).verdict == "same" else None


def _verdict(before: int, after: int, confidence: float, why: str) -> Verdict:
    return Verdict(before, after, round(float(confidence), 3), "auto" if confidence >= AUTO else "review", why)
