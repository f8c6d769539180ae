"""How a line is set, and how a programme goes over it. Both must say what the controller's own settings say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from cnc_bridge.settings import STRICT


class LineSettings(BaseModel):
    """Speed and frame. Two stop bits also suit a controller that expects one."""

    model_config = STRICT

    baud: Annotated[int, Field(ge=110, le=921_600)] = 9600
    data_bits: Literal[7, 8] = 7
    parity: Literal["none", "even", "odd"] = "even"
    stop_bits: Literal[1, 2] = 2
    flow: Annotated[
        Literal["xonxoff", "rtscts", "none"], Field(description="rtscts needs a cable with those wires")
    ] = "xonxoff"

    @property
    def seconds_per_byte(self) -> float:
        """Time of one character on the wire: start bit, data, parity, stop bits."""
        return (1 + self.data_bits + (self.parity != "none") + self.stop_bits) / self.baud

    @property
    def summary(self) -> str:
        """As a technician says it: `9600 7E2`."""
        return f"{self.baud} {self.data_bits}{self.parity[0].upper()}{self.stop_bits}"


class TapeSettings(BaseModel):
    """How a programme is wrapped and when it may go, in the words of the paper tape that it once was."""

    model_config = STRICT

    start: Annotated[
        Literal["dc1", "at_once"], Field(description="dc1: wait until the machine asks; at_once: it is waiting already")
    ] = "dc1"
    framing: Annotated[Literal["percent", "none"], Field(description="percent: `%` before and after")] = "percent"
    eol: Annotated[Literal["lf", "crlf", "as_is"], Field(description="as_is: the bytes as they are in the file")] = (
        "crlf"
    )
    leader: Annotated[int, Field(ge=0, le=1000, description="NUL bytes before")] = 0
    trailer: Annotated[int, Field(ge=0, le=1000, description="NUL bytes after")] = 0
    chunk: Annotated[
        int, Field(ge=1, le=64, description="bytes handed to the port at a time: what may follow an XOFF")
    ] = 16
    start_timeout_s: Annotated[
        float, Field(ge=0.1, le=3600, description="until the operator pressed READ or PUNCH")
    ] = 180.0
    hold_timeout_s: Annotated[float, Field(ge=0.1, le=36_000, description="longest XOFF without XON")] = 600.0
    idle_timeout_s: Annotated[float, Field(ge=0.1, le=60, description="silence that ends a reception")] = 5.0
    max_kb: Annotated[int, Field(ge=1, le=65_536, description="longest programme received")] = 4096
