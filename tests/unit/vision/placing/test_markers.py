"""The printed sheet carries the markers that the camera looks for, in their size."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from vision.detectors.base import Frame
from vision.fiducials import find_markers
from vision.markers import MarkerSheetError, free_ids, marker_sheet

PX = 8  # per mm
SVG = "{http://www.w3.org/2000/svg}"


def printed(sheet: bytes) -> Frame:
    """The sheet's black squares on white paper."""
    paper = np.full((297 * PX, 210 * PX, 3), 255, np.uint8)
    for rect in ET.fromstring(sheet).iterfind(f"{SVG}g/{SVG}rect"):
        x, y, w, h = (round(float(rect.attrib[k]) * PX) for k in ("x", "y", "width", "height"))
        paper[y : y + h, x : x + w] = 0
    return paper


@pytest.mark.parametrize(
    ("ids", "mm"), [((0, 1, 2, 3), 25.0), ((7, 18, 24, 41), 12.0), ((44, 45, 46, 47, 48, 49), 30.0), ((5, 6, 9), 45.0)]
)
def test_the_camera_finds_what_is_printed(ids: tuple[int, ...], mm: float) -> None:
    found = find_markers(printed(marker_sheet("Rack A", ids, mm)))
    assert {m.id for m in found} == set(ids)
    for marker in found:
        assert np.linalg.norm(marker.corners[0] - marker.corners[1]) / PX == pytest.approx(mm, abs=0.3)


def test_four_markers_lie_on_the_page_as_on_the_rack() -> None:
    where = {m.id: m.centre for m in find_markers(printed(marker_sheet("Rack A", (0, 1, 2, 3), 25)))}
    assert where[0][0] < where[1][0]
    assert where[0][1] < where[3][1]
    assert where[1][0] == pytest.approx(where[2][0], abs=1)


def test_a_name_is_escaped_and_the_ruler_is_a_hundred_mm() -> None:
    root = ET.fromstring(marker_sheet('<Forets & "co">', (0, 1, 2, 3)))
    assert root.attrib["width"] == "210mm"
    assert any('<Forets & "co">' in (text.text or "") for text in root.iter(f"{SVG}text"))
    ruler = next(path for path in root.iter(f"{SVG}path") if path.attrib["class"] == "ruler")
    assert "h100" in ruler.attrib["d"]


@pytest.mark.parametrize(
    ("ids", "mm"), [((1, 2), 25.0), ((1, 1, 2), 25.0), ((1, 2, 50), 25.0), ((1, 2, 3), 5.0), (tuple(range(8)), 70.0)]
)
def test_what_cannot_be_printed_is_said(ids: tuple[int, ...], mm: float) -> None:
    with pytest.raises(MarkerSheetError):
        marker_sheet("A", ids, mm)


def test_neighbours_get_different_numbers_and_the_fifty_are_reused_far_apart() -> None:
    used: list[int] = []
    racks = []
    for _ in range(20):
        racks.append(free_ids(used))
        used += racks[-1]
    assert len({i for rack in racks[:12] for i in rack}) == 48
    for first in range(20):
        for second in range(first + 1, min(first + 10, 20)):
            assert not set(racks[first]) & set(racks[second])


def test_a_photographed_sheet_is_read_askew() -> None:
    sheet = printed(marker_sheet("Rack A", (0, 1, 2, 3), 25))
    turn = cv2.getRotationMatrix2D((840, 1188), 33, 0.4)
    photo = cv2.warpAffine(sheet, turn, (1680, 2376), borderValue=(90, 90, 90))
    assert {m.id for m in find_markers(np.asarray(photo, np.uint8), (0, 1, 2, 3))} == {0, 1, 2, 3}
