"""Crops are of one size and of the taught picture, whatever the camera did."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vision.judging.crops import MOST_PX, level_points, median_picture, rack_level, take_crop
from vision.slots import Rack, Slot

Picture = npt.NDArray[np.uint8]


def slot(x: float = 100, y: float = 80, w: float = 90, h: float = 60) -> Slot:
    polygon = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)
    return Slot("A1", polygon, "item", "insert")


def frame(seed: int = 1) -> Picture:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (24, 32, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_a_crop_holds_the_place_at_native_resolution_with_a_margin() -> None:
    crop = take_crop(frame(), slot())
    x0, y0 = crop.polygon.min(0)
    assert min(x0, y0) >= 0.16 * 60
    assert crop.scale == 1.0
    left, top = round(100 - x0), round(80 - y0)
    assert np.array_equal(crop.pixels, frame()[top : top + crop.pixels.shape[0], left : left + crop.pixels.shape[1]])


@pytest.mark.parametrize(("turn", "dx", "dy"), [(0, 7, -4), (2, 0, 0), (-3, 12, 9)])
def test_a_moved_camera_gives_the_crop_of_the_taught_picture(turn: float, dx: float, dy: float) -> None:
    moved = np.vstack([cv2.getRotationMatrix2D((320, 240), turn, 1.01), [0, 0, 1]])
    moved[:2, 2] += (dx, dy)
    now = np.asarray(cv2.warpPerspective(frame(), moved, (640, 480)), np.uint8)
    taught, registered = take_crop(frame(), slot()), take_crop(now, slot(), moved)
    assert taught.pixels.shape == registered.pixels.shape
    assert np.abs(taught.pixels.astype(int) - registered.pixels).mean() < 3
    plain = take_crop(now, slot())
    assert np.abs(taught.pixels.astype(int) - plain.pixels).mean() > 6


@pytest.mark.parametrize("corner", [(-40, -30), (600, 440), (900, 900)])
def test_a_place_beyond_the_picture_still_has_its_size(corner: tuple[int, int]) -> None:
    assert take_crop(frame(), slot(*corner)).pixels.shape == take_crop(frame(), slot()).pixels.shape


def test_a_large_place_is_averaged_down() -> None:
    crop = take_crop(frame(), slot(20, 20, 560, 420))
    assert max(crop.pixels.shape) == MOST_PX
    assert crop.scale < 1
    assert crop.mask.mean() > 0.5


@pytest.mark.parametrize("n", [1, 3, 5])
def test_the_median_is_the_median(n: int) -> None:
    pictures = [frame(i)[:40, :50] for i in range(n)]
    assert np.array_equal(median_picture(pictures), np.median(pictures, axis=0).astype(np.uint8))


def test_an_even_number_leaves_the_oldest_out() -> None:
    pictures = [frame(i)[:40, :50] for i in range(4)]
    assert np.array_equal(median_picture(pictures), median_picture(pictures[1:]))


def test_no_picture_no_median() -> None:
    with pytest.raises(ValueError, match="at least one"):
        median_picture([])


def test_the_light_is_measured_on_the_rack_and_follows_it() -> None:
    rack = Rack((slot(), slot(300, 80)))
    points = level_points(rack)
    picture = frame()
    painted = np.zeros_like(picture)
    painted[60:160, 80:420] = picture[60:160, 80:420]
    assert rack_level(painted, points) == rack_level(picture, points), "what is outside has no say"
    assert rack_level((picture * 0.5).astype(np.uint8), points) == pytest.approx(rack_level(picture, points) / 2, abs=1)
    away = np.array([[1, 0, 5000], [0, 1, 0], [0, 0, 1]], np.float64)
    assert rack_level(picture, points, away) == 4.0
