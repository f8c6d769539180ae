"""The judge of one place: what lay there, what lies there now, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from contracts.facts import AskReason
from vision.appearance import Look
from vision.judging.crops import Crop
from vision.slots import Slot

JudgeMode: TypeAlias = Literal["auto", "review", "ask", "none"]
"""``auto`` may be booked, ``review`` is a proposal with both counts, ``ask`` has no number, ``none``: nothing came or
left."""

SlotView: TypeAlias = Literal["seen", "masked", "foreign", "stacked", "hidden", "unlike", "unreadable"]


class MemoryProblemError(ValueError):
    """A stored memory of a place that cannot be read."""


@dataclass(frozen=True)
class SlotMemory:
    """What is known of one place between sessions.

    Attributes:
        count: pieces there (1 or 0 for a place of presence); None: unknown.
        confidence: trust in `count`, 0..1.
        look: how it looked when it was last settled: readable, and its count said.
        picture: the same moment as the network's input, (S, S, 3) uint8 BGR.
        looks: taught looks by count: 0 is the empty place.
        declared: False while the count was only assumed at the start.
        state: how it was seen last.
        masked_since: from when on it has not been readable; whoever has a clock sets it.
    """

    count: int | None
    confidence: float
    look: Look
    picture: npt.NDArray[np.uint8]
    looks: Mapping[int, Look] = field(default_factory=dict)
    declared: bool = True
    state: SlotView = "seen"
    masked_since: float | None = None


@dataclass(frozen=True)
class Judgement:
    """What a judge says of one place after a session.

    Attributes:
        before, after: counts; `after` is None where no number can be said.
        confidence: 0..1, calibrated for ``auto``: the share of such answers that are right.
        mode: what may be done with it.
        reason: why it asks; only with mode ``ask``.
        state: how the place is seen now.
        why: English, for the log and the review page.
        memory: the next one.
        guess: the count that it would say if it had to; None when it has no idea.
    """

    before: int | None
    after: int | None
    confidence: float
    mode: JudgeMode
    reason: AskReason | None
    state: SlotView
    why: str
    memory: SlotMemory
    guess: int | None = None

    @property
    def delta(self) -> int:
        """Pieces that came (positive) or left (negative); 0 where either count is unknown."""
        return 0 if self.before is None or self.after is None else self.after - self.before


class Judge(Protocol):
    """Says what happened to a place, from crops of it.

    `version` names what judges (model and rules); it travels with each observation.
    """

    version: str

    def learn(self, slot: Slot, crops: Sequence[Crop], count: int | None) -> SlotMemory:
        """Begin with a place, or take a person's word about it.

        Args:
            crops: one to five clear crops.
            count: what a person declared or answered; None: the judge's own reading, or an assumption.
        """
        ...

    def judge(self, slot: Slot, memory: SlotMemory, after: Sequence[Crop]) -> Judgement:
        """Compare a place with its memory; `after`: one to five clear crops of it now."""
        ...

    def dump(self, memory: SlotMemory) -> dict[str, Any]:
        """The memory as a JSON-able value of a few kB."""
        ...

    def load(self, slot: Slot, raw: Mapping[str, Any]) -> SlotMemory:
        """Read a `dump` again; raises `MemoryProblemError`."""
        ...
