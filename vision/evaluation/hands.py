"""Hands on real pictures: precision and recall of boxes on photos, and of frames of the bottle clip.

Photos: Roboflow universe object-detection/hand_and_doll (MIT), those that no training used. Clip: Intel sample videos
(CC BY 4.0), whose truth says in which frames a hand is to be seen, not where.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision.detectors.base import Detection, Detector, Frame
from vision.evaluation.statistics import lower_bound, share
from vision.rendering.hand_pictures import TRAINING_PHOTOS
from vision.slots import HAND
from vision.watching.hands import HAND_SCORE

OVERLAP = 0.5
_MARGIN_FRAMES = 6

Box = tuple[float, float, float, float]


class PhotosMissingError(ValueError):
    """The real pictures are not where they were looked for."""


def photo_figures(detector: Detector, photos: Path, score: float = HAND_SCORE) -> dict[str, Any]:
    """Boxes against the COCO boxes at IoU `OVERLAP`, and photos in which any hand was found where there is one.

    Raises:
        PhotosMissingError: ``photos/hands-backlit`` is not there or cannot be read.
    """
    counts: Counter[str] = Counter()
    for image, truth in _photos(photos):
        found = [_box(d) for d in _hands(detector, image, score)]
        right = matched(found, truth)
        counts.update(photos=1, boxes=len(truth), found=len(found), right=right)
        counts.update(with_hand=bool(truth), seen=bool(truth and right), touched=_touched(found, truth))
        counts.update(without_hand=not truth, false_photos=bool(found and not truth))
    return {
        "photos": counts["photos"],
        "precision": _ratio(counts["right"], counts["found"]),
        "recall": _ratio(counts["right"], counts["boxes"]),
        "photos_with_a_hand_seen": _ratio(counts["seen"], counts["with_hand"]),
        "boxes_touched": _ratio(counts["touched"], counts["boxes"]),
        "photos_without_hand_but_a_box": _ratio(counts["false_photos"], counts["without_hand"]),
        "score": score,
        "iou": OVERLAP,
        "never_trained": f"all but {', '.join(TRAINING_PHOTOS)}",
    }


def clip_figures(detector: Detector, clip: Path, score: float = HAND_SCORE) -> dict[str, Any]:
    """Frames of the bottle clip with a hand, and without; those within `_MARGIN_FRAMES` of a border are left out."""
    try:
        truth = json.loads((clip / "truth.json").read_text(encoding="utf-8"))
        visible = [(int(a), int(b)) for a, b in truth["hand_visible"]]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise PhotosMissingError(f"{clip}: the bottle clip is not there ({problem})") from problem
    counts: Counter[str] = Counter()
    for file in sorted(clip.glob("f*.jpg")):
        number = int(file.stem[1:])
        inside = any(a + _MARGIN_FRAMES <= number <= b - _MARGIN_FRAMES for a, b in visible)
        outside = all(number < a - _MARGIN_FRAMES or number > b + _MARGIN_FRAMES for a, b in visible)
        if inside or outside:
            seen = bool(_hands(detector, read_picture(file), score))
            counts.update(with_hand=inside, seen=inside and seen, without=outside, false=outside and seen)
    return {
        "recall_of_frames": _ratio(counts["seen"], counts["with_hand"]),
        "precision_of_frames": _ratio(counts["seen"], counts["seen"] + counts["false"]),
        "frames_without_hand_but_a_box": _ratio(counts["false"], counts["without"]),
        "score": score,
    }


def matched(found: Sequence[Box], truth: Sequence[Box]) -> int:
    """How many boxes find their partner, best overlap first, each once."""
    pairs = sorted(((_iou(f, t), i, j) for i, f in enumerate(found) for j, t in enumerate(truth)), reverse=True)
    taken: set[tuple[str, int]] = set()
    right = 0
    for overlap, i, j in pairs:
        if overlap >= OVERLAP and not {("f", i), ("t", j)} & taken:
            taken |= {("f", i), ("t", j)}
            right += 1
    return right


def _touched(found: Sequence[Box], truth: Sequence[Box]) -> int:
    """Truths with any box on them: enough to open a hand session."""
    return sum(any(_iou(f, t) > 0.1 for f in found) for t in truth)


def _iou(a: Box, b: Box) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def _photos(photos: Path) -> Iterator[tuple[Frame, list[Box]]]:
    sheets = sorted((photos / "hands-backlit" / "hand_doll").glob("*/*annotations*.json"))
    if not sheets:
        raise PhotosMissingError(f"{photos / 'hands-backlit'}: no photos with their boxes there; name --photos")
    for sheet in sheets:
        try:
            document = json.loads(sheet.read_text(encoding="utf-8"))
            hands = {c["id"] for c in document["categories"] if c["name"] == HAND}
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise PhotosMissingError(f"{sheet}: no COCO annotations in it ({problem!r})") from problem
        for entry in document["images"]:
            if entry["file_name"].startswith(TRAINING_PHOTOS):
                continue
            boxes = [a["bbox"] for a in document["annotations"] if a["image_id"] == entry["id"]
                     and a["category_id"] in hands]  # fmt: skip
            yield read_picture(sheet.parent / entry["file_name"]), [(x, y, x + w, y + h) for x, y, w, h in boxes]


def read_picture(file: Path) -> Frame:
    """A picture file, (H, W, 3) uint8 BGR. Raises PhotosMissingError."""
    image = cv2.imread(str(file))
    if image is None:
        raise PhotosMissingError(f"{file}: not a picture")
    return np.asarray(image, np.uint8)


def _hands(detector: Detector, image: Frame, score: float) -> list[Detection]:
    return [d for d in detector.detect(image, score) if d.label == HAND]


def _box(d: Detection) -> Box:
    return d.x0, d.y0, d.x1, d.y1


def _ratio(k: int, n: int) -> dict[str, Any]:
    value = share(k, n)
    return {
        "k": k,
        "n": n,
        "share": None if value is None else round(value, 4),
        "lower95": round(lower_bound(k, n), 4),
    }
