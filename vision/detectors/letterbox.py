"""Preparation and decoding that all YOLO runtimes share."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Detection, DetectorError, Frame

GREY = 114


@dataclass(frozen=True)
class Letterbox:
    """How a frame was fitted into the square input: ``input = frame * scale + (left, top)``."""

    scale: float
    left: int
    top: int


def check_frame(frame: Frame) -> None:
    """Raises DetectorError unless ``frame`` is (H, W, 3) uint8 and not empty."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise DetectorError(f"a frame must be (H, W, 3) uint8 BGR, not {frame.shape} {frame.dtype}")


def fit(frame: Frame, side: int) -> tuple[npt.NDArray[np.float32], Letterbox]:
    """Fit a BGR frame into a grey square: (1, 3, side, side) float32 RGB 0..1."""
    height, width = frame.shape[:2]
    scale = side / max(height, width)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (side - w) // 2, (side - h) // 2
    square = np.full((side, side, 3), GREY, np.uint8)
    square[top : top + h, left : left + w] = small
    planes = np.ascontiguousarray(square[:, :, ::-1].transpose(2, 0, 1)[None])
    return planes.astype(np.float32) / np.float32(255), Letterbox(scale, left, top)


def decode(
    raw: npt.NDArray[np.float32],
    box: Letterbox,
    classes: tuple[str, ...],
    floor: float,
    shape: tuple[int, ...],
    iou: float = 0.5,
) -> list[Detection]:
    """Turn YOLO output (4 + classes, anchors) into detections in px of the frame, best first.

    Args:
        raw: rows cx, cy, w, h in input px, then one score row per class.
        box: how the frame was fitted.
        classes: row order of the scores.
        floor: least score.
        shape: shape of the frame, for clipping.
        iou: boxes of one class that overlap more are one thing.
    """
    scores = raw[4:].max(0)
    keep = scores >= floor
    raw, scores = raw[:, keep], scores[keep]
    labels = raw[4:].argmax(0)
    corners = np.stack([raw[0] - raw[2] / 2, raw[1] - raw[3] / 2, raw[0] + raw[2] / 2, raw[1] + raw[3] / 2], 1)
    corners = (corners - np.array([box.left, box.top] * 2, np.float32)) / np.float32(box.scale)
    corners = np.clip(corners, 0, np.array([shape[1], shape[0]] * 2, np.float32))
    found = []
    for i in _suppress(corners, scores, labels, iou):
        x0, y0, x1, y1 = (float(v) for v in corners[i])
        found.append(Detection(classes[int(labels[i])], float(scores[i]), x0, y0, x1, y1))
    return found


def _suppress(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], iou: float
) -> list[int]:
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        common = np.clip(high - low, 0, None).prod(1)
        overlap = common / (areas[best] + areas[rest] - common + 1e-9)
        order = rest[(overlap <= iou) | (labels[rest] != labels[best])]
    return kept
