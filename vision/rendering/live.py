"""A rendered rack that goes on: session after session on one scene, for a demo or a soak."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vision.rendering.episodes import FPS, Director, Episode
from vision.rendering.items import Image
from vision.rendering.scene import Scene


class Stretch(NamedTuple):
    """Some frames, images (H, W, 3) uint8 BGR at `FPS`, and what changed in them: (frame index, slot, ±1)."""

    frames: list[Image]
    events: list[tuple[int, str, int]]


class LiveRack:
    """One rack. `seed` fixes its layout, material and contents; the light is steady."""

    def __init__(self, seed: int) -> None:
        self._director = Director(seed, "steady")

    @property
    def scene(self) -> Scene:
        return self._director.scene

    @property
    def rack(self) -> dict[str, object]:
        """The content of its ``rack.json``."""
        return self._director.episode.rack

    def rest(self, frames: int) -> Stretch:
        """Nobody is there."""
        return self._shot(lambda: self._director.wait(frames))

    def session(self, action: str) -> Stretch:
        """A hand does `action` (one of `vision.rendering.episodes.ACTIONS`), or nothing when that is not possible."""
        return self._shot(lambda: self._director.session(action))

    def _shot(self, play: Callable[[], None]) -> Stretch:
        self._director.episode = Episode(self.rack, "steady")
        play()
        episode = self._director.episode
        events = [(round(float(str(e["t"])) * FPS), str(e["slot"]), int(str(e["delta"]))) for e in episode.events]
        return Stretch(episode.frames, events)
