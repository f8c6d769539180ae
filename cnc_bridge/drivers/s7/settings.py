"""Settings of a Siemens S7 controller: rack and slot, and which address is which signal."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cnc_bridge.polling import PollSettings
from cnc_bridge.settings import Source, named_signals, shorthand

Kind = Literal[
    "bool", "byte", "usint", "sint", "char", "word", "uint", "int", "dword", "udint", "dint", "real", "lreal", "string"
]
NUMBERS: dict[str, str] = {
    "byte": "u8", "usint": "u8", "sint": "s8", "word": "u16", "uint": "u16", "int": "s16",
    "dword": "u32", "udint": "u32", "dint": "s32", "real": "f32", "lreal": "f64",
}  # fmt: skip
_BYTES = {"u8": 1, "s8": 1, "u16": 2, "s16": 2, "u32": 4, "s32": 4, "f32": 4, "f64": 8}
_WIDTHS: dict[str, tuple[Kind, ...]] = {
    "X": ("bool",),
    "B": ("byte", "usint", "sint", "char", "string", "lreal"),
    "W": ("word", "int", "uint"),
    "D": ("dword", "dint", "udint", "real"),
}
_DB = re.compile(r"DB(\d+)\.DB([XBWD])(\d+)(?:\.([0-7]))?")
_MEMORY = re.compile(r"([MIEQA])([BWD]?)(\d+)(?:\.([0-7]))?")
_AREAS = {"M": "M", "I": "I", "E": "I", "Q": "Q", "A": "Q"}


class AddressSource(Source):
    """A signal from one address, as Step 7 and TIA Portal write it: `DB10.DBD4`, `DB10.DBX2.0`, `MW20`, `I0.3`.

    Inputs are I or E, outputs Q or A. `type` says how it is coded; without it a bit is a bool, B a byte, W a word, D a
    dword. A `string` begins with its two length bytes; `char` is `length` plain characters.
    """

    at: Annotated[str, Field(min_length=3, max_length=40)]
    type: Kind | None = None
    length: Annotated[int, Field(ge=1, le=200, description="characters of a string or of chars")] = 32

    @model_validator(mode="after")
    def _fits(self) -> AddressSource:
        width = _parsed(self.at)[1]
        if self.type is not None and self.type not in _WIDTHS[width]:
            raise ValueError(f"{self.at!r} cannot be a {self.type}: it is one of {', '.join(_WIDTHS[width])}")
        return self

    @property
    def place(self) -> tuple[str, int, int]:
        """Area (`DB10`, `M`, `I`, `Q`), byte, bit."""
        area, _, byte, bit = _parsed(self.at)
        return area, byte, bit

    @property
    def kind(self) -> Kind:
        return self.type or _WIDTHS[_parsed(self.at)[1]][0]

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        if self.kind == "string":
            return self.length + 2
        return self.length if self.kind == "char" else _BYTES.get(NUMBERS.get(self.kind, ""), 1)


def _parsed(at: str) -> tuple[str, str, int, int]:
    """Area, width X B W or D, byte, bit. Raises ValueError."""
    text = at.upper().replace(" ", "")
    db, memory = _DB.fullmatch(text), _MEMORY.fullmatch(text)
    if db is not None:
        area, width, byte, bit = f"DB{int(db[1])}", db[2], int(db[3]), db[4]
    elif memory is not None:
        area, width, byte, bit = _AREAS[memory[1]], memory[2] or "X", int(memory[3]), memory[4]
    else:
        raise ValueError(f"{at!r} is no S7 address: write DB10.DBD4, DB10.DBX2.0, MW20, I0.3 or Q4.0")
    if (width == "X") != (bit is not None):
        raise ValueError(f"{at!r}: a bit is written with its number, as in DB10.DBX2.0 or M10.3, and nothing else")
    if byte > 65_535:
        raise ValueError(f"{at!r}: no such byte")
    return area, width, byte, int(bit or 0)


class Settings(PollSettings):
    """`slot` is 1 on S7-1200 and S7-1500, mostly 2 on S7-300."""

    kind: Literal["s7"]
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)] = 102
    rack: Annotated[int, Field(ge=0, le=7)] = 0
    slot: Annotated[int, Field(ge=0, le=31)] = 1
    connection: Annotated[
        Literal["PG", "OP", "basic"], Field(description="which of the CPU's connection resources is used")
    ] = "OP"
    period_s: Annotated[float, Field(ge=0.02, le=3)] = 0.5
    max_gap: Annotated[int, Field(ge=0, le=200, description="unused bytes read along to save a request")] = 32
    signals: Annotated[dict[str, AddressSource], Field(min_length=1)]

    @field_validator("signals", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return shorthand("at")(named_signals(value)) if isinstance(value, dict) else value

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"
