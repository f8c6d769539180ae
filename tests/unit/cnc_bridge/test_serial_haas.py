"""Haas answers as bytes, in all the ways they are framed; which question is asked when; what may never be sent."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnc_bridge.config import ConfigError, parse
from cnc_bridge.drivers.serial.haas import (
    Answer,
    Garbled,
    Item,
    Other,
    Query,
    Splitter,
    Unknown,
    parse_query,
    request,
)
from cnc_bridge.drivers.serial.rota import FOREIGN_S, MISSES, WATCH_S, Rota
from cnc_bridge.drivers.serial.settings import MODES, STATUS, Settings
from cnc_bridge.model import EXECUTION_WORDS


def items(data: bytes) -> list[Item]:
    return Splitter().feed(data)


ANSWERS = {
    "SERIAL NUMBER, 1234567": Answer("Q100", {"value": "1234567"}),
    "S/N, 1234567": Answer("Q100", {"value": "1234567"}),
    "MODE, (LIST PROG)": Answer("Q104", {"value": "LIST PROG"}),
    "USING TOOL, 12": Answer("Q201", {"value": "12"}),
    "M30 #1, 380": Answer("Q402", {"value": "380"}),
    "P.O. TIME, 06282:17:13": Answer("Q300", {"value": "06282:17:13"}),
    "PROGRAM, O00010, FEED HOLD, PARTS, 42": Answer(
        "Q500", {"status": "FEED HOLD", "parts": "42", "programme": "O00010", "alarm": "0"}
    ),
    "PROGRAM, MDI, ALARM ON, PARTS, 7": Answer(
        "Q500", {"status": "ALARM ON", "parts": "7", "programme": "", "alarm": "ALARM ON"}
    ),
    "STATUS, BUSY": Answer("Q500", {"status": "BUSY", "alarm": "0"}),
    "MACRO, 1098,       12.500000": Answer("Q600", {"value": "12.500000"}, 1098),
    "MACRO, -4.5": Answer("Q600", {"value": "-4.5"}),
}
SAID: dict[str, Item] = {**ANSWERS, "UNKNOWN": Unknown("UNKNOWN")}


@pytest.mark.parametrize("text", SAID)
@pytest.mark.parametrize("frame", ["\x02{}\x17\r\n>", ">{}\r\n", "{}\r\n", ">\x02{}\x17\r\n", "{}\r", "\x02{}\x03\n"])
def test_an_answer_is_read_however_its_generation_frames_it(text: str, frame: str) -> None:
    assert items(frame.format(text).encode("ascii")) == [SAID[text]]


@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_answers_are_read_however_the_bytes_are_cut(cuts: list[int]) -> None:
    wire = b"".join(f"\x02{text}\x17\r\n>".encode("ascii") for text in SAID)
    places = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    splitter = Splitter()
    found = [item for a, b in itertools.pairwise(places) for item in splitter.feed(wire[a:b])]
    assert found == list(SAID.values())


@given(noise=st.binary(max_size=300))
def test_noise_never_raises_and_the_next_answer_is_read(noise: bytes) -> None:
    splitter = Splitter()
    splitter.feed(noise)
    assert SAID["USING TOOL, 12"] in splitter.feed(b"\r\n\x02USING TOOL, 12\x17\r\n>")


@pytest.mark.parametrize(
    "text",
    [
        "?Q100",
        "UMBER, 1234567",
        "X-12.3456 Y4",
        "PROGRAM, O00010",
        "PROGRAM, O00010, IDLE, PARTS",
        "PROGRAM, O00010, IDLE, PARTS, 4x",
        "MACRO, 1098, 1, 2",
        "MODE",
    ],
)
def test_what_is_legible_and_no_whole_answer_is_no_answer(text: str) -> None:
    assert items(text.encode() + b"\r\n") == [Other(text)]


def test_another_speed_is_garbage_and_never_an_answer() -> None:
    assert items(b"\x83\xf1\x00\x9c\x18\xe0\xfe\x81\r") == [Garbled(8)]
    assert items(b"\xf8" * 600) == [Garbled(600)]


def test_a_piece_with_a_damaged_character_is_dropped_whole() -> None:
    """A digit lost to a parity error must not make 38 parts of 380."""
    splitter = Splitter()
    splitter.feed(b"\x02M30 #1, 3")
    splitter.spoil()
    assert splitter.feed(b"0\x17\r\n>") == [Garbled(10)]
    assert splitter.feed(b"\x02M30 #1, 381\x17\r\n>") == [Answer("Q402", {"value": "381"})]


def test_only_questions_can_be_made() -> None:
    assert request("Q100") == b"?Q100\r\n"
    assert request("Q600 1098") == b"?Q600 1098\r\n"
    for writing in ("E10001 5", "Q600", "Q600 1\r\n?E100 1", "Q100\n", "Q999", "?Q100", ""):
        with pytest.raises(ValueError, match="Q"):
            request(writing)


def test_a_query_says_what_it_means() -> None:
    assert parse_query("Q600 1098") == Query("Q600 1098")
    assert parse_query("Q500:parts") == Query("Q500", "parts")
    for bad, said in (("Q500", "which part"), ("Q104:status", "which part"), ("Q104 5", "only Q600"), ("E1", "no Q")):
        with pytest.raises(ValueError, match=said):
            parse_query(bad)


# -- the rota


def asked(rota: Rota, now: float) -> str | None:
    return rota.next(now)[0]


def test_questions_are_asked_in_turn_at_their_periods() -> None:
    rota = Rota({"Q500": 0.5, "Q104": 2.0}, 0.0)
    assert asked(rota, 0.0) == "Q500"
    assert rota.hear(ANSWERS["STATUS, BUSY"], 0.1) == "Q500"
    assert asked(rota, 0.1) == "Q104"
    rota.hear(ANSWERS["MODE, (LIST PROG)"], 0.2)
    assert rota.next(0.2) == (None, pytest.approx(0.4))
    assert asked(rota, 0.6) == "Q500"


def test_an_answer_given_twice_is_the_same_value_and_answers_no_other_question() -> None:
    rota = Rota({"Q201": 0.5, "Q402": 0.5}, 0.0)
    assert asked(rota, 0.0) == "Q201"
    assert rota.hear(ANSWERS["USING TOOL, 12"], 0.1) == "Q201"
    assert asked(rota, 0.1) == "Q402"
    assert rota.hear(ANSWERS["USING TOOL, 12"], 0.1) == "Q201"
    assert rota.asked == "Q402"


def test_what_another_client_asked_is_taken_too() -> None:
    rota = Rota({"Q201": 0.5, "Q402": 5.0}, 0.0)
    asked(rota, 0.0)
    assert rota.hear(ANSWERS["M30 #1, 380"], 0.1) == "Q402"
    assert rota.asked == "Q201"


def test_a_macro_without_its_number_is_ours_only_when_nobody_else_asks() -> None:
    rota = Rota({"Q600 1098": 0.5}, 0.0)
    asked(rota, 0.0)
    assert rota.hear(ANSWERS["MACRO, -4.5"], 0.1) is None, "nobody was listened to yet"
    assert asked(rota, 0.6) == "Q600 1098"
    assert rota.hear(ANSWERS["MACRO, -4.5"], WATCH_S) == "Q600 1098"
    assert asked(rota, 41.0) == "Q600 1098"
    rota.hear(ANSWERS["MODE, (LIST PROG)"], 41.1)  # nobody of us asked for it
    assert rota.hear(ANSWERS["MACRO, -4.5"], 41.2) is None
    assert rota.hear(ANSWERS["MACRO, 1098,       12.500000"], 41.3) == "Q600 1098"
    assert asked(rota, 42.0 + FOREIGN_S) == "Q600 1098"
    assert rota.hear(ANSWERS["MACRO, -4.5"], 42.1 + FOREIGN_S) == "Q600 1098"
    assert rota.withheld == 2


def test_a_macro_without_its_number_given_twice_does_not_pass_for_the_next_variable() -> None:
    rota = Rota({"Q600 1098": 0.01, "Q600 3027": 0.01}, 0.0)
    assert asked(rota, 10.0) == "Q600 1098"
    assert rota.hear(ANSWERS["MACRO, -4.5"], 10.1) == "Q600 1098"
    assert asked(rota, 10.1) is None, "it asks on before the double could come"
    assert rota.hear(ANSWERS["MACRO, -4.5"], 10.11) is None
    assert asked(rota, 10.2) == "Q600 3027"
    assert rota.hear(ANSWERS["MACRO, -4.5"], 10.21) == "Q600 3027"


def test_another_client_that_never_stops_does_not_keep_us_from_asking() -> None:
    rota = Rota({"Q201": 0.1, "Q600 1098": 0.1}, 0.0)
    for now in range(1, 100):
        assert rota.hear(ANSWERS["MACRO, -4.5"], now / 100) is None
    assert asked(rota, 1.0) is not None


def test_a_question_that_stays_unanswered_while_others_are_answered_is_given_up_for_a_minute() -> None:
    rota, given_up = Rota({"Q201": 0.1, "Q402": 0.1}, 0.0), list[str]()
    now = 0.0
    while not given_up and now < 60:
        command, wait = rota.next(now)
        now += max(wait, 0.05)
        if command == "Q201":
            rota.hear(ANSWERS["USING TOOL, 12"], now)
        elif command == "Q402":
            given_up += filter(None, [rota.timed_out(now)])
    assert given_up == ["Q402"]
    assert rota.unanswered < MISSES
    assert asked(rota, now + 1) == "Q201"


def test_silence_is_counted_in_a_row() -> None:
    rota = Rota({"Q201": 0.1, "Q402": 0.1}, 0.0)
    for now in (0.0, 1.0, 2.0):
        asked(rota, now)
        assert rota.timed_out(now) is None
    assert rota.unanswered == 3
    asked(rota, 3.0)
    assert rota.refused(3.0) is None
    assert rota.unanswered == 0


def test_one_unknown_may_be_another_clients_and_gives_nothing_up() -> None:
    rota, now = Rota({"Q201": 0.1, "Q402": 0.1}, 0.0), 10.0
    for _ in range(20):
        command, wait = rota.next(now)
        now += max(wait, 0.01)
        if command is not None:
            assert rota.refused(now) is None
            rota.hear(ANSWERS["USING TOOL, 12"] if command == "Q201" else ANSWERS["M30 #1, 380"], now)


def test_unknown_three_times_gives_the_command_up() -> None:
    rota, now, given_up = Rota({"Q201": 0.1}, 0.0), 10.0, list[str]()
    for _ in range(3):
        asked(rota, now)
        given_up += filter(None, [rota.refused(now)])
        now += 0.2
    assert given_up == ["Q201"]
    assert rota.next(now)[1] > 50


# -- settings


def settings(**table: object) -> Settings:
    made = parse({"machine": {"id": "m"}, "driver": {"kind": "serial", **table}}).driver
    assert isinstance(made, Settings)
    return made


def test_the_words_of_the_default_mapping_are_mtconnects() -> None:
    assert set(STATUS.values()) <= EXECUTION_WORDS
    assert set(MODES.values()) <= {"AUTOMATIC", "MANUAL", "MANUAL_DATA_INPUT", "EDIT"}


def test_a_signal_is_added_replaced_or_left_out() -> None:
    made = settings(
        dialect="haas_mdc",
        host="h",
        signals={
            "tool": "",
            "part_count": "Q500:parts",
            "coolant": {"query": "Q600 1094", "unit": "%", "period_s": 60.0},
            "mode": {"query": "Q104", "words": {"LIST PROG": "AUTOMATIC"}},
        },
    )
    assert "tool" not in made.signals
    assert made.signals["part_count"].query == "Q500:parts"
    assert made.signals["coolant"].period_s == 60
    assert made.signals["mode"].words["LIST PROG"] == "AUTOMATIC"
    assert made.signals["mode"].words["MDI"] == "MANUAL_DATA_INPUT"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"dialect": "haas_mdc"}, "one of the two"),
        ({"dialect": "haas_mdc", "host": "h", "device": "/dev/ttyUSB0"}, "one of the two"),
        ({"dialect": "haas_mdc", "host": "h", "signals": {"tool": "E100"}}, "no Q command"),
        ({"dialect": "haas_mdc", "host": "h", "allow": ["programme"]}, "dnc"),
        ({"dialect": "dnc", "device": "/dev/ttyUSB0", "line": {"baud": 5}}, "greater than or equal to 110"),
        ({"dialect": "dnc", "device": "COM3"}, "match"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_with_the_fix(table: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(**table)
