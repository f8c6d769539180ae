"""Rack descriptions, and which box lies in which place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vision.detectors.base import Detection
from vision.slots import RackError, assign, count_slot, load_rack, parse_rack

SQUARE = [[0, 0], [100, 0], [100, 100], [0, 100]]
NEXT = [[100, 0], [200, 0], [200, 100], [100, 100]]


def rack(*polygons: Any) -> dict[str, Any]:
    return {
        "slots": [{"id": f"A{i + 1}", "polygon": p, "item": "x", "class": "insert"} for i, p in enumerate(polygons)]
    }


def box(cx: float, cy: float, label: str = "insert", score: float = 0.9) -> Detection:
    return Detection(label, score, cx - 5, cy - 5, cx + 5, cy + 5)


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


def test_a_box_belongs_to_the_place_that_holds_its_centre_best() -> None:
    found = assign(
        [box(98, 50), box(103, 50), box(205, 50), box(215, 50), box(50, 50, "hand")], parse_rack(rack(SQUARE, NEXT))
    )
    assert len(found["A1"]) == 1
    assert len(found["A2"]) == 2, "5 px outside still belongs, 15 px does not"


def test_a_displaced_camera_displaces_the_places() -> None:
    found = assign([box(103, 50)], parse_rack(rack(SQUARE, NEXT)), offset=(10.0, 0.0))
    assert len(found["A1"]) == 1


def test_the_count_is_the_median_and_a_flickering_box_costs_confidence() -> None:
    steady = [[box(10, 10), box(50, 50)]] * 3
    flicker = [[box(10, 10), box(50, 50)], [box(10, 10)], [box(10, 10), box(50, 50)]]
    assert count_slot(steady, "insert", 0.35).value == count_slot(flicker, "insert", 0.35).value == 2
    assert count_slot(steady, "insert", 0.35).confidence == 1.0
    assert count_slot(flicker, "insert", 0.35).confidence < 0.7


def test_a_score_close_to_the_limit_costs_confidence_on_either_side() -> None:
    above = count_slot([[box(10, 10, score=0.37)]] * 3, "insert", 0.35)
    below = count_slot([[box(10, 10, score=0.33)]] * 3, "insert", 0.35)
    assert (above.value, below.value) == (1, 0)
    assert above.confidence < 0.8
    assert below.confidence < 0.8


def test_no_frame_no_trust() -> None:
    assert count_slot([], "insert", 0.35).confidence == 0.0
