"""Teaching a rack: grids, lists, pixels per item, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from contracts.racks import MIN_PX_PER_ITEM, SlotKind, parse
from copeau.commands.vision import command
from vision.teaching import TeachError, assign_items, grid, measure, read_list, taught

SQUARE = [(0.0, 0.0), (400.0, 0.0), (400.0, 300.0), (0.0, 300.0)]


def tray(side: int = 30) -> npt.NDArray[np.uint8]:
    """2x1 places of 200x300 px on grey; two light squares of `side` px in the first, one in the second."""
    picture = np.full((300, 400, 3), 60, np.uint8)
    for x, y in ((60, 80), (60, 190), (260, 140)):
        cv2.rectangle(picture, (x, y), (x + side, y + side), (200, 205, 210), -1)
    return picture


def test_a_grid_names_rows_and_columns_and_keeps_walls() -> None:
    places = grid(SQUARE, 4, 3, gap=0.1)
    assert list(places)[:5] == ["A1", "A2", "A3", "A4", "B1"]
    assert places["A1"][0] == (5.0, 5.0)
    assert places["C4"][2] == (395.0, 295.0)


def test_a_grid_follows_the_perspective() -> None:
    places = grid([(100.0, 0.0), (300.0, 0.0), (400.0, 300.0), (0.0, 300.0)], 2, 2, gap=0.0)
    upper = places["A1"][1][0] - places["A1"][0][0]
    lower = places["B1"][2][0] - places["B1"][3][0]
    assert upper < lower


@pytest.mark.parametrize(
    ("corners", "columns", "rows", "says"),
    [
        (SQUARE[:3], 2, 2, "4 corners"),
        ([SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]], 2, 2, "cross"),
        (SQUARE, 0, 2, "columns"),
        (SQUARE, 2, 27, "rows"),
    ],
)
def test_an_impossible_grid_is_said(corners: list[tuple[float, float]], columns: int, rows: int, says: str) -> None:
    with pytest.raises(TeachError, match=says):
        grid(corners, columns, rows)


def test_items_in_printed_order_and_by_name() -> None:
    places = grid(SQUARE, 2, 2)
    lines = read_list("slot;item;count;kind\nB1;FORET-8;1;presence\n;CNMG;4;\n;;;\n")
    slots = {s.id: s for s in assign_items(places, lines)}
    assert (slots["B1"].item, slots["B1"].kind) == ("FORET-8", SlotKind.PRESENCE)
    assert (slots["A1"].item, slots["A1"].count) == ("CNMG", 4)
    assert slots["B2"].item == ""


def test_a_plain_list_is_items_in_order() -> None:
    assert [(line.item, line.count) for line in read_list("# tiroir 2\nCNMG,4\n-\nDCMT,2,insert,caché")] == [
        ("CNMG", 4),
        ("", None),
        ("DCMT", 2),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("CNMG;four", "line 1: count"),
        ("CNMG;4;insert;sometimes", "line 1: kind"),
        ("item;colour\nCNMG;red", "column 'colour'"),
        ("slot;item\nZ9;CNMG", "'Z9'"),
        ("slot;item\nA1;CNMG\nA1;DCMT", "twice"),
        ("a\nb\nc\nd\ne", "too many by 1"),
        ("item;count\nCNMG;5000", "A1"),
    ],
)
def test_a_list_that_does_not_fit_is_said(text: str, says: str) -> None:
    with pytest.raises(TeachError, match=says):
        assign_items(grid(SQUARE, 2, 2), read_list(text))


def test_pixels_per_item_are_measured() -> None:
    places = grid(SQUARE, 2, 1)
    two = measure(tray(), places["A1"])
    assert two.parts == 2
    assert two.px_per_item == pytest.approx(31, abs=3)
    assert measure(np.full((300, 400, 3), 60, np.uint8), places["A1"]).parts == 0


def test_too_small_is_refused_or_becomes_presence() -> None:
    slots = assign_items(grid(SQUARE, 2, 1), read_list("CNMG;2\nDCMT;1"))
    with pytest.raises(TeachError, match=f"{MIN_PX_PER_ITEM:.0f} px.*A1 .*A2 "):
        taught(tray(14), slots)
    small = taught(tray(14), slots, small_is_presence=True)
    assert {s.kind for s in small.slots} == {SlotKind.PRESENCE}
    assert {s.kind for s in taught(tray(40), slots).slots} == {SlotKind.COUNTABLE}


def test_what_is_not_as_declared_is_not_measured() -> None:
    slots = assign_items(grid(SQUARE, 2, 1), read_list("CNMG;7\nDCMT;1"))
    by_id = {s.id: s for s in taught(tray(), slots).slots}
    assert by_id["A1"].px_per_item is None
    assert by_id["A2"].px_per_item is not None


def test_a_place_too_small_for_any_item_is_refused_unmeasured() -> None:
    with pytest.raises(TeachError, match=r"A1 .*px"):
        taught(tray(), assign_items(grid([(0, 0), (60, 0), (60, 60), (0, 60)], 3, 3), []))


def test_places_outside_the_picture_are_said() -> None:
    slots = assign_items(grid([(0, 0), (500, 0), (500, 300), (0, 300)], 2, 1), [])
    with pytest.raises(TeachError, match="'A2' lies outside"):
        taught(tray(), slots)


def test_the_command_writes_a_rack_that_loads(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "still.png"), tray(40))
    (tmp_path / "items.csv").write_text("CNMG;2\nDCMT;1\n")
    out = tmp_path / "rack.json"
    arguments = [
        "teach",
        str(tmp_path / "still.png"),
        str(out),
        "--grid",
        "2x1",
        "--items",
        str(tmp_path / "items.csv"),
    ]
    result = CliRunner().invoke(command, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["slots"] == 2
    rack = parse(out.read_bytes())
    assert [(s.id, s.item, s.count) for s in rack.slots] == [("A1", "CNMG", 2), ("A2", "DCMT", 1)]
    assert rack.picture == (400, 300)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.png", "out.json", "--grid", "2x1"], "no such file"),
        (["still.png", "out.json", "--grid", "two"], "--grid two"),
        (["still.png", "out.json", "--grid", "2x1", "--corners", "1,2 3"], "--corners"),
        (["still.png", "out.json", "--polygons", "none.json"], "none.json"),
        (["still.png", "out.json", "--polygons", "list.json"], "list.json"),
        (["still.png", "none/out.json", "--grid", "2x1"], "none/out.json"),
        (["bad.png", "out.json", "--grid", "2x1"], "not a picture"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("still.png", tray(40))
    Path("bad.png").write_text("no")
    Path("list.json").write_text("[1, 2]")
    result = CliRunner().invoke(command, ["teach", *arguments])
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
