"""Bytes of an S7 area to values."""

from __future__ import annotations

from cnc_bridge.drivers.s7.settings import NUMBERS as KINDS
from cnc_bridge.drivers.s7.settings import AddressSource
from cnc_bridge.registers import NUMBERS, Content


def decode(source: AddressSource, content: Content) -> float | int | bool | str:
    """What the bytes say, as `source` declares them."""
    data = bytes(content)
    if source.kind == "bool":
        return bool(data[0] >> source.place[2] & 1)
    if source.kind == "string":
        longest, used = data[0], data[1]
        if used > longest or longest == 0:
            return ""  # never written by the programme
        return data[2 : 2 + used].decode("latin-1")
    if source.kind == "char":
        return data.split(b"\0", 1)[0].decode("latin-1").strip()
    number: float | int = NUMBERS[KINDS[source.kind]].unpack(data)[0]
    return number
