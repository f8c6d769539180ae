"""Picks and returns against truth: run the watcher over episodes and count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision.detectors.base import Detector
from vision.slots import Rack, RackError, load_rack
from vision.sources import SourceError, open_source
from vision.watching import RackWatcher, SlotAsk, SlotChange, asks, changes


class EvaluationError(ValueError):
    """An evaluation folder that cannot be used; the text says what to correct."""


@dataclass(frozen=True)
class EpisodeResult:
    """One episode.

    Attributes:
        name: its folder.
        expected, seen: slot → change of count, zeros left out.
        confidence: the least of its changes; 1.0 when there was none.
        mode: "review" if any change waits for a person, or a place was asked about.
        changes, asks: what the watcher said.
    """

    name: str
    expected: dict[str, int]
    seen: dict[str, int]
    confidence: float
    mode: str
    changes: tuple[SlotChange, ...]
    asks: tuple[SlotAsk, ...] = ()

    @property
    def exact(self) -> bool:
        return self.seen == self.expected

    @property
    def wrong_auto(self) -> bool:
        return not self.exact and self.mode == "auto"

    @property
    def debits(self) -> int:
        """How many items were said to be taken, in whatever mode."""
        return sum(-change.delta for change in self.changes if change.delta < 0)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "expected": self.expected,
            "seen": self.seen,
            "confidence": round(self.confidence, 3),
            "mode": self.mode,
        }


def find_episodes(folder: Path) -> list[Path]:
    """The episode folders of ``folder``, by name.

    Raises:
        EvaluationError: it does not exist or holds no episode.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: no such folder")
    found = sorted(p for p in folder.iterdir() if (p / "frames").is_dir() or (p / "truth.json").is_file())
    if not found:
        raise EvaluationError(f"{folder}: no episode in it (a folder with frames/ and truth.json)")
    return found


def run_episode(folder: Path, shared: Rack | None, detector: Detector) -> EpisodeResult:
    """Watch one episode.

    Raises:
        EvaluationError: its truth, rack or frames cannot be read.
    """
    fps, expected = _truth(folder / "truth.json")
    own = folder / "rack.json"
    try:
        rack = load_rack(own) if own.is_file() or shared is None else shared
        if not (folder / "frames").is_dir():
            raise EvaluationError(f"{folder / 'frames'}: no such folder")
        watcher = RackWatcher(rack, detector)
        moved: list[SlotChange] = []
        asked: list[SlotAsk] = []
        for frame in open_source(str(folder / "frames"), fps=fps):
            said = watcher.feed(frame.image, frame.ts)
            moved += changes(said)
            asked += asks(said)
    except (RackError, SourceError) as problem:
        raise EvaluationError(str(problem)) from problem
    except ValueError as problem:
        raise EvaluationError(f"{folder}: {problem}") from problem
    unknown = sorted(set(expected) - {slot.id for slot in rack.slots})
    if unknown:
        raise EvaluationError(f"{folder / 'truth.json'}: slot {unknown[0]!r} is not in the rack")
    seen: Counter[str] = Counter()
    for change in moved:
        seen[change.slot] += change.delta
    return EpisodeResult(
        name=folder.name,
        expected=expected,
        seen={slot: delta for slot, delta in sorted(seen.items()) if delta},
        confidence=min([c.confidence for c in moved] + [a.confidence for a in asked], default=1.0),
        mode="review" if asked or any(c.mode == "review" for c in moved) else "auto",
        changes=tuple(moved),
        asks=tuple(asked),
    )


def evaluate(folder: Path, make: Callable[[], Detector]) -> Iterator[EpisodeResult]:
    """Every episode below ``folder``, in order; the folder's ``rack.json`` serves those without their own.

    Raises:
        EvaluationError: see `find_episodes` and `run_episode`.
    """
    episodes = find_episodes(folder)
    shared: Rack | None = None
    if (folder / "rack.json").is_file():
        try:
            shared = load_rack(folder / "rack.json")
        except RackError as problem:
            raise EvaluationError(str(problem)) from problem
    for episode in episodes:
        if shared is None and not (episode / "rack.json").is_file():
            raise EvaluationError(f"{folder / 'rack.json'}: missing, and episode {episode.name} has none of its own")
    detector = make()
    for episode in episodes:
        yield run_episode(episode, shared, detector)


def totals(results: list[EpisodeResult]) -> dict[str, int]:
    """The closing counts; ``nothing_taken`` episodes and the debits seen in them are a figure of their own."""
    idle = [r for r in results if not any(delta < 0 for delta in r.expected.values())]
    return {
        "episodes": len(results),
        "exact": sum(r.exact for r in results),
        "wrong_auto": sum(r.wrong_auto for r in results),
        "review": sum(r.mode == "review" for r in results),
        "nothing_taken": len(idle),
        "debits_when_nothing_taken": sum(r.debits for r in idle),
    }


def _truth(path: Path) -> tuple[float, dict[str, int]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        fps = float(document.get("fps", 10))
        deltas = {str(slot): int(delta) for slot, delta in document["deltas"].items() if int(delta)}
    except FileNotFoundError:
        raise EvaluationError(f"{path}: missing") from None
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise EvaluationError(f'{path}: expected {{"fps": 10, "deltas": {{"A1": -1}}}}: {problem}') from problem
    if not 0 < fps <= 1000:
        raise EvaluationError(f"{path}: fps must be above 0")
    return fps, deltas
