"""The set-up check before a cut: the clear zone of a machine now, against a picture of it when it was right.

It looks for what should not be there (a forgotten key, a clamp turned round, a taller blank). It is asked once, before
the cycle starts, and what it finds is an alert for a person: it never stops a machine, and swarf or coolant on the lens
make it useless while cutting.

Both pictures are compared in the logarithm of intensity after a band-pass, so that exposure, a light gradient or a soft
shadow cancel; each place may be found again a few pixels away, so that a door that closes a little differently is no
change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Gray = npt.NDArray[np.uint8]
_WIDTH: Final = 480
_FINE, _COARSE = 1.0, 12.0
_SHIFT: Final = 3
_CONTRAST: Final = 0.12
"""Of ln(intensity): 12 % of the local brightness, above sensor noise, film of oil and compression."""
_LEAST_SIDE: Final = 0.02
"""A change smaller than 2 % of the picture's width is not shown."""


class SetupCheckError(ValueError):
    """The two pictures cannot be compared; one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class ChangedZone:
    """Where something differs. Coordinates in px of the picture given, `contrast` of ln(intensity)."""

    x: int
    y: int
    width: int
    height: int
    contrast: float


def read_gray(path: Path) -> Gray:
    """A picture file as (h, w) uint8 grey. Raises SetupCheckError."""
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise SetupCheckError(f"{path}: not a readable picture")
    return np.asarray(picture, np.uint8)


def changed_zones(reference: Gray, now: Gray, zone: Sequence[tuple[float, float]] | None = None) -> list[ChangedZone]:
    """What differs inside `zone` (a polygon in px; None: the whole picture), the strongest first.

    Both pictures are (h, w) uint8 grey of the same size. Raises SetupCheckError.
    """
    if reference.shape != now.shape or reference.ndim != 2:
        raise SetupCheckError(
            f"the pictures differ in size, {reference.shape} and {now.shape}: take both with one camera"
        )
    scale = min(1.0, _WIDTH / reference.shape[1])
    first, second = _band(reference, scale), _band(now, scale)
    difference = np.maximum(_unlike(first, second), _unlike(second, first))
    difference[_outside(difference.shape, zone, scale)] = 0.0
    opened = cv2.morphologyEx((difference > _CONTRAST).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    least = _LEAST_SIDE * difference.shape[1]
    found = []
    for label in range(1, len(stats)):
        x, y, width, height, _ = (int(value) for value in stats[label])
        if max(width, height) >= least:
            contrast = float(np.percentile(difference[labels == label], 90))
            left, top, wide, high = (round(value / scale) for value in (x, y, width, height))
            found.append(ChangedZone(left, top, wide, high, round(contrast, 3)))
    return sorted(found, key=lambda zone: -zone.contrast * zone.width * zone.height)


def _band(picture: Gray, scale: float) -> npt.NDArray[np.float32]:
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    logs = np.log(small.astype(np.float32) + 12.0)
    band: npt.NDArray[np.float32] = cv2.GaussianBlur(logs, (0, 0), _FINE) - cv2.GaussianBlur(logs, (0, 0), _COARSE)
    return band


def _unlike(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How far each pixel of `one` is from anything within `_SHIFT` px of it in `other`."""
    kernel = np.ones((2 * _SHIFT + 1, 2 * _SHIFT + 1), np.uint8)
    lowest, highest = cv2.erode(other, kernel), cv2.dilate(other, kernel)
    unlike: npt.NDArray[np.float32] = np.maximum(np.maximum(lowest - one, one - highest), 0.0)
    return unlike


def _outside(shape: tuple[int, ...], zone: Sequence[tuple[float, float]] | None, scale: float) -> npt.NDArray[np.bool_]:
    inside = np.zeros(shape, np.uint8)
    if zone is None:
        inside[:] = 1
    else:
        cv2.fillPoly(inside, [np.round(np.array(zone, np.float32) * scale).astype(np.int32)], 1)
    outside: npt.NDArray[np.bool_] = inside == 0
    return outside
