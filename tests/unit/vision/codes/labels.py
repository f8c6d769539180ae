"""Rendered labels and the camera's damage to them, reproducible by seed."""

import cv2
import numpy as np
import numpy.typing as npt
import zxingcpp

Image = npt.NDArray[np.uint8]


def label(text: str, name: str, module: float = 2.0) -> Image:
    """A code of zxing-cpp's writer, `module` pixels a module, with its quiet zones."""
    symbol = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, name))
    drawn = np.array(symbol.to_image(scale=4), np.uint8)
    return cv2.resize(drawn, None, fx=module / 4, fy=module / 4, interpolation=cv2.INTER_AREA).astype(np.uint8)


def on_bench(
    *labels: Image,
    angle: float = 0.0,
    blur: float = 0.5,
    noise: float = 4.0,
    seed: int = 0,
    centres: tuple[tuple[int, int], ...] = ((320, 240),),
) -> Image:
    """A 640 x 480 photo of labels turned by `angle` degrees on a mottled bench."""
    rng = np.random.default_rng(seed)
    scene = 150 + cv2.GaussianBlur(rng.normal(0, 60, (480, 640)).astype(np.float32), (0, 0), 3)
    for picture, (x, y) in zip(labels, centres, strict=True):
        height, width = picture.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
        turn[:, 2] += (x - width / 2, y - height / 2)
        inside = cv2.warpAffine(np.ones((height, width), np.float32), turn, (640, 480))
        paper = cv2.warpAffine(40 + 180 / 255 * picture.astype(np.float32), turn, (640, 480))
        scene = scene * (1 - inside) + paper
    scene = cv2.GaussianBlur(scene, (0, 0), blur) + rng.normal(0, noise, scene.shape)
    return np.clip(scene, 0, 255).astype(np.uint8)
