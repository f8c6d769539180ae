"""A real hand takes a bottle and puts it back: one take and one return of A, in whatever light, frame or direction of
time.

`SlotChange.at` is what is compared with the truth: within 1 s of lift..gone for the take, of on-table..released for
the return.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vision.detectors import make_detector
from vision.slots import Rack, parse_rack
from vision.watching import RackWatcher, SlotChange, changes

CLIP = Path(__file__).resolve().parents[4] / "shared" / "data" / "photos" / "bottle-pick-clip"
pytestmark = pytest.mark.skipif(
    not CLIP.is_dir(), reason="the real clip is not at ../shared/data/photos/bottle-pick-clip"
)

Picture = npt.NDArray[np.uint8]
Stream = list[tuple[Picture, float]]
LAST_FRAME = 456
LONG = pytest.mark.long


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CLIP / "truth.json").read_text())
    return document


@pytest.fixture(scope="module")
def stream(truth: dict[str, Any]) -> Stream:
    fps = truth["fps_of_source"]
    return [(np.asarray(cv2.imread(str(f)), np.uint8), int(f.stem[1:]) / fps) for f in sorted(CLIP.glob("f*.jpg"))]


def rack(truth: dict[str, Any], matrix: npt.NDArray[np.float64] | None = None) -> Rack:
    slots = []
    for name, (x, y, w, h) in truth["slot_xywh_approx"].items():
        corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float64)
        if matrix is not None:
            corners = corners @ matrix[:, :2].T + matrix[:, 2]
        slots.append({"id": name, "polygon": corners.tolist(), "item": "bouteille", "class": "any"})
    return parse_rack({"slots": slots})


def watch(stream: Stream, places: Rack) -> list[SlotChange]:
    watcher = RackWatcher(places, make_detector())
    return changes(one for image, ts in stream for one in watcher.feed(image, ts))


def moved(image: Picture, matrix: npt.NDArray[np.float64], size: tuple[int, int] | None = None) -> Picture:
    to = size or (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, matrix, to, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def shift(dx: float, dy: float) -> npt.NDArray[np.float64]:
    return np.array([[1, 0, dx], [0, 1, dy]], np.float64)


def assert_one_take_one_return(seen: list[SlotChange], truth: dict[str, Any], reverse: bool = False) -> None:
    assert [(c.slot, c.delta, c.mode) for c in seen] == [("A", -1, "auto"), ("A", 1, "auto")]
    fps = truth["fps_of_source"]
    take, back = truth["events"]
    windows = [(take["lift_frame"], take["gone_frame"]), (back["on_table_frame"], back["released_frame"])]
    if reverse:
        windows = [(LAST_FRAME - b, LAST_FRAME - a) for a, b in reversed(windows)]
    for change, (first, last) in zip(seen, windows, strict=True):
        assert first / fps - 1 <= change.at <= last / fps + 1, change


def test_the_clip_as_it_is(stream: Stream, truth: dict[str, Any]) -> None:
    assert_one_take_one_return(watch(stream, rack(truth)), truth)


@pytest.mark.parametrize(
    ("by", "places_follow"),
    [
        ((6, 0), False),
        ((-6, 0), True),
        ((-6, -6), False),
        *[pytest.param(by, True, marks=LONG) for by in [(0, 6), (0, -6), (6, -6)]],
        *[pytest.param(by, False, marks=LONG) for by in [(-6, 0), (0, 6), (0, -6), (6, -6)]],
    ],
)
def test_shifted(stream: Stream, truth: dict[str, Any], by: tuple[int, int], places_follow: bool) -> None:
    matrix = shift(*by)
    frames = [(moved(image, matrix), ts) for image, ts in stream]
    assert_one_take_one_return(watch(frames, rack(truth, matrix if places_follow else None)), truth)


@pytest.mark.parametrize(
    "box",
    [
        (20, 30, 620, 340),
        (0, 80, 640, 360),
        *[pytest.param(box, marks=LONG) for box in [(40, 60, 600, 330), (30, 0, 400, 360)]],
    ],
)
def test_cropped(stream: Stream, truth: dict[str, Any], box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box
    frames = [(np.ascontiguousarray(image[y0:y1, x0:x1]), ts) for image, ts in stream]
    assert_one_take_one_return(watch(frames, rack(truth, shift(-x0, -y0))), truth)


@pytest.mark.parametrize("gain", [0.6, *[pytest.param(gain, marks=LONG) for gain in (0.4, 0.8, 1.25)]])
def test_dimmed_or_brightened(stream: Stream, truth: dict[str, Any], gain: float) -> None:
    frames = [(np.clip(image * gain, 0, 255).astype(np.uint8), ts) for image, ts in stream]
    assert_one_take_one_return(watch(frames, rack(truth)), truth)


@pytest.mark.parametrize("gain", [1.0, pytest.param(0.6, marks=LONG)])
def test_reversed_in_time(stream: Stream, truth: dict[str, Any], gain: float) -> None:
    """Backwards the return becomes the take: first -1 where the bottle was put back, then +1 where it was lifted."""
    times = [ts for _, ts in stream]
    frames = [((image * gain).astype(np.uint8), ts) for (image, _), ts in zip(reversed(stream), times, strict=True)]
    assert_one_take_one_return(watch(frames, rack(truth)), truth, reverse=True)


def test_flickering_light(stream: Stream, truth: dict[str, Any]) -> None:
    frames = [
        (np.clip(image * (1 + 0.15 * np.sin(2.1 * i)), 0, 255).astype(np.uint8), ts)
        for i, (image, ts) in enumerate(stream)
    ]
    assert_one_take_one_return(watch(frames, rack(truth)), truth)


@pytest.mark.parametrize(
    ("at", "by"),
    [(63, (-3, 3)), *[pytest.param(at, by, marks=LONG) for at in (30, 63, 90) for by in [(3, 2), (-3, -2)]]],
)
def test_the_camera_is_bumped(stream: Stream, truth: dict[str, Any], at: int, by: tuple[int, int]) -> None:
    frames = [(moved(image, shift(*by)) if i >= at else image, ts) for i, (image, ts) in enumerate(stream)]
    assert_one_take_one_return(watch(frames, rack(truth)), truth)


@pytest.mark.parametrize("scale", [0.5, pytest.param(1.5, marks=LONG)])
def test_another_resolution(stream: Stream, truth: dict[str, Any], scale: float) -> None:
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
    size = (round(640 * scale), round(360 * scale))
    frames = [(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), ts) for image, ts in stream]
    assert_one_take_one_return(watch(frames, rack(truth, matrix)), truth)


def test_at_five_frames_a_second(stream: Stream, truth: dict[str, Any]) -> None:
    assert_one_take_one_return(watch(stream[::2], rack(truth)), truth)


def test_begun_while_the_bottle_is_away(stream: Stream, truth: dict[str, Any]) -> None:
    assert [(c.slot, c.delta) for c in watch(stream[75:], rack(truth))] == [("A", 1)]


@LONG
def test_looped_it_says_the_same_each_time(stream: Stream, truth: dict[str, Any]) -> None:
    """The demo plays it in a loop; the bottle comes back a few px off."""
    length = stream[-1][1] + 0.1
    frames = [(image, ts + k * length) for k in range(3) for image, ts in stream]
    assert [(c.slot, c.delta, c.mode) for c in watch(frames, rack(truth))] == [("A", -1, "auto"), ("A", 1, "auto")] * 3


@LONG
@pytest.mark.parametrize("seed", range(16))
def test_many_things_at_once(stream: Stream, truth: dict[str, Any], seed: int) -> None:
    """Shifted, turned, scaled, cropped, dimmed, noisy and in either direction of time, drawn at random."""
    rng = np.random.default_rng(seed)
    turn, scale = np.radians(rng.uniform(-3, 3)), rng.uniform(0.6, 1.2)
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    crop = rng.uniform(0, 30, 4) * scale
    matrix = np.array([[c, -s, rng.uniform(-8, 8) - crop[0]], [s, c, rng.uniform(-8, 8) - crop[1]]])
    size = (int(640 * scale - crop[0] - crop[2]), int(360 * scale - crop[1] - crop[3]))
    gain, noise, reverse = rng.uniform(0.45, 1.2), rng.uniform(0, 8), bool(rng.integers(2))
    order = stream[::-1] if reverse else stream
    frames = []
    for (image, _), (_, ts) in zip(order, stream, strict=True):
        picture = moved(image, matrix, size) * gain + rng.normal(0, noise, (size[1], size[0], 1))
        frames.append((np.clip(picture, 0, 255).astype(np.uint8), ts))
    assert_one_take_one_return(watch(frames, rack(truth, matrix)), truth, reverse)


def test_a_take_while_nobody_watched_is_reported_as_such(stream: Stream, truth: dict[str, Any]) -> None:
    fps = truth["fps_of_source"]
    before = RackWatcher(rack(truth), make_detector())
    early = [before.feed(image, ts) for image, ts in stream if ts * fps < 150]
    assert not any(changes(said) for said in early)
    after = RackWatcher(rack(truth), make_detector())
    after.restore(json.loads(json.dumps(before.snapshot())))
    found = after.compare_after_absence((image, ts) for image, ts in stream if ts * fps > 230)
    assert [(c.slot, c.delta, c.during_absence) for c in found] == [("A", -1, True)]
