"""Recordings as a guard reads them: formats, names, maps, and files that are none of these."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnc_bridge.guard.names import MapError, Name, known, parse_map
from cnc_bridge.guard.reading import FileError, Recording, Sample


def written(tmp_path: Path, text: str, name: str = "file.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def read(recording: Recording) -> list[tuple[float, str, object]]:
    return [(round(sample.ts, 3), sample.signal, sample.value) for sample in recording.samples()]


def test_shdr_with_several_keys_a_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2022-08-08T13:51:34.7167146Z|pexecution|ACTIVE|S1load|12|nonsense|7|S1speed|UNAVAILABLE\n"
        "2022-08-08T13:51:35.0000000Z|system|FAULT|12|1||OVERLOAD\n"
        "* PING\n",
    )
    recording = Recording(path)
    assert [s[1:] for s in read(recording)] == [
        ("execution", "ACTIVE"), ("spindle_load", "12"), ("spindle_speed", None), ("", "12"),
    ]  # fmt: skip
    assert recording.columns["spindle_load"] == "S1load"
    assert recording.text(next(recording.samples()).ts) == "2022-08-08T13:51:34.716714Z"


def test_observation_lines_that_begin_with_older_ones(tmp_path: Path) -> None:
    path = written(
        tmp_path, "2016-10-13T08:00:01Z|Sload|7\n2016-10-12T19:42:04Z|Sload|UNAVAILABLE\n2016-10-13T08:00:02Z|Sload|9\n"
    )
    assert [s.value for s in Recording(path).samples()] == ["7", None, "9"]


@pytest.mark.parametrize(
    ("stamps", "expected", "said"),
    [
        (("2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z"), 1577836801.0, "2020-01-01T00:00:01.000000Z"),
        (("2020-01-01 00:00:00", "2020-01-01 00:00:01"), 1577836801.0, "2020-01-01T00:00:01.000000Z"),
        (("1577836800", "1577836801"), 1577836801.0, "2020-01-01T00:00:01.000000Z"),
        (("1577836800000", "1577836801000"), 1577836801.0, "2020-01-01T00:00:01.000000Z"),
        (("0", "1"), 1.0, 1.0),
    ],
)
def test_csv_with_times(tmp_path: Path, stamps: tuple[str, str], expected: float, said: object) -> None:
    path = written(tmp_path, f"ts,spindle_load,comment\n{stamps[0]},12.5,a\n{stamps[1]},NaN,b\n", "data.csv")
    recording = Recording(path)
    samples = list(recording.samples())
    assert [(s.signal, s.value) for s in samples] == [("spindle_load", "12.5"), ("spindle_load", None)]
    assert samples[-1].ts == expected
    assert recording.text(expected) == said


def test_csv_without_times_needs_a_period(tmp_path: Path) -> None:
    path = written(tmp_path, "S1_OutputPower,M1_sequence_number\n0.1,4\n0.2,5\n", "run.csv")
    with pytest.raises(FileError, match="--period"):
        list(Recording(path).samples())
    found = list(Recording(path, None, 0.1).samples())
    assert found[2] == Sample(0.1, "spindle_load", "0.2", "")


@pytest.mark.parametrize("ends", ["\r\n", "\r", "\n"])
def test_csv_of_any_line_end_and_delimiter(tmp_path: Path, ends: str) -> None:
    path = written(tmp_path, ends.join(["ts;x_load", "1;5", "2;6", ""]), "data.csv")
    assert read(Recording(path)) == [(1.0, "x_load", "5"), (2.0, "x_load", "6")]


def test_following_errors_and_feed_come_from_positions_and_velocities(tmp_path: Path) -> None:
    head = "X1_ActualPosition,X1_CommandPosition,X1_ActualVelocity,Y1_ActualVelocity,Z1_ActualVelocity"
    path = written(tmp_path, f"{head}\n10.0,10.2,3,4,0\n", "run.csv")
    assert read(Recording(path, None, 0.1)) == [(0.0, "feed", 300.0), (0.0, "x_following_error", pytest.approx(0.2))]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("\0\1\2binary\0", "is not text"),
        ("hello world\nno format\n", "neither"),
        ("a,b\n1,2\n", "no column to judge"),
        ("ts,x_load\n" + "soon,5\n" * 60, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_judged_says_why(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(FileError, match=why):
        list(Recording(written(tmp_path, text, "f.csv"), None, 0.1).samples())


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileError, match=str(path)):
            Recording(path)


@pytest.mark.parametrize(
    ("item", "signal"),
    [
        ("S1load", "spindle_load"), ("Sload", "spindle_load"), ("S2load", "spindle_load_2"), ("X1load", "x1_load"),
        ("Zload", "z_load"), ("S1_OutputPower", "spindle_load"), ("X1_CurrentFeedback", "x_current"),
        ("S2rpm", "spindle_speed_2"), ("Tool_number", "tool"), ("vibration_z", "vibration_z"), ("contact", "contact"),
        ("dev:S1load", "spindle_load"),
    ],
)  # fmt: skip
def test_the_names_of_known_recordings(item: str, signal: str) -> None:
    found = known(item)
    assert found is not None
    assert found.signal == signal


@pytest.mark.parametrize(
    "item", ["M1_CURRENT_PROGRAM_NUMBER", "total_time", "X1_CommandAcceleration", "S1_SystemInertia"]
)
def test_what_says_nothing_of_a_collision_is_not_guarded(item: str) -> None:
    assert known(item) is None


def test_maps_in_all_their_forms(tmp_path: Path) -> None:
    expected = {"Foo": Name("spindle_load"), "Bar": Name("tool")}
    toml = written(tmp_path, 'spindle_load = "Foo"\ntool = "Bar"\n', "map.toml")
    json_file = written(tmp_path, '{"signals": {"spindle_load": "Foo", "tool": {"column": "Bar"}}}', "map.json")
    for text in ("spindle_load=Foo,tool=Bar", "Foo=spindle_load, Bar=tool", str(toml), str(json_file)):
        assert parse_map(text) == expected
    assert parse_map("x=Foo,y=Bar") == {"Foo": Name("x"), "Bar": Name("y")}


@pytest.mark.parametrize("text", ["spindle_load", "spindle_load=", "a=X,b=X", "no-such-file.toml"])
def test_a_bad_map_is_explained(text: str) -> None:
    with pytest.raises(MapError, match="--map"):
        parse_map(text)


def test_a_map_that_names_signals_leaves_only_those_judged(tmp_path: Path) -> None:
    path = written(tmp_path, "ts,Foo,x_load,tool\n1,5,6,7\n", "data.csv")
    recording = Recording(path, parse_map("spindle_load=Foo,z_load=None_such"))
    assert read(recording) == [(1.0, "spindle_load", "5"), (1.0, "tool", "7")]
    assert recording.missing == ["None_such"]
