"""The judge that needs no model: a place against its own taught looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from contracts.racks import SlotKind
from vision.appearance import Look, take_look
from vision.judging.crops import Crop, median_picture
from vision.judging.port import Judgement, SlotMemory
from vision.judging.rules import SlotState, judge_any
from vision.judging.store import dump_memory, load_memory
from vision.slots import Slot

PICTURE_PX = 80
"""Side of the network's input."""


class TaughtJudge:
    """Judges by appearance alone: it stands on its own for things that no model was trained on."""

    version = "taught-1"

    def learn(self, slot: Slot, crops: Sequence[Crop], count: int | None) -> SlotMemory:
        """See `Judge.learn`; without a declared count, in the description or here, a place is assumed to hold one piece."""
        look = look_of(crops)
        assumed = (slot.count if slot.count is not None else 1) if count is None else count
        return SlotMemory(
            assumed, 1.0, look, picture_of(crops), {assumed: look}, declared=count is not None or slot.count is not None
        )

    def judge(self, slot: Slot, memory: SlotMemory, after: Sequence[Crop]) -> Judgement:
        """See `Judge.judge`."""
        if slot.kind is SlotKind.HIDDEN:
            return Judgement(memory.count, None, 0.0, "ask", "hidden", "hidden", "touched, and not to be seen", memory)
        look = look_of(after)
        before = 0 if memory.count is None else memory.count
        full = next((memory.looks[n] for n in sorted(memory.looks) if n > 0), None)
        state = SlotState(before, memory.look, memory.declared, full, memory.looks.get(0), memory.confidence)
        verdict = judge_any(state, look)
        mode = verdict.mode if verdict.delta or verdict.confidence < 0.5 else "none"
        looks = dict(memory.looks)
        if verdict.delta and verdict.mode == "auto":
            looks[verdict.after] = look
        following = replace(
            memory,
            count=verdict.after,
            look=look,
            picture=picture_of(after),
            looks=looks,
            declared=memory.declared or (bool(verdict.delta) and verdict.mode == "auto"),
        )
        return Judgement(verdict.before, verdict.after, verdict.confidence, mode, None, "seen", verdict.why, following)

    def dump(self, memory: SlotMemory) -> dict[str, Any]:
        """See `Judge.dump`."""
        return dump_memory(memory)

    def load(self, slot: Slot, raw: Mapping[str, Any]) -> SlotMemory:
        """See `Judge.load`."""
        return load_memory(slot, raw)


def look_of(crops: Sequence[Crop]) -> Look:
    """The look of a place over its crops."""
    level = float(np.median([crop.level for crop in crops]))
    return take_look([crop.pixels for crop in crops], crops[-1].polygon, level)


def picture_of(crops: Sequence[Crop]) -> npt.NDArray[np.uint8]:
    """The network's input: the median of the crops, stretched to a square of `PICTURE_PX`."""
    side = (PICTURE_PX, PICTURE_PX)
    return median_picture(
        [np.asarray(cv2.resize(crop.pixels, side, interpolation=cv2.INTER_AREA), np.uint8) for crop in crops]
    )
