"""The same promises for every detector."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from vision.detectors import DETECTORS, Detection, Detector, DetectorError, make_detector
from vision.detectors.base import Frame
from vision.rendering.hand_pictures import load_material, rack_pictures, render_hand_picture
from vision.rendering.scene import Box
from vision.slots import HAND

MATERIAL = load_material(None)
PACKAGES = {"onnx": "onnxruntime", "ncnn": "ncnn", "openvino": "openvino"}


def picture(seed: int) -> Frame:
    return render_hand_picture(seed, MATERIAL)[0]


def _made(name: str) -> Detector:
    if name in PACKAGES and importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"needs the package {PACKAGES[name]} (extra `pi`)")
    return make_detector(name)


@pytest.fixture(params=sorted(DETECTORS), scope="module")
def detector(request: pytest.FixtureRequest) -> Detector:
    return _made(request.param)


def test_it_names_its_model_and_its_classes(detector: Detector) -> None:
    assert detector.version
    assert len(set(detector.classes)) == len(detector.classes)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_boxes_lie_in_the_frame_best_first_with_known_labels(detector: Detector, seed: int) -> None:
    frame = picture(seed)
    found = detector.detect(frame)
    height, width = frame.shape[:2]
    for d in found:
        assert d.label in detector.classes
        assert 0.35 <= d.score <= 1.0
        assert 0 <= d.x0 <= d.x1 <= width
        assert 0 <= d.y0 <= d.y1 <= height
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)


def test_the_same_frame_gives_the_same_boxes(detector: Detector) -> None:
    frame = picture(4)
    assert detector.detect(frame) == detector.detect(frame)


def test_a_higher_floor_gives_fewer_boxes(detector: Detector) -> None:
    frame = picture(5)
    assert len(detector.detect(frame, 0.8)) <= len(detector.detect(frame, 0.1))


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 900, 3), (900, 7, 3), (320, 320, 3)])
def test_any_size_of_picture_is_taken(detector: Detector, shape: tuple[int, ...]) -> None:
    assert isinstance(detector.detect(np.zeros(shape, np.uint8)), list)


@pytest.mark.parametrize(
    "bad", [np.zeros((10, 10), np.uint8), np.zeros((10, 10, 3), np.float32), np.zeros((0, 10, 3), np.uint8)]
)
def test_what_is_no_frame_is_refused(detector: Detector, bad: np.ndarray) -> None:
    with pytest.raises(DetectorError):
        detector.detect(bad)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(DetectorError, match="known: ncnn, none, onnx, openvino"):
        make_detector("tea-leaves")


@pytest.mark.parametrize("name", ["onnx", "ncnn", "openvino"])
def test_the_shipped_model_sees_hands_on_racks_it_never_saw_and_little_else(name: str) -> None:
    detector = _made(name)
    hands = found = beside = 0
    for frame, boxes in rack_pictures(900_000, 60, MATERIAL):
        seen = [d for d in detector.detect(frame) if d.label == HAND]
        hands += len(boxes)
        matched = sum(any(_overlap(box, d) >= 0.3 for d in seen) for box in boxes)
        found += matched
        beside += sum(not any(_overlap(box, d) >= 0.3 for box in boxes) for d in seen)
    assert hands >= 30
    assert found >= 0.3 * hands
    assert beside <= 0.2 * hands


def _overlap(box: Box, d: Detection) -> float:
    width, height = min(box.x1, d.x1) - max(box.x0, d.x0), min(box.y1, d.y1) - max(box.y0, d.y0)
    both = max(width, 0.0) * max(height, 0.0)
    return both / ((box.x1 - box.x0) * (box.y1 - box.y0) + (d.x1 - d.x0) * (d.y1 - d.y0) - both)


def test_a_model_that_is_not_its_sheets_is_refused(tmp_path: Path) -> None:
    from vision.detectors.onnx import MODEL

    copy = tmp_path / "m.onnx"
    copy.write_bytes(MODEL.read_bytes() + b"x")
    (tmp_path / "m.json").write_text(MODEL.with_suffix(".json").read_text())
    with pytest.raises(DetectorError, match="sha256"):
        make_detector("onnx", copy)
    with pytest.raises(DetectorError, match="cannot be read"):
        make_detector("onnx", tmp_path / "none.onnx")
