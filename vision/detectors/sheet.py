"""A model and its ``.json`` sheet: what a detector needs to know of either."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from vision.detectors.base import DetectorError


@dataclass(frozen=True)
class Sheet:
    """What stands in the sheet: class names in the order of the scores, side of the square input in px, version."""

    classes: tuple[str, ...]
    side: int
    version: str


def read_model(path: Path) -> tuple[Sheet, bytes]:
    """The sheet beside ``path`` and the model's bytes, checked against the sheet's SHA-256 (``sha256`` of the ``.onnx``
    file, ``sha256_ncnn`` of the ``.ncnn`` one).

    Raises:
        DetectorError: missing, damaged, or not the model that the sheet describes.
    """
    try:
        raw = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        content = path.read_bytes()
        sheet = Sheet(tuple(str(c) for c in raw["classes"]), int(raw["imgsz"]), str(raw["version"]))
        expected = raw["sha256" if path.suffix == ".onnx" else f"sha256_{path.suffix[1:]}"]
    except (OSError, KeyError, TypeError, ValueError) as problem:
        raise DetectorError(f"model {path} or its .json sheet cannot be read: {problem}") from problem
    if hashlib.sha256(content).hexdigest() != expected:
        raise DetectorError(f"model {path} is not the one that its sheet describes (sha256 differs)")
    return sheet, content
