"""Registers to values."""

from __future__ import annotations

import struct

from cnc_bridge.drivers.modbus.settings import RegisterSource
from cnc_bridge.registers import NUMBERS, Content


def decode(source: RegisterSource, content: Content) -> float | int | bool | str:
    """What `content` (registers of 16 bits, or bits of a coil table) says, as `source` declares it."""
    if source.kind == "bit":
        return bool(content[0] >> source.bit & 1 if source.bit is not None else content[0])
    if source.kind == "string":
        return _bytes(source, content).split(b"\0", 1)[0].decode("latin-1").strip()
    words = content if source.order == "big" else content[::-1]
    number: float | int = NUMBERS[source.kind].unpack(_bytes(source, words))[0]
    return number


def _bytes(source: RegisterSource, words: Content) -> bytes:
    return struct.pack(f"{'<' if source.swap_bytes else '>'}{len(words)}H", *words)
