"""A FAKE Fanuc controller, written from public descriptions of FOCAS, for the tests and the demo. No Fanuc speaks here.

    python -m cnc_bridge.testing.focas_machine --port 8193

It shares no code with the client: a mistake in one does not hide in the other.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from cnc_bridge.testing.command_line import listening, machine, parser
from cnc_bridge.testing.moving import MovingMachine, Snapshot

RUN = {"READY": 0, "STOPPED": 1, "ACTIVE": 3}
AXES = 8
_OVERTRAVEL = 4


class FakeController:
    """Answers sessions; `sessions` is how many it has at most. `last_closed` counts those that were given back."""

    def __init__(self, moving: MovingMachine | None = None, sessions: int = 5) -> None:
        self._moving = moving or MovingMachine()
        self._sessions = sessions
        self._open = 0
        self.given_back = 0
        self.frames = 0

    async def start(self, port: int = 0) -> asyncio.Server:
        """Listen on 127.0.0.1."""
        return await asyncio.start_server(self._client, "127.0.0.1", port)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = False
        try:
            while True:
                head = await reader.readexactly(10)
                kind, length = struct.unpack(">HH", head[6:10])
                payload = await reader.readexactly(length)
                self.frames += 1
                if kind == 0x0101:
                    if self._open >= self._sessions:
                        writer.write(_frame(0x0103, b"\0\0"))
                        continue
                    self._open, mine = self._open + 1, True
                    writer.write(_frame(0x0102, bytes(360)))
                elif kind == 0x0201:
                    self.given_back += 1
                    writer.write(_frame(0x0202, b""))
                    return
                elif kind == 0x2101:
                    writer.write(_frame(0x2102, self._answers(payload)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._open -= int(mine)
            writer.close()

    def _answers(self, payload: bytes) -> bytes:
        (count,) = struct.unpack_from(">H", payload)
        now, at, out = self._moving.now(), 2, [payload[:2]]
        for _ in range(count):
            (size,) = struct.unpack_from(">H", payload, at)
            command, arguments = payload[at + 2 : at + 8], struct.unpack_from(">5i", payload, at + 8)
            error, data = self.answer(struct.unpack(">HHH", command), arguments, now)
            body = command + struct.pack(">h4xH", error, len(data)) + data
            out.append(struct.pack(">H", len(body) + 2) + body)
            at += size
        return b"".join(out)

    def answer(self, command: tuple[int, ...], arguments: tuple[int, ...], now: Snapshot) -> tuple[int, bytes]:
        """Error code and data for one question."""
        device, _, function = command
        if device == 2:
            return (0, struct.pack(">H", 600)) if arguments[:3] == (2204, 2205, 9) else (3, b"")
        first = arguments[0]
        answers: dict[int, Callable[[], bytes | None]] = {
            0x0E: lambda: _parameter(first, now.parts) if first == 6711 else None,
            0x15: lambda: _scaled(now.tool, 0) if first == 4120 else None,
            0x18: lambda: struct.pack(">HH2s2s4s4s2s", 0, AXES, b"31", b"MM", b"G431", b"42.0", b"03"),
            0x19: lambda: struct.pack(">7H", 1, RUN[now.execution], int(now.feed > 0), 0, 0, int(now.alarm > 0), 0),
            0x1A: lambda: struct.pack(">I", 1 << _OVERTRAVEL if now.alarm else 0),
            0x1C: lambda: struct.pack(">ii", int(now.programme[1:]), int(now.programme[1:])),
            0x23: lambda: _message(now) if now.alarm and first == _OVERTRAVEL else b"",
            0x24: lambda: _scaled(round(now.feed * 1000), 3),
            0x25: lambda: _scaled(round(now.speed), 0),
            0x40: lambda: _meter(round(now.load), 0) + _meter(round(now.speed), 0),
            0x56: lambda: b"".join(_meter(round(now.load * 10) if axis == 0 else 0, 1) for axis in range(AXES)),
        }
        found = answers.get(function)
        if found is None:
            return 1, b""
        data = found()
        return (3, b"") if data is None else (0, data)


def _frame(kind: int, payload: bytes) -> bytes:
    return b"\xa0\xa0\xa0\xa0" + struct.pack(">HHH", 4, kind, len(payload)) + payload


def _scaled(mantissa: int, decimals: int) -> bytes:
    return struct.pack(">iBBH", mantissa, 0, 10, decimals)


def _meter(value: int, decimals: int) -> bytes:
    return struct.pack(">iBBH", value, 0, 10, decimals)


def _parameter(number: int, value: int) -> bytes:
    return struct.pack(">IhH", number, 0, 3) + struct.pack(">i", value) + bytes(4 * (AXES - 1))


def _message(now: Snapshot) -> bytes:
    text = b"SURCOURSE AXE X (FAUX AUTOMATE)"
    return struct.pack(">4i", now.alarm, _OVERTRAVEL, 1, len(text)) + text.ljust(64, b"\0")


async def serve(moving: MovingMachine, port: int) -> None:
    """Answer until cancelled; says in a JSON line when it listens."""
    async with await FakeController(moving).start(port) as server:
        listening(port)
        await server.serve_forever()


def main() -> None:
    """The command line."""
    given = parser("A fake Fanuc controller behind a FOCAS server").parse_args()
    asyncio.run(serve(machine(given), given.port))


if __name__ == "__main__":
    main()
