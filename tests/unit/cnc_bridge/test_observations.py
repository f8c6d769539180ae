from datetime import UTC, datetime, timedelta

from cnc_bridge.observations import Observed, in_order, observations, read
from cnc_bridge.replay import OKUMA

T = "2016-10-13T08:54:47.616Z"
AT = datetime(2016, 10, 13, 8, 54, 47, 616_000, tzinfo=UTC)


def seen(*lines: str) -> list[Observed]:
    return list(observations(line.encode() + b"\n" for line in lines))


def test_a_log_line_is_an_item_and_its_value() -> None:
    assert seen(f"{T}|Sload|12.5", f"{T}|Unit_text|a b ") == [
        Observed(AT, "Sload", "12.5"),
        Observed(AT, "Unit_text", "a b"),
    ]


def test_a_condition_is_known_by_its_fields_whatever_its_name() -> None:
    (unavailable, fault, limit) = seen(
        f"{T}|Xtravel|Unavailable||||",
        f"{T}|logic|Fault|81000014|||20 TOOL CLAMPED INCORRECT",
        f"{T}|Xtravel|Warning|101||HIGH|SOFT LIMIT",
    )
    assert (unavailable.value, unavailable.condition is not None) == ("UNAVAILABLE", True)
    assert fault.condition is not None
    assert (fault.item, fault.value, fault.condition.code, fault.condition.text) == (
        "logic",
        "FAULT",
        "81000014",
        "20 TOOL CLAMPED INCORRECT",
    )
    assert limit.condition is not None
    assert (limit.condition.code, limit.condition.qualifier, limit.condition.text) == ("101", "HIGH", "SOFT LIMIT")


def test_six_values_that_are_unavailable_are_no_condition() -> None:
    found = seen(f"{T}|execution|UNAVAILABLE|mode|UNAVAILABLE|program|UNAVAILABLE")
    assert [(one.item, one.value, one.condition) for one in found] == [
        ("execution", "UNAVAILABLE", None),
        ("mode", "UNAVAILABLE", None),
        ("program", "UNAVAILABLE", None),
    ]


def test_a_line_that_says_nothing_is_passed_over() -> None:
    assert [one.item for one in seen("", "nonsense", f"{T}|a|1", "* PONG 10", f"{T}|b")] == ["a"]


def test_times_of_the_first_state_are_older_and_can_be_put_in_order() -> None:
    lines = [f"{T}|a|1", "2016-10-06T00:00:00Z|b|2", "|c|3", f"{T.replace('08:54', '08:55')}|d|4"]
    raw = seen(*lines)
    assert [one.time for one in raw][1] == datetime(2016, 10, 6, tzinfo=UTC)
    assert [(when - AT, one.item) for when, one in in_order(raw)] == [
        (timedelta(0), "a"),
        (timedelta(0), "b"),
        (timedelta(0), "c"),
        (timedelta(minutes=1), "d"),
    ]


def test_a_time_series_is_one_observation_a_value() -> None:
    found = list(observations([f"{T}|Va|3|10|1.5 2 2.5".encode()], series=("V?",)))
    assert [(one.time, one.value) for one in found] == [
        (AT - timedelta(milliseconds=200), "1.5"),
        (AT - timedelta(milliseconds=100), "2.0"),
        (AT, "2.5"),
    ]


def test_a_real_recording_is_read_whole() -> None:
    found = list(read(OKUMA))
    assert len(found) > 20_000
    assert {one.item for one in found if one.condition} >= {"system", "CoolantSystem1_cond"}
    assert [one.value for one in found if one.item == "pexecution"].count("ACTIVE") == 4
