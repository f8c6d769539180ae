"""A simulated machine behind python-snap7's server, for the demo and the tests. No Siemens controller speaks here.

    python -m cnc_bridge.testing.s7_machine --port 1102

Its data block is DB10, `ADDRESSES` is its map; the merker bit M10.0 says that it runs.
"""

from __future__ import annotations

import signal
import struct
import threading
from collections.abc import Mapping
from typing import Self

from snap7.server import Server
from snap7.type import SrvArea

from cnc_bridge.testing.command_line import listening, machine, parser
from cnc_bridge.testing.moving import MovingMachine, Snapshot

EXECUTION = {"READY": 1, "ACTIVE": 2, "PROGRAM_COMPLETED": 3, "STOPPED": 4}
ADDRESSES: Mapping[str, str] = {
    "execution": 'at = "DB10.DBW0"',
    "tool": 'at = "DB10.DBW2", type = "int"',
    "part_count": 'at = "DB10.DBD4", type = "dint"',
    "spindle_load": 'at = "DB10.DBD8", type = "real"',
    "spindle_speed": 'at = "DB10.DBD12", type = "real"',
    "feed": 'at = "DB10.DBD16", type = "real"',
    "alarm": 'at = "DB10.DBW20"',
    "programme": 'at = "DB10.DBB22", type = "string", length = 20',
}
SIZE = 44
_REFRESH_S = 0.02


def block(now: Snapshot) -> bytes:
    """The bytes of DB10."""
    name = now.programme.encode("latin-1")[:20]
    numbers = struct.pack(
        ">HhifffH", EXECUTION[now.execution], now.tool, now.parts, now.load, now.speed, now.feed, now.alarm
    )
    return numbers + bytes([20, len(name)]) + name.ljust(20, b"\0")


class SimulatedController:
    """The server and its machine, refreshed by a thread of its own: `with SimulatedController(port):`."""

    def __init__(self, port: int, moving: MovingMachine | None = None) -> None:
        self._port = port
        self._moving = moving or MovingMachine()
        self.server = Server(log=False)
        self._data = bytearray(SIZE)
        self._merkers = bytearray(16)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="simulated machine", daemon=True)

    def __enter__(self) -> Self:
        self.server.register_area(SrvArea.DB, 10, self._data)
        self.server.register_area(SrvArea.MK, 0, self._merkers)
        self._write(self._moving.now())
        self.server.start_to("127.0.0.1", tcp_port=self._port)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.server.stop()

    def _refresh(self) -> None:
        while not self._stop.wait(_REFRESH_S):
            self._write(self._moving.now())

    def _write(self, now: Snapshot) -> None:
        self.server.lock_area(SrvArea.DB, 10)
        try:
            self._data[:] = block(now)
            self._merkers[10] = int(now.execution == "ACTIVE")
        finally:
            self.server.unlock_area(SrvArea.DB, 10)


def example_config(host: str, port: int, machine_id: str = "tour-3") -> str:
    """The TOML that reads this machine."""
    words = ", ".join(f'{number} = "{word}"' for word, number in EXECUTION.items())
    lines = [
        f"{name} = {{ {where}{f', words = {{ {words} }}' if name == 'execution' else ''} }}"
        for name, where in ADDRESSES.items()
    ]
    head = ["[machine]", f'id = "{machine_id}"', "", "[driver]", 'kind = "s7"', f'host = "{host}"', f"port = {port}"]
    return "\n".join([*head, "", "[driver.signals]", *lines, ""])


def main() -> None:
    """The command line."""
    given = parser("A simulated machine behind an S7 server").parse_args()
    with SimulatedController(given.port, machine(given)):
        listening(given.port)
        signal.pause()


if __name__ == "__main__":
    main()
