"""NCNN (extra ``pi``): the quickest of the free runtimes on a Raspberry Pi by others' figures (docs/decisions/0023).

Its model is one file, ``NAME.ncnn``, made by `vision.exporting` from the ONNX file: the length of the text part in four
bytes, big-endian, the text part (``.param``), the weights (``.bin``).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import ncnn
import numpy as np

from vision.detectors.base import Detection, DetectorError, Frame
from vision.detectors.letterbox import check_frame, decode, fit
from vision.detectors.onnx import MODEL
from vision.detectors.sheet import read_model


class NcnnDetector:
    """A YOLO model in one ``.ncnn`` file with its ``.json`` sheet beside it; see `OnnxDetector`."""

    def __init__(self, model: Path | None = None, threads: int = 1) -> None:
        path = (model or MODEL).with_suffix(".ncnn")
        sheet, content = read_model(path)
        self.classes, self.version, self._side = sheet.classes, sheet.version, sheet.side
        length = int.from_bytes(content[:4], "big")
        if not 0 < length < len(content) - 4:
            raise DetectorError(f"model {path} is no .ncnn file of Copeau")
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        self._net.opt.use_vulkan_compute = False
        with tempfile.TemporaryDirectory(prefix="copeau-ncnn-") as folder:  # the binding reads files only
            text, weights = Path(folder) / "m.param", Path(folder) / "m.bin"
            text.write_bytes(content[4 : 4 + length])
            weights.write_bytes(content[4 + length :])
            if self._net.load_param(str(text)) or self._net.load_model(str(weights)):
                raise DetectorError(f"model {path} cannot be loaded by NCNN")

    def detect(self, frame: Frame, floor: float = 0.35) -> list[Detection]:
        """See `Detector.detect`."""
        check_frame(frame)
        planes, box = fit(frame, self._side)
        with self._net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(planes[0]))
            status, out = extractor.extract("out0")
        if status:
            raise DetectorError(f"NCNN gave no answer (status {status})")
        return decode(np.array(out, np.float32), box, self.classes, floor, frame.shape)
