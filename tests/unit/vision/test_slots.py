"""Rack descriptions, and which box lies in which place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.racks import SlotKind
from vision.slots import RackError, load_rack, parse_rack

SQUARE = [[0, 0], [100, 0], [100, 100], [0, 100]]
NEXT = [[100, 0], [200, 0], [200, 100], [100, 100]]


def rack(*polygons: Any) -> dict[str, Any]:
    return {
        "slots": [{"id": f"A{i + 1}", "polygon": p, "item": "x", "class": "insert"} for i, p in enumerate(polygons)]
    }


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "at least one slot"),
        ({"slots": []}, "at least one slot"),
        ([], "at least one slot"),
        ({"slots": [{"polygon": SQUARE}]}, "slot number 1.*`id`"),
        (rack([[0, 0], [1, 1]]), "A1.*length >= 3"),
        (rack([[0, 0], [10, 0], [20, 0]]), "no area"),
        (rack("nonsense"), "A1"),
        (rack([[0, 0], [10, "x"], [20, 20]]), "A1.*Expected `float`"),
        (rack([[0, 0], [10, float("nan")], [20, 20]]), "no area"),
        ({"slots": [*rack(SQUARE)["slots"], *rack(NEXT)["slots"]]}, "twice"),
        ({"slots": [{**rack(SQUARE)["slots"][0], "count": -1}]}, "A1.*count"),
        ({"slots": [{**rack(SQUARE)["slots"][0], "count": True}]}, "A1.*count"),
    ],
)
def test_an_impossible_rack_is_refused_with_a_sentence(document: Any, says: str) -> None:
    with pytest.raises(RackError, match=says):
        parse_rack(document)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1]"])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rack.json"
    path.write_bytes(content)
    with pytest.raises(RackError, match=r"rack\.json"):
        load_rack(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RackError, match="no such file"):
        load_rack(tmp_path / "rack.json")


def test_a_rack_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "rack.json"
    path.write_text(json.dumps(rack(SQUARE, NEXT)))
    loaded = load_rack(path)
    assert [s.id for s in loaded.slots] == ["A1", "A2"]
    assert loaded.slot("A2").area == pytest.approx(10_000)


def test_the_kind_and_the_px_of_an_item_are_read() -> None:
    document = rack(SQUARE)
    document["slots"][0] |= {"kind": "presence", "capacity": 1, "px_per_item": 31.5}
    slot = parse_rack(document).slot("A1")
    assert (slot.kind, slot.capacity, slot.px_per_item) == (SlotKind.PRESENCE, 1, 31.5)


def test_an_old_file_without_kinds_is_countable() -> None:
    slot = parse_rack({"slots": [{"id": "A1", "polygon": SQUARE}]}).slot("A1")
    assert (slot.kind, slot.klass, slot.count) == (SlotKind.COUNTABLE, "any", None)


def test_markers_outline_and_drawer_come_along() -> None:
    document = rack(SQUARE) | {
        "picture": [1920, 1080],
        "outline": SQUARE,
        "markers": {"ids": [0, 1, 2], "centres": [[0, 0], [9, 0], [9, 9]]},
        "drawer": {"tolerance_px": 9.0},
    }
    loaded = parse_rack(document)
    assert loaded.picture == (1920, 1080)
    assert loaded.outline is not None
    assert loaded.outline.shape == (4, 2)
    assert loaded.markers is not None
    assert loaded.drawer is not None
    assert loaded.drawer.tolerance_px == 9.0
