"""Real footage in which things move and nothing is taken: no movement of stock may come out, whatever places are
drawn on it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vision.detectors import make_detector
from vision.slots import parse_rack
from vision.sources import open_source
from vision.watching import RackWatcher, changes

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "photos" / "intel-previews"
GIFS = sorted(FOLDER.glob("*.gif")) if FOLDER.is_dir() else []
pytestmark = pytest.mark.skipif(not GIFS, reason="no preview at ../shared/data/photos/intel-previews")


def rectangle(x: float, y: float, w: float, h: float) -> list[list[float]]:
    return [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]


@pytest.mark.parametrize("klass", ["any", "insert"])
@pytest.mark.parametrize("layout", ["grid", 1, 2, 3, 4])
@pytest.mark.parametrize("path", GIFS, ids=lambda p: p.stem)
def test_no_movement(path: Path, layout: str | int, klass: str) -> None:
    frames = list(open_source(str(path)))
    height, width = frames[0].image.shape[:2]
    if layout == "grid":
        places = [
            rectangle(width / 4 * c + 4, height / 3 * r + 4, width / 4 - 8, height / 3 - 8)
            for r in range(3)
            for c in range(4)
        ]
    else:
        rng = np.random.default_rng(int(layout))
        places = [
            rectangle(*(float(v) for v in rng.uniform((0, 0, 30, 30), (width - 120, height - 120, 120, 120))))
            for _ in range(4)
        ]
    slots = [{"id": f"S{i}", "polygon": p, "item": "x", "class": klass} for i, p in enumerate(places)]
    watcher = RackWatcher(parse_rack({"slots": slots}), make_detector())
    length = frames[-1].ts + frames[1].ts
    said = [one for k in range(2) for f in frames for one in watcher.feed(f.image, f.ts + k * length)]
    assert changes(said) == []
