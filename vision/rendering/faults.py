"""The faults of a rack's camera: pushed, turned, covered, dark, frozen, flickering, dirty, another exposure, and a
drawer that is not open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vision.rendering.camera import Lens
from vision.rendering.sprites import Raster, Rect, bytes_of, mottle, place
from vision.rendering.things import texture

if TYPE_CHECKING:
    from vision.rendering.show import RackShow

BLINDING: Final = ("covered", "dark", "frozen", "flicker", "partial", "moved")
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
        a, b, _, d = show.stage.area
        push = (1 - opened) * (d - b)
        camera.fault = np.array([[1, 0, 0], [0, 1, -push], [0, 0, 1]], np.float64)
        camera.front = _cabinet(show, show.seen(a, d)[1])


def end(show: RackShow) -> None:
    """The camera as it was."""
    show.camera.fault = np.eye(3)
    show.camera.lens = Lens()
    show.camera.front = None


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


def _cabinet(show: RackShow, front: float) -> tuple[Raster, Raster]:
    """The cabinet over the pushed-in part of the drawer, the drawer's face, and the floor before it.

    Args:
        front: where the drawer's front edge is seen, px from the top.
    """
    w, h = show.size
    keep = np.full((h, w, 3), 255, np.uint8)
    ink = np.zeros((h, w, 3), np.uint8)
    rng = np.random.default_rng(int(show.stage.area[2]))
    tone = np.array(((96, 84, 70), (60, 62, 150), (120, 122, 124))[int(rng.integers(3))], np.float32)
    mouth, face = int(0.05 * h), 44
    edge = int(np.clip(front, mouth, h - face - 1))
    shade = np.linspace(0.3, 1.0, 70)[:, None, None]
    keep[mouth : mouth + 70] = (255 * shade).astype(np.uint8)
    keep[:mouth], keep[edge:] = 0, 0
    ink[:mouth] = bytes_of(tone * 1.15 + mottle(rng, mouth, w, 30.0)[..., None] * 3)
    floor = np.array((74, 78, 80), np.float32) + mottle(rng, h - edge, w, 120.0)[..., None] * 4
    floor += rng.normal(0, 3, (h - edge, w, 1))
    floor *= np.clip(np.arange(h - edge) / 120 - 0.15, 0.45, 1)[:, None, None]
    floor[:face] = tone * np.linspace(1.25, 0.8, face)[:, None, None]
    cv2.rectangle(floor, (w // 2 - 160, 14), (w // 2 + 160, 28), (190, 192, 194), -1)
    cv2.rectangle(floor, (w // 2 - 160, 24), (w // 2 + 160, 28), (90, 92, 94), -1)
    ink[edge:] = bytes_of(floor)
    return keep, ink
