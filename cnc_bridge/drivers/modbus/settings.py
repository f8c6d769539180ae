"""Settings of a Modbus device: how to reach it, and which register is which signal."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cnc_bridge.polling import PollSettings
from cnc_bridge.settings import Source, named_signals, shorthand

Table = Literal["coil", "discrete", "input", "holding"]
Kind = Literal["bit", "u16", "s16", "u32", "s32", "f32", "f64", "string"]

REGISTERS = {"u16": 1, "s16": 1, "u32": 2, "s32": 2, "f32": 2, "f64": 4}
_MODICON: dict[str, Table] = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}


class RegisterSource(Source):
    """A signal from one place: `register = "40011"` as manuals number them, or `table` and `address` from 0.

    `type` says how it is coded. A number of several registers has its words in `order`: "big" (most significant
    first) or "little"; `swap_bytes` where the two bytes of each register are exchanged.
    """

    register_number: Annotated[
        str | None, Field(alias="register", description="as in the manual, from 1: 40011, 300005, 00017")
    ] = None
    table: Table | None = None
    address: Annotated[int | None, Field(ge=0, le=65_535, description="counted from 0, as on the wire")] = None
    type: Kind | None = None
    bit: Annotated[int | None, Field(ge=0, le=15, description="one bit of a register, 0 is the least")] = None
    length: Annotated[int, Field(ge=1, le=60, description="of a string, in registers of two characters")] = 8
    order: Literal["big", "little"] = "big"
    swap_bytes: bool = False

    @model_validator(mode="after")
    def _placed(self) -> RegisterSource:
        if self.register_number is not None:
            if self.table is not None or self.address is not None:
                raise ValueError("`register` or `table` with `address`, not both")
            if not re.fullmatch(r"[0134](\d{4}|\d{5})", self.register_number) or self.number == 0:
                raise ValueError(f"{self.register_number!r} is no register: write it as 40011, 30005, 10001 or 00017")
        elif self.table is None or self.address is None:
            raise ValueError('where is it? `register = "40011"`, or `table = "holding"` and `address = 10`')
        if self.place[0] in ("coil", "discrete") and (self.kind != "bit" or self.bit is not None):
            raise ValueError(f"a {self.place[0]} is one bit: no `type`, no `bit`")
        if self.kind == "bit" and self.place[0] in ("holding", "input") and self.bit is None:
            raise ValueError("which bit of the register? `bit = 0` is the least significant")
        if self.bit is not None and self.kind != "bit":
            raise ValueError(f'`bit` goes with `type = "bit"`, not with {self.kind}')
        return self

    @property
    def number(self) -> int:
        """The digits after the table's, of `register`."""
        return int((self.register_number or "01")[1:])

    @property
    def place(self) -> tuple[Table, int]:
        """Table and address counted from 0."""
        if self.register_number is not None:
            return _MODICON[self.register_number[0]], self.number - 1
        assert self.table is not None
        assert self.address is not None
        return self.table, self.address

    @property
    def kind(self) -> Kind:
        if self.type is not None:
            return self.type
        return "bit" if self.bit is not None or self.place[0] in ("coil", "discrete") else "u16"

    @property
    def units(self) -> int:
        """Registers, or bits of a coil table, that it takes."""
        return self.length if self.kind == "string" else REGISTERS.get(self.kind, 1)

    @property
    def said(self) -> str:
        """The place as a person reads it."""
        table, address = self.place
        return f"{table} {address}" if self.register_number is None else self.register_number


class Settings(PollSettings):
    """`host` for TCP, `device` for a serial line (`/dev/ttyUSB0`); RTU over TCP with `framing = "rtu"`."""

    kind: Literal["modbus"]
    host: Annotated[str | None, Field(min_length=1, max_length=253)] = None
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    framing: Annotated[Literal["tcp", "rtu"], Field(description="rtu: a serial line behind a plain converter")] = "tcp"
    device: Annotated[str | None, Field(pattern=r"^/dev/", description="serial port, for RTU")] = None
    baud: Annotated[int, Field(ge=300, le=921_600)] = 19_200
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    device_id: Annotated[int, Field(ge=0, le=255, description="unit or slave number; often 1")] = 1
    period_s: Annotated[float, Field(ge=0.02, le=3)] = 0.5
    max_registers: Annotated[int, Field(ge=1, le=125, description="in one request; some devices take few")] = 100
    max_gap: Annotated[int, Field(ge=0, le=100, description="unused registers read along to save a request")] = 8
    signals: Annotated[dict[str, RegisterSource], Field(min_length=1)]

    @field_validator("signals", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return shorthand("register")(named_signals(value)) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _reachable(self) -> Settings:
        if (self.host is None) == (self.device is None):
            raise ValueError("one of `host` (network) and `device` (serial port)")
        return self

    @property
    def address(self) -> str:
        where = f"{self.host}:{self.port}" if self.host else str(self.device)
        return where if self.device_id == 1 else f"{where} n°{self.device_id}"
