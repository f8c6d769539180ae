"""Frames that real controllers gave, as published with the descriptions of the protocol (see docs/decisions)."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cnc_bridge.drivers.focas import places, wire
from cnc_bridge.drivers.focas.settings import FANUC, PlaceSource, Settings
from cnc_bridge.registers import RefusedError

ALARM, PROGRAMME, FEED, SPEED = places.ALARMS, *(places.request(at) for at in ("programme", "feed", "spindle speed"))
FROM_A_MACHINE = bytes.fromhex(
    "0004"
    "0014 0001 0001 001a 0000 00000000 0004 00000000"
    "0018 0001 0001 001c 0000 00000000 0008 00000bb8 00000bb8"
    "0018 0001 0001 0024 0000 00000000 0008 00000000 000a 0004"
    "0010 0001 0001 0025 0001 00000000 0000"
)
"""No alarm, programme O3000, feed 0, and a controller that has no spindle to tell the speed of."""


def test_the_question_is_framed_as_the_description_says() -> None:
    asked = wire.ask([places.STATUS])
    assert asked == bytes.fromhex("a0a0a0a0 0001 2101 001e 0001 001c 0001 0001 0019") + bytes(20)
    macro = wire.ask([places.request("macro 502")])
    assert macro[18:] == bytes.fromhex("0015 000001f6 000001f6") + bytes(12)
    assert wire.header(asked[:10]) == (wire.ASK, 0x1E)


def test_a_machines_answer_is_taken_apart() -> None:
    found = wire.replies(FROM_A_MACHINE, [ALARM, PROGRAMME, FEED, SPEED])
    assert [reply.error for reply in found] == [0, 0, 0, 1]
    assert places.value("programme", found[1]) == "O3000"
    assert places.value("feed", found[2]) == 0
    with pytest.raises(RefusedError, match="not implemented"):
        places.value("spindle speed", found[3])


def test_servo_loads_of_a_machine() -> None:
    data = bytes.fromhex("00000000000a0000 fffffffd000a0000 00000021000a0000") + bytes.fromhex("00000000000a0000") * 29
    reply = wire.Reply(0, data)
    assert [places.value(f"axis load {axis}", reply) for axis in (1, 2, 3)] == [0, -3, 33]


def test_macro_values_of_a_machine() -> None:
    assert wire.scaled(bytes.fromhex("297c1e00000a0006")) == pytest.approx(696.0)
    assert wire.scaled(bytes.fromhex("05f5e100000a0008")) == 1.0
    assert wire.scaled(bytes.fromhex("0bc77120000a0006")) == pytest.approx(197.62)
    assert wire.scaled(bytes.fromhex("00000001000affff")) is None, "a macro that is empty"


def test_a_pmc_value_of_a_machine() -> None:
    request = places.request("pmc D2204 word")
    assert wire.ask([request])[12:] == bytes.fromhex("001c 0002 0001 8001 0000089c 0000089d 00000009 00000001 00000000")
    assert places.value("pmc D2204 word", wire.Reply(0, bytes.fromhex("0258"))) == 600


def test_status_words_are_the_shops() -> None:
    status = wire.Reply(0, struct.pack(">7H", 1, 3, 1, 0, 0, 0, 0))
    assert FANUC["execution"].words[str(places.value("run", status))] == "ACTIVE"
    assert FANUC["mode"].words[str(places.value("aut", status))] == "AUTOMATIC"
    assert FANUC["emergency_stop"].words[str(places.value("emergency", status))] == "ARMED"


def test_a_status_of_an_older_series_is_not_guessed_at() -> None:
    with pytest.raises(RefusedError, match="another series"):
        places.value("run", wire.Reply(0, bytes(18)))


def test_alarms_carry_their_number_and_text() -> None:
    text = b"OVERTRAVEL ( SOFT 1 )"
    entry = struct.pack(">4i", 500, 4, 1, len(text)) + text.ljust(64, b"\0")
    assert places.messages(4, wire.Reply(0, entry)) == [("OT0500", "OVERTRAVEL ( SOFT 1 )")]
    assert places.messages(6, wire.Reply(1, b"")) == [("SV", "")], "not told: its type alone"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00\x02" + FROM_A_MACHINE[2:],
        FROM_A_MACHINE[:-8],
        FROM_A_MACHINE.replace(b"\x00\x1c", b"\x00\x1d"),
        b"\x00\x04\x00\x02" + bytes(40),
        b"\xff" * 60,
    ],
)
def test_what_is_no_answer_is_refused_not_read(payload: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.replies(payload, [ALARM, PROGRAMME, FEED, SPEED])


ALL_PLACES = [source.at for source in FANUC.values()] + ["programme name", "axis load 3", "macro 1", "pmc D1 word"]


@given(payload=st.binary(max_size=200))
def test_no_bytes_make_more_than_a_refusal(payload: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        wire.replies(payload, [ALARM, PROGRAMME])
    for at in ALL_PLACES:
        try:
            value = places.value(at, wire.Reply(0, payload))
        except RefusedError:
            continue
        assert value is None or isinstance(value, (int, float, str))
    places.messages(4, wire.Reply(0, payload))


@pytest.mark.parametrize("at", ["macro", "param x", "pmc Q1", "axis load 33", "spindle", "run ", ""])
def test_a_place_that_is_none_is_refused(at: str) -> None:
    with pytest.raises(ValidationError):
        PlaceSource(at=at)


def test_signals_are_added_to_the_usual_ones_replaced_or_left_out() -> None:
    settings = Settings.model_validate({
        "kind": "focas", "host": "h",
        "signals": {"tool": "", "part_count": "macro 3901", "x_load": {"at": "axis load 1", "unit": "%"}},
    })  # fmt: skip
    assert "tool" not in settings.signals
    assert settings.signals["part_count"].at == "macro 3901"
    assert settings.signals["x_load"].unit == "%"
    assert settings.signals["execution"].words["3"] == "ACTIVE"
