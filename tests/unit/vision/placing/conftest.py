"""A drawn rack on a bench that is larger than the picture, so that a pushed camera sees what lay beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from contracts.racks import Drawer, Markers, RackDescription, SlotDescription
from vision.detectors.base import Frame
from vision.fiducials import DICTIONARY
from vision.health import Condition, Health
from vision.privacy import Outline
from vision.slots import Rack

Matrix = npt.NDArray[np.float64]
WIDTH, HEIGHT, BEYOND = 1920, 1080, 200
MARKER = 44
IDS = (7, 18, 24, 41)
CENTRES = ((260.0, 170.0), (1660.0, 170.0), (1660.0, 910.0), (260.0, 910.0))


@dataclass
class Camera:
    """Takes pictures of the bench.

    Attributes:
        markers: the rack carries its four.
        taken: places whose item is gone.
        pose: bench → picture, (3, 3): how the camera was moved.
        gain: light.
        noise: standard deviation, grey levels.
    """

    markers: bool = True
    taken: frozenset[int] = frozenset()
    pose: Matrix = field(default_factory=lambda: np.eye(3))
    gain: float = 1.0
    noise: float = 2.0
    seed: int = 0

    @property
    def rack(self) -> Rack:
        slots = [
            SlotDescription(id=f"A{i + 1}", polygon=[(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
            for i, (x, y, w, h) in enumerate(PLACES)
        ]
        markers = Markers(ids=list(IDS), centres=[*CENTRES]) if self.markers else None
        return Rack.of(RackDescription(slots=slots, picture=(WIDTH, HEIGHT), markers=markers))

    def bench(self) -> Frame:
        return _bench(self.markers, self.taken).copy()

    def shoot(self, bench: Frame | None = None) -> Frame:
        """One picture, with new noise each time."""
        self.seed += 1
        shift = np.array([[1, 0, -BEYOND], [0, 1, -BEYOND], [0, 0, 1]], np.float64)
        scene = _bench(self.markers, self.taken) if bench is None else bench
        picture = cv2.warpPerspective(scene, self.pose @ shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        return grained(picture.astype(np.float32) * np.float32(self.gain), self.seed, self.noise)


def halved(picture: Frame) -> Frame:
    """960 x 540 px: what needs no fraction of a px is tested four times as fast."""
    return np.asarray(cv2.resize(picture, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA), np.uint8)


def half_rack(drawer: bool = False, outline: list[tuple[float, float]] | None = None) -> Rack:
    """The rack of `Camera` in a halved picture."""
    slots = [
        SlotDescription(id=f"A{i + 1}", polygon=[(a, b) for a, b in ((x, y), (x + w, y), (x + w, y + h), (x, y + h))])
        for i, (x, y, w, h) in enumerate((x / 2, y / 2, w / 2, h / 2) for x, y, w, h in PLACES)
    ]
    markers = Markers(ids=list(IDS), centres=[(x / 2, y / 2) for x, y in CENTRES])
    return Rack.of(
        RackDescription(
            slots=slots,
            picture=(WIDTH // 2, HEIGHT // 2),
            markers=markers,
            outline=outline,
            drawer=Drawer() if drawer else None,
        )
    )


PLACES = [(330 + 160 * c, 240 + 150 * r, 130, 120) for r in range(4) for c in range(8)]


@cache
def _bench(markers: bool, taken: frozenset[int]) -> Frame:
    rng = np.random.default_rng(3)
    size = (HEIGHT + 2 * BEYOND, WIDTH + 2 * BEYOND)
    grain = cv2.resize(rng.normal(0, 1, (size[0] // 6, size[1] // 40)).astype(np.float32), size[::-1])
    bench = np.clip(np.stack([90 + 12 * grain, 120 + 14 * grain, 150 + 15 * grain], -1), 0, 255).astype(np.uint8)
    b = BEYOND
    cv2.rectangle(bench, (b + 200, b + 110), (b + 1720, b + 970), (60, 62, 64), -1)
    cv2.rectangle(bench, (b + 200, b + 110), (b + 1720, b + 970), (30, 30, 30), 6)
    for i, (x, y, w, h) in enumerate(PLACES):
        cv2.rectangle(bench, (b + x, b + y), (b + x + w, b + y + h), (40, 41, 43), -1)
        tone = int(rng.integers(120, 230))
        shape, angle = rng.integers(3), float(rng.uniform(0, 180))
        middle = (b + x + w // 2 + int(rng.integers(-12, 12)), b + y + h // 2 + int(rng.integers(-12, 12)))
        if i in taken:
            continue
        box = cv2.boxPoints(((middle[0], middle[1]), (70.0, 30.0 + 12 * shape), angle))
        if shape:
            cv2.fillPoly(bench, [np.round(box).astype(np.int32)], (tone - 60, tone - 20, tone))
        cv2.circle(bench, middle, 14, (20, 20, 20) if shape else (tone, tone, tone), -1)
    for _ in range(40):  # things on the bench
        x, y = (int(v) for v in rng.integers(0, [size[1], size[0]]))
        if not (b + 150 < x < b + 1770 and b + 60 < y < b + 1020):
            cv2.circle(bench, (x, y), int(rng.integers(5, 30)), rng.integers(0, 255, 3).tolist(), -1)
    if markers:
        for number, centre in zip(IDS, CENTRES, strict=True):
            stick(bench, number, *centre)
    return bench


@cache
def _grain() -> npt.NDArray[np.int16]:
    grain = np.zeros((HEIGHT + 128, WIDTH + 128, 3), np.float32)
    cv2.setRNGSeed(1)
    cv2.randn(grain, np.zeros(3), np.full(3, 256.0))
    return grain.astype(np.int16)


def grained(picture: npt.NDArray[Any], seed: int, noise: float = 2.0) -> Frame:
    """With a sensor's noise, `noise` grey levels: another piece of one large grain for each seed."""
    y, x = seed * 37 % 127, seed * 53 % 128
    grain = _grain()[y : y + picture.shape[0], x : x + picture.shape[1]]
    return np.asarray(
        cv2.addWeighted(picture.astype(np.float32), 1.0, grain.astype(np.float32), noise / 256, 0.0, dtype=cv2.CV_8U),
        np.uint8,
    )


def stick(bench: Frame, number: int, x: float, y: float) -> None:
    """A printed marker with its white border; `x`, `y` px of the taught picture."""
    quiet = MARKER // 5
    paper = np.full((MARKER + 2 * quiet,) * 2, 255, np.uint8)
    dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARY)
    paper[quiet:-quiet, quiet:-quiet] = cv2.aruco.generateImageMarker(dictionary, number, MARKER)
    left, top = round(x + BEYOND - len(paper) / 2), round(y + BEYOND - len(paper) / 2)
    bench[top : top + len(paper), left : left + len(paper)] = paper[..., None]


def hand(bench: Frame, x: float, y: float, size: int = 170) -> Frame:
    """A forearm that reaches in from the left and ends at `x`, `y`."""
    b = BEYOND
    cv2.line(bench, (0, b + int(y) + 120), (b + int(x), b + int(y)), (120, 150, 205), size)
    return bench


def push(dx: float = 0.0, dy: float = 0.0, deg: float = 0.0, lean: float = 0.0) -> Matrix:
    """How a camera's picture moves: shift px, turn about the middle, perspective per px."""
    turn = np.vstack([cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), -deg, 1.0), [0, 0, 1]])
    turn[:2, 2] += dx, dy
    to, back = np.eye(3), np.eye(3)
    to[:2, 2], back[:2, 2] = (-WIDTH / 2, -HEIGHT / 2), (WIDTH / 2, HEIGHT / 2)
    tilt = np.eye(3)
    tilt[2, :2] = lean, lean / 2
    return np.asarray(back @ tilt @ to @ turn, np.float64)


Shots = Callable[[int], Frame]
FPS = 5.0


class Watch:
    """Feeds a `Health` and says what it said."""

    def __init__(self, rack: Rack, picture: Frame) -> None:
        self.outline = Outline(rack, picture.shape)
        self.health = Health(rack, self.outline.cut(picture.copy()))
        self.ts = 0.0

    def see(self, shots: Shots, seconds: float, still: bool = True) -> list[Condition]:
        said = []
        for number in range(round(seconds * FPS)):
            said.append(self.health.look(self.outline.cut(shots(number)), self.ts, still))
            self.ts += 1 / FPS
        return said


def noisy(picture: Frame, noise: float = 2.0) -> Shots:
    """The same again and again, with a sensor's noise."""
    return lambda number: grained(picture, number + 1, noise)


@pytest.fixture(scope="session")
def scene() -> Frame:
    """A halved picture of the rack."""
    return halved(Camera().shoot())


@pytest.fixture
def camera() -> Camera:
    return Camera()


@pytest.fixture
def bare() -> Camera:
    """The same rack without markers."""
    return Camera(markers=False)
