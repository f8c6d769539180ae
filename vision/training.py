"""Train the hand detector (a narrow ultralytics YOLO11, 320 px, from random weights) on rendered pictures and cut-outs
of real hands, and export it to ONNX.

Needs the ``train`` extra (torch, ultralytics); nothing else in this package imports it. Source of the
hyper-parameters: measured on rendered racks, see docs/model-card.md; ``nbs`` matters, the default of 64 makes a
quarter of the optimiser steps.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vision.rendering.hand_pictures import write_hand_pictures
from vision.slots import HAND

_NARROW: Final = [0.5, 0.125, 512]
"""Depth, width and most channels of the hands' network: half of YOLO11n's width, a quarter of its arithmetic."""

log = logging.getLogger(__name__)


class TrainingUnavailableError(RuntimeError):
    """The training packages are not installed here."""


@dataclass(frozen=True)
class TrainingPlan:
    """What is to be trained.

    Attributes:
        out: folder for data set, run and model.
        images: training pictures to render.
        val_images: validation pictures.
        seed: first seed of the data set.
        hours: wall-clock budget; None trains ``epochs`` epochs instead.
        epochs: number of epochs when ``hours`` is None.
        imgsz: network input side, px.
        start: weights to go on from (a .pt of an earlier run), None for random ones.
        photos: folder of the real photos, for cut-outs of hands; rendered hands only when None.
    """

    out: Path
    images: int = 600
    val_images: int = 120
    seed: int = 1
    hours: float | None = 0.25
    epochs: int = 30
    imgsz: int = 320
    start: Path | None = None
    photos: Path | None = None


def train(plan: TrainingPlan) -> Path:
    """Render, train, validate and export; return the path of the ONNX model with its ``.json`` sheet beside it.

    Raises:
        TrainingUnavailableError: torch or ultralytics is missing.
    """
    os.environ["YOLO_AUTOINSTALL"] = "false"  # its exporter would otherwise install packages by itself
    try:
        from vision import torchvision_nms

        torchvision_nms.ensure()
        from ultralytics import YOLO
    except ImportError as missing:
        raise TrainingUnavailableError(f"training needs the 'train' extra (torch, ultralytics): {missing}") from missing
    plan.out.mkdir(parents=True, exist_ok=True)
    data = write_hand_pictures(plan.out / "data", plan.images, plan.val_images, plan.seed, plan.photos)
    model = YOLO(str(plan.start or _narrow_network(plan.out)))
    length: dict[str, Any] = {"time": plan.hours, "epochs": 200} if plan.hours is not None else {"epochs": plan.epochs}
    model.train(
        data=str(data),
        imgsz=plan.imgsz,
        batch=16,
        nbs=16,
        optimizer="AdamW",
        lr0=0.0015 if plan.start is None else 0.0008,
        cos_lr=True,
        warmup_epochs=1,
        mosaic=0.5,
        flipud=0.5,
        fliplr=0.5,
        degrees=0,
        close_mosaic=8,
        amp=False,
        pretrained=str(plan.start) if plan.start else False,  # False would throw the start's weights away
        cache="ram",
        workers=0,
        device="cpu",
        val=False,
        seed=plan.seed,
        project=str(plan.out.resolve()),
        name="run",
        exist_ok=True,
        plots=False,
        **length,
    )
    weights = plan.out / "run" / "weights" / "last.pt"
    best = YOLO(str(weights))
    figures = best.val(data=str(data), imgsz=plan.imgsz, device="cpu", workers=0, plots=False)
    exported = Path(best.export(format="onnx", imgsz=plan.imgsz, simplify=True, device="cpu"))
    target = plan.out / "hand-detector.onnx"
    halve_weights(exported, target)
    write_sheet(target, plan, {"map50": float(figures.box.map50), "map50_95": float(figures.box.map)})
    log.info("model %s mAP50 %.3f", target, figures.box.map50)
    shutil.copy(weights, target.with_suffix(".pt"))
    return target


def _narrow_network(out: Path) -> Path:
    """Write the description of the hands' network: YOLO11 with `_NARROW` scales."""
    import ultralytics
    import yaml  # type: ignore[import-untyped]  # only with the train extra

    source = Path(ultralytics.__file__).parent / "cfg" / "models" / "11" / "yolo11.yaml"
    network = yaml.safe_load(source.read_text(encoding="utf-8"))
    network["scales"], network["nc"] = {"n": _NARROW}, 1
    path = out / "yolo11n.yaml"  # ultralytics reads the scale's letter from the name
    path.write_text(yaml.safe_dump(network), encoding="utf-8")
    return path


def halve_weights(source: Path, target: Path) -> None:
    """Store the float32 weights of ``source`` as float16 with a cast behind each: half the file, float32 arithmetic
    and in/out.
    """
    import numpy as np
    import onnx  # type: ignore[import-not-found]  # only with the train extra
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    casts = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < 256:
            continue
        values = numpy_helper.to_array(tensor).astype(np.float16)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(values, tensor.name + "_half"))
        casts.append(helper.make_node("Cast", [tensor.name + "_half"], [tensor.name], to=TensorProto.FLOAT))
    for node in reversed(casts):
        graph.node.insert(0, node)
    for said in model.metadata_props:
        if said.key == "description":  # the exporter writes the path of the data set into it
            said.value = "Copeau detector (YOLO11)"
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def write_sheet(model: Path, plan: TrainingPlan, figures: Mapping[str, float]) -> Path:
    """Write the small JSON sheet that the detector reads: classes, input side, hash, version, figures."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    sheet = {
        "name": model.stem,
        "version": f"yolo11n-hands-{plan.imgsz}-{digest[:8]}",
        "classes": [HAND],
        "imgsz": plan.imgsz,
        "sha256": digest,
        "trained_on": {"images": plan.images, "val_images": plan.val_images, "seed": plan.seed},
        "figures": {k: round(v, 4) for k, v in figures.items()},
    }
    path = model.with_suffix(".json")
    path.write_text(json.dumps(sheet, indent=1) + "\n")
    return path
