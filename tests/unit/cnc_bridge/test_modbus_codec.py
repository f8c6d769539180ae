import struct
from typing import Any

import pytest
from pydantic import ValidationError

from cnc_bridge.config import ConfigError, parse
from cnc_bridge.drivers.modbus.codec import decode
from cnc_bridge.drivers.modbus.settings import RegisterSource


def source(**given: Any) -> RegisterSource:
    return RegisterSource.model_validate({"register": "40001"} | given)


def words(pattern: str, value: object) -> list[int]:
    data = struct.pack(pattern, value)
    return list(struct.unpack(f">{len(data) // 2}H", data))


@pytest.mark.parametrize(
    ("kind", "pattern", "value"),
    [
        ("u16", ">H", 65_000),
        ("s16", ">h", -12),
        ("u32", ">I", 4_000_000_000),
        ("s32", ">i", -70_000),
        ("f64", ">d", 0.1),
    ],
)
def test_numbers_are_read_as_declared_in_all_four_orders(kind: str, pattern: str, value: float) -> None:
    registers = words(pattern, value)
    assert decode(source(type=kind), registers) == value
    assert decode(source(type=kind, order="little"), registers[::-1]) == value
    swapped = [word >> 8 | (word & 0xFF) << 8 for word in registers]
    assert decode(source(type=kind, swap_bytes=True), swapped) == value
    assert decode(source(type=kind, swap_bytes=True, order="little"), swapped[::-1]) == value


def test_a_float_that_is_nothing_stays_nothing() -> None:
    assert decode(source(type="f32"), words(">f", 12.5)) == 12.5
    nan = decode(source(type="f32"), [0x7FC0, 0])
    assert nan != nan  # the model refuses it, the codec only reads


def test_strings_end_at_their_first_null() -> None:
    assert decode(source(type="string", length=4), [0x4F31, 0x3233, 0x3400, 0x5858]) == "O1234"
    assert decode(source(type="string", length=2, swap_bytes=True), [0x314F, 0x3332]) == "O123"


def test_one_bit_of_a_register_and_a_coil() -> None:
    assert decode(source(bit=3), [0b1000]) is True
    assert decode(source(bit=4), [0b1000]) is False
    assert decode(RegisterSource.model_validate({"table": "coil", "address": 0}), [1]) is True


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("40001", ("holding", 0)), ("400011", ("holding", 10)), ("30005", ("input", 4)), ("10001", ("discrete", 0)),
        ("00017", ("coil", 16)),
    ],
)  # fmt: skip
def test_registers_are_numbered_as_in_manuals(number: str, place: tuple[str, int]) -> None:
    assert source(register=number).place == place


@pytest.mark.parametrize(
    "given",
    [
        {"register": "40000"},
        {"register": "50001"},
        {"register": "4001"},
        {"register": "40001", "address": 3},
        {"table": "holding"},
        {"register": "00001", "type": "u16"},
        {"register": "40001", "type": "bit"},
        {"register": "40001", "type": "u16", "bit": 2},
    ],
)
def test_a_place_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RegisterSource.model_validate(given)


@pytest.mark.parametrize("driver", [{}, {"host": "h", "device": "/dev/ttyUSB0"}])
def test_one_way_to_reach_it(driver: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="one of `host`"):
        parse({"machine": {"id": "m"}, "driver": {"kind": "modbus", "signals": {"execution": "40001"}} | driver})
