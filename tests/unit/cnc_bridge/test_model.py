import math

import pytest

from cnc_bridge.model import SIGNALS, BadValueError, clean, shop_state, signal_named


@pytest.mark.parametrize(
    ("signal", "raw", "expected"),
    [
        ("spindle_load", "42.5", 42.5),
        ("spindle_load", 3, 3.0),
        ("spindle_load", "", None),
        ("feed", "UNAVAILABLE", None),
        ("availability", "UNAVAILABLE", "UNAVAILABLE"),
        ("execution", "feed-hold", "FEED_HOLD"),
        ("execution", "unavailable", None),
        ("part_count", "3", 3),
        ("part_count", 3.0, 3),
        ("tool", 12, "12"),
        ("tool", 12.0, "12"),
        ("programme", " O1234\x00 ", "O1234"),
        ("programme", "x" * 300, "x" * 119 + "…"),
        ("alarm", True, 1),
    ],
)
def test_a_usable_value_is_cleaned(signal: str, raw: object, expected: object) -> None:
    assert clean(signal_named(signal), raw) == expected


@pytest.mark.parametrize(
    ("signal", "raw", "code"),
    [
        ("spindle_load", math.nan, "not_finite"),
        ("spindle_load", "inf", "not_finite"),
        ("spindle_load", 10**400, "not_a_number"),
        ("spindle_load", "abc", "not_a_number"),
        ("spindle_load", True, "wrong_type"),
        ("spindle_load", [1, 2], "wrong_type"),
        ("spindle_load", "9" * 1_000_000, "too_long"),
        ("programme", "x" * 1_000_000, "too_long"),
        ("programme", b"O1", "wrong_type"),
        ("execution", "CUTTING", "unknown_word"),
        ("execution", 3, "wrong_type"),
        ("part_count", -1, "not_a_count"),
        ("part_count", 2.5, "not_a_count"),
    ],
)
def test_an_unusable_value_is_refused_with_its_code(signal: str, raw: object, code: str) -> None:
    with pytest.raises(BadValueError) as refused:
        clean(signal_named(signal), raw)
    assert refused.value.code == code
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("values", "fault", "state"),
    [
        ({"execution": "ACTIVE"}, False, "running"),
        ({"execution": "ACTIVE"}, True, "running"),  # it cuts, whatever lamp is on
        ({"execution": "ACTIVE", "mode": "MANUAL_DATA_INPUT"}, False, "setup"),
        ({"execution": "READY", "functional_mode": "SETUP"}, False, "setup"),
        ({"execution": "READY"}, False, "ready"),
        ({"execution": "FEED_HOLD"}, False, "ready"),
        ({"execution": "OPTIONAL_STOP"}, False, "ready"),
        ({"execution": "PROGRAM_COMPLETED"}, False, "ready"),
        ({"execution": "INTERRUPTED"}, False, "stopped"),
        ({"execution": "STOPPED"}, False, "stopped"),
        ({"execution": "STOPPED"}, True, "alarm"),
        ({"execution": "ACTIVE", "emergency_stop": "TRIGGERED"}, False, "alarm"),
        ({"execution": "READY", "availability": "UNAVAILABLE"}, False, "off"),
        ({"execution": None}, False, "silent"),
        ({}, False, "silent"),
    ],
)
def test_the_shops_word_for_what_the_controller_says(values: dict[str, str | None], fault: bool, state: str) -> None:
    assert shop_state(values, fault=fault) == state


def test_a_signal_that_the_shop_named_has_the_unit_of_its_last_word() -> None:
    assert [signal_named(name).unit for name in ("x_load", "coolant_temperature", "spindle2_speed", "press")] == [
        "%",
        "°C",
        "rpm",
        "",
    ]
    assert signal_named("x_load", "A").unit == "A"


def test_a_tool_number_written_as_a_decimal_is_that_tool() -> None:
    """Hurco tells its tool as 4.000000."""
    assert [clean(SIGNALS["tool"], raw) for raw in ("4.000000", "4", "4.5", "T04")] == ["4", "4", "4.5", "T04"]
