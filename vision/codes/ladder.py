"""The decode ladder: the same picture, prepared in different ways (figures: docs/measurements.md)."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vision.codes.types import Gray, Points

_PAPER = 200  # border grey where a rotation uncovers nothing: light, as a quiet zone must be


@dataclass(frozen=True)
class Step:
    """A prepared image and the way back to the pixels of the original."""

    name: str
    image: Gray
    back: npt.NDArray[np.float64]
    """2 x 3 affine map, prepared image to original."""

    def to_original(self, points: Points) -> Points:
        """`points` (n x 2) of the prepared image in pixels of the original."""
        return (points @ self.back[:, :2].T + self.back[:, 2]).astype(np.float32)


def rotated(image: Gray, degrees: float) -> Step:
    """`image` turned counter-clockwise on a canvas grown so that nothing is cut."""
    height, width = image.shape
    turn = np.radians(degrees)
    grown_w = int(np.ceil(abs(width * np.cos(turn)) + abs(height * np.sin(turn))))
    grown_h = int(np.ceil(abs(width * np.sin(turn)) + abs(height * np.cos(turn))))
    there = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    there[:, 2] += ((grown_w - width) / 2, (grown_h - height) / 2)
    turned = cv2.warpAffine(image, there, (grown_w, grown_h), flags=cv2.INTER_LINEAR, borderValue=(_PAPER,))
    return Step(
        f"rot{degrees:g}", turned.astype(np.uint8, copy=False), cv2.invertAffineTransform(there).astype(np.float64)
    )


def steps(image: Gray) -> Iterator[Step]:
    """The upright steps, cheapest first: as it is, blurred, enlarged, enlarged and sharpened."""
    same = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    yield Step("grey", image, same)
    yield Step("blur", blurred(image, 1.2), same)
    half = same * 0.5
    enlarged = resized(image, 2.0, cv2.INTER_CUBIC)
    yield Step("x2", enlarged, half)
    yield Step("sharp", sharpened(enlarged), half)


def resized(image: Gray, scale: float, how: int) -> Gray:
    """`image` scaled by the factor `scale` with OpenCV's interpolation `how`."""
    if scale == 1:
        return image
    height, width = (max(round(side * scale), 1) for side in image.shape)
    return cv2.resize(image, (width, height), interpolation=how).astype(np.uint8, copy=False)


def blurred(image: Gray, sigma: float) -> Gray:
    """Gaussian blur, `sigma` in pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma).astype(np.uint8, copy=False)


def sharpened(image: Gray, sigma: float = 4.0, amount: float = 1.5) -> Gray:
    """Unsharp mask: `amount` times the difference to the blur of `sigma` pixels is added."""
    soft = cv2.GaussianBlur(image, (0, 0), sigma)
    return cv2.addWeighted(image, 1 + amount, soft, -amount, 0).astype(np.uint8, copy=False)
