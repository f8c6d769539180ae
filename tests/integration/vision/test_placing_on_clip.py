"""Placing and health on real pictures: three bottles under a fixed camera, one of them taken and put back elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vision.detectors.base import Frame
from vision.health import Health
from vision.privacy import Outline
from vision.registration import Registration
from vision.slots import Rack, parse_rack

CLIP = Path(__file__).resolve().parents[4] / "shared" / "data" / "photos" / "bottle-pick-clip"
pytestmark = pytest.mark.skipif(
    not CLIP.is_dir(), reason="the real clip is not at ../shared/data/photos/bottle-pick-clip"
)


def picture(number: int) -> Frame:
    return np.asarray(cv2.imread(str(CLIP / f"f{number:04d}.jpg")), np.uint8)


@pytest.fixture(scope="module")
def rack() -> Rack:
    truth = json.loads((CLIP / "truth.json").read_text())
    slots = [
        {"id": name, "polygon": [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]}
        for name, (x, y, w, h) in truth["slot_xywh_approx"].items()
    ]
    height, width = picture(0).shape[:2]
    return parse_rack({"slots": slots, "outline": [[0, 0], [width, 0], [width, height], [0, height]]})


def test_a_bottle_put_back_elsewhere_does_not_move_the_rack(rack: Rack) -> None:
    outline = Outline(rack, picture(0).shape)
    first = outline.cut(picture(0))
    registration, health = Registration(rack, first), Health(rack, first)
    for number in range(0, 457, 9):
        frame = outline.cut(picture(number))
        assert registration.locate(frame).kind == "still", number
        assert health.look(frame, number / 30, still=False).code == "ok", number


@pytest.mark.parametrize(
    ("dx", "dy", "deg", "kind"), [(4, 3, 0, "small"), (16, -12, 0, "small"), (50, 33, 0, "large"), (0, 0, 2, "small")]
)
def test_a_pushed_camera_is_measured_on_real_pictures(rack: Rack, dx: int, dy: int, deg: float, kind: str) -> None:
    last = picture(456)
    height, width = last.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), deg, 1.0)
    matrix[:, 2] += dx, dy
    pushed = np.asarray(cv2.warpAffine(last, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    outline = Outline(rack, last.shape)
    fix = Registration(rack, outline.cut(picture(0))).locate(outline.cut(pushed))
    corners = np.concatenate([slot.polygon for slot in rack.slots])
    assert (fix.kind, fix.by) == (kind, "look")
    assert np.abs(fix.place(corners) - (corners @ matrix[:, :2].T + matrix[:, 2])).max() < 0.6
