"""Adding up, going on after a kill, and the published figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vision.evaluation.checkpoint import Checkpoint, CheckpointError
from vision.evaluation.outcomes import Claim, Outcome, Truth, judge_session
from vision.evaluation.tally import Tally, sum_of, table


def played(*sessions: tuple[Truth, list[Claim]]) -> Tally:
    tally = Tally()
    for number, (truth, claims) in enumerate(sessions):
        tally.add(truth, judge_session(truth, claims), {"seed": 7, "session": number})
    return tally


def some() -> Tally:
    return played(
        (Truth("take", {"A1": -2}), [Claim("A1", -2, "auto")]),
        (Truth("take", {"A1": -1}), [Claim("A1", -2, "auto", why="two seen")]),
        (Truth("take", {"A1": -1}), []),
        (Truth("take", {"A1": -1}), [Claim("A1", -1, "review")]),
        (Truth("nothing"), [Claim("B1", None, "ask")]),
        (Truth("nothing"), []),
        (Truth("stacked", {"C1": -1}, frozenset({"C1"})), [Claim("C1", None, "ask")]),
        (Truth("stacked", {"C1": -1}, frozenset({"C1"})), [Claim("C1", -1, "auto")]),
    )


def test_figures() -> None:
    figures = some().figures()
    assert figures["sessions"] == 8
    assert figures["automatic_debits"] == 5
    assert (figures["automatic_wrong"]["k"], figures["automatic_wrong"]["n"]) == (2, 3)
    assert (figures["missed"]["k"], figures["missed"]["n"]) == (1, 6)
    # where a number was possible: right, wrong, missed, asked, asked needlessly
    assert (figures["asked"]["k"], figures["asked"]["n"]) == (2, 5)
    assert figures["beyond"] == {"places": 2, "asked": 1, "booked": 1, "silent": 0}
    assert (figures["idle_sessions"], figures["idle_debits"], figures["idle_asked"]) == (2, 0, 1)


def test_a_booking_of_three_pieces_is_one_booking() -> None:
    tally = played(
        (Truth("take", {"A1": -3}), [Claim("A1", -3, "auto")]),
        (Truth("take", {"A1": -1}), [Claim("A1", -3, "auto")]),
        (Truth("put_back", {"A1": 1}), [Claim("A1", 2, "auto")]),
    )
    figures = tally.figures()
    assert figures["automatic_debits"] == 6
    assert (figures["takings_wrong"]["k"], figures["takings_wrong"]["n"]) == (1, 2)
    assert (figures["automatic_wrong"]["k"], figures["automatic_wrong"]["n"]) == (2, 3)


def test_neither_phantoms_nor_places_beyond_make_misses_rarer() -> None:
    hidden = Truth("heap", ask=frozenset({"C1"}))
    tally = played(
        (Truth("take", {"A1": -1}), []),
        (Truth("take", {"A1": -1}), [Claim("A1", -1, "auto")]),
        (Truth("nothing"), [Claim("A1", -1, "auto")]),
        *[(hidden, [Claim("C1", None, "ask")])] * 8,
    )
    figures = tally.figures()
    assert (figures["moves_missed"]["k"], figures["moves_missed"]["n"]) == (1, 2)
    assert (figures["missed"]["k"], figures["missed"]["n"]) == (1, 10)


def test_a_debit_in_an_idle_session_is_its_own_figure() -> None:
    tally = played((Truth("nothing"), [Claim("A1", -1, "auto")]))
    assert tally.figures()["idle_debits"] == 1


def test_findings_say_where() -> None:
    findings = {(f["outcome"], f["session"]) for f in some().findings}
    assert findings == {
        (str(Outcome.WRONG), 1),
        (str(Outcome.MISSED), 2),
        (str(Outcome.NEEDLESS), 4),
        (str(Outcome.WRONG), 7),
    }


def test_json_and_back_loses_nothing_and_goes_on_counting() -> None:
    back = Tally.from_json(json.loads(json.dumps(some().as_json())))
    assert back.figures() == some().figures()
    back.add(Truth("take", {"A1": -1}), [], None)
    assert back.sessions["take"] == 5


def test_two_halves_are_the_whole() -> None:
    whole = sum_of([some(), some()])
    assert whole.total(Outcome.WRONG) == 4
    assert whole.figures()["automatic_debits"] == 10


def test_the_table_names_sizes_and_cases() -> None:
    lines = table({"12 places": some(), "40 places": Tally()})
    assert any(line.startswith("12 places") and "2: 66.67%" in line for line in lines)
    assert any(line.startswith("stacked") for line in lines)


def test_a_checkpoint_brings_back_what_was_saved(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    assert Checkpoint(file, {"seed": 1}).load() == {}
    Checkpoint(file, {"seed": 1}).save({"done": 3})
    assert Checkpoint(file, {"seed": 1}).load() == {"done": 3}
    assert list(tmp_path.iterdir()) == [file]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    Checkpoint(file, {"seed": 1, "slots": [12]}).save({})
    with pytest.raises(CheckpointError, match="seed differ"):
        Checkpoint(file, {"seed": 2, "slots": [12]}).load()


def test_a_damaged_checkpoint_and_a_missing_folder_are_said(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("half a")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        Checkpoint(tmp_path / "run.json", {}).load()
    with pytest.raises(CheckpointError, match="not saved"):
        Checkpoint(tmp_path / "none" / "run.json", {}).save({})


def test_without_a_file_nothing_is_kept() -> None:
    Checkpoint(None, {}).save({"a": 1})
    assert Checkpoint(None, {}).load() == {}
