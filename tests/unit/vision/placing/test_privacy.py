"""What lies outside a rack's outline reaches nobody; what lies under a hand's box cannot be recovered."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.racks import RackDescription, SlotDescription
from vision.appearance import frame_level
from vision.detectors.base import Detection, Frame
from vision.gate import Gate
from vision.privacy import Outline, OutlineCut, OutlineError, mask_hands, outline_of
from vision.slots import Rack
from vision.sources import open_source

STRANGER = (255, 0, 255)
HEIGHT, WIDTH = 120, 160
SLOT = SlotDescription(id="A1", polygon=[(60, 50), (90, 50), (90, 80), (60, 80)])


def rack(outline: list[tuple[float, float]] | None = None) -> Rack:
    return Rack.of(RackDescription(slots=[SLOT], picture=(WIDTH, HEIGHT), outline=outline))


def scene(inside: np.ndarray, polygon: list[tuple[float, float]]) -> Frame:
    """The stranger's colour everywhere outside `polygon`, `inside` within."""
    picture = np.full((HEIGHT, WIDTH, 3), STRANGER, np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(polygon)).astype(np.int32)], (1,))
    picture[mask > 0] = inside[mask > 0]
    return picture


corner = st.tuples(st.integers(-60, WIDTH + 60), st.integers(-60, HEIGHT + 60))


@settings(max_examples=150, deadline=None)
@given(polygon=st.lists(corner, min_size=3, max_size=9), seed=st.integers(0, 9))
def test_no_pixel_from_outside_any_outline_passes(polygon: list[tuple[float, float]], seed: int) -> None:
    """Two pictures that differ only outside become the same picture: nothing of the outside is left in it."""
    rng = np.random.default_rng(seed)
    inside = rng.integers(0, 250, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    first, second = scene(inside, polygon), scene(inside, polygon)
    outside = np.ones((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(outside, [np.round(np.array(polygon)).astype(np.int32)], (0,))
    second[outside > 0] = rng.integers(0, 255, (int(outside.sum()), 3), dtype=np.uint8)
    one, two = Outline(rack(polygon), first.shape).cut(first), Outline(rack(polygon), second.shape).cut(second)
    assert np.array_equal(one, two)


class FakeDetector:
    """Remembers what it was shown."""

    classes: tuple[str, ...] = ()
    version = "fake"

    def __init__(self) -> None:
        self.shown: list[Frame] = []

    def detect(self, frame: Frame, floor: float = 0.35) -> list[Detection]:
        assert floor > 0
        self.shown.append(frame.copy())
        return []


def test_detector_gate_and_jpeg_never_see_the_stranger(tmp_path: Path) -> None:
    polygon: list[tuple[float, float]] = [(40, 30), (120, 30), (120, 100), (40, 100)]
    grey = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), scene(grey + np.uint8(i), polygon))
    places = rack(polygon)
    detector, gate = FakeDetector(), Gate((HEIGHT, WIDTH, 3), places)
    for frame in open_source(str(tmp_path), cut=OutlineCut(places)):
        detector.detect(frame.image)
        band = gate.look(frame.image).band
        assert np.ptp(band.astype(np.float64)) < 0.2, "an edge of the stranger's colour would show in the band"
        jpeg = np.asarray(cv2.imdecode(cv2.imencode(".jpg", frame.image)[1], cv2.IMREAD_COLOR))
        assert jpeg.astype(int).max() - jpeg.astype(int).min() < 12
    assert len(detector.shown) == 3
    assert all(not (shown == STRANGER).all(2).any() for shown in detector.shown)


def test_the_cut_is_made_in_the_given_array() -> None:
    """Nothing of the raw picture is left in memory that a source hands on."""
    polygon: list[tuple[float, float]] = [(40, 30), (120, 30), (120, 100), (40, 100)]
    raw = scene(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), polygon)
    cut = Outline(rack(polygon), raw.shape).cut(raw)
    assert cut is raw
    assert not (raw == STRANGER).all(2).any()


def test_the_paint_leaves_the_rack_level_alone() -> None:
    inside = np.random.default_rng(1).integers(20, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    polygon: list[tuple[float, float]] = [(16, 16), (72, 16), (72, 72), (16, 72)]
    cut = Outline(rack(polygon), inside.shape).cut(scene(inside, polygon))
    assert frame_level(cut) == pytest.approx(float(np.median(inside[24:72:8, 24:72:8, 1])), abs=6)


def test_without_a_drawn_outline_the_places_and_a_margin_are_seen() -> None:
    seen = Outline(rack(), (HEIGHT, WIDTH, 3)).mask
    assert seen[50:81, 60:91].all()
    assert not seen[:30].any()
    assert outline_of(rack(), (HEIGHT, WIDTH)).min(0).tolist() == [52.0, 42.0]


def test_a_camera_of_another_size_passes_nothing() -> None:
    with pytest.raises(OutlineError, match="taught in a picture of 160x120"):
        Outline(rack(), (240, 320, 3))
    with pytest.raises(OutlineError, match="160x120 to 100x100"):
        Outline(rack(), (HEIGHT, WIDTH, 3)).cut(np.zeros((100, 100, 3), np.uint8))


def test_a_source_whose_cut_fails_gives_no_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(OutlineError):
        next(iter(open_source(str(tmp_path), cut=OutlineCut(rack()))))


def test_the_outline_follows_a_camera_that_was_pushed() -> None:
    outline = Outline(rack([(40, 30), (120, 30), (120, 100), (40, 100)]), (HEIGHT, WIDTH, 3))
    outline.place(np.array([[1, 0, 20], [0, 1, -10], [0, 0, 1]], np.float64))
    assert not outline.mask[:, :60].any()
    assert outline.mask[25:89, 65:138].all()


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(-50, 150), y=st.floats(-50, 110), side=st.floats(2, 90),
    origin=st.tuples(st.integers(0, 40), st.integers(0, 40)),
)  # fmt: skip
def test_nothing_under_a_hand_can_be_recovered(x: float, y: float, side: float, origin: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    whole = rng.integers(70, 250, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    other = whole.copy()
    top, bottom = int(np.clip(y, 0, HEIGHT)), int(np.clip(y + side, 0, HEIGHT))
    left, right = int(np.clip(x, 0, WIDTH)), int(np.clip(x + side, 0, WIDTH))
    other[top:bottom, left:right] = 255 - other[top:bottom, left:right]
    box = [Detection("hand", 0.9, x, y, x + side, y + side)]
    crops = [mask_hands(p[origin[1] :, origin[0] :], box, origin) for p in (whole, other)]
    assert np.array_equal(crops[0], crops[1])


def test_a_foreground_mask_is_filled_at_the_crop_resolution() -> None:
    crop = np.full((80, 80, 3), 200, np.uint8)
    mask = np.zeros((10, 10), np.uint8)
    mask[4:6, 4:6] = 1
    masked = mask_hands(crop, [], foreground=mask)
    assert (masked[32:48, 32:48] == 64).all()
    assert (masked[:8] == 200).all()
    assert (crop == 200).all()
