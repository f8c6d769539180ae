"""The judge that needs no model: a place against its own taught looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from contracts.facts import AskReason
from contracts.racks import SlotKind
from vision.appearance import Comparison, Look, compare, novelty, take_look
from vision.judging.classes import SIDE
from vision.judging.crops import Crop, median_picture
from vision.judging.port import Judgement, JudgeMode, SlotMemory, SlotView
from vision.judging.store import dump_memory, load_memory
from vision.slots import Slot

DIRECTED: Final = 0.3
"""|direction| of a comparison from which something only left, or only came."""

STRANGE: Final = 0.06
"""Share of a place in colours that it never showed, from which another thing lies there."""

DARK: Final = 9.0
"""Grey level of the rack below which nothing is judged."""


@dataclass(frozen=True)
class Finding:
    """What the looks say: counts, confidence, and what may be done with it."""

    before: int | None
    after: int | None
    confidence: float
    mode: JudgeMode
    why: str
    state: SlotView = "seen"
    reason: AskReason | None = None
    guess: int | None = None
    settled: bool = True


class TaughtJudge:
    """Judges by appearance alone: it stands on its own for things that no model was trained on."""

    version = "taught-3"

    def learn(self, slot: Slot, crops: Sequence[Crop], count: int | None) -> SlotMemory:
        """See `Judge.learn`; without any declared count a place is assumed to hold one piece, a hidden one nothing
        that is known.
        """
        look = look_of(crops)
        told = slot.count if count is None else count
        assumed = told if told is not None or slot.kind is SlotKind.HIDDEN else 1
        looks = {} if assumed is None else {assumed: look}
        return SlotMemory(assumed, 1.0, look, picture_of(crops), looks, declared=told is not None)

    def judge(self, slot: Slot, memory: SlotMemory, after: Sequence[Crop]) -> Judgement:
        """See `Judge.judge`."""
        if slot.kind is SlotKind.HIDDEN:
            return ask_hidden(memory)
        look = look_of(after)
        if unreadable(look):
            return cannot_read(memory)
        return conclude(memory, look, picture_of(after), find(memory, look, compare(memory.look, look)))

    def dump(self, memory: SlotMemory) -> dict[str, Any]:
        """See `Judge.dump`."""
        return dump_memory(memory)

    def load(self, slot: Slot, raw: Mapping[str, Any]) -> SlotMemory:
        """See `Judge.load`."""
        return load_memory(slot, raw)


_LOOKS: Final = 3
KNOWN_LOOK: Final = 0.95
"""Confidence of a look that was taught, or settled, with that count."""


def find(memory: SlotMemory, look: Look, change: Comparison) -> Finding:
    """What came and left, by the looks alone; `change` compares the settled look with `look`."""
    before = memory.count
    if before is not None and change.verdict == "same":
        return Finding(before, before, change.confidence, "none", "unchanged")
    for count, taught in memory.looks.items():
        if taught is not memory.look and compare(taught, look).verdict == "same":
            mode: JudgeMode = "none" if before is None or count == before else "auto"
            return Finding(before, count, KNOWN_LOOK, mode, "matches its taught look")
    if before is None:
        return Finding(None, None, 0.0, "none", "its count is not known, nor this look", settled=False)
    if change.verdict == "uncertain":
        return Finding(before, before, 0.5, "none", "a change too small to be the item", settled=False)
    strange = novelty(memory.look, look)
    sure = 0.55 + 0.45 * min(1.0, abs(change.direction) / (2 * DIRECTED)) * change.confidence
    if change.direction <= -DIRECTED:
        return _left(memory, before, sure, strange)
    if change.direction >= DIRECTED:
        return _came(memory, look, before, sure, strange)
    if strange < STRANGE:
        return Finding(before, before, 0.8, "none", "turned or slid in its place")
    return _ask(before, "swapped", "unlike", "as much came as left, in other colours: swapped or opened", before)


def _left(memory: SlotMemory, before: int, sure: float, strange: float) -> Finding:
    if before == 0:
        return _ask(before, "unlike", "unlike", "something left a place that was known as empty", 0)
    if before == 1 and 0 in memory.looks and strange >= STRANGE:
        return _ask(before, "unlike", "unlike", "its structure is gone, but the place is not as when empty", 0)
    if before > 1:
        return Finding(before, before - 1, 0.5, "review", "something left, and how many was not taught")
    return Finding(before, 0, sure, "auto" if sure >= 0.7 else "review", "its structure is gone")


def _came(memory: SlotMemory, look: Look, before: int, sure: float, strange: float) -> Finding:
    if not memory.declared and before == 1:
        return Finding(0, 1, min(sure, 0.65), "review", "it was empty at the start: the count was only assumed")
    if before > 0:
        if strange >= STRANGE:
            return _ask(before, "foreign", "foreign", "a thing of other colours came to an occupied place", before)
        return Finding(before, before + 1, 0.4, "review", "structure came to an occupied place")
    full = memory.looks.get(1)
    if full is None:
        return Finding(0, 1, min(sure, 0.65), "review", "structure came; its full look was never taught")
    if novelty(full, look) >= STRANGE:
        return _ask(before, "foreign", "foreign", "what came does not look like its item", 1)
    return Finding(0, 1, sure, "auto" if sure >= 0.7 else "review", "structure came in its item's colours")


def _ask(before: int | None, reason: AskReason, state: SlotView, why: str, guess: int | None) -> Finding:
    return Finding(before, None, 0.3, "ask", why, state, reason, guess, settled=False)


def conclude(memory: SlotMemory, look: Look, picture: npt.NDArray[np.uint8], finding: Finding) -> Judgement:
    """The judgement, and the memory that follows from it.

    What is masked or asked about leaves the settled look alone: what lies there once it is free is compared with that.
    """
    following = replace(memory, state=finding.state)
    if finding.after is not None and finding.settled:
        looks = dict(memory.looks)
        if finding.before is not None and finding.after != finding.before and memory.declared:
            looks[finding.before] = memory.look
        if finding.after != finding.before and finding.mode == "auto":
            if not memory.declared and finding.before == 0 and memory.count == 1:
                looks = {0: memory.look}
            looks[finding.after] = look
        elif finding.before is None or finding.mode == "review":
            looks.pop(finding.after, None)
        following = replace(
            following,
            count=finding.after,
            confidence=finding.confidence,
            look=look,
            picture=picture,
            looks=nearest_looks(looks, finding.after),
            declared=memory.declared or (finding.after != finding.before and finding.mode == "auto"),
        )
    return Judgement(
        before=finding.before,
        after=finding.after,
        confidence=round(float(finding.confidence), 4),
        mode=finding.mode,
        reason=finding.reason,
        state=finding.state,
        why=finding.why,
        memory=following,
        guess=finding.after if finding.guess is None else finding.guess,
    )


def nearest_looks(looks: Mapping[int, Look], count: int) -> dict[int, Look]:
    """Those of the counts nearest to `count`: no place remembers more, or a snapshot would grow for years."""
    kept = sorted(looks, key=lambda known: (abs(known - count), known))[:_LOOKS]
    return {known: looks[known] for known in sorted(kept)}


def ask_hidden(memory: SlotMemory) -> Judgement:
    """A heap or a closed box that was touched: a person is asked, whatever it looks like."""
    return Judgement(memory.count, None, 0.0, "ask", "hidden", "hidden", "touched, and not to be seen", memory)


def cannot_read(memory: SlotMemory) -> Judgement:
    """Too dark or glaring to be judged."""
    following = replace(memory, state="unreadable")
    why = "too dark or too bright to be read"
    return Judgement(memory.count, None, 0.0, "ask", "masked", "unreadable", why, following)


def unreadable(look: Look) -> bool:
    """Whether the place cannot be judged in this light."""
    inside = look.pixels[look.mask]
    return look.level < DARK or (len(inside) > 0 and float((inside.min(1) >= 250).mean()) > 0.6)


def look_of(crops: Sequence[Crop]) -> Look:
    """The look of a place over its crops."""
    level = float(np.median([crop.level for crop in crops]))
    return take_look([crop.pixels for crop in crops], crops[-1].polygon, level)


def picture_of(crops: Sequence[Crop]) -> npt.NDArray[np.uint8]:
    """The network's input, (SIDE, SIDE, 3): the median of the crops, stretched to a square."""
    side = (SIDE, SIDE)
    small = crops[-1].pixels.shape[0] < SIDE or crops[-1].pixels.shape[1] < SIDE
    how = cv2.INTER_LINEAR if small else cv2.INTER_AREA
    return median_picture([np.asarray(cv2.resize(crop.pixels, side, interpolation=how), np.uint8) for crop in crops])
