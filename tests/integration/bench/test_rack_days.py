"""A short day at a rack over the real ledger: nothing differs in silence, whatever was late, doubled or killed."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from bench.rack_days.day import Play, run
from bench.rack_days.floor import Rates
from copeau.commands.bench import command

SHORT = {"days": 1, "sessions": 16, "slots": 12, "blind": 2, "restarts": 2, "lost": 0.5}


def test_a_day_with_blindness_kills_lateness_and_doubles_leaves_no_silent_difference() -> None:
    result = run(Play(**SHORT, rates=Rates(asked=0.2), scanned=0.3, late=0.2, doubled=0.3))
    assert result["places"]["silent"] == 0, result["silent"]
    assert sum(result["places"].values()) == 12
    assert (result["sessions"], result["blind"], result["restarts"]) == (16, 2, 2)
    assert result["delivered"]["doubled"] > 0
    assert result["picks"] > 5
    assert result["alarms"] == []


def test_a_camera_that_books_wrong_numbers_is_found_out() -> None:
    """The figure can fail: what is booked wrongly and never seen again differs in silence, or is shown."""
    result = run(Play(**SHORT, rates=Rates(asked=0.0, wrong=0.9), answered=0.0))
    assert result["places"]["silent"] + result["places"]["shown"] > 0


@pytest.mark.long
def test_twenty_days() -> None:
    result = run(Play())
    assert result["sessions"] == 2000
    assert result["places"]["silent"] == 0, result["silent"]


def test_the_command_says_what_was_played() -> None:
    arguments = ["rack-days", "--days", "1", "--sessions", "4", "--slots", "12", "--json"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert shown["what"] == "numbers through the real rules"
    assert shown["person_model_s"]["tap"] > 0
