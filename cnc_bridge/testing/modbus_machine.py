"""A simulated machine behind a real pymodbus server, for the demo and the tests. No controller speaks here.

    python -m cnc_bridge.testing.modbus_machine --port 1502

`REGISTERS` is its map, counted from 0; what is not in it is answered by exception 2.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from cnc_bridge.testing.command_line import listening, machine, parser
from cnc_bridge.testing.moving import MovingMachine, Snapshot

EXECUTION = {"READY": 1, "ACTIVE": 2, "PROGRAM_COMPLETED": 3, "STOPPED": 4}
REGISTERS: Mapping[str, str] = {
    "execution": 'register = "40001"',
    "tool": 'register = "40002"',
    "part_count": 'register = "40003", type = "u32"',
    "spindle_load": 'register = "40005", type = "f32", order = "little"',
    "spindle_speed": 'register = "40007"',
    "feed": 'register = "40008", scale = 0.1',
    "alarm": 'register = "40009"',
    "feed_override": 'register = "40010"',
    "programme": 'register = "40021", type = "string"',
}
LAST = 28
"""Holding registers 0 to 27 are there, without 10 to 19; coil 0 says that it runs."""


def holding(now: Snapshot) -> list[int]:
    """The holding registers 0 to 27."""
    load = struct.unpack(">HH", struct.pack(">f", now.load))
    name = struct.unpack(">8H", now.programme.encode("latin-1").ljust(16, b"\0"))
    numbers = [
        EXECUTION[now.execution], now.tool, now.parts >> 16, now.parts & 0xFFFF, load[1], load[0],
        round(now.speed), round(now.feed * 10), now.alarm, round(now.feed_override),
    ]  # fmt: skip
    return [*numbers, *[0] * 10, *name]


def device(moving: MovingMachine, device_id: int = 1) -> SimDevice:
    """The registers, refreshed each time somebody reads."""

    async def refresh(
        code: int, start: int, _address: int, _count: int, registers: list[int], _written: Any
    ) -> ExcCodes | None:
        now = moving.now()
        if code == 3:
            fresh = holding(now)[start:]
            registers[: len(fresh)] = fresh
        elif code in (1, 2):
            registers[0] = int(now.execution == "ACTIVE")
        return None

    registers = [
        SimData(0, values=[0] * 10, datatype=DataType.REGISTERS, readonly=True),
        SimData(20, values=[0] * 8, datatype=DataType.REGISTERS, readonly=True),
    ]
    bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS, readonly=True)]
    inputs = [SimData(0, values=[0], datatype=DataType.REGISTERS, readonly=True)]
    return SimDevice(device_id, simdata=(bits, [*bits], registers, inputs), action=refresh)


async def serve(moving: MovingMachine, port: int, *, device_id: int = 1, rtu: bool = False) -> None:
    """Answer until cancelled; says in a JSON line when it listens."""
    framer = FramerType.RTU if rtu else FramerType.SOCKET
    server = ModbusTcpServer(device(moving, device_id), framer=framer, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    listening(port)
    try:
        await asyncio.Event().wait()
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # the library gives it no types


def example_config(host: str, port: int, machine_id: str = "fraiseuse-1") -> str:
    """The TOML that reads this machine."""
    words = ", ".join(f'{number} = "{word}"' for word, number in EXECUTION.items())
    lines = [
        f"{name} = {{ {where}{f', words = {{ {words} }}' if name == 'execution' else ''} }}"
        for name, where in REGISTERS.items()
    ]
    head = [
        "[machine]",
        f'id = "{machine_id}"',
        "",
        "[driver]",
        'kind = "modbus"',
        f'host = "{host}"',
        f"port = {port}",
    ]
    return "\n".join([*head, "", "[driver.signals]", *lines, ""])


def main() -> None:
    """The command line."""
    options = parser("A simulated machine behind a Modbus TCP server")
    options.add_argument("--device-id", type=int, default=1)
    options.add_argument("--rtu", action="store_true", help="RTU frames over TCP")
    given = options.parse_args()
    asyncio.run(serve(machine(given), given.port, device_id=given.device_id, rtu=given.rtu))


if __name__ == "__main__":
    main()
