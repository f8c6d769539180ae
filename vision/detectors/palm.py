"""A palm model of somebody else's as a second voice for hands, when its file is there (extra ``pi``).

Reads ``palm_detection_full.tflite`` or ``…_lite.tflite`` (MediaPipe, Apache-2.0), which the shop puts beside the agent;
none is shipped. It was trained on photographs of bare hands and knows no glove, so it adds hands and removes none.
Source of the decoding: MediaPipe's ``palm_detection`` graph, 192 px, 2 016 anchors at cell centres.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import openvino

from vision.detectors.base import Detection, Detector, DetectorError, Frame
from vision.detectors.letterbox import Letterbox, check_frame, decode, fit

_SIDE: Final = 192
_SHARE: Final = 1.6
"""A palm's box grown by this is about the hand with its fingers."""


class PalmDetector:
    """One class, ``hand``. Args: the ``.tflite`` file; how many threads one inference may use."""

    classes: tuple[str, ...] = ("hand",)

    def __init__(self, model: Path | None = None, threads: int = 1) -> None:
        if model is None or not model.is_file():
            raise DetectorError(f"palm model {model}: no such file; none is shipped, see vision/detectors/palm.py")
        self.version = f"palm-{hashlib.sha256(model.read_bytes()).hexdigest()[:8]}"
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        try:
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(model), "CPU", settings)
        except Exception as problem:  # openvino raises RuntimeError and classes of its C++ side
            raise DetectorError(f"palm model {model} cannot be loaded: {problem}") from problem
        shapes = [tuple(out.partial_shape.get_min_shape()) for out in self._model.outputs]
        if sorted(shape[-1] for shape in shapes) != [1, 18] or any(shape[-2] != len(_ANCHORS) for shape in shapes):
            raise DetectorError(f"palm model {model}: outputs {shapes} are not those of a palm detector at 192 px")
        self._boxes, self._scores = (next(i for i, s in enumerate(shapes) if s[-1] == n) for n in (18, 1))

    def detect(self, frame: Frame, floor: float = 0.35) -> list[Detection]:
        """See `Detector.detect`. Boxes are the palms', grown to the size of a hand."""
        check_frame(frame)
        planes, box = fit(frame, _SIDE)
        result = self._model([np.ascontiguousarray(planes.transpose(0, 2, 3, 1))])
        raw = np.asarray(result[self._boxes], np.float32)[0, :, :4] / np.float32(_SIDE)
        logits = np.clip(np.asarray(result[self._scores], np.float32)[0, :, 0], -50, 50)
        scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return self._decode(raw, scores, box, floor, frame.shape)

    def _decode(
        self,
        raw: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        box: Letterbox,
        floor: float,
        shape: tuple[int, ...],
    ) -> list[Detection]:
        centres, sizes = (raw[:, :2] + _ANCHORS) * _SIDE, raw[:, 2:] * _SIDE * _SHARE
        rows = np.concatenate([centres, sizes, scores[:, None]], 1).T.astype(np.float32)
        return decode(rows, box, self.classes, floor, shape, iou=0.3)


class WithPalm:
    """A detector and, for its hands, the palm model beside it."""

    def __init__(self, first: Detector, palm: PalmDetector) -> None:
        self._first, self._palm = first, palm
        self.classes, self.version = first.classes, f"{first.version}+{palm.version}"

    def detect(self, frame: Frame, floor: float = 0.35) -> list[Detection]:
        """See `Detector.detect`."""
        both = [*self._first.detect(frame, floor), *self._palm.detect(frame, max(floor, 0.5))]
        return sorted(both, key=lambda d: -d.score)


def _anchors() -> npt.NDArray[np.float32]:
    """Centres of the cells, 0..1: 24 x 24 twice, then 12 x 12 six times."""
    rows = []
    for cells, times in ((24, 2), (12, 6)):
        y, x = np.mgrid[0:cells, 0:cells]
        centres = (np.stack([x, y], -1).reshape(-1, 1, 2) + 0.5) / cells
        rows.append(np.repeat(centres, times, 1).reshape(-1, 2))
    return np.concatenate(rows).astype(np.float32)


_ANCHORS: Final = _anchors()
