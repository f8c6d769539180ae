"""The rendered rack of the demo: one scene that goes on, hand session after hand session, at a shop's slow pace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from copeau.demo.cameras import FPS, Shown, encode
from vision.rendering.episodes import Director

SEED = 4
REST_S = (2.0, 5.0)


def rendered_rack(seed: int = SEED) -> Iterator[Shown]:
    """Frames without end; takes and returns keep the rack between a third and nearly full."""
    director = Director(seed, light="steady")
    choose = np.random.default_rng(seed)
    while True:
        frames, events = director.rest(int(choose.uniform(*REST_S) * FPS))
        yield from _timed(frames, events)
        slots = director.scene.slots
        fill = sum(len(slot.items) for slot in slots) / sum(slot.capacity for slot in slots)
        take = fill > choose.uniform(0.35, 0.9)
        action = "nothing" if choose.random() < 0.15 else "take" if take else "return"
        frames, events = director.session(action)
        yield from _timed(frames, events)


def write_rack(path: Path, items: dict[str, str], seed: int = SEED) -> list[dict[str, object]]:
    """Write the scene's ``rack.json`` with our item codes by class; returns its slots with the count at the start."""
    director = Director(seed, light="steady")
    rack = director.episode.rack
    slots: list[dict[str, object]] = rack["slots"]  # type: ignore[assignment]  # the file's own JSON shape
    for slot in slots:
        slot["item"] = items[str(slot["class"])].format(slot=slot["id"])
    path.write_text(json.dumps(rack, indent=1) + "\n", encoding="utf-8")
    counts = {slot.id: len(slot.items) for slot in director.scene.slots}
    return [slot | {"count": counts[str(slot["id"])]} for slot in slots]


def _timed(frames: list[np.ndarray], events: list[tuple[int, str, int]]) -> Iterator[Shown]:
    for index, image in enumerate(frames):
        yield Shown(encode(image), [(slot, delta) for at, slot, delta in events if at == index])
