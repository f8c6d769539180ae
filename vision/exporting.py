"""The same network for another runtime: ONNX to NCNN, by pnnx (extra ``train``)."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path


class ExportError(RuntimeError):
    """The conversion failed; the text says how."""


def to_ncnn(model: Path) -> Path:
    """Write ``NAME.ncnn`` (weights as float16) beside ``NAME.onnx`` and its SHA-256 into the sheet; the new path.

    Raises:
        ExportError: pnnx is missing, or does not understand the network.
    """
    if shutil.which("pnnx") is None:
        raise ExportError("pnnx is not installed: pip install pnnx (see constraints.txt)")
    sheet_path = model.with_suffix(".json")
    sheet = json.loads(sheet_path.read_text(encoding="utf-8"))
    side = sheet["imgsz"]
    with tempfile.TemporaryDirectory(prefix="copeau-pnnx-") as folder:
        source = Path(folder) / "m.onnx"
        shutil.copy(model, source)
        run = subprocess.run(  # noqa: S603  # nosec B603, B607  # our own file, no shell
            ["pnnx", str(source), f"inputshape=[1,3,{side},{side}]", "fp16=1"],  # noqa: S607 - found by `which` above
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        text, weights = Path(folder) / "m.ncnn.param", Path(folder) / "m.ncnn.bin"
        if run.returncode or not text.exists() or not weights.exists():
            raise ExportError(f"pnnx ended with {run.returncode}: {(run.stderr or run.stdout)[-400:]}")
        param = text.read_bytes()
        content = len(param).to_bytes(4, "big") + param + weights.read_bytes()
    target = model.with_suffix(".ncnn")
    target.write_bytes(content)
    sheet["sha256_ncnn"] = hashlib.sha256(content).hexdigest()
    sheet_path.write_text(json.dumps(sheet, indent=1) + "\n", encoding="utf-8")
    return target
