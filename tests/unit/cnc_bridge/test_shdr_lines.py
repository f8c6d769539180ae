from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnc_bridge.drivers.shdr.lines import (
    Asset,
    Command,
    ConditionLine,
    Garbage,
    Item,
    LineSplitter,
    Observation,
    Parser,
    Series,
    data_set,
    parse_time,
)

T = "2022-08-08T13:51:34.7167146Z"
AT = datetime(2022, 8, 8, 13, 51, 34, 716714, tzinfo=UTC)


def items(*lines: str, device: str | None = None) -> list[Item]:
    parser = Parser(("*_cond", "system"), device, ("Va*",))
    return [item for line in lines for item in parser.parse(line.encode())]


def test_seven_decimals_a_duration_and_an_offset() -> None:
    assert parse_time(T) == AT
    assert parse_time(f"{T}@100.0") == AT
    assert parse_time("2022-08-08T13:51:34") == datetime(2022, 8, 8, 13, 51, 34, tzinfo=UTC)
    assert parse_time("2022-08-08T15:51:34.716714+02:00") == AT
    assert parse_time("") is None


def test_several_keys_and_empty_values_on_one_line() -> None:
    assert items(f"{T}|pexecution|ACTIVE|p1block||S1load|12") == [
        Observation("pexecution", "ACTIVE", AT),
        Observation("p1block", "", AT),
        Observation("S1load", "12", AT),
    ]


def test_a_condition_takes_four_more_fields_and_the_line_goes_on() -> None:
    assert items(f"{T}|system|FAULT|1042|2|HIGH|overload|S1load|5") == [
        ConditionLine("system", "FAULT", "1042", "2", "HIGH", "overload", AT),
        Observation("S1load", "5", AT),
    ]
    assert items(f"{T}|Coolant_cond|NORMAL||||") == [ConditionLine("Coolant_cond", "NORMAL", "", "", "", "", AT)]
    assert items(f"{T}|Coolant_cond|UNAVAILABLE") == [ConditionLine("Coolant_cond", "UNAVAILABLE", "", "", "", "", AT)]


def test_a_multi_line_asset_hides_what_looks_like_data() -> None:
    found = items(
        f"{T}|@ASSET@|T1|CuttingTool|--multiline--AB", f"{T}|pexecution|ACTIVE", "<x/>", "--multiline--AB", f"{T}|a|1"
    )
    assert found == [Asset("ASSET", "T1", f"{T}|pexecution|ACTIVE\n<x/>", AT), Observation("a", "1", AT)]
    assert items(f"{T}|@REMOVE_ASSET@|T1") == [Asset("REMOVE_ASSET", "T1", "", AT)]


def test_an_asset_without_end_does_not_swallow_the_machine() -> None:
    parser = Parser(())
    found = list(parser.parse(f"{T}|@ASSET@|T1|CuttingTool|--multiline--AB".encode()))
    for _ in range(20):
        found += list(parser.parse(b"x" * 60_000))
    found += list(parser.parse(f"{T}|a|1".encode()))
    assert found[0] == Garbage("asset 'T1' has no end")
    assert found[-1] == Observation("a", "1", AT)


def test_commands_and_the_device_prefix() -> None:
    assert items("* PONG 10000") == [Command("PONG 10000")]
    assert items("*adapterVersion:UNAVAILABLE") == [Command("adapterVersion:UNAVAILABLE")]
    assert items(f"{T}|tour:a|1", device="tour") == [Observation("a", "1", AT)]


def test_another_devices_keys_on_the_same_line_are_not_ours() -> None:
    line = f"{T}|tour:a|1|fraiseuse:a|2|fraiseuse:x_cond|FAULT|7|||stop|tour:x_cond|NORMAL|||||b|3"
    assert items(line, device="tour") == [
        Observation("a", "1", AT),
        ConditionLine("x_cond", "NORMAL", "", "", "", "", AT),
        Observation("b", "3", AT),
    ]


def test_a_time_series_gives_each_value_its_time() -> None:
    (series, load) = items(f"{T}|Vab|4|10|1 2 3 4.5|S1load|7")
    assert isinstance(series, Series)
    assert (series.values, series.rate, load) == ([1.0, 2.0, 3.0, 4.5], 10.0, Observation("S1load", "7", AT))
    assert [(AT - time, value) for time, value in series.samples() if time] == [
        (timedelta(milliseconds=300), 1.0),
        (timedelta(milliseconds=200), 2.0),
        (timedelta(milliseconds=100), 3.0),
        (timedelta(0), 4.5),
    ]
    (unpaced,) = items(f"{T}|Vab|2||1 2")
    assert isinstance(unpaced, Series)
    assert unpaced.samples() == [(AT, 2.0)], "without a rate only the last value has a time"
    assert items(f"{T}|Vab|UNAVAILABLE") == [Observation("Vab", "UNAVAILABLE", AT)]
    assert (
        items(f"{T}|Vab|UNAVAILABLE|||S1load|7")
        == items(f"{T}|Vab|UNAVAILABLE|S1load|7")
        == [
            Observation("Vab", "UNAVAILABLE", AT),
            Observation("S1load", "7", AT),
        ]
    )


@pytest.mark.parametrize("fields", ["3|10|1 2", "2|10|1 x", "2|fast|1 2"])
def test_a_time_series_that_is_not_what_it_says_is_refused_and_the_line_goes_on(fields: str) -> None:
    (refused, load) = items(f"{T}|Vab|{fields}|S1load|7")
    assert isinstance(refused, Garbage)
    assert load == Observation("S1load", "7", AT)


def test_resets_and_durations_are_read_off_the_value() -> None:
    assert items(f"{T}@12.5|ppartcount|0:SHIFT") == [Observation("ppartcount", "0", AT, "SHIFT", 12.5)]
    assert items(f"{T}@soon|ppartcount|3:day") == [Observation("ppartcount", "3", AT, "DAY", None)]
    assert items(f"{T}|vars|:MANUAL a=1 b=2") == [Observation("vars", "a=1 b=2", AT, "MANUAL")]
    assert items(f"{T}|clock|12:30") == [Observation("clock", "12:30", AT)], "not every colon is a reset"


def test_the_entries_of_a_data_set() -> None:
    assert data_set("a=1 b={x y} c='it is' d=\"so\" e gone=") == {
        "a": "1",
        "b": "x y",
        "c": "it is",
        "d": "so",
        "e": None,
        "gone": None,
    }


def test_a_quoted_value_may_hold_a_bar() -> None:
    assert items(rf'{T}|block|"G1 \| X1"|b|2') == [Observation("block", "G1 | X1", AT), Observation("b", "2", AT)]
    assert items(rf'{T}|block|"G1|b|2') == [Observation("block", '"G1', AT), Observation("b", "2", AT)]
    assert items(f"{T}|folder|C:\\|b|2") == [Observation("folder", "C:\\", AT), Observation("b", "2", AT)]


def test_a_condition_under_any_name_is_known_by_its_empty_fields() -> None:
    assert items(f"{T}|logic|FAULT|12|||TOOL CLAMPED", f"{T}|logic|NORMAL||||") == [
        ConditionLine("logic", "FAULT", "12", "", "", "TOOL CLAMPED", AT),
        ConditionLine("logic", "NORMAL", "", "", "", "", AT),
    ]


@pytest.mark.parametrize("line", ["hello", "GET / HTTP/1.1", f"{T}", f"{T}|key", "yesterday|a|1", f"{T}||5"])
def test_garbage_is_said_and_not_raised(line: str) -> None:
    assert [type(item) for item in items(line)] == [Garbage]


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_no_bytes_ever_break_the_parser(lines: list[bytes]) -> None:
    parser = Parser(("*_cond",))
    for line in [*lines, f"{T}|@ASSET@|x|y|--multiline--".encode(), *lines]:
        for item in parser.parse(line):
            assert isinstance(item, Observation | Series | ConditionLine | Asset | Command | Garbage)


@given(
    st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b and not b.endswith(b"\r")), max_size=20), st.data()
)
def test_lines_are_the_same_however_the_bytes_come(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + data.draw(st.sampled_from([b"\n", b"\r\n"])) for line in lines)
    splitter, found, at = LineSplitter(1000), list[bytes](), 0
    while at < len(stream):
        size = data.draw(st.integers(1, 40))
        found += splitter.feed(stream[at : at + size])
        at += size
    assert found == lines
    assert splitter.too_long == 0


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_an_endless_line_is_counted_once_and_the_next_line_is_read(size: int) -> None:
    splitter, found = LineSplitter(1024), list[bytes]()
    stream = b"a|1\n" + b"x" * 5000 + b"\nb|2\n"
    for at in range(0, len(stream), size):
        found += splitter.feed(stream[at : at + size])
    assert found == [b"a|1", b"b|2"]
    assert splitter.too_long == 1


def test_times_keep_their_order() -> None:
    first, second = parse_time("2022-08-08T13:51:34.1000001Z"), parse_time("2022-08-08T13:51:34.1000019Z")
    assert first is not None
    assert second is not None
    assert second - first == timedelta(microseconds=1)
