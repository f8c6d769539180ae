"""OpenVINO (extra ``pi``): the same ONNX file, the quickest on Intel and not the slowest on a Pi 5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino

from vision.detectors.base import Detection, DetectorError, Frame
from vision.detectors.letterbox import check_frame, decode, fit
from vision.detectors.onnx import MODEL
from vision.detectors.sheet import read_model


class OpenVinoDetector:
    """See `OnnxDetector`; the arithmetic is float32 whatever the processor offers, so that all runtimes agree."""

    def __init__(self, model: Path | None = None, threads: int = 1) -> None:
        path = model or MODEL
        sheet, content = read_model(path)
        self.classes, self.version, self._side = sheet.classes, sheet.version, sheet.side
        settings = {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }  # fmt: skip
        try:
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(content, b""), "CPU", settings)
        except Exception as problem:  # openvino raises RuntimeError and classes of its C++ side
            raise DetectorError(f"model {path} cannot be loaded by OpenVINO: {problem}") from problem

    def detect(self, frame: Frame, floor: float = 0.35) -> list[Detection]:
        """See `Detector.detect`."""
        check_frame(frame)
        planes, box = fit(frame, self._side)
        raw = np.asarray(next(iter(self._model([planes]).values())), np.float32)[0]
        return decode(raw, box, self.classes, floor, frame.shape)
