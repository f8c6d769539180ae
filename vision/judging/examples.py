"""A set of rendered pairs on disk, as flat arrays that training maps into memory."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vision.judging.classes import SIDE
from vision.judging.pairs import CASES, Pair, render_pair

log = logging.getLogger(__name__)

FACTS = ("level_before", "level_after", "klass", "count_before", "count_after", "state", "case", "px")


@dataclass(frozen=True)
class Examples:
    """Arrays of one row an example.

    Attributes:
        pictures: (N, 2, SIDE, SIDE, 3) uint8, before and after.
        masks: (N, SIDE, SIDE) uint8 0/1.
        facts: (N, len(FACTS)) float32, in the order of `FACTS`.
    """

    pictures: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8]
    facts: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.facts)

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """One column of `facts`."""
        return np.asarray(self.facts[:, FACTS.index(name)], np.float32)


def render_examples(folder: Path, count: int, seed: int) -> Examples:
    """Render `count` pairs of seeds ``seed * 10**7 …`` into `folder`, or go on where an earlier run stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done.txt"
    start = int(done.read_text()) if done.exists() else 0
    pictures = _map(folder / "pictures.u8", np.uint8, (count, 2, SIDE, SIDE, 3))
    masks = _map(folder / "masks.u8", np.uint8, (count, SIDE, SIDE))
    facts = _map(folder / "facts.f32", np.float32, (count, len(FACTS)))
    for i in range(start, count):
        pair = render_pair(np.random.default_rng(seed * 10**7 + i))
        pictures[i, 0], pictures[i, 1], masks[i], facts[i] = pair.before, pair.after, pair.mask, facts_of(pair)
        if (i + 1) % 1000 == 0 or i + 1 == count:
            done.write_text(str(i + 1))
            log.info("%d of %d pairs", i + 1, count)
    return Examples(pictures, masks, facts)


def facts_of(pair: Pair) -> list[float]:
    """The row of `FACTS` of one pair."""
    return [*pair.levels, pair.klass, *pair.counts, pair.state, CASES.index(pair.case), pair.px]


def _map(path: Path, kind: Any, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    with path.open("ab") as file:
        file.truncate(size)
    return np.memmap(path, kind, "r+", shape=shape)
