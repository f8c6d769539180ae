"""Two judges, one answer: the network's counts and the place's own taught look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.racks import MIN_PX_PER_ITEM, SlotKind
from vision.appearance import compare
from vision.judging.combining import Doubts, combine
from vision.judging.crops import Crop
from vision.judging.net import Answer, prepare, shared_network, square_mask
from vision.judging.port import Judgement, SlotMemory
from vision.judging.taught import (
    TaughtJudge,
    ask_hidden,
    cannot_read,
    conclude,
    find,
    look_of,
    picture_of,
    unreadable,
)
from vision.slots import ANY, Slot


class TrainedJudge:
    """The network beside the taught appearance; a place of class `ANY` is judged by the latter alone.

    Args:
        model: the ``.onnx`` file; the shipped one when None.

    Raises:
        vision.judging.net.NetError: the model cannot be used.
    """

    def __init__(self, model: Path | None = None) -> None:
        self._net = shared_network(model)
        self._taught = TaughtJudge()
        self.limits = self._net.limits
        self.version = f"{self._net.version}+{self._taught.version}"

    def learn(self, slot: Slot, crops: Sequence[Crop], count: int | None) -> SlotMemory:
        """See `Judge.learn`; without a person's word the network reads the place, and what it is not sure of is as
        declared in the description.
        """
        memory = self._taught.learn(slot, crops, count)
        if slot.kind is SlotKind.HIDDEN or slot.klass == ANY:
            return memory
        answer = self._answer(slot, memory, memory.picture, memory.look.level, crops[-1])
        limits = self.limits
        readable = float(answer.alone[0]) >= limits.seen
        if count is not None:
            likely = float(answer.after[min(count, len(answer.after) - 1)])
            return replace(memory, confidence=round(max(likely, 0.05), 4))
        if not readable and slot.count is None:
            return replace(memory, declared=False, confidence=0.3)
        most = 1 if slot.kind is SlotKind.PRESENCE else len(answer.after) - 1
        chances = answer.after[: most + 1] / answer.after[: most + 1].sum()
        seen, chance = int(np.argmax(chances)), float(chances.max())
        if readable and (chance >= limits.credit or slot.count is None):
            return replace(memory, count=seen, confidence=round(chance, 4), looks={seen: memory.look}, declared=True)
        return replace(memory, confidence=round(float(chances[min(memory.count or 0, most)]), 4))

    def judge(self, slot: Slot, memory: SlotMemory, after: Sequence[Crop]) -> Judgement:
        """See `Judge.judge`."""
        if slot.klass == ANY:
            return self._taught.judge(slot, memory, after)
        if slot.kind is SlotKind.HIDDEN:
            return ask_hidden(memory)
        look = look_of(after)
        if unreadable(look):
            return cannot_read(memory)
        picture = picture_of(after)
        change = compare(memory.look, look)
        turns = 1 if change.verdict == "same" else 2
        answer = self._answer(slot, memory, picture, look.level, after[-1], turns)
        found = find(memory, look, change)
        doubts = Doubts(
            presence=slot.kind is SlotKind.PRESENCE,
            small=slot.px_per_item is not None
            and slot.kind is SlotKind.COUNTABLE
            and slot.px_per_item < MIN_PX_PER_ITEM,
        )
        return conclude(memory, look, picture, combine(memory.count, answer, change, found, self.limits, doubts))

    def dump(self, memory: SlotMemory) -> dict[str, Any]:
        """See `Judge.dump`."""
        return self._taught.dump(memory)

    def load(self, slot: Slot, raw: Mapping[str, Any]) -> SlotMemory:
        """See `Judge.load`."""
        return self._taught.load(slot, raw)

    def _answer(
        self, slot: Slot, memory: SlotMemory, picture: npt.NDArray[np.uint8], level: float, crop: Crop, turns: int = 2
    ) -> Answer:
        mask = square_mask(crop.polygon, crop.pixels.shape)
        return self._net.answer(
            prepare(memory.picture, memory.look.level),
            prepare(picture, level),
            mask,
            slot.klass,
            turns=turns,
            temperature=self.limits.temperature,
        )
