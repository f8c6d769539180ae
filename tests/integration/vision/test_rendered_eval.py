"""A short rendered evaluation through the real watcher: it counts, it saves, it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vision.evaluation.checkpoint import Checkpoint
from vision.evaluation.rendered import Plan, Progress, asked_of, run
from vision.evaluation.stages import Eyes

PLAN = Plan(slots=(12,), debits=None, sessions=2, cases=("nothing", "take"), size=(960, 540), per_rack=2)


def test_two_sessions_are_played_counted_and_kept(tmp_path: Path) -> None:
    eyes = Eyes()
    file = tmp_path / "run.json"
    *_, progress = run(PLAN, eyes.stage, Checkpoint(file, asked_of(PLAN, eyes.versions())))
    figures = progress.results()["all"]
    assert figures["sessions"] == 2
    assert figures["idle_debits"] == 0
    saved = Checkpoint(file, asked_of(PLAN, eyes.versions())).load()
    assert Progress.from_json(saved).results() == json.loads(json.dumps(progress.results()))
    assert list(run(PLAN, eyes.stage, Checkpoint(file, asked_of(PLAN, eyes.versions())))) == []


@pytest.mark.long
def test_two_hundred_idle_sessions_debit_nothing() -> None:
    plan = Plan(slots=(12, 40), debits=None, sessions=200, cases=("nothing", "turned_over", "slid", "nudged"))
    *_, progress = run(plan, Eyes().stage, Checkpoint(None, {}))
    assert progress.results()["all"]["idle_debits"] == 0, progress.results()["findings"]
