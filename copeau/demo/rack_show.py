"""The rendered rack of the demo: one scene that goes on, hand session after hand session, at a shop's pace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from copeau.demo.show import FPS, Shown, closing, encode
from vision.rendering.live import LiveRack, Stretch

SEED = 7
REST_S = (3.0, 6.0)


def rendered_rack(seed: int = SEED) -> Iterator[Shown]:
    """Frames without end; takes and returns keep the rack between a third and nearly full."""
    live = LiveRack(seed)
    choose = np.random.default_rng(seed)
    while True:
        yield from _shown(live.rest(int(choose.uniform(*REST_S) * FPS)))
        if closing.is_set():
            continue
        slots = live.scene.slots
        fill = sum(len(slot.items) for slot in slots) / sum(slot.capacity for slot in slots)
        wanted = "take" if fill > choose.uniform(0.35, 0.9) else "return"
        yield from _shown(live.session("nothing" if choose.random() < 0.15 else wanted))


def write_rack(path: Path, names: dict[str, str], seed: int = SEED) -> list[dict[str, Any]]:
    """Write the scene's ``rack.json``, items named by `names[class]`; its slots, each with the `count` it starts
    with.
    """
    live = LiveRack(seed)
    rack: dict[str, Any] = live.rack
    counts = {slot.id: len(slot.items) for slot in live.scene.slots}
    for slot in rack["slots"]:
        slot["item"] = names[slot["class"]].format(slot=slot["id"])
    path.write_text(json.dumps(rack, indent=1) + "\n", encoding="utf-8")
    return [slot | {"count": counts[slot["id"]]} for slot in rack["slots"]]


def _shown(stretch: Stretch) -> Iterator[Shown]:
    for index, image in enumerate(stretch.frames):
        yield Shown(encode(image), [(slot, delta) for at, slot, delta in stretch.events if at == index])
