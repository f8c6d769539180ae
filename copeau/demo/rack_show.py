"""The rendered rack of the demo: one scene that goes on, hand session after hand session, at a shop's pace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from contracts import racks
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


def write_rack(path: Path, names: dict[str, str], seed: int = SEED) -> racks.RackDescription:
    """Write the scene's ``rack.json`` as somebody taught it: items named by `names[class]`, the counts it starts with,
    and the outline beyond which nothing is looked at.
    """
    live = LiveRack(seed)
    height, width = live.rest(1).frames[0].shape[:2]
    counts = {slot.id: len(slot.items) for slot in live.scene.slots}
    drawn = racks.parse(live.rack)
    described = racks.RackDescription(
        slots=[
            msgspec.structs.replace(slot, item=names[slot.klass].format(slot=slot.id), count=counts[slot.id])
            for slot in drawn.slots
        ],
        picture=(width, height),
        outline=drawn.outline or [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)],
        markers=drawn.markers,
    )
    path.write_bytes(racks.dump(described))
    return described


def _shown(stretch: Stretch) -> Iterator[Shown]:
    for index, image in enumerate(stretch.frames):
        yield Shown(encode(image), [(slot, delta) for at, slot, delta in stretch.events if at == index])
