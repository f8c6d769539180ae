"""What a guard learnt: kept whole, or put aside and said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cnc_bridge.guard.envelope import BadMemoryError, Key, Memory, Reached, Seen, line_place

WORK = Key("P1", "3", 0, "")


def memory(cycles: int = 2) -> Memory:
    one = Memory()
    for number in range(cycles):
        seen = Seen()
        for place in range(10):
            seen.add(place, 10.0 * place + number, change=0.5)
        one.teach({WORK: {"spindle_load": seen}})
    return one


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "guard.json"
    memory().save(path)
    back = Memory.load(path)
    known, again = memory().envelope(WORK, "spindle_load"), back.envelope(WORK, "spindle_load")
    assert known is not None
    assert again is not None
    assert (again.whole, again.places, again.peak, again.step) == (known.whole, known.places, known.peak, known.step)
    assert (known.whole, known.at(5, by_line=False)) == (Reached(91.0, 90.0, 2), Reached(71.0, 70.0, 2))
    assert back.step("spindle_load") == memory().step("spindle_load") == 0.5
    assert back.of_tool("3", "spindle_load") == (2, 91.0, 91.0)
    assert back.of_programme("P1", "3", "spindle_load") == back.highest("spindle_load") == 91.0
    assert [entry.name for entry in path.parent.iterdir()] == ["guard.json"]


def test_no_file_is_an_empty_memory(tmp_path: Path) -> None:
    assert len(Memory.load(tmp_path / "none.json")) == 0


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"version": 99, "bin_s": 1.0, "envelopes": []}', '{"version": 1, "bin_s": 1.0}']
)
def test_a_bad_file_is_put_aside_and_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "guard.json"
    path.write_text(text)
    with pytest.raises(BadMemoryError) as raised:
        Memory.load(path)
    assert raised.value.aside == tmp_path / "guard.json.damaged"
    assert raised.value.aside.read_text() == text
    assert not path.exists()


def test_a_device_in_place_of_the_file_is_left_where_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "guard.json"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not an ordinary file"):
        memory().save(pipe)
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(BadMemoryError) as raised:
        Memory.load(folder)
    assert raised.value.aside is None
    assert pipe.is_fifo()
    assert folder.is_dir()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "guard.json"
    memory(1).save(path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        memory(5).save(path)
    assert json.loads(path.read_text())["envelopes"][0]["whole"][2] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["guard.json"]


def test_a_programme_is_forgotten_with_what_it_taught() -> None:
    one = memory()
    other = Seen()
    other.add(0, 500.0)
    one.teach({Key("P2", "3", 0, ""): {"spindle_load": other}})
    assert one.forget("P2") == 1
    assert one.of_tool("3", "spindle_load") == (2, 91.0, 91.0)
    assert one.highest("spindle_load") == 91.0


def test_neighbours_count_and_far_places_do_not() -> None:
    seen = Seen()
    for place in range(100):
        seen.add(place, 80.0 if place == 50 else 5.0)
    one = Memory()
    one.teach({WORK: {"x_load": seen}})
    envelope = one.envelope(WORK, "x_load")
    assert envelope is not None
    assert [envelope.at(place, by_line=False).level for place in (40, 48, 50, 53, 60)] == [5.0, 80.0, 80.0, 80.0, 5.0]
    assert envelope.at(5000, by_line=False).level == 80.0
    assert envelope.at(None, by_line=False).level == 80.0


def test_blocks_know_their_seconds_and_the_ends_of_their_neighbours() -> None:
    seen = Seen(by_line=True)
    for line, level in ((10, 5.0), (20, 70.0), (30, 5.0)):
        for second in range(20):
            seen.add(line_place(line, second), level)
    one = Memory()
    one.teach({WORK: {"x_load": seen}})
    envelope = one.envelope(WORK, "x_load")
    assert envelope is not None

    def level(line: int, second: float) -> float:
        return envelope.at(line_place(line, second), by_line=True).level

    assert [level(20, 10), level(30, 0), level(30, 10), level(10, 10), level(10, 19)] == [70.0, 70.0, 5.0, 5.0, 70.0]
    assert level(20, 500) == 70.0
    assert level(99, 0) == 70.0


def test_a_file_of_the_first_version_is_read_as_if_one_cycle_had_passed_each_place(tmp_path: Path) -> None:
    path = tmp_path / "guard.json"
    entry = {**WORK._asdict(), "signal": "x_load", "by": "time", "cycles": 4, "flat": 30.0, "peak": 35.0}
    path.write_text(json.dumps({"version": 1, "bin_s": 1.0, "envelopes": [{**entry, "bins": {"7": 30.0}}]}))
    known = Memory.load(path).envelope(WORK, "x_load")
    assert known is not None
    assert (known.whole, known.at(8, by_line=False)) == (Reached(30.0, 0.0, 4), Reached(30.0, 0.0, 1))


def test_a_slow_signal_counts_as_far_as_its_samples_lie_apart() -> None:
    seen = Seen(reach=5)
    for place in range(0, 60, 5):
        seen.add(place, 50.0 if place == 30 else 5.0)
    one = Memory()
    one.teach({WORK: {"x_load": seen}})
    envelope = one.envelope(WORK, "x_load")
    assert envelope is not None
    assert [envelope.at(place, by_line=False).level for place in (23, 26, 34, 37)] == [5.0, 50.0, 50.0, 5.0]
    assert [envelope.at(place, by_line=False).cycles for place in (23, 26, 34, 37)] == [1] * 4
