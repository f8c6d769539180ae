"""The whole way of the slot judge: rendered pairs, two short stages, limits on other seeds, a model that judges."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from vision.judging import TrainedJudge
from vision.judging.examples import open_examples, render_examples
from vision.judging.measuring import judge_examples, tables
from vision.judging.net import MODEL, NetError, SlotNetwork
from vision.judging.training import JudgePlan, make_slot_judge

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("onnx") is None,
    reason="needs the train extra (torch, onnx)",
)


@pytest.mark.train
@needs_torch
def test_a_short_training_gives_a_judge_that_loads(tmp_path: Path) -> None:
    first = JudgePlan(tmp_path / "first", pairs=96, scenes=0, steps=4, batch=16)
    second = JudgePlan(tmp_path, pairs=48, scenes=24, steps=4, batch=16, start=first.out / "slot-judge.pt")
    model = make_slot_judge(tmp_path, (first, second), calibration=40)
    assert model.stat().st_size < 3_000_000
    sheet = json.loads(model.with_suffix(".json").read_text())
    assert 0.75 <= sheet["limits"]["auto"] <= 1
    assert 0.93 <= sheet["limits"]["credit"] <= 1
    judged = judge_examples(TrainedJudge(model), render_examples(tmp_path / "fresh", 20, 5))
    assert len(judged) == 20
    assert tables(judged)["takes"] >= 1


def test_examples_go_on_where_they_stopped_and_are_the_same(tmp_path: Path) -> None:
    render_examples(tmp_path / "a", 6, 3)
    cut = tmp_path / "b"
    render_examples(cut, 6, 3)
    (cut / "done.txt").write_text("2 2")
    (cut / "facts.f32").write_bytes((cut / "facts.f32").read_bytes()[: 2 * 8 * 4])
    again = render_examples(cut, 6, 3)
    assert (again.facts == open_examples(tmp_path / "a").facts).all()


@pytest.mark.skipif(not MODEL.exists(), reason="no model is shipped")
def test_the_shipped_model_is_small_and_the_one_of_its_sheet(tmp_path: Path) -> None:
    assert MODEL.stat().st_size < 3_000_000
    assert SlotNetwork().version.startswith("slotnet-")
    other = tmp_path / "slot-judge.onnx"
    other.write_bytes(MODEL.read_bytes() + b"\0")
    other.with_suffix(".json").write_text(MODEL.with_suffix(".json").read_text())
    with pytest.raises(NetError, match="sha256"):
        SlotNetwork(other)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetError, match="slot-judge"):
        SlotNetwork(tmp_path / "slot-judge.onnx")


@pytest.mark.skipif(not MODEL.exists(), reason="no model is shipped")
def test_the_shipped_judge_on_places_it_never_saw(tmp_path: Path) -> None:
    """A short form of the held-out evaluation in docs/model-card.md: no automatic number of nothing, few wrong."""
    judged = judge_examples(TrainedJudge(), render_examples(tmp_path, 150, 77))
    figures = tables(judged)
    assert figures["debits_of_nothing"] == 0
    assert figures["auto_debits_wrong"] <= 1
    assert figures["takes_missed"] <= 0.05 * figures["takes"] + 1
