"""Draw the empty rack: bench or cabinet, drawer, foam pockets, bins, tool blocks, shelves, labels, printed markers."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from contracts.racks import SlotKind
from vision.rendering.layout import Place
from vision.rendering.sprites import Raster, bytes_of, mottle, place
from vision.rendering.things import Tone, texture

_BENCH: Final[tuple[Tone, ...]] = ((120, 125, 130), (80, 95, 115), (150, 154, 156), (60, 62, 64), (96, 110, 100))
_FOAM: Final[tuple[Tone, ...]] = ((38, 36, 34), (52, 50, 48), (66, 62, 58), (70, 48, 34), (44, 44, 50))
_UNDER: Final[tuple[Tone, ...]] = ((30, 28, 160), (30, 185, 215), (160, 95, 35), (26, 25, 24), (60, 140, 60))
_BIN: Final[tuple[Tone, ...]] = ((150, 105, 50), (60, 60, 170), (70, 72, 76), (40, 160, 205), (160, 164, 166))
_SHELF: Final[tuple[Tone, ...]] = ((150, 153, 155), (105, 130, 150), (84, 86, 88), (170, 176, 180))
MARKER_IDS: Final = (0, 1, 2, 3)
"""ArUco numbers (dictionary 4X4_50): upper left, upper right, lower right, lower left."""


class Ground:
    """The empty rack. `picture` (H, W, 3) uint8 and `gloss` (H, W) uint8 in world px.

    Args:
        rng: all choices.
        size: width, height of the world, px.
        area: x0, y0, x1, y1 of the rack with its frame, world px.
    """

    def __init__(
        self, rng: np.random.Generator, size: tuple[int, int], area: tuple[int, int, int, int], places: list[Place]
    ) -> None:
        self._rng = rng
        w, h = size
        bench = np.array(_BENCH[rng.integers(len(_BENCH))], np.float32) * rng.uniform(0.75, 1.1)
        grain = mottle(rng, h, w, 90.0) * 5 + mottle(rng, h, w, 7.0) * 2.5
        self.picture = bytes_of(bench + grain[..., None])
        self.gloss = np.full((h, w), 18, np.uint8)
        self._scratches(40, (0, 0, w, h))
        self._foam: Tone = _FOAM[rng.integers(len(_FOAM))]
        self._under: Tone = _UNDER[rng.integers(len(_UNDER))]
        self._bin: Tone = _BIN[rng.integers(len(_BIN))]
        self._shelf: Tone = _SHELF[rng.integers(len(_SHELF))]
        self._frame(area, places)
        for one in places:
            {"pocket": self._pocket, "bin": self._bin_at, "block": self._block, "shelf": self._shelf_at}[one.style](one)
            self._label(one)
        self.markers = self._markers(area)

    def _frame(self, area: tuple[int, int, int, int], places: list[Place]) -> None:
        x0, y0, x1, y1 = area
        metal = float(self._rng.choice([70, 120, 165]))
        for k, tone in enumerate((metal * 0.5, metal * 1.15, metal, metal * 0.8)):
            cv2.rectangle(
                self.picture, (x0 + k * 4, y0 + k * 4), (x1 - k * 4, y1 - k * 4), (tone, tone, tone * 1.01), -1
            )
        self.gloss[y0:y1, x0:x1] = 60
        for style in dict.fromkeys(one.style for one in places):
            for row in sorted({one.id[0] for one in places if one.style == style}):
                line = [one for one in places if one.id[0] == row]
                if line[0].style != style:
                    continue
                top = min(one.box[1] for one in line)
                bottom = max(one.box[3] for one in line)
                gap = 10
                self._bed(style, (x0 + 16, int(top) - gap, x1 - 16, int(bottom) + gap))

    def _bed(self, style: str, rect: tuple[int, int, int, int]) -> None:
        x0, y0, x1, y1 = rect
        h, w = y1 - y0, x1 - x0
        rng = self._rng
        tone = {"pocket": self._foam, "bin": (58, 60, 62), "block": (150, 152, 154), "shelf": self._shelf}[style]
        rough = {"pocket": 6.0, "bin": 2.0, "block": 2.0, "shelf": 2.5}[style]
        noise = rng.normal(0, rough, (h, w)).astype(np.float32) + mottle(rng, h, w, 60.0) * 3
        if style == "block":  # brushed aluminium
            noise += cv2.blur(rng.normal(0, 22, (h, w)).astype(np.float32), (61, 1))
        self.picture[y0:y1, x0:x1] = bytes_of(np.array(tone, np.float32) + noise[..., None])
        self.gloss[y0:y1, x0:x1] = {"pocket": 4, "bin": 25, "block": 120, "shelf": 55}[style]
        if style == "shelf" and rng.random() < 0.5:  # perforated sheet
            for y in range(y0 + 12, y1 - 6, 26):
                for x in range(x0 + 12, x1 - 6, 26):
                    cv2.circle(self.picture, (x, y), 5, tuple(int(c * 0.35) for c in tone), -1, cv2.LINE_AA)
        cv2.rectangle(self.picture, (x0, y0), (x1 - 1, y1 - 1), tuple(int(c * 0.55) for c in tone), 1, cv2.LINE_AA)

    def _pocket(self, one: Place) -> None:
        """A cut-out in the foam, in the shape of its pieces; the lower layer has its own colour."""
        cut = np.zeros(self.picture.shape[:2], np.uint8)
        x0, y0, x1, y1 = (int(v) for v in one.box)
        family = one.family
        if family.kind is SlotKind.HIDDEN:
            cv2.rectangle(cut, (x0, y0), (x1, y1), 255, -1)
        else:
            tight = texture(family.form, round(family.size, 1), round(family.width, 1), family.tone, 0, False)
            for x, y, angle in one.spots:
                mould = place(tight, x, y, angle, 0.0, 0.0)
                solid = cv2.dilate(mould.solid, np.ones((7, 7), np.uint8))
                a, b, c, d = mould.rect
                cut[b:d, a:c] = np.maximum(cut[b:d, a:c], solid)
                reach = max(family.width * 0.42, 9.0)
                if family.klass != "insert" or self._rng.random() < 0.4:  # room for the finger
                    nx, ny = -np.sin(angle), np.cos(angle)
                    side = family.width * 0.38
                    for s in (-1, 1):
                        cv2.circle(
                            cut, (int(x + nx * side * s), int(y + ny * side * s)), int(reach), 255, -1, cv2.LINE_AA
                        )
        self._sink(cut[y0:y1, x0:x1], (x0, y0, x1, y1), self._under, 4 + int(self._rng.integers(4)))

    def _sink(self, cut: Raster, rect: tuple[int, int, int, int], tone: Tone, depth: int) -> None:
        """Lower the ground where `cut`: floor colour, dark upper-left wall, bright lower-right lip."""
        x0, y0, x1, y1 = rect
        area = self.picture[y0:y1, x0:x1]
        fall = np.array([[1, 0, depth], [0, 1, depth * 1.2]], np.float64)
        floor = cv2.warpAffine(cut, fall, (cut.shape[1], cut.shape[0]))
        wall = cv2.GaussianBlur(cv2.subtract(cut, floor), (0, 0), depth * 0.4).astype(np.float32) / 255
        noise = self._rng.normal(0, 3, cut.shape).astype(np.float32)
        inside = np.array(tone, np.float32) * (0.88 - 0.62 * np.clip(wall * 1.4, 0, 1))[..., None] + noise[..., None]
        alpha = (cut.astype(np.float32) / 255)[..., None]
        rim = cv2.subtract(cv2.dilate(cut, np.ones((3, 3), np.uint8)), cut).astype(np.float32) / 255
        lip = np.roll(rim, (1, 1), (0, 1))
        area[:] = bytes_of(area * (1 - alpha) + inside * alpha + (lip * 16 - rim * 8)[..., None])
        shine = self.gloss[y0:y1, x0:x1]
        shine[cut > 127] = 8

    def _bin_at(self, one: Place) -> None:
        x0, y0, x1, y1 = (int(v) for v in one.box)
        tone = np.array(self._bin, np.float32) * self._rng.uniform(0.9, 1.1)
        t = max(4, int(min(x1 - x0, y1 - y0) * 0.035))
        pic = self.picture
        cv2.rectangle(pic, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2), _tuple(tone * 0.45), -1)
        cv2.rectangle(pic, (x0, y0), (x1, y1), _tuple(tone * 1.15), -1)
        cv2.rectangle(pic, (x0 + t, y0 + t), (x1 - t, y1 - t), _tuple(tone * 0.8), -1)
        h, w = y1 - y0 - 2 * t, x1 - x0 - 2 * t
        floor = pic[y0 + t : y1 - t, x0 + t : x1 - t]
        deep = np.minimum(np.arange(h)[:, None] / (h * 0.16), np.arange(w)[None] / (w * 0.2))
        dark = 0.45 + 0.5 * np.clip(deep, 0, 1) + mottle(self._rng, h, w, 25.0) * 0.03
        floor[:] = bytes_of(floor * dark[..., None])
        self.gloss[y0:y1, x0:x1] = 40
        cv2.line(pic, (x0, y0), (x1, y0), _tuple(tone * 1.5), 1, cv2.LINE_AA)
        cv2.line(pic, (x0, y0), (x0, y1), _tuple(tone * 1.4), 1, cv2.LINE_AA)

    def _block(self, one: Place) -> None:
        radius = one.family.size * 0.56
        for x, y, _ in one.spots:
            at = (round(x * 16), round(y * 16))
            cv2.circle(self.picture, at, round((radius + 2) * 16), (196, 198, 200), -1, cv2.LINE_AA, 4)
            cv2.circle(self.picture, at, round((radius + 1) * 16), (96, 98, 100), -1, cv2.LINE_AA, 4)
            cv2.circle(self.picture, at, round(radius * 16), (24, 24, 26), -1, cv2.LINE_AA, 4)
            low = (round((x + radius * 0.12) * 16), round((y + radius * 0.15) * 16))
            cv2.circle(self.picture, low, round(radius * 0.8 * 16), (42, 42, 44), -1, cv2.LINE_AA, 4)
            cv2.circle(self.gloss, (round(x), round(y)), round(radius), 10, -1)
        x0, y0, x1, y1 = (int(v) for v in one.box)
        cv2.rectangle(self.picture, (x0, y0), (x1, y1), (112, 114, 116), 1, cv2.LINE_AA)

    def _shelf_at(self, one: Place) -> None:
        x0, y0, x1, y1 = (int(v) for v in one.box)
        pale = _tuple(np.array(self._shelf, np.float32) * 1.22)
        dark = _tuple(np.array(self._shelf, np.float32) * 0.5)
        cv2.rectangle(self.picture, (x0, y0), (x1, y1), pale, 2, cv2.LINE_AA)
        cv2.line(self.picture, (x0 + 2, y0 + 2), (x1, y0 + 2), dark, 2, cv2.LINE_AA)
        cv2.line(self.picture, (x0 + 2, y0 + 2), (x0 + 2, y1), dark, 2, cv2.LINE_AA)

    def _label(self, one: Place) -> None:
        if self._rng.random() < 0.12:
            return
        x0, _, x1, y1 = (int(v) for v in one.box)
        high = int(np.clip((y1 - one.box[1]) * 0.075, 8, 15))
        words = f"{one.id} {one.family.code}"
        scale = high / 26
        (tw, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        tw = min(tw, x1 - x0 - 6)
        x, y = x0 + 3, y1 + 1
        paper = (222, 228, 230) if self._rng.random() < 0.8 else (120, 225, 235)
        cv2.rectangle(self.picture, (x, y), (x + tw + 4, y + high), paper, -1)
        strip = self.picture[y : y + high, x + 1 : x + tw + 4]
        cv2.putText(strip, words, (1, high - 3), cv2.FONT_HERSHEY_SIMPLEX, scale, (30, 30, 32), 1, cv2.LINE_AA)

    def _markers(self, area: tuple[int, int, int, int]) -> list[tuple[float, float]]:
        table = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
        side, quiet = 54, 10
        x0, y0, x1, y1 = area
        inset = side // 2 + quiet + 8
        centres = [
            (x0 + inset, y0 + inset),
            (x1 - inset, y0 + inset),
            (x1 - inset, y1 - inset),
            (x0 + inset, y1 - inset),
        ]
        for number, (x, y) in zip(MARKER_IDS, centres, strict=True):
            tile = cv2.cvtColor(cv2.aruco.generateImageMarker(table, number, side), cv2.COLOR_GRAY2BGR)
            half = side // 2
            paper = slice(y - half - quiet, y + half + quiet), slice(x - half - quiet, x + half + quiet)
            self.picture[paper] = (228, 232, 234)
            self.gloss[paper] = 30
            self.picture[y - half : y + half, x - half : x + half] = np.clip(tile, 24, 226)
        return [(x - 0.5, y - 0.5) for x, y in centres]

    def _scratches(self, n: int, rect: tuple[int, int, int, int]) -> None:
        rng = self._rng
        for _ in range(n):
            x, y = int(rng.uniform(rect[0], rect[2])), int(rng.uniform(rect[1], rect[3]))
            dx, dy = rng.normal(0, 60, 2)
            tone = int(rng.uniform(60, 190))
            cv2.line(self.picture, (x, y), (int(x + dx), int(y + dy)), (tone, tone, tone), 1, cv2.LINE_AA)


def _tuple(tone: npt.NDArray[Any]) -> Tone:
    v = np.clip(tone, 0, 255)
    return int(v[0]), int(v[1]), int(v[2])
