"""A set of rendered pairs on disk, as flat arrays that training maps into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vision.judging.classes import SIDE
from vision.judging.pairs import CASES, Pair, render_pair
from vision.judging.scenes import scene_pairs

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
    """Render `count` single places, of seeds ``seed * 10**7 …``, into `folder`, or go on where a run stopped."""
    return _fill(folder, count, seed, lambda k: (render_pair(np.random.default_rng(seed * 10**7 + k)),))


def scene_examples(folder: Path, count: int, seed: int, photos: str = "train") -> Examples:
    """`count` pairs cut from whole racks of seeds ``seed * 10**6 …``, with the real photographs of `photos` in them."""
    return _fill(folder, count, seed, lambda k: scene_pairs(seed * 10**6 + k, photos=photos))


def open_examples(folder: Path) -> Examples:
    """What lies in `folder` so far."""
    rows = int((folder / "done.txt").read_text().split()[0])
    return Examples(*(part[:rows] for part in _arrays(folder, rows)))


def _fill(folder: Path, count: int, seed: int, source: Callable[[int], Iterable[Pair]]) -> Examples:
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done.txt"
    row, following = (int(v) for v in done.read_text().split()) if done.exists() else (0, 0)
    pictures, masks, facts = _arrays(folder, count)
    said = row
    while row < count:
        for pair in source(following):
            if row == count:
                break
            pictures[row, 0], pictures[row, 1], masks[row], facts[row] = (
                pair.before,
                pair.after,
                pair.mask,
                facts_of(pair),
            )
            row += 1
        following += 1
        if row - said >= 500 or row == count:
            done.write_text(f"{row} {following}")
            said = row
            log.info("%d of %d pairs of seed %d", row, count, seed)
    return Examples(pictures, masks, facts)


def _arrays(folder: Path, count: int) -> tuple[Any, Any, Any]:
    return (
        _map(folder / "pictures.u8", np.uint8, (count, 2, SIDE, SIDE, 3)),
        _map(folder / "masks.u8", np.uint8, (count, SIDE, SIDE)),
        _map(folder / "facts.f32", np.float32, (count, len(FACTS))),
    )


def facts_of(pair: Pair) -> list[float]:
    """The row of `FACTS` of one pair."""
    return [*pair.levels, pair.klass, *pair.counts, pair.state, CASES.index(pair.case), pair.px]


def _map(path: Path, kind: Any, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    if not path.exists() or path.stat().st_size < size:
        with path.open("ab") as file:
            file.truncate(size)
    return np.memmap(path, kind, "r+", shape=shape)
