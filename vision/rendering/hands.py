"""Draw an operator's hand: palm, fingers, forearm and sleeve, bare or gloved, seen from above."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vision.rendering.items import Image

Mask = npt.NDArray[np.float32]

_SKIN = ((150, 180, 225), (120, 155, 205), (95, 130, 185), (70, 100, 150), (50, 72, 110), (165, 190, 230))
_GLOVES = ((200, 120, 40), (45, 45, 48), (170, 170, 175), (40, 110, 225), (90, 160, 60), (60, 60, 190), (225, 225, 228))
_SLEEVES = (
    (110, 60, 40),
    (60, 60, 60),
    (40, 40, 150),
    (150, 110, 70),
    (70, 90, 60),
    (200, 200, 205),
    (30, 30, 35),
    (60, 120, 210),
)


@dataclass(frozen=True)
class Hand:
    """The look of one hand, fixed for a session.

    Attributes:
        scale: palm radius, canvas px.
        colour: BGR of skin or glove.
        sleeve: BGR of the sleeve.
        sleeve_from: distance wrist → sleeve in palm radii.
        spread: finger spread in radians.
        lengths: five finger lengths in palm radii, thumb first.
        side: +1 or -1: the side of the thumb.
        seed: texture.
    """

    scale: float
    colour: tuple[int, int, int]
    sleeve: tuple[int, int, int]
    sleeve_from: float
    spread: float
    lengths: tuple[float, ...]
    side: int
    seed: int


def make_hand(scale: float, rng: np.random.Generator) -> Hand:
    """A random hand with palm radius ``scale`` px; gloved in four cases of ten."""
    table = _GLOVES if rng.random() < 0.4 else _SKIN
    curl = rng.uniform(0.45, 1.0)
    lengths = tuple(float(v) for v in np.array([0.95, 1.35, 1.5, 1.4, 1.1]) * curl * rng.uniform(0.85, 1.1, 5))
    return Hand(
        scale=scale,
        colour=_near(table[rng.integers(len(table))], rng),
        sleeve=_near(_SLEEVES[rng.integers(len(_SLEEVES))], rng),
        sleeve_from=float(rng.uniform(0.2, 3.0)),
        spread=float(rng.uniform(0.12, 0.3)),
        lengths=lengths,
        side=int(rng.choice([-1, 1])),
        seed=int(rng.integers(1 << 30)),
    )


def fingertip(hand: Hand, x: float, y: float, angle: float) -> tuple[float, float]:
    """Where a pinched item is held when the palm is at ``(x, y)`` and the fingers point along ``angle``."""
    reach = hand.scale * (0.7 + hand.lengths[1] * 0.75)
    return x + np.cos(angle) * reach, y + np.sin(angle) * reach


def draw_hand(canvas: Image, hand: Hand, x: float, y: float, angle: float) -> tuple[Mask, Mask]:
    """Paint the hand (palm centre, fingers pointing along ``angle`` radians; the arm runs the other way, out of the
    picture).

    Returns:
        two masks (H, W) float32 0..1: the whole arm, and the hand proper (palm, fingers and wrist).
    """
    height, width = canvas.shape[:2]
    skin = np.zeros((height, width), np.uint8)
    arm = np.zeros((height, width), np.uint8)
    forward = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-forward[1], forward[0]]) * hand.side
    centre, s = np.array([x, y]), hand.scale
    _capsule(skin, centre - forward * s * 0.35, centre + forward * s * 0.3, s * 0.82)
    creases: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = []
    for i, length in enumerate(hand.lengths):
        if i == 0:
            root = centre + across * s * 0.65 - forward * s * 0.1
            direction = _turn(forward, 0.75 * hand.side)
            thick = 0.27
        else:
            root = centre + across * s * (0.62 - 0.41 * (i - 1)) + forward * s * 0.55
            direction = _turn(forward, hand.spread * (1.5 - (i - 1)) * hand.side)
            thick = 0.235 - 0.015 * abs(i - 2)
        middle = root + direction * s * length * 0.55
        tip = middle + _turn(direction, -0.18 * hand.side if i else -0.5 * hand.side) * s * length * 0.5
        _capsule(skin, root, middle, s * thick)
        _capsule(skin, middle, tip, s * thick * 0.88)
        creases.append((root, middle))
    wrist = centre - forward * s * 1.05
    _capsule(skin, centre, wrist, s * 0.55)
    hand_mask = skin.copy()
    far = centre - forward * (height + width)
    _capsule(skin, wrist, far, s * 0.6)
    sleeve_start = wrist - forward * s * hand.sleeve_from
    _capsule(arm, sleeve_start, far, s * 0.8)
    _paint(canvas, skin, hand.colour, hand.seed, s)
    for root, middle in creases[1:]:
        cv2.line(
            canvas,
            _px(root),
            _px(middle),
            tuple(int(c * 0.72) for c in hand.colour),
            max(1, int(s * 0.03)),
            cv2.LINE_AA,
        )
    _paint(canvas, arm, hand.sleeve, hand.seed + 1, s)
    whole = np.maximum(skin, arm).astype(np.float32) / np.float32(255)
    visible_hand = np.where(arm > 127, 0, hand_mask).astype(np.float32) / np.float32(255)
    return whole, visible_hand


def _near(colour: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, int, int]:
    v = np.clip(np.array(colour) * rng.uniform(0.85, 1.12) + rng.normal(0, 6, 3), 8, 248)
    return int(v[0]), int(v[1]), int(v[2])


def _turn(v: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * v[0] - s * v[1], s * v[0] + c * v[1]])


def _px(p: npt.NDArray[np.float64]) -> tuple[int, int]:
    return round(float(p[0])), round(float(p[1]))


def _capsule(
    mask: npt.NDArray[np.uint8], a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], radius: float
) -> None:
    cv2.line(mask, _px(a), _px(b), 255, max(2, round(2 * radius)), cv2.LINE_AA)


def _paint(canvas: Image, mask: npt.NDArray[np.uint8], colour: tuple[int, int, int], seed: int, scale: float) -> None:
    ys, xs = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
    if len(ys) == 0 or len(xs) == 0:
        return
    y0, y1, x0, x1 = ys[0], ys[-1] + 1, xs[0], xs[-1] + 1
    m = mask[y0:y1, x0:x1]
    depth = cv2.distanceTransform((m > 127).astype(np.uint8), cv2.DIST_L2, 3)
    shade = 0.55 + 0.5 * np.minimum(depth / (scale * 0.35), 1.0)
    rng = np.random.default_rng(seed)
    rough = cv2.resize(
        rng.normal(0, 1, (24, 24)).astype(np.float32), (m.shape[1], m.shape[0]), interpolation=cv2.INTER_CUBIC
    )
    body = np.array(colour, np.float32) * (shade + 0.05 * rough)[..., None]
    alpha = (m.astype(np.float32) / np.float32(255))[..., None]
    patch = canvas[y0:y1, x0:x1]
    patch[:] = np.clip(patch * (1 - alpha) + body * alpha, 0, 255).astype(np.uint8)
