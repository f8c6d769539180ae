"""What arms do, beat by beat: come in, stay, act, go out. A beat is a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vision.rendering.arms import Arm
from vision.rendering.sprites import Sprite
from vision.rendering.things import Thing, sprite

Do = Callable[["Track"], None]


@dataclass
class Beat:
    """Pinched fingers at ``(x, y)`` picture px, in `pose`; `do` happens first."""

    x: float
    y: float
    pose: str
    do: Do | None = None


@dataclass
class Track:
    """One arm's way. `held`: what it holds now; `delay`: frames before it appears."""

    arm: Arm
    size: tuple[int, int]
    light: float
    held: Thing | None = None
    delay: int = 0
    beats: list[Beat] = field(default_factory=list)
    _held_sprite: tuple[Thing, Sprite] | None = None

    def outside(self, x: float, y: float) -> tuple[float, float]:
        """Straight back from ``(x, y)`` along the arm until the fingers have left the picture."""
        f = np.array([np.cos(self.arm.angle), np.sin(self.arm.angle)])
        pad = self.arm.look.scale * 1.6
        steps = []
        for value, direction, limit in ((x, -f[0], self.size[0]), (y, -f[1], self.size[1])):
            if direction > 0.2:
                steps.append((limit + pad - value) / direction)
            elif direction < -0.2:
                steps.append((value + pad) / -direction)
        t = min(steps)
        return float(x - f[0] * t), float(y - f[1] * t)

    def go(self, rng: np.random.Generator, x: float, y: float, frames: int, pose: str) -> None:
        """Travel to ``(x, y)``; the first travel comes from outside."""
        start = (self.beats[-1].x, self.beats[-1].y) if self.beats else self.outside(x, y)
        for t in np.linspace(0, 1, frames + 1)[1:]:
            s = t * t * (3 - 2 * t)
            wobble = rng.normal(0, 3, 2)
            self.beats.append(
                Beat(
                    start[0] + (x - start[0]) * float(s) + float(wobble[0]),
                    start[1] + (y - start[1]) * float(s) + float(wobble[1]),
                    pose,
                )
            )

    def stay(self, rng: np.random.Generator, frames: int, pose: str, do: Do | None = None) -> None:
        """Stay about; `do` happens in the first of these frames."""
        x, y = self.beats[-1].x, self.beats[-1].y
        for i in range(frames):
            dx, dy = rng.normal(0, 3.5, 2)
            self.beats.append(Beat(x + float(dx), y + float(dy), pose, do if i == 0 else None))

    def leave(self, rng: np.random.Generator, frames: int, pose: str) -> None:
        self.go(rng, *self.outside(self.beats[-1].x, self.beats[-1].y), frames, pose)

    def sprites(self, index: int) -> list[Sprite]:
        """What is seen of it in frame `index` of the session."""
        i = index - self.delay
        if not 0 <= i < len(self.beats):
            return []
        beat = self.beats[i]
        before = self.beats[i - 1] if i else beat
        arm = self.arm.sprite(beat.pose, (beat.x, beat.y), (beat.x - before.x, beat.y - before.y), self.size)
        x, y = round(beat.x), round(beat.y)
        shown = [] if arm is None else [arm]
        if self.held is not None:
            if self._held_sprite is None or self._held_sprite[0] != self.held:
                at_origin = self.held.to(0.0, 0.0, self.held.angle)
                self._held_sprite = (self.held, sprite(at_origin, self.light))
            held = self._held_sprite[1]
            shown.insert(0, held.at(held.x + x, held.y + y))
        return shown

    def __len__(self) -> int:
        return self.delay + len(self.beats)
