"""Finding tilted bars by their gradients, and turning them upright.

Bars make a neighbourhood whose gradients all lie on one axis: the structure tensor's coherence is near 1 there, and
its first eigenvector is the direction in which the bars are read. Text and textures have mixed gradients.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vision.codes.ladder import resized
from vision.codes.types import Gray, Points

_WORK_SIZE = 640  # longest side on which bars are looked for
_COHERENCE = 0.7
_MARGIN = 0.12  # of the length, added on each side for the quiet zones
_MAX_STRIP = 2400
_LEAST_AREA = 250  # pixels of the work size


def _apart(one: npt.NDArray[np.float64] | float, other: float) -> npt.NDArray[np.float64]:
    """Angle between two axes, degrees, 0 to 90."""
    return np.abs((np.asarray(one, np.float64) - other + 90) % 180 - 90)


_SECTORS = {
    middle: ((_apart(np.arange(256, dtype=np.float64) - 90, middle) <= 15) & (np.arange(256) <= 180)).astype(np.uint8)
    for middle in range(-90, 90, 15)
}
"""Whether an axis (whole degrees + 90; 255: none) belongs to a sector; neighbouring sectors overlap by half."""


@dataclass(frozen=True)
class Box:
    """An oriented box around bars, in image pixels."""

    x: float
    y: float
    length: float
    """Across the bars, the way that a scan line runs."""
    height: float
    """Along the bars."""
    angle: float
    """Direction of the scan line, radians, in [-pi/2, pi/2)."""

    @property
    def corners(self) -> Points:
        """4 x 2, clockwise from the start of the upper scan line."""
        along = np.array([np.cos(self.angle), np.sin(self.angle)]) * self.length / 2
        down = np.array([-np.sin(self.angle), np.cos(self.angle)]) * self.height / 2
        centre = np.array([self.x, self.y])
        corners = [centre - along - down, centre + along - down, centre + along + down, centre - along + down]
        return np.array(corners, np.float32)

    def enlarged(self, factor: float) -> "Box":
        """The same box in an image `factor` times as large."""
        return Box(self.x * factor, self.y * factor, self.length * factor, self.height * factor, self.angle)

    def holds(self, x: float, y: float) -> bool:
        """Whether the point lies inside."""
        dx, dy = x - self.x, y - self.y
        along = dx * np.cos(self.angle) + dy * np.sin(self.angle)
        down = -dx * np.sin(self.angle) + dy * np.cos(self.angle)
        return bool(abs(along) <= self.length / 2 and abs(down) <= self.height / 2)


def box_of(corners: Points) -> Box:
    """The box of a linear code from its four corners (top left, top right, bottom right, bottom left)."""
    start, end = (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2
    top, bottom = (corners[0] + corners[1]) / 2, (corners[2] + corners[3]) / 2
    across = end - start
    length = float(np.hypot(*across))
    height = max(float(np.hypot(*(bottom - top))), 0.12 * length)
    centre = (start + end) / 2
    return Box(float(centre[0]), float(centre[1]), length, height, _axis(float(np.arctan2(across[1], across[0]))))


def find(image: Gray, limit: int = 8) -> list[Box]:
    """Boxes around regions that look like bars, the most striking first."""
    scale = min(1.0, _WORK_SIZE / max(image.shape))
    small = resized(image, scale, cv2.INTER_AREA)
    found: list[tuple[float, Box]] = []
    for window in (9, 21):
        found += _regions(small, window)
    found.sort(key=lambda scored: -scored[0])
    kept: list[Box] = []
    for _, reduced in found:
        box = reduced.enlarged(1 / scale)
        if not any(_alike(box, other) for other in kept):
            kept.append(box)
    return kept[:limit]


def _regions(image: Gray, window: int) -> list[tuple[float, Box]]:
    """Scored boxes of one window size, in pixels of `image`."""
    xx, yy, xy = _tensor(image)
    size = (window, window)
    xx, yy, xy = _averaged(xx, size), _averaged(yy, size), _averaged(xy, size)
    energy = xx + yy
    coherence = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (energy + 1e-6)
    striking = (coherence > _COHERENCE) & (energy > max(0.12 * float(np.percentile(energy, 99)), 400.0))
    axis = 0.5 * np.arctan2(2 * xy, xx - yy)
    degrees = np.where(striking, np.degrees(axis) + 90, 255).astype(np.uint8)
    boxes: list[tuple[float, Box]] = []
    for middle in range(-90, 90, 15):
        sector = _SECTORS[middle][degrees]
        if cv2.countNonZero(sector) < _LEAST_AREA:
            continue
        mask = cv2.morphologyEx(sector, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
        for label in range(1, count):
            area = float(stats[label, cv2.CC_STAT_AREA])
            if area < _LEAST_AREA:
                continue
            fitted = _fit(labels.astype(np.int32, copy=False), label, stats[label].astype(np.int32), axis, energy)
            if fitted is not None and _apart(np.degrees(fitted[1].angle), middle) <= 9:
                strength, box = fitted
                boxes.append((area * strength**0.5, box))
    return boxes


def _fit(
    labels: npt.NDArray[np.int32],
    label: int,
    stats: npt.NDArray[np.int32],
    axis: npt.NDArray[np.float32],
    energy: npt.NDArray[np.float32],
) -> tuple[float, Box] | None:
    """Mean energy and the box along the region's own mean gradient axis, or None when too small to hold a code."""
    left, top, width, height = (int(value) for value in stats[:4])
    ys, xs = np.nonzero(labels[top : top + height, left : left + width] == label)
    ys, xs = ys + top, xs + left
    strength = energy[ys, xs]
    double = np.sum(strength * np.exp(2j * axis[ys, xs]))
    angle = _axis(float(np.angle(double)) / 2)
    along = xs * np.cos(angle) + ys * np.sin(angle)
    down = -xs * np.sin(angle) + ys * np.cos(angle)
    (a0, a1), (d0, d1) = np.percentile(along, (0.5, 99.5)), np.percentile(down, (2, 98))
    length, tall = float(a1 - a0), float(d1 - d0)
    if length < 35 or tall < 6:
        return None
    a, d = (a0 + a1) / 2, (d0 + d1) / 2
    x, y = a * np.cos(angle) - d * np.sin(angle), a * np.sin(angle) + d * np.cos(angle)
    return float(strength.mean()), Box(float(x), float(y), length, tall, angle)


def _tensor(image: Gray) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    gx = cv2.Scharr(image, cv2.CV_32F, 1, 0) / 16
    gy = cv2.Scharr(image, cv2.CV_32F, 0, 1) / 16
    return gx * gx, gy * gy, gx * gy  # type: ignore[return-value]  # OpenCV's stubs lose the element type


def _averaged(part: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    return cv2.boxFilter(part, -1, size).astype(np.float32, copy=False)


def _axis(angle: float) -> float:
    return (angle + np.pi / 2) % np.pi - np.pi / 2


def _turned(one: Box, other: Box) -> float:
    return float(_apart(np.degrees(one.angle), np.degrees(other.angle)))


def shows(strip: Box, box: Box) -> bool:
    """Whether a strip cut along `strip` already showed what one cut along `box` would."""
    return strip.holds(box.x, box.y) and strip.length > 0.8 * box.length and _turned(strip, box) < 4


def _alike(one: Box, other: Box) -> bool:
    near = np.hypot(one.x - other.x, one.y - other.y) < 0.15 * other.length
    return bool(_turned(one, other) < 6 and near and 0.75 < one.length / other.length < 1.35)


@dataclass(frozen=True)
class Strip:
    """Bars turned upright, with their quiet zones."""

    image: Gray
    box: Box
    """Where the bars are, its angle refined."""
    back: npt.NDArray[np.float64]
    """2 x 3 affine map, strip pixels to image pixels."""

    def to_original(self, points: Points) -> Points:
        """`points` (n x 2) of the strip in image pixels."""
        return (points @ self.back[:, :2].T + self.back[:, 2]).astype(np.float32)


def strip(image: Gray, box: Box) -> Strip:
    """The box upright, its angle refined by the gradients inside, at a scale at which bars are some pixels wide."""
    rough = _cut(image, box, 1.0)
    xx, yy, xy = (float(part.mean()) for part in _tensor(rough.image))
    off = 0.5 * float(np.arctan2(2 * xy, xx - yy))
    if 0.003 < abs(off) < 0.9:
        # a scan line that crossed the bars askew was longer than the code, by the cosine
        length = box.length * float(np.cos(off))
        box = Box(box.x, box.y, length, max(box.height, 0.12 * length), _axis(box.angle + off))
    return _cut(image, box, float(np.clip(1100 / box.length, 1.0, 3.0)))


def _cut(image: Gray, box: Box, scale: float) -> Strip:
    scale = min(scale, _MAX_STRIP / (box.length * (1 + 2 * _MARGIN)))
    length = box.length * (1 + 2 * _MARGIN) + 16
    width, height = max(int(length * scale), 8), max(int(box.height * scale), 8)
    cos, sin = np.cos(box.angle) / scale, np.sin(box.angle) / scale
    back = np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])
    back[:, 2] = np.array([box.x, box.y]) - back[:, :2] @ np.array([width / 2, height / 2])
    how = (cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC) | cv2.WARP_INVERSE_MAP
    upright = cv2.warpAffine(image, back, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return Strip(upright.astype(np.uint8, copy=False), box, back)
