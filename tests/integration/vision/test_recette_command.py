"""`copeau vision recette` over a recording: the moves, the truth by keys, the rack's figures, and going on later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from copeau.commands.vision import command
from vision.rendering.episodes import render_episode, write_episode


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_episode(tmp_path_factory.mktemp("recette") / "e0", render_episode(11, "take", "steady"))


def test_what_was_done_is_typed_and_the_figures_come_out(episode: Path, tmp_path: Path) -> None:
    taken = json.loads((episode / "truth.json").read_text())["deltas"]
    (slot, delta), *_ = taken.items()
    arguments = ["recette", str(episode / "frames"), "--rack", str(episode / "rack.json")]
    arguments += ["--state", str(tmp_path / "state.json"), "--json"]
    result = CliRunner().invoke(command, arguments, input=f"Z9 -1\n{slot} {delta}\nq\n")
    assert result.exit_code == 0, result.output
    assert "Z9" in result.stderr
    figures = json.loads(result.stdout.splitlines()[-1])
    assert figures["moves"] == 1
    assert figures["all"]["automatic"] + figures["all"]["asked"]["k"] == 1
    assert figures["all"]["automatic_wrong"]["k"] == 0
    assert figures["versions"]["juge"]

    later = CliRunner().invoke(command, arguments, input="-\n")
    assert later.exit_code == 0, later.output
    again = json.loads(later.stdout.splitlines()[-1])
    assert (again["moves"], again["skipped"]) == (1, 1)


def test_a_state_of_another_rack_is_refused(episode: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"asked": {"rack": "other"}, "state": {}}')
    arguments = ["recette", str(episode / "frames"), "--rack", str(episode / "rack.json"), "--state", str(state)]
    result = CliRunner().invoke(command, arguments, input="q\n")
    assert result.exit_code == 2
    assert "another run" in result.stderr
