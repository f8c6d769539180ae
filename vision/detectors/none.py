"""No model at all: every place is judged by its appearance alone."""

from __future__ import annotations

from pathlib import Path

from vision.detectors.base import Detection, Frame
from vision.detectors.letterbox import check_frame


class NoDetector:
    """Finds nothing; for racks whose items no model knows."""

    classes: tuple[str, ...] = ()
    version = "none"

    def __init__(self, model: Path | None = None, threads: int = 1) -> None:
        del model, threads

    def detect(self, frame: Frame, floor: float = 0.35) -> list[Detection]:
        """Always an empty list."""
        del floor
        check_frame(frame)
        return []
