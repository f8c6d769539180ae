"""`copeau vision eval` and `watch`: the published format, and one sentence for bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from copeau.commands.vision import command
from vision.rendering.episodes import render_episode, write_episode


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    write_episode(folder / "e0", render_episode(11, "take", "steady"))
    return folder


def test_the_last_line_is_the_published_json(episode: Path) -> None:
    result = CliRunner().invoke(command, ["eval", str(episode), "--json"])
    assert result.exit_code == 0, result.output
    line = json.loads(result.stdout.splitlines()[-1])
    assert set(line["episodes"][0]) == {"name", "expected", "seen", "confidence", "mode"}
    assert {"episodes", "exact", "wrong_auto", "review"} <= set(line["totals"])
    assert line["episodes"][0]["seen"] == line["episodes"][0]["expected"]


def _no_truth(folder: Path) -> None:
    (folder / "e0" / "frames").mkdir(parents=True)
    (folder / "rack.json").write_text('{"slots":[{"id":"A1","polygon":[[0,0],[50,0],[50,50]]}]}')


def _no_rack(folder: Path) -> None:
    (folder / "e0" / "frames").mkdir(parents=True)
    (folder / "e0" / "truth.json").write_text('{"fps":10,"deltas":{}}')


def _bad_polygon(folder: Path) -> None:
    _no_rack(folder)
    (folder / "rack.json").write_text('{"slots":[{"id":"A1","polygon":[[0,0]]}]}')


def _no_frames(folder: Path) -> None:
    _no_truth(folder)
    (folder / "e0" / "truth.json").write_text('{"fps":10,"deltas":{}}')


def _bad_frame(folder: Path) -> None:
    _no_frames(folder)
    (folder / "e0" / "frames" / "0.jpg").write_bytes(b"no picture")


def _bad_truth(folder: Path) -> None:
    _no_truth(folder)
    (folder / "e0" / "truth.json").write_text('{"fps":"many","deltas":[]}')


def _nothing(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (_nothing, "no episode"),
        (_no_truth, "truth.json"),
        (_no_rack, "rack.json"),
        (_bad_polygon, "A1"),
        (_no_frames, "no picture"),
        (_bad_frame, "0.jpg"),
        (_bad_truth, "truth.json"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path: Path, prepare: Callable[[Path], None], says: str) -> None:
    prepare(tmp_path)
    result = CliRunner().invoke(command, ["eval", str(tmp_path), "--json", "--detector", "none"])
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output


def test_a_missing_folder_and_an_unknown_detector_are_said(tmp_path: Path, episode: Path) -> None:
    for arguments in (["eval", str(tmp_path / "none")], ["eval", str(episode), "--detector", "crystal-ball"]):
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 2
        assert len(result.stderr.strip().splitlines()) == 1


def test_watch_prints_a_line_per_change(episode: Path) -> None:
    folder = episode / "e0"
    result = CliRunner().invoke(
        command, ["watch", str(folder / "frames"), "--rack", str(folder / "rack.json"), "--json"]
    )
    assert result.exit_code == 0, result.output
    (line,) = [row for row in map(json.loads, result.stdout.splitlines()) if "delta" in row]
    assert (line["delta"], line["mode"]) == (-1, "auto")


def test_watch_without_rack_or_source_is_said(tmp_path: Path, episode: Path) -> None:
    good = str(episode / "e0" / "rack.json")
    for arguments in (["watch", str(tmp_path), "--rack", good], ["watch", "x", "--rack", str(tmp_path / "no.json")]):
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 2
        assert len(result.stderr.strip().splitlines()) == 1
