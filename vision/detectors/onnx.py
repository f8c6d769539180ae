"""ONNX Runtime: the portable default."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from vision.detectors.base import Detection, DetectorError, Frame
from vision.detectors.letterbox import check_frame, decode, fit
from vision.detectors.sheet import read_model

MODEL = Path(__file__).resolve().parent.parent / "models" / "hand-detector.onnx"
"""The model that is shipped; its sheet lies beside it (docs/model-card.md)."""


class OnnxDetector:
    """A YOLO model exported to ONNX with its ``.json`` sheet (classes, imgsz, sha256, version) beside it.

    Args:
        model: path of the ``.onnx``; the shipped one when None.
        threads: how many threads one inference may use.
    """

    def __init__(self, model: Path | None = None, threads: int = 1) -> None:
        path = model or MODEL
        sheet, content = read_model(path)
        self.classes, self.version, self._side = sheet.classes, sheet.version, sheet.side
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # an idle agent must not burn its core
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as problem:  # onnxruntime raises a dozen unrelated classes of its own
            raise DetectorError(f"model {path} cannot be loaded: {problem}") from problem
        self._input = self._session.get_inputs()[0].name

    def detect(self, frame: Frame, floor: float = 0.35) -> list[Detection]:
        """See `Detector.detect`."""
        check_frame(frame)
        planes, box = fit(frame, self._side)
        raw = np.asarray(self._session.run(None, {self._input: planes})[0], np.float32)[0]
        return decode(raw, box, self.classes, floor, frame.shape)
