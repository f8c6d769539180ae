"""Rendered hand sessions of seeds that no training saw: exact, and never a debit when nothing was taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from vision.detectors import make_detector
from vision.evaluation.recordings import EpisodeResult, evaluate, totals
from vision.rendering.episodes import render_episode, write_episode


def run(folder: Path, episodes: int, seed: int) -> list[EpisodeResult]:
    for i in range(episodes):
        write_episode(folder / f"e{i:04d}", render_episode(seed * 100_000 + i))
    return list(evaluate(folder, make_detector))


def test_fresh_episodes(tmp_path: Path) -> None:
    results = run(tmp_path, 24, seed=4242)
    counts = totals(results)
    wrong = [r.as_json() for r in results if not r.exact]
    assert counts["exact"] >= 23, wrong
    assert counts["wrong_auto"] == 0, wrong
    assert counts["debits_when_nothing_taken"] == 0, wrong


@pytest.mark.parametrize("light", ["steady", "step", "shadow", "flicker", "bump"])
def test_a_hand_that_takes_nothing_debits_nothing(tmp_path: Path, light: str) -> None:
    for i in range(3):
        write_episode(tmp_path / f"e{i}", render_episode(77_000 + i, "nothing", light))
    assert [c for r in evaluate(tmp_path, make_detector) for c in r.changes] == []


@pytest.mark.long
def test_two_hundred_episodes_of_unseen_seeds(tmp_path: Path) -> None:
    """The acceptance: at least 98 % exact, 0 debits over the episodes in which nothing was taken."""
    counts = totals(run(tmp_path, 200, seed=31_337))
    print(counts)
    assert counts["episodes"] == 200
    assert counts["exact"] >= 196, counts
    assert counts["debits_when_nothing_taken"] == 0, counts
