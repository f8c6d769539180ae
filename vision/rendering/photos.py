"""Cut-outs of real tools from the photographs of ``hand-tools-yolo`` (Roboflow universe, tools-wern2-uatxx, CC BY 4.0).

The folder is looked for below ``COPEAU_PHOTOS``, or ``shared/data/photos`` beside the project; without it there are no
photo things and everything else works.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vision.rendering.sprites import Raster

PHOTO_SPLIT: Final = {
    "train": ("170258", "170755", "170821", "171123", "171605"),
    "evaluate": ("170312", "170828", "171312", "171827", "171830"),
}
"""Time of day in the names of the photographs: which may train a judge and which are kept for its evaluation. The
scissors are seen by the evaluation alone, the file by the training alone; of the others each has another view."""

_LONG = 900
_OPENING = 0.004
"""Least share of the photograph that the bench seen through a tool takes."""


def folder() -> Path | None:
    """Where the photographs are, or None."""
    named = os.environ.get("COPEAU_PHOTOS")
    base = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data" / "photos"
    found = base / "hand-tools-yolo"
    return found if (found / "images").is_dir() else None


def photo_forms(split: str) -> tuple[str, ...]:
    """Forms ``photo:<n>`` of one part of `PHOTO_SPLIT`; empty without the folder."""
    if folder() is None:
        return ()
    names = [*PHOTO_SPLIT["train"], *PHOTO_SPLIT["evaluate"]]
    return tuple(f"photo:{names.index(name)}" for name in PHOTO_SPLIT[split] if _path(names.index(name)) is not None)


def proportion(n: int) -> float:
    """Short side of cut-out `n` over its long side."""
    h, w = cutout(n).shape[:2]
    return float(h / w)


@lru_cache(maxsize=16)
def cutout(n: int) -> Raster:
    """Cut-out `n`: (h, 900, 4) uint8 BGRA, its long side along x. Raises FileNotFoundError without the photograph."""
    path = _path(n)
    picture = None if path is None else cv2.imread(str(path))
    if path is None or picture is None:
        raise FileNotFoundError(f"photograph {n} of hand-tools-yolo is not there (set COPEAU_PHOTOS)")
    label = path.parent.parent / "labels" / (path.stem + ".txt")
    cx, cy, w, h = (float(v) for v in label.read_text().split()[1:5])
    height, width = picture.shape[:2]
    k = 800 / width
    small = cv2.resize(picture, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    alpha = _segment(small, (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
    points = np.argwhere(alpha > 127)[:, ::-1].astype(np.float32)
    (px, py), (rw, rh), angle = cv2.minAreaRect(points)
    if rw < rh:
        rw, rh, angle = rh, rw, angle + 90
    k = _LONG / rw
    turn = cv2.getRotationMatrix2D((px, py), angle, k)
    out = (_LONG, int(rh * k) + 1)
    turn[:, 2] += np.array([out[0] / 2 - px, out[1] / 2 - py])
    bgra = np.dstack((small, alpha))
    return np.asarray(cv2.warpAffine(bgra, turn, out, flags=cv2.INTER_AREA), np.uint8)


def _path(n: int) -> Path | None:
    where = folder()
    if where is None:
        return None
    name = [*PHOTO_SPLIT["train"], *PHOTO_SPLIT["evaluate"]][n]
    return next(iter(sorted((where / "images").glob(f"IMG_*_{name}*"))), None)


def _segment(picture: Raster, x0: float, y0: float, x1: float, y1: float) -> Raster:
    """Alpha (h, w) uint8 of the tool on its even bench: what has edges, colour or another brightness than the bench
    fitted around the box; a soft shadow has none of these. Openings through which the bench shows stay open.
    """
    h, w = picture.shape[:2]
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.2), cv2.COLOR_BGR2LAB).astype(np.float32)
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    basis = np.stack([np.ones_like(xx), xx / w, yy / h, (xx / w) ** 2, (yy / h) ** 2, xx * yy / (w * h)], -1)
    outside = (xx < x0 - 6) | (xx > x1 + 6) | (yy < y0 - 6) | (yy > y1 + 6)
    fit, *_ = np.linalg.lstsq(basis[outside][::7], lab[outside][::7], rcond=None)
    unlike = lab - basis @ fit
    colour = np.hypot(unlike[..., 1], unlike[..., 2])
    edge = np.hypot(cv2.Scharr(lab[..., 0], cv2.CV_32F, 1, 0), cv2.Scharr(lab[..., 0], cv2.CV_32F, 0, 1)) / 32
    tool = (edge > 4.2) | (colour > 9) | (unlike[..., 0] > 36) | (unlike[..., 0] < -70)
    tool &= ~outside
    solid: Raster = tool.astype(np.uint8) * 255
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21)))
    outlines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    solid = np.zeros((h, w), np.uint8)
    cv2.drawContours(solid, [max(outlines, key=cv2.contourArea)], -1, 255, -1)
    bench = ((np.abs(unlike[..., 0]) < 26) & (colour < 5) & (edge < 3)).astype(np.uint8)
    bench = cv2.morphologyEx(bench, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, marks, stats, _ = cv2.connectedComponentsWithStats(bench * (solid > 0).astype(np.uint8))
    for k in range(1, count):
        if stats[k, cv2.CC_STAT_AREA] > _OPENING * w * h:
            solid[cv2.dilate((marks == k).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = 0
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    return np.asarray(cv2.GaussianBlur(cv2.erode(solid, np.ones((3, 3), np.uint8)), (0, 0), 0.9), np.uint8)
