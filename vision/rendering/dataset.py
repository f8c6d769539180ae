"""Render a labelled data set in the YOLO layout: ``images/{train,val}``, ``labels/{train,val}``, ``data.yaml``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vision.rendering.hands import fingertip, make_hand
from vision.rendering.items import Image
from vision.rendering.scene import Box, Disturbance, HandPose, Scene

CLASSES = ("insert", "drill", "endmill", "hand")
"""Label index → class name of the rack detector."""

SIZES = ((416, 320), (416, 320), (480, 360), (640, 480), (640, 360))
GRIDS = ((4, 3), (4, 3), (4, 3), (3, 2), (5, 3), (5, 3), (4, 2), (3, 3))


def render_example(seed: int) -> tuple[Image, list[Box]]:
    """One labelled picture; the same ``seed`` gives the same picture."""
    rng = np.random.default_rng((seed, 17))
    width, height = SIZES[rng.integers(len(SIZES))]
    scene = Scene(rng, width, height, GRIDS[rng.integers(len(GRIDS))], fill=float(rng.uniform(0.2, 0.95)))
    pose = _random_pose(scene, rng) if rng.random() < 0.5 else None
    w, h = scene.canvas_size
    shadow = (
        (rng.uniform(0, w), rng.uniform(0, h), rng.uniform(0.2, 0.8) * w, rng.uniform(0.1, 0.5))
        if rng.random() < 0.25
        else None
    )
    return scene.render(rng, pose, Disturbance(float(rng.uniform(0.7, 1.3)), (0.0, 0.0), shadow))


def write_dataset(out: Path, train: int, val: int, seed: int) -> Path:
    """Write ``train`` + ``val`` labelled pictures below ``out``; return the path of ``data.yaml``."""
    for part, count, first in (("train", train, seed * 1_000_000), ("val", val, seed * 1_000_000 + 500_000)):
        images, labels = out / "images" / part, out / "labels" / part
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            image, boxes = render_example(first + i)
            quality = 75 + (i * 7) % 21
            cv2.imwrite(str(images / f"{i:05d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
            (labels / f"{i:05d}.txt").write_text("".join(_line(b, image.shape[1], image.shape[0]) for b in boxes))
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(CLASSES))
    config = out / "data.yaml"
    config.write_text(f"path: {out.resolve()}\ntrain: images/train\nval: images/val\nnames:\n{names}")
    return config


def _line(box: Box, width: int, height: int) -> str:
    cx, cy = (box.x0 + box.x1) / 2 / width, (box.y0 + box.y1) / 2 / height
    w, h = (box.x1 - box.x0) / width, (box.y1 - box.y0) / height
    return f"{CLASSES.index(box.label)} {cx:.5f} {cy:.5f} {w:.5f} {h:.5f}\n"


def _random_pose(scene: Scene, rng: np.random.Generator) -> HandPose:
    w, h = scene.canvas_size
    hand = make_hand(h * rng.uniform(0.085, 0.15), rng)
    side = rng.random()
    if side < 0.6:
        angle = -np.pi / 2 + rng.normal(0, 0.4)
    elif side < 0.8:
        angle = rng.choice([0.0, np.pi]) + rng.normal(0, 0.35)
    else:
        angle = np.pi / 2 + rng.normal(0, 0.35)
    x, y = float(rng.uniform(0.05, 0.95) * w), float(rng.uniform(0.05, 1.05) * h)
    held = None
    occupied = [s for s in scene.slots if s.items]
    if occupied and rng.random() < 0.35:
        slot = occupied[rng.integers(len(occupied))]
        _, item = slot.items.pop(int(rng.integers(len(slot.items))))
        scene.touch()
        tx, ty = fingertip(hand, x, y, float(angle))
        held = item.moved(tx - item.x, ty - item.y, float(rng.uniform(0, np.pi)))
    return HandPose(hand, x, y, float(angle), held)
