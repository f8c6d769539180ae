"""The real clip (a hand takes one of three bottles and puts it back) and its variants: that, and nothing else.

Intel sample videos, bottle-detection, CC BY 4.0. Nothing in this project was trained on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame
from vision.evaluation.hands import PhotosMissingError, read_picture
from vision.evaluation.outcomes import Claim
from vision.evaluation.saying import claims_of
from vision.slots import Rack, parse_rack
from vision.watching import RackWatcher

Matrix = npt.NDArray[np.float64]
_STILL = np.array([[1, 0, 0], [0, 1, 0]], np.float64)
_EXPECTED = (("A", -1, "auto"), ("A", 1, "auto"))


@dataclass(frozen=True)
class Variant:
    """One way to show the clip.

    Attributes:
        name: for the table.
        matrix: (2, 3), px of the clip → px of the variant.
        size: width and height of the variant, px; None: the clip's.
        gain: of the light.
        backwards: in the other direction of time: the return becomes the take.
        follow: the taught places are moved too (the camera stands so from the start); else it differs from them.
    """

    name: str
    matrix: Matrix
    size: tuple[int, int] | None = None
    gain: float = 1.0
    backwards: bool = False
    follow: bool = True


def variants() -> list[Variant]:
    """As it is; shifted, cropped, dimmed and brightened, reversed, turned, smaller, and several at once."""
    shifts = [(6, 0), (-6, 0), (0, 6), (0, -6), (6, -6), (-6, 6)]
    crops = [(20, 30, 620, 340), (0, 80, 640, 360), (40, 60, 600, 330)]
    every = [Variant("as it is", _STILL)]
    every += [Variant(f"shifted {x:+d} {y:+d}", _shift(x, y), follow=False) for x, y in shifts]
    every += [Variant(f"cropped {b}", _shift(-b[0], -b[1]), (b[2] - b[0], b[3] - b[1])) for b in crops]
    every += [Variant(f"light x {gain}", _STILL, gain=gain) for gain in (0.4, 0.6, 0.8, 1.25)]
    every += [Variant("reversed", _STILL, backwards=True), Variant("reversed, dim", _STILL, gain=0.6, backwards=True)]
    half = np.array([[0.5, 0, 0], [0, 0.5, 0]], np.float64)
    every += [
        Variant("half size", half, (320, 180)),
        Variant("turned 2 deg", _turn(2.0)),
        Variant("mirrored", _mirror()),
    ]
    return every


def clip_results(
    clip: Path, make: Callable[[Rack], RackWatcher], wanted: list[Variant] | None = None
) -> Iterator[dict[str, Any]]:
    """Each variant: what was said, and whether it was one take and one return of A, automatic, and nothing else.

    Raises:
        PhotosMissingError: the clip is not there.
    """
    try:
        truth = json.loads((clip / "truth.json").read_text(encoding="utf-8"))
        fps, boxes = float(truth["fps_of_source"]), dict(truth["slot_xywh_approx"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise PhotosMissingError(f"{clip}: the bottle clip is not there ({problem})") from problem
    frames = [(read_picture(f), int(f.stem[1:]) / fps) for f in sorted(clip.glob("f*.jpg"))]
    if not frames:
        raise PhotosMissingError(f"{clip}: no frames (f*.jpg) of the bottle clip there")
    for variant in wanted or variants():
        watcher = make(places(boxes, variant.matrix if variant.follow else None))
        pictures = [image for image, _ in frames]
        if variant.backwards:
            pictures.reverse()
        said: list[Claim] = []
        for picture, (_, ts) in zip(pictures, frames, strict=True):
            said += claims_of(watcher.feed(shown(picture, variant), ts))
        told = tuple((c.slot, c.delta, c.mode) for c in said)
        yield {"variant": variant.name, "right": told == _EXPECTED, "said": [list(one) for one in told]}


def places(boxes: dict[str, list[float]], matrix: Matrix | None = None) -> Rack:
    """The three bottles' places, ``x, y, width, height`` each, as a rack."""
    slots = []
    for name, (x, y, w, h) in boxes.items():
        corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float64)
        if matrix is not None:
            corners = corners @ matrix[:, :2].T + matrix[:, 2]
        slots.append({"id": name, "polygon": corners.tolist(), "item": "bouteille", "class": "any"})
    return parse_rack({"slots": slots})


def shown(picture: Frame, variant: Variant) -> Frame:
    """One picture of a variant."""
    if variant.matrix is not _STILL or variant.size is not None:
        size = variant.size or (picture.shape[1], picture.shape[0])
        picture = np.asarray(cv2.warpAffine(picture, variant.matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    return picture if variant.gain == 1.0 else np.clip(picture * variant.gain, 0, 255).astype(np.uint8)


def _shift(dx: float, dy: float) -> Matrix:
    return np.array([[1, 0, dx], [0, 1, dy]], np.float64)


def _turn(degrees: float) -> Matrix:
    return np.asarray(cv2.getRotationMatrix2D((320, 180), degrees, 1.0), np.float64)


def _mirror() -> Matrix:
    return np.array([[-1, 0, 639], [0, 1, 0]], np.float64)
