"""The faults of a rack's camera: pushed, turned, covered, dark, frozen, flickering, dirty, another exposure, and a
drawer that is not open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vision.rendering.camera import Lens
from vision.rendering.sprites import Rect, bytes_of, mottle, place
from vision.rendering.things import texture

if TYPE_CHECKING:
    from vision.rendering.show import RackShow

BLINDING: Final = ("covered", "dark", "frozen", "flicker", "closed", "partial", "moved")
SMALL_MOVE_PX: Final = 40.0
"""A camera pushed less far than this, or turned less than `SMALL_TURN_DEG`, registers itself again and counts on."""
SMALL_TURN_DEG: Final = 3.5

_AMOUNTS: Final = {
    "moved": (60.0, 60.0),
    "turned": (2.0, 5.0),
    "covered": (0.6, 1.0),
    "dark": (0.03, 0.1),
    "frozen": (0.0, 0.0),
    "flicker": (0.2, 0.35),
    "dirt": (0.3, 0.9),
    "exposure": (0.6, 1.6),
    "closed": (0.0, 0.0),
    "partial": (0.3, 0.85),
}


def some(rng: np.random.Generator, kind: str) -> float:
    """An amount of that fault."""
    low, high = _AMOUNTS[kind]
    return float(rng.uniform(low, high))


def blind(show: RackShow) -> bool:
    """Whether the fault that is on forbids counting."""
    kind = show.fault_kind
    if kind is None:
        return False
    if kind in {"moved", "turned"}:
        f = show.camera.fault
        w, h = show.size
        middle = cv2.perspectiveTransform(np.array([[[w / 2, h / 2]]], np.float64), f)[0, 0] - (w / 2, h / 2)
        turned = abs(float(np.degrees(np.arctan2(f[1, 0], f[0, 0]))))
        return bool(np.hypot(*middle) > SMALL_MOVE_PX or turned > SMALL_TURN_DEG)
    return kind not in {"exposure", "dirt"}


def begin(show: RackShow, kind: str, amount: float) -> None:
    """Set the camera so. The caller exposes."""
    end(show)
    rng, camera = show.rng, show.camera
    w, h = show.size
    if kind == "moved":
        a = rng.uniform(0, 2 * np.pi)
        camera.fault = np.array([[1, 0, amount * np.cos(a)], [0, 1, amount * np.sin(a)], [0, 0, 1]], np.float64)
    elif kind == "turned":
        sign = float(rng.choice([-1, 1]))
        camera.fault = np.vstack((cv2.getRotationMatrix2D((w / 2, h / 2), amount * sign, 1.0), [0, 0, 1]))
    elif kind == "covered":
        camera.lens = _cover(rng, w, h, amount)
    elif kind == "dark":
        camera.lens = Lens(gain=amount, noise=2.0)
    elif kind == "dirt":
        camera.lens = _dirt(rng, w, h, amount)
    elif kind == "exposure":
        warm = float(rng.uniform(0.93, 1.07))
        camera.lens = Lens(gain=amount, tint=(warm, 1.0, 2 - warm))
    elif kind in {"closed", "partial"}:
        opened = 0.0 if kind == "closed" else amount
        a, b, c, d = show.stage.area
        push = (1 - opened) * (d - b)
        camera.fault = np.array([[1, 0, 0], [0, 1, -push], [0, 0, 1]], np.float64)
        camera.lens = _cabinet(show, d - push)


def end(show: RackShow) -> None:
    """The camera as it was."""
    show.camera.fault = np.eye(3)
    show.camera.lens = Lens()


def expose(show: RackShow, changed: Rect | None) -> None:
    """Renew the still picture."""
    show.camera.expose(show.stage.picture, show.stage.gloss, changed, show.rng)


def _cover(rng: np.random.Generator, w: int, h: int, share: float) -> Lens:
    """A cloth or a board before the lens, out of focus."""
    keep = np.full((h, w, 3), 255, np.uint8)
    ink = np.zeros((h, w, 3), np.uint8)
    tone = tuple(int(v) for v in rng.uniform(25, 120, 3))
    long = max(w, h) * (0.45 + 0.85 * share)
    cloth = place(
        texture("rag", round(long / 4), round(long / 4 * 0.8), tone, int(rng.integers(50)), False),
        0.0,
        0.0,
        float(rng.uniform(0, 6)),
        -2.0,
        0.0,
        4.0,
    )
    if share > 0.95:
        field = cv2.resize(mottle(rng, 60, 100, 22.0), (w, h)) * 14
        return Lens(np.zeros((h, w, 3), np.uint8), bytes_of(np.array(tone) * 0.5 + field[..., None]))
    x = int(rng.choice([0.2, 0.5, 0.8]) * w) - cloth.ink.shape[1] // 2
    y = int(rng.choice([0.3, 0.6]) * h) - cloth.ink.shape[0] // 2
    a, b, c, d = max(x, 0), max(y, 0), min(x + cloth.ink.shape[1], w), min(y + cloth.ink.shape[0], h)
    keep[b:d, a:c] = cloth.keep[b - y : d - y, a - x : c - x]
    ink[b:d, a:c] = cloth.ink[b - y : d - y, a - x : c - x]
    return Lens(cv2.blur(keep, (25, 25)), cv2.blur(ink, (25, 25)))


def _dirt(rng: np.random.Generator, w: int, h: int, amount: float) -> Lens:
    """Splashes and an oily film on the lens: soft spots and haze."""
    small = np.zeros((h // 8, w // 8), np.float32)
    for _ in range(int(6 + 24 * amount)):
        x, y = int(rng.uniform(0, w / 8)), int(rng.uniform(0, h / 8))
        cv2.circle(small, (x, y), int(rng.uniform(2, 5 + 13 * amount)), float(rng.uniform(0.2, 0.75)), -1)
    small = cv2.GaussianBlur(small, (0, 0), 2.0) + np.clip(mottle(rng, h // 8, w // 8, 40.0), 0, 1) * 0.3 * amount
    spot = cv2.resize(np.clip(small * (0.5 + 0.5 * amount), 0, 0.9), (w, h))
    haze = np.array((70, 88, 92), np.float32)
    return Lens(bytes_of(255 * (1 - spot))[..., None].repeat(3, 2), bytes_of(haze * spot[..., None]))


def _cabinet(show: RackShow, front: float) -> Lens:
    """The cabinet over the pushed-in part of the drawer: its body down to where the drawer comes out."""
    w, h = show.size
    a, b, c, d = show.stage.area
    keep = np.full((h, w, 3), 255, np.uint8)
    ink = np.zeros((h, w, 3), np.uint8)
    top = int(show.seen(a, b)[1])  # already moved
    del top
    mouth = int(0.05 * h)
    keep[:mouth] = 0
    rng = np.random.default_rng(int(a + d))
    ink[:mouth] = bytes_of(np.array((96, 84, 70), np.float32) + mottle(rng, mouth, w, 30.0)[..., None] * 3)
    shade = np.linspace(0.35, 1.0, 60)[:, None, None]
    keep[mouth : mouth + 60] = (255 * shade).astype(np.uint8)
    edge = int(np.clip(front - b + mouth - 20, mouth, h - 1))
    floor = slice(edge, h)
    keep[floor] = 0
    ink[floor] = bytes_of(np.array((74, 78, 80), np.float32) + mottle(rng, h - edge, w, 60.0)[..., None] * 6)
    lip = slice(edge, min(edge + 26, h))
    ink[lip] = bytes_of(np.array((120, 104, 88), np.float32) + mottle(rng, 26, w, 30.0)[: h - edge, :, None] * 3)
    return Lens(keep, ink)
