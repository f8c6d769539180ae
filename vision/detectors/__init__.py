"""Detectors by name: one small file per runtime, each imported only when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vision.detectors.base import Detection, Detector, DetectorError

DETECTORS = {
    "onnx": "vision.detectors.onnx:OnnxDetector",
    "ncnn": "vision.detectors.ncnn:NcnnDetector",
    "openvino": "vision.detectors.openvino:OpenVinoDetector",
    "none": "vision.detectors.none:NoDetector",
}
"""Name → ``module:class``; each class is called with ``model`` (path or None) and ``threads``."""


def make_detector(name: str = "onnx", model: Path | None = None, threads: int = 1) -> Detector:
    """The detector of that name.

    Raises:
        DetectorError: unknown name, missing runtime, or unusable model.
    """
    if name not in DETECTORS:
        raise DetectorError(f"unknown detector {name!r}; known: {', '.join(sorted(DETECTORS))}")
    module, _, cls = DETECTORS[name].partition(":")
    try:
        build: Callable[..., Any] = getattr(importlib.import_module(module), cls)
    except ImportError as missing:
        raise DetectorError(f"detector {name!r} needs a package that is not installed: {missing.name}") from missing
    detector: Detector = build(model=model, threads=threads)
    return detector


__all__ = ["DETECTORS", "Detection", "Detector", "DetectorError", "make_detector"]
