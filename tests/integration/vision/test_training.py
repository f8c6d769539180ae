"""One short training from random weights: the whole way from rendered pictures to a detector that loads."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.train


@pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="needs the train extra (torch, ultralytics)"
)
def test_a_short_training_gives_a_detector_that_loads(tmp_path: Path) -> None:
    from vision.detectors import make_detector
    from vision.rendering.hand_pictures import load_material, render_hand_picture
    from vision.slots import HAND
    from vision.training import TrainingPlan, train

    model = train(TrainingPlan(tmp_path, images=64, val_images=16, seed=9, hours=None, epochs=2))
    detector = make_detector("onnx", model)
    assert detector.classes == (HAND,)
    assert isinstance(detector.detect(render_hand_picture(1, load_material(None))[0], 0.01), list)
    assert model.stat().st_size < 2_000_000
