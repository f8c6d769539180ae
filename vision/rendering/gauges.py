"""Draw instruments and boxes in their own axes: callipers, micrometers, ring gauges, keys, boxes of inserts, and tools
cut out of real photographs.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vision.rendering.cutting import F32, Draw, Spec, Tone, axes, pack, paint, soft
from vision.rendering.photos import cutout
from vision.rendering.sprites import SCALE, Texture, bytes_of, mottle

_STEEL: Final = (176, 180, 182)


class _Board:
    """A colour, alpha, gloss and height picture to draw flat shapes on; coordinates in px of the thing."""

    def __init__(self, size: float, width: float) -> None:
        self.x, self.y = axes(size, width)
        h, w = self.x.shape
        self.colour = np.zeros((h, w, 3), np.uint8)
        self.alpha = np.zeros((h, w), np.uint8)
        self.gloss = np.zeros((h, w), np.uint8)
        self.height = np.zeros((h, w), np.uint8)
        self._origin = np.array([(w - 1) / 2, (h - 1) / 2])

    def poly(self, points: list[tuple[float, float]], tone: Tone, gloss: int, height: int) -> None:
        fixed = np.round((np.array(points) * SCALE + self._origin) * 16).astype(np.int32)
        for plane, value in ((self.colour, tone), (self.alpha, 255), (self.gloss, gloss), (self.height, height)):
            cv2.fillPoly(plane, [fixed], value, cv2.LINE_AA, 4)

    def box(self, x0: float, y0: float, x1: float, y1: float, tone: Tone, gloss: int, height: int) -> None:
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], tone, gloss, height)

    def disc(self, x: float, y: float, radius: float, tone: Tone, gloss: int, height: int) -> None:
        t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        self.poly([(x + radius * np.cos(a), y + radius * np.sin(a)) for a in t], tone, gloss, height)

    def line(self, x0: float, y0: float, x1: float, y1: float, tone: Tone, thick: float) -> None:
        a, b = (np.round((np.array(p) * SCALE + self._origin) * 16).astype(int) for p in ((x0, y0), (x1, y1)))
        cv2.line(self.colour, tuple(a), tuple(b), tone, max(1, round(thick * SCALE)), cv2.LINE_AA, 4)

    def text(self, words: str, x: float, y: float, high: float, tone: Tone) -> None:
        at = np.round(np.array([x, y]) * SCALE + self._origin).astype(int)
        cv2.putText(self.colour, words, tuple(at), cv2.FONT_HERSHEY_SIMPLEX, high * SCALE / 22, tone, 1, cv2.LINE_AA)

    def done(self, rng: np.random.Generator, wear: float = 0.03) -> Texture:
        rough = 1 + mottle(rng, self.alpha.shape[0], self.alpha.shape[1], 7.0) * wear
        height = cv2.GaussianBlur(self.height, (0, 0), 1.2)
        colour = (self.colour * rough[..., None]).astype(np.float32)
        return pack(colour, _f(self.alpha), _f(self.gloss), _f(height))


def _tone(tone: Tone, gain: float, add: int) -> Tone:
    b, g, r = (min(255, int(c * gain) + add) for c in tone)
    return b, g, r


def _f(plane: npt.NDArray[Any]) -> F32:
    return plane.astype(np.float32)


def draw_caliper(spec: Spec) -> Texture:
    """A digital calliper, jaws to the left."""
    size, width, tone, rng = spec.size, spec.width, spec.tone, spec.rng
    board = _Board(size, width)
    half, w = size / 2, width / 2
    top, bottom = -w * 0.28, w * 0.1
    board.box(-half, top, half, bottom, _STEEL, 150, 110)
    board.poly(
        [
            (-half, top),
            (-half + half * 0.16, top),
            (-half + half * 0.1, w * 0.98),
            (-half + half * 0.06, w * 0.98),
            (-half, w * 0.2),
        ],
        _STEEL,
        150,
        110,
    )
    board.poly([(-half, top), (-half + half * 0.08, -w * 0.9), (-half + half * 0.11, top)], _STEEL, 140, 110)
    opening = half * float(rng.uniform(0.0, 0.02))
    jaw = -half + half * 0.16 + opening
    board.poly(
        [
            (jaw, top),
            (jaw + half * 0.16, top),
            (jaw + half * 0.1, w * 0.5),
            (jaw + half * 0.03, w * 0.98),
            (jaw, w * 0.98),
        ],
        (160, 164, 166),
        150,
        130,
    )
    board.poly([(jaw, top), (jaw + half * 0.02, -w * 0.9), (jaw + half * 0.12, top)], (160, 164, 166), 140, 130)
    board.box(jaw, -w * 0.52, jaw + half * 0.62, w * 0.42, tone, 50, 170)
    board.box(jaw + half * 0.1, -w * 0.32, jaw + half * 0.5, w * 0.05, (150, 165, 160), 60, 150)
    board.text("12.50", jaw + half * 0.13, w * 0.0, w * 0.3, (30, 34, 32))
    for k in range(3):
        board.disc(
            jaw + half * (0.14 + 0.16 * k),
            w * 0.25,
            w * 0.08,
            ((60, 60, 200), (190, 120, 50), (70, 70, 70))[k],
            20,
            200,
        )
    for k in range(int(half * 0.9 / 3)):
        x = jaw + half * 0.66 + k * 3
        if x < half - 2:
            board.line(x, bottom, x, bottom - w * (0.16 if k % 5 == 0 else 0.09), (60, 60, 60), 0.4)
    return board.done(rng)


def draw_micrometer(spec: Spec) -> Texture:
    """An outside micrometer, frame to the left, thimble to the right."""
    size, width, tone, rng = spec.size, spec.width, spec.tone, spec.rng
    board = _Board(size, width)
    half, w = size / 2, width / 2
    cx, ro = -half * 0.45, min(w * 0.95, half * 0.52)
    arc = np.linspace(np.pi * 0.02, np.pi * 0.98, 28)
    outer = [(cx + ro * np.cos(a), -w * 0.35 + ro * 1.35 * np.sin(a)) for a in arc]
    inner = [(cx + ro * 0.62 * np.cos(a), -w * 0.35 + ro * 0.85 * np.sin(a)) for a in arc[::-1]]
    board.poly([(float(a), float(b)) for a, b in outer + inner], tone, 70, 150)
    board.box(cx - ro, -w * 0.55, cx - ro * 0.3, -w * 0.25, _STEEL, 150, 120)
    board.box(cx - ro * 0.28, -w * 0.47, cx + ro, -w * 0.33, _STEEL, 160, 120)
    board.box(cx + ro * 0.9, -w * 0.6, half * 0.35, -w * 0.2, (184, 188, 190), 150, 140)
    board.box(half * 0.3, -w * 0.68, half * 0.82, -w * 0.12, (150, 154, 156), 150, 170)
    for k in range(int(half * 0.5 / 2.2)):
        board.line(half * 0.33 + k * 2.2, -w * 0.68, half * 0.33 + k * 2.2, -w * 0.12, (110, 112, 114), 0.5)
    board.box(half * 0.82, -w * 0.56, half * 0.98, -w * 0.24, (120, 122, 124), 120, 150)
    board.line(cx + ro, -w * 0.4, half * 0.3, -w * 0.4, (40, 40, 40), 0.5)
    return board.done(rng)


def draw_ring(spec: Spec) -> Texture:
    """A ring gauge."""
    size = spec.size
    x, y = axes(size, size)
    r = np.hypot(x, y) / (size / 2)
    edge = np.maximum(r - 1, 0.5 - r) * size / 2
    gain = 0.7 + 0.25 * np.exp(-(((r - 0.93) / 0.05) ** 2)) + 0.3 * np.abs(np.cos(np.arctan2(y, x) - 0.5)) ** 8
    height = 60 + 140 * np.clip(np.minimum(1 - r, r - 0.5) / 0.08, 0, 1)
    colour = paint(_STEEL, gain.astype(np.float32))
    return pack(colour, soft(edge.astype(np.float32)), np.full(x.shape, 140, np.float32), height.astype(np.float32))


def draw_key(spec: Spec) -> Texture:
    """A hexagon key."""
    size, width, tone, rng = spec.size, spec.width, spec.tone, spec.rng
    board = _Board(size, width)
    half, w, t = size / 2, width / 2, max(2.5, size * 0.035)
    board.box(-half, w - 2 * t, half, w, tone, 110, 120)
    board.box(-half, -w, -half + 2 * t, w, tone, 110, 120)
    board.line(-half + t, w - 1.4 * t, half, w - 1.4 * t, _tone(tone, 1.5, 40), t * 0.4)
    board.line(-half + 0.6 * t, -w, -half + 0.6 * t, w - t, _tone(tone, 1.5, 40), t * 0.4)
    return board.done(rng)


def draw_box(spec: Spec) -> Texture:
    """``box``: a plastic box of inserts with its label; `flipped`: its lid is open and shows the wells.
    ``lidbox``: an opaque box with a sliding lid; `flipped`: slid open on what lies in it, a heap.
    """
    form, size, width, tone, rng, flipped = spec.form, spec.size, spec.width, spec.tone, spec.rng, spec.flipped
    board = _Board(size, width)
    half, w = size / 2 - 1, width / 2 - 1
    dark = _tone(tone, 0.7, 0)
    board.box(-half, -w, half, w, tone, 60, 150)
    board.box(-half + 3, -w + 3, half - 3, w - 3, _tone(tone, 1.08, 0), 80, 185)
    if form == "lidbox":
        gap = float(rng.uniform(0.55, 0.85)) * 2 * half if flipped else 0.0
        if flipped:
            board.box(-half + 4, -w + 4, -half + gap, w - 4, (26, 26, 28), 0, 40)
            for _ in range(int(size * width / 130)):
                px, py = rng.uniform(-half + 8, max(-half + 9, -half + gap - 6)), rng.uniform(-w + 8, w - 8)
                shade = int(rng.uniform(70, 190))
                a = rng.uniform(0, np.pi)
                s = min(size, width) * rng.uniform(0.06, 0.11)
                corners = [(px + s * np.cos(a + k * np.pi / 2), py + s * np.sin(a + k * np.pi / 2)) for k in range(4)]
                board.poly(
                    [(float(p), float(q)) for p, q in corners],
                    (shade, int(shade * 1.03), int(shade * 1.05)),
                    110,
                    int(rng.uniform(60, 130)),
                )
        x = -half + gap
        board.box(x + 4, -w + 5, half - 4, w - 5, _tone(tone, 1.2, 8), 110, 190)
        for k in range(4):
            board.line(x + 9 + 3 * k, -w * 0.35, x + 9 + 3 * k, w * 0.35, dark, 1.0)
        if half - x > size * 0.4:
            board.box(half * 0.05, -w * 0.4, half * 0.8, w * 0.4, (222, 226, 228), 20, 190)
            words = f"M{int(rng.integers(3, 12))}x{int(rng.integers(8, 40))}"
            high = min(w * 0.42, half * 0.2)
            board.text(words, half * 0.08, high * 0.5, high, (30, 30, 30))
        return board.done(rng)
    if flipped:
        board.box(-half + 4, -w + 4, half - 4, w - 4, (40, 40, 42), 20, 90)
        for i in range(5):
            for j in range(2):
                px, py = -half + (i + 0.5) * 2 * half / 5, -w + (j + 0.5) * w
                board.disc(px, py, min(half / 5, w / 2) * 0.75, (24, 24, 26), 0, 60)
                if rng.random() < 0.7:
                    s = min(half / 5, w / 2) * 0.6
                    board.poly([(px + s, py), (px, py + s), (px - s, py), (px, py - s)], (70, 175, 212), 110, 120)
        return board.done(rng)
    stripe = _tone(((60, 60, 200), (200, 120, 40), (60, 160, 70), (40, 170, 220))[int(rng.integers(4))], 1.0, 0)
    board.box(-half * 0.85, -w * 0.72, half * 0.45, w * 0.72, (228, 232, 234), 30, 190)
    board.box(
        -half * 0.85,
        -w * 0.72,
        half * 0.45,
        -w * 0.38,
        stripe,
        30,
        190,
    )
    board.text(
        str(rng.choice(["CNMG", "DCMT", "TCMT", "SNMG", "WNMG"])), -half * 0.78, w * 0.12, w * 0.42, (20, 20, 20)
    )
    for k in range(12):
        if rng.random() < 0.6:
            x = -half * 0.78 + k * half * 0.09
            board.line(x, w * 0.3, x, w * 0.6, (20, 20, 20), 0.8)
    board.box(half * 0.55, -w * 0.5, half * 0.9, w * 0.5, (70, 70, 72), 120, 170)
    return board.done(rng)


def draw_photo(spec: Spec) -> Texture:
    """``photo:<n>``: a tool cut out of photograph `n`, its long side `size` px."""
    form, size, flipped = spec.form, spec.size, spec.flipped
    picture = cutout(int(form.split(":")[1]))
    k = size * SCALE / picture.shape[1]
    bgra = cv2.resize(picture, None, fx=k, fy=k, interpolation=cv2.INTER_AREA if k < 1 else cv2.INTER_LINEAR)
    if flipped:
        bgra = np.ascontiguousarray(bgra[::-1])
    alpha = bgra[..., 3]
    bright = cv2.cvtColor(bgra[..., :3], cv2.COLOR_BGR2GRAY)
    colourful = bgra[..., :3].max(2).astype(np.int16) - bgra[..., :3].min(2)
    gloss = np.where((bright > 70) & (colourful < 40), 110, 25)
    height = cv2.GaussianBlur(alpha, (0, 0), 1.5) // 3
    return Texture(np.asarray(bgra, np.uint8), bytes_of(np.dstack((gloss, height))))


FORMS: Final[dict[str, Draw]] = {
    "caliper": draw_caliper,
    "micrometer": draw_micrometer,
    "ring": draw_ring,
    "key": draw_key,
    "box": draw_box,
    "lidbox": draw_box,
    "photo": draw_photo,
}
