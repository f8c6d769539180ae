"""Pictures with hands, labelled, for the hand detector: frames of whole rendered racks, and rendered arms and cut-outs
of photographed hands laid over racks, benches and plain clutter, in any light.

The cut-outs come from ``photos/hands-backlit`` (Roboflow universe object-detection/hand_and_doll, MIT); only the
pictures of `TRAINING_PHOTOS` are used here, the others and the bottle clip stay for the evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vision.rendering.hands import draw_hand, make_hand
from vision.rendering.items import Image
from vision.rendering.scene import Box, Disturbance, Scene
from vision.rendering.show import CannotPlayError, RackShow, Shot

TRAINING_PHOTOS: Final = ("hand_doll_12_", "hand_doll_27_", "hand_doll_40_", "hand_doll_47_", "hand_doll_46_")
"""Beginnings of the names of the photos whose hands, and whose emptiness, may be trained on."""

SIDE: Final = 320
_LEAST_SIDE = 14.0  # px of a box: less of a hand is not to be found


@dataclass(frozen=True)
class Cutout:
    """A photographed hand: (h, w, 3) uint8 BGR, its mask (h, w) float32 0..1, and the side from which its arm comes:
    0 top, 1 right, 2 bottom, 3 left.
    """

    pixels: Image
    mask: npt.NDArray[np.float32]
    side: int


@dataclass(frozen=True)
class Material:
    """What may be laid over one another. Empty lists when the photos are not there."""

    hands: Sequence[Cutout]
    backgrounds: Sequence[Image]


def load_material(photos: Path | None) -> Material:
    """The training share of the photos below ``photos`` (…/shared/data/photos); empty when None or absent."""
    hands: list[Cutout] = []
    backgrounds: list[Image] = []
    root = None if photos is None else photos / "hands-backlit" / "hand_doll"
    for sheet in sorted(root.glob("*/*annotations*.json")) if root is not None else ():
        document = json.loads(sheet.read_text(encoding="utf-8"))
        names = {c["id"]: c["name"] for c in document["categories"]}
        for entry in document["images"]:
            if not entry["file_name"].startswith(TRAINING_PHOTOS):
                continue
            picture = cv2.imread(str(sheet.parent / entry["file_name"]))
            if picture is None:
                continue
            mine = [a for a in document["annotations"] if a["image_id"] == entry["id"]]
            hands += [_cut(np.asarray(picture, np.uint8), a) for a in mine if names[a["category_id"]] == "hand"]
            if all(names[a["category_id"]] != "hand" for a in mine):
                backgrounds.append(np.asarray(picture, np.uint8))
    if photos is not None:
        for file in sorted((photos / "hand-tools-yolo" / "images").glob("*.jpg"))[:5]:
            picture = cv2.imread(str(file), cv2.IMREAD_REDUCED_COLOR_4)
            if picture is not None:
                backgrounds.append(np.asarray(picture, np.uint8))
    return Material(hands, backgrounds)


def render_hand_picture(seed: int, material: Material) -> tuple[Image, list[Box]]:
    """One picture (`SIDE`, `SIDE`, 3) and the boxes of its hands; the same seed and material give the same picture.

    A box holds what is seen of the hand and the first of its forearm.
    """
    rng = np.random.default_rng((seed, 41))
    canvas = _background(rng, material.backgrounds)
    boxes: list[Box] = []
    for _ in range(int(rng.choice([0, 1, 2], p=[0.35, 0.5, 0.15]))):
        if material.hands and rng.random() < 0.55:
            box = _paste(canvas, material.hands[int(rng.integers(len(material.hands)))], rng)
        else:
            box = _draw(canvas, rng)
        if box is not None:
            boxes.append(box)
    for _ in range(int(rng.integers(0, 3)) if rng.random() < 0.4 else 0):
        _distract(canvas, rng)
    return _exposed(canvas, rng), boxes


def rack_pictures(seed: int, count: int, material: Material) -> Iterator[tuple[Image, list[Box]]]:
    """`count` pictures (`SIDE`, `SIDE`, 3) of sessions on whole rendered racks, some with a photographed hand more."""
    rng = np.random.default_rng((seed, 43))
    given = 0
    while given < count:
        show = RackShow(int(rng.integers(6_000_000, 9_000_000)), int(rng.choice([12, 24, 40, 96])), (1280, 720))
        for shot in _sampled(show, rng, sessions=5):
            picture, boxes = _seen(shot, rng)
            if material.hands and rng.random() < 0.25:
                extra = _paste(picture, material.hands[int(rng.integers(len(material.hands)))], rng)
                boxes += [] if extra is None else [extra]
            yield _exposed(picture, rng) if rng.random() < 0.5 else picture, boxes
            given += 1
            if given == count:
                return


def _sampled(show: RackShow, rng: np.random.Generator, sessions: int) -> Iterator[Shot]:
    yield from show.rest(1)
    for _ in range(sessions):
        case = str(rng.choice(["take", "take_several", "two_hands", "nothing", "forearm", "put_back", "rag_left"]))
        try:
            yield from (shot for number, shot in enumerate(show.act(case, after=2)) if number % 3 == 2)
        except CannotPlayError:
            continue


def _seen(shot: Shot, rng: np.random.Generator) -> tuple[Image, list[Box]]:
    """A part of the frame, fitted into the square as `vision.detectors.letterbox` does, turned or mirrored."""
    height, width = shot.image.shape[:2]
    wide, high = (int(v * rng.uniform(0.55, 1.0)) for v in (width, height))
    x, y = int(rng.integers(0, width - wide + 1)), int(rng.integers(0, height - high + 1))
    scale = SIDE / max(wide, high)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    square = np.full((SIDE, SIDE, 3), 114, np.uint8)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    small = cv2.resize(shot.image[y : y + high, x : x + wide], size, interpolation=cv2.INTER_AREA)
    square[top : top + size[1], left : left + size[0]] = small
    boxes = []
    for hand in shot.hands:
        x0, x1 = (float(np.clip((v - x) * scale, 0, size[0])) + left for v in (hand.x0, hand.x1))
        y0, y1 = (float(np.clip((v - y) * scale, 0, size[1])) + top for v in (hand.y0, hand.y1))
        boxes.append((x0, y0, x1, y1))
    for _ in range(int(rng.integers(4))):  # quarter turns
        square = np.rot90(square)
        boxes = [(y0, SIDE - x1, y1, SIDE - x0) for x0, y0, x1, y1 in boxes]
    if rng.random() < 0.5:
        square = square[:, ::-1]
        boxes = [(SIDE - x1, y0, SIDE - x0, y1) for x0, y0, x1, y1 in boxes]
    kept = [b for b in boxes if min(b[2] - b[0], b[3] - b[1]) >= _LEAST_SIDE]
    return np.ascontiguousarray(square), [Box("hand", *b) for b in kept]


def write_hand_pictures(out: Path, train: int, val: int, seed: int, photos: Path | None) -> Path:
    """Write ``train`` + ``val`` pictures in the YOLO layout below ``out``; the path of ``data.yaml``."""
    material = load_material(photos)
    for part, count, first in (("train", train, seed * 1_000_000), ("val", val, seed * 1_000_000 + 500_000)):
        images, labels = out / "images" / part, out / "labels" / part
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        on_racks = rack_pictures(first, count // 2, material)
        for i in range(count):
            picture, boxes = next(on_racks) if i < count // 2 else render_hand_picture(first + i, material)
            cv2.imwrite(str(images / f"{i:05d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 60 + (i * 7) % 36])
            lines = [
                f"0 {(b.x0 + b.x1) / 2 / SIDE:.5f} {(b.y0 + b.y1) / 2 / SIDE:.5f}"
                f" {(b.x1 - b.x0) / SIDE:.5f} {(b.y1 - b.y0) / SIDE:.5f}\n"
                for b in boxes
            ]
            (labels / f"{i:05d}.txt").write_text("".join(lines))
    config = out / "data.yaml"
    config.write_text(f"path: {out.resolve()}\ntrain: images/train\nval: images/val\nnames:\n  0: hand\n")
    return config


def _cut(picture: Image, annotation: dict[str, object]) -> Cutout:
    height, width = picture.shape[:2]
    mask: npt.NDArray[np.uint8] = np.zeros((height, width), np.uint8)
    segments: object = annotation["segmentation"]
    assert isinstance(segments, list)
    for segment in segments:
        cv2.fillPoly(mask, [np.round(np.array(segment, np.float32).reshape(-1, 2)).astype(np.int32)], 255)
    ys, xs = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
    y0, y1, x0, x1 = int(ys[0]), int(ys[-1]) + 1, int(xs[0]), int(xs[-1]) + 1
    border = [int(mask[0].sum()), int(mask[:, width - 1].sum()), int(mask[height - 1].sum()), int(mask[:, 0].sum())]
    soft = cv2.GaussianBlur(mask, (0, 0), 1.2)[y0:y1, x0:x1].astype(np.float32) / np.float32(255)
    return Cutout(picture[y0:y1, x0:x1].copy(), soft, int(np.argmax(border)))


def _background(rng: np.random.Generator, photos: Sequence[Image]) -> Image:
    kind = rng.random()
    if photos and kind < 0.35:
        photo = photos[int(rng.integers(len(photos)))]
        height, width = photo.shape[:2]
        side = int(min(height, width) * rng.uniform(0.5, 1.0))
        x, y = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
        cut = np.asarray(cv2.resize(photo[y : y + side, x : x + side], (SIDE, SIDE)), np.uint8)
        return np.ascontiguousarray(np.rot90(cut, int(rng.integers(4))))
    if kind < 0.8:
        grid = ((4, 3), (6, 4), (8, 5), (3, 2))[rng.integers(4)]
        scene = Scene(rng, SIDE, SIDE, grid, fill=float(rng.uniform(0.1, 0.95)))
        return scene.render(rng, None, Disturbance(float(rng.uniform(0.6, 1.4))))[0].copy()
    coarse = rng.normal(128, rng.uniform(5, 60), (int(rng.integers(2, 12)), int(rng.integers(2, 12)), 3))
    flat = cv2.resize(np.clip(coarse, 0, 255).astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    canvas = np.ascontiguousarray(flat).astype(np.uint8)
    for _ in range(int(rng.integers(0, 12))):
        _distract(canvas, rng)
    return canvas


def _distract(canvas: Image, rng: np.random.Generator) -> None:
    """Something that is no hand: a bar, a box, a bottle's outline, a rag's fold."""
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    centre = rng.uniform(0, SIDE, 2)
    size = rng.uniform(4, 90, 2)
    shape = rng.random()
    if shape < 0.4:
        box = cv2.boxPoints(
            ((float(centre[0]), float(centre[1])), (float(size[0]), float(size[1])), rng.uniform(0, 180))
        )
        cv2.fillPoly(canvas, [np.round(box).astype(np.int32)], colour, cv2.LINE_AA)
    elif shape < 0.7:
        far = centre + rng.normal(0, 120, 2)
        start, end = (round(centre[0]), round(centre[1])), (round(far[0]), round(far[1]))
        cv2.line(canvas, start, end, colour, int(rng.integers(2, 40)), cv2.LINE_AA)
    else:
        middle, axes = (round(centre[0]), round(centre[1])), (round(size[0] / 2) + 1, round(size[1] / 2) + 1)
        cv2.ellipse(canvas, middle, axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)


def _draw(canvas: Image, rng: np.random.Generator) -> Box | None:
    """A rendered arm that reaches in; the box of what is seen of its hand."""
    scale = SIDE * float(np.exp(rng.uniform(np.log(0.05), np.log(0.26))))
    hand = make_hand(scale, rng)
    angle = float(rng.uniform(-np.pi, np.pi))
    x, y = (float(v) for v in rng.uniform(-0.05, 1.05, 2) * SIDE)
    if rng.random() < 0.5:
        shade: npt.NDArray[np.float32] = np.zeros((SIDE, SIDE), np.float32)
        cv2.circle(shade, (round(x + scale * 0.5), round(y + scale * 0.4)), round(scale * 1.6), 0.4, -1)
        shade = np.asarray(cv2.GaussianBlur(shade, (0, 0), scale * 0.6), np.float32)
        canvas[:] = (canvas * (1 - shade[..., None])).astype(np.uint8)
    before = canvas.copy()
    _, mask = draw_hand(canvas, hand, x, y, angle)
    if rng.random() < 0.4:  # a moving hand is smeared along its way
        length = int(rng.integers(3, 14))
        kernel = np.zeros((length, length), np.float32)
        np.fill_diagonal(kernel if rng.random() < 0.5 else kernel[:, ::-1], 1.0 / length)
        wide = cv2.dilate((canvas != before).any(2).astype(np.uint8), np.ones((length, length), np.uint8))
        canvas[:] = np.where(wide[..., None] > 0, cv2.filter2D(canvas, -1, kernel), canvas)
    return _box(mask > 0.5)


def _paste(canvas: Image, cutout: Cutout, rng: np.random.Generator) -> Box | None:
    """A photographed hand from its own side of the picture, turned by quarters and a little, in another colour."""
    quarter = int(rng.integers(4))
    turned, outline = np.rot90(cutout.pixels, quarter), np.rot90(cutout.mask, quarter)
    side = (cutout.side - quarter) % 4
    if rng.random() < 0.5:
        turned, outline = (turned[:, ::-1], outline[:, ::-1]) if side in (0, 2) else (turned[::-1], outline[::-1])
    scale = SIDE * float(np.exp(rng.uniform(np.log(0.25), np.log(1.1)))) / max(outline.shape)
    size = (max(8, round(outline.shape[1] * scale)), max(8, round(outline.shape[0] * scale)))
    small = cv2.resize(np.ascontiguousarray(turned), size, interpolation=cv2.INTER_AREA)
    pixels = np.asarray(small, np.float32)
    mask = np.asarray(cv2.resize(np.ascontiguousarray(outline), size, interpolation=cv2.INTER_AREA), np.float32)
    along = int(rng.integers(-size[0] // 3, SIDE - size[0] * 2 // 3)) if side in (0, 2) else 0
    across = int(rng.integers(-size[1] // 3, SIDE - size[1] * 2 // 3)) if side in (1, 3) else 0
    x, y = ((along, 0), (SIDE - size[0], across), (along, SIDE - size[1]), (0, across))[side]
    level = float(pixels[mask > 0.5].mean()) if (mask > 0.5).any() else 100.0
    tint = np.array(_TINTS[rng.integers(len(_TINTS))], np.float32) if rng.random() < 0.8 else np.full(3, level)
    recoloured = pixels.mean(2, keepdims=True) / level * tint
    share = float(rng.uniform(0.3, 1.0))
    contrast = float(rng.uniform(0.8, 1.8))
    pixels = share * recoloured + (1 - share) * pixels * float(rng.uniform(0.8, 1.6))
    pixels = pixels.mean((0, 1)) + (pixels - pixels.mean((0, 1))) * contrast
    full = np.zeros((SIDE, SIDE), np.float32)
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + size[0], SIDE), min(y + size[1], SIDE)
    if right <= left or bottom <= top:
        return None
    part = mask[top - y : bottom - y, left - x : right - x]
    full[top:bottom, left:right] = part
    patch = canvas[top:bottom, left:right]
    body = np.clip(pixels[top - y : bottom - y, left - x : right - x], 0, 255)
    patch[:] = (patch * (1 - part[..., None]) + body * part[..., None]).astype(np.uint8)
    return _box(full > 0.5)


_TINTS: Final = (
    (150, 180, 225), (120, 155, 205), (95, 130, 185), (70, 100, 150), (50, 72, 110), (200, 120, 40), (45, 45, 48),
    (170, 170, 175), (40, 110, 225), (90, 160, 60), (60, 60, 190), (225, 225, 228), (60, 60, 80), (90, 90, 140),
)  # fmt: skip


def _box(mask: npt.NDArray[np.bool_]) -> Box | None:
    ys, xs = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
    if len(ys) == 0 or len(xs) == 0:
        return None
    x0, y0, x1, y1 = float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)
    return Box("hand", x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= _LEAST_SIDE else None


def _exposed(canvas: Image, rng: np.random.Generator) -> Image:
    lit: npt.NDArray[np.float32] = canvas.astype(np.float32) * np.float32(rng.uniform(0.45, 1.5))
    if rng.random() < 0.3:  # hard backlight: a burnt-out patch and veiling glare
        glare = np.zeros((SIDE, SIDE), np.float32)
        cv2.circle(glare, tuple(int(v) for v in rng.integers(0, SIDE, 2)), int(rng.integers(20, 120)), 1.0, -1)
        lit += cv2.GaussianBlur(glare, (0, 0), float(rng.uniform(8, 60)))[..., None] * np.float32(rng.uniform(40, 200))
    if rng.random() < 0.2:
        lit = np.repeat(lit.mean(2, keepdims=True), 3, 2)
    lit *= rng.uniform(0.85, 1.15, 3).astype(np.float32)
    if rng.random() < 0.4:
        lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), float(rng.uniform(0.4, 1.6))), np.float32)
    lit += rng.normal(0, rng.uniform(0.5, 7), (SIDE, SIDE, 1)).astype(np.float32)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)
