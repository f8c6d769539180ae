"""The reader: cheap looks first, more of them only while nothing is believed."""

import itertools
from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from vision.codes import bars, decoders, ladder, scanlines, verdict
from vision.codes.types import LINEAR, MATRIX, Code, Gray, Look, Points, Read

Effort = Literal["live", "thorough"]
_MOST_PIXELS = 4_000_000  # beyond, the picture is reduced: a code that needs more is not held to the camera
_ANGLES = (15, 30, 45, 60, 75, -15)  # zxing-cpp itself tries 0 and 90; bars look the same after 180


class CodeReader:
    """Reads the codes of one image.

    `formats`: names from `LINEAR` and `MATRIX`. `effort`: ``live`` for a camera that shows the next frame soon,
    ``thorough`` for a single photo, which tries the whole ladder and every rotation.
    """

    def __init__(self, formats: Iterable[str] = LINEAR + MATRIX, effort: Effort = "thorough") -> None:
        """ValueError names an unknown format or effort."""
        self._linear, self._matrix = decoders.split(formats)
        if effort not in ("live", "thorough"):
            raise ValueError(f"unknown effort {effort!r}; known: live, thorough")
        self._effort = effort

    def read(self, image: npt.NDArray[np.uint8]) -> list[Code]:
        """The codes of `image` (uint8, height x width or height x width x 3 in BGR), the surest first.

        Empty when nothing can be believed. ValueError for another shape or type.
        """
        grey, scale = _prepared(image)
        session = _Session(grey, self._linear, self._matrix, hurried=self._effort == "live")
        session.first_look()
        if not (self._effort == "live" and session.settled()):
            session.localised(limit=3 if self._effort == "live" else 8)
            session.prepared_steps(full=self._effort == "thorough")
            if self._effort == "thorough" and not session.codes():
                session.rotations()
        return [_scaled(code, scale) for code in session.codes()]


class _Session:
    """The claims about one image, gathered look by look."""

    def __init__(self, image: Gray, linear: tuple[str, ...], matrix: tuple[str, ...], *, hurried: bool) -> None:
        self._image = image
        self._linear = linear
        self._matrix = matrix
        self._hurried = hurried
        self._reads: list[Read] = []
        self._strips: list[bars.Box] = []

    def codes(self) -> list[Code]:
        return verdict.believed(self._reads)

    def settled(self) -> bool:
        """Whether everything that was claimed is believed, and something is."""
        codes = self.codes()
        return bool(codes) and {c.text for c in codes} >= {r.text for r in self._reads}

    def first_look(self) -> None:
        """The grey image as it is; what it claims is confirmed at its place."""
        step = next(ladder.steps(self._image))
        self._whole(step, 0, self._linear + self._matrix, fast=self._hurried)

    def localised(self, limit: int) -> None:
        """Bars found by their gradients, turned upright and read by scan lines."""
        if not self._linear:
            return
        for box in bars.find(self._image, limit):
            self._strip(box)

    def prepared_steps(self, *, full: bool) -> None:
        """The prepared images; the linear formats too where the rectified strips gave nothing."""
        for number, step in enumerate(ladder.steps(self._image)):
            if number == 0 and full:
                continue
            if not full and (number > 1 or self.codes()):
                return
            self._whole(step, 0, self._matrix if self.codes() else self._linear + self._matrix)

    def rotations(self) -> None:
        """The whole image turned in steps over the full range, until something is believed."""
        for angle in _ANGLES:
            turned = ladder.rotated(self._image, angle)
            self._whole(turned, angle, self._linear + self._matrix)
            if self.codes():
                return

    def _whole(self, step: ladder.Step, angle: int, formats: tuple[str, ...], *, fast: bool = False) -> None:
        if not formats:
            return
        for text, name, corners in decoders.zxing(step.image, formats, fast=fast):
            outline = step.to_original(corners)
            self._reads.append(Read(text, name, outline, "zxing", Look(step.name, angle)))
            if name in MATRIX:
                self._again(outline, name)
            else:
                self._strip(bars.box_of(outline))

    def _strip(self, box: bars.Box) -> None:
        """Scan lines of the bars in `box`, unless a strip already showed them."""
        if any(bars.shows(other, box) for other in self._strips):
            return
        strip = bars.strip(self._image, box)
        seen = False
        for band in scanlines.ORDER:
            claims = scanlines.reads(strip, Look("strip", strip=len(self._strips), band=band), self._linear)
            seen = seen or bool(claims)
            self._reads += claims
            if claims and self._hurried and self.settled():
                break
        if seen:
            self._strips.append(strip.box)

    def _again(self, outline: Points, name: str) -> None:
        """A matrix code looked at once more, alone, in another sampling: enlarged, then turned and softened."""
        if any(r.format == name and r.look.step == "again" and _inside(r.polygon, outline) for r in self._reads):
            return
        (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
        pad = 0.25 * max(right - left, bottom - top) + 8
        height, width = self._image.shape
        x0, y0 = max(int(left - pad), 0), max(int(top - pad), 0)
        crop = self._image[y0 : min(int(bottom + pad), height), x0 : min(int(right + pad), width)]
        if crop.size == 0:
            return
        for step in _second_looks(crop):
            found = decoders.zxing(step.image, (name,))
            for text, seen, corners in found:
                place = (step.to_original(corners) + np.array([x0, y0])).astype(np.float32)
                self._reads.append(Read(text, seen, place, "zxing", Look("again", 7)))
            if found:
                return


def _second_looks(crop: Gray) -> Iterable[ladder.Step]:
    yield ladder.rotated(crop, 7)
    yield from itertools.islice(ladder.steps(crop), 1, None)


def _inside(polygon: Points, outline: Points) -> bool:
    return cv2.pointPolygonTest(outline, [float(v) for v in polygon.mean(axis=0)], measureDist=False) >= 0


def _prepared(image: npt.NDArray[np.uint8]) -> tuple[Gray, float]:
    """Grey, and the factor by which it was reduced."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(
            f"expected a uint8 image, height x width or height x width x 3, got {image.dtype} {image.shape}"
        )
    if image.ndim == 3 and image.shape[2] != 3:
        raise ValueError(f"expected 3 channels (BGR), got {image.shape[2]}")
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    scale = min(1.0, (_MOST_PIXELS / grey.size) ** 0.5)
    if scale < 1:
        grey = ladder.resized(grey.astype(np.uint8, copy=False), scale, cv2.INTER_AREA)
    return np.ascontiguousarray(grey, np.uint8), scale


def _scaled(code: Code, scale: float) -> Code:
    if scale == 1:
        return code
    polygon = tuple((round(x / scale, 1), round(y / scale, 1)) for x, y in code.polygon)
    return Code(code.text, code.format, polygon, code.step, code.votes)
