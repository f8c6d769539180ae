import struct
from typing import Any

import pytest
from pydantic import ValidationError
from snap7.error import S7ProtocolError

from cnc_bridge.drivers.s7.codec import decode
from cnc_bridge.drivers.s7.faults import refusal
from cnc_bridge.drivers.s7.settings import AddressSource, Settings
from cnc_bridge.port import DriverFaultError
from cnc_bridge.registers import RefusedError


def source(at: str, **given: Any) -> AddressSource:
    return AddressSource.model_validate({"at": at} | given)


@pytest.mark.parametrize(
    ("at", "place", "kind"),
    [
        ("DB10.DBD4", ("DB10", 4, 0), "dword"),
        ("db10.dbx2.7", ("DB10", 2, 7), "bool"),
        ("DB1.DBB0", ("DB1", 0, 0), "byte"),
        ("MW20", ("M", 20, 0), "word"),
        ("M10.3", ("M", 10, 3), "bool"),
        ("I0.3", ("I", 0, 3), "bool"),
        ("E0.3", ("I", 0, 3), "bool"),
        ("A4.0", ("Q", 4, 0), "bool"),
        ("QB2", ("Q", 2, 0), "byte"),
    ],
)
def test_addresses_are_written_as_in_tia_portal(at: str, place: tuple[str, int, int], kind: str) -> None:
    assert (source(at).place, source(at).kind) == (place, kind)


@pytest.mark.parametrize(
    ("at", "given"),
    [("DB10", {}), ("DB10.DBX2", {}), ("DB10.DBW2.1", {}), ("M10", {}), ("DB10.DBW2", {"type": "real"}), ("40001", {})],
)
def test_an_address_that_cannot_be_is_refused(at: str, given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(at, **given)


@pytest.mark.parametrize(
    ("at", "kind", "pattern", "value"),
    [
        ("DB1.DBW0", "int", ">h", -3),
        ("DB1.DBW0", "uint", ">H", 65_535),
        ("DB1.DBD0", "dint", ">i", -70_000),
        ("DB1.DBD0", "real", ">f", 12.5),
        ("DB1.DBB0", "lreal", ">d", 0.1),
        ("DB1.DBB0", "sint", ">b", -1),
    ],
)
def test_numbers_are_read_as_declared(at: str, kind: str, pattern: str, value: float) -> None:
    assert decode(source(at, type=kind), list(struct.pack(pattern, value))) == value


def test_bits_strings_and_characters() -> None:
    assert decode(source("M0.4"), [0b10000]) is True
    assert decode(source("M0.3"), [0b10000]) is False
    text = source("DB1.DBB0", type="string", length=6)
    assert text.size == 8
    assert decode(text, list(b"\x06\x03O12456")) == "O12"
    assert decode(text, [0] * 8) == "", "never written by the programme"
    assert decode(source("DB1.DBB0", type="char", length=4), list(b"AB \0")) == "AB"


SETTINGS = Settings(kind="s7", host="10.0.0.2", signals={"execution": source("MW0")})


@pytest.mark.parametrize(("code", "kind"), [(0x05, "illegal_address"), (0x0A, "illegal_address"), (0x03, "no_access")])
def test_a_refused_item_concerns_its_signal_alone(code: int, kind: str) -> None:
    fault = refusal(S7ProtocolError(f"Read operation failed: something (0x{code:02x})"), SETTINGS)
    assert isinstance(fault, RefusedError)
    assert fault.code == kind


def test_a_cpu_that_does_not_let_us_read_is_told_with_what_to_tick() -> None:
    fault = refusal(S7ProtocolError("S7 protocol error", error_code=0x8104), SETTINGS)
    assert isinstance(fault, DriverFaultError)
    assert fault.code == "put_get_disabled"
    assert "PUT/GET" in fault.message_fr
