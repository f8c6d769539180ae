"""A FAKE Heidenhain controller, written from what pyLSV2 sends, for the tests and the demo. No Heidenhain speaks here.

    python -m cnc_bridge.testing.lsv2_machine --port 19000

PLC memory: D100 parts, W104 spindle load in tenths of a percent. The login PLCDEBUG takes the password `plc`.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cnc_bridge.testing.command_line import listening, machine, parser
from cnc_bridge.testing.moving import MovingMachine, Snapshot

STATE = {"READY": 7, "ACTIVE": 0, "STOPPED": 5}
WORDS_AT = 0x4000
NO_PRIVILEGE, WRONG_PARAMETER, NO_FILE, NO_DELETE, NO_DIRECTORY, NO_NEXT_ERROR = 23, 24, 32, 36, 55, 57
_NAME = "PGM.H"
PLACES: Mapping[str, str] = {
    "part_count": 'at = "plc D100"',
    "spindle_load": 'at = "plc W104", scale = 0.1',
}


@dataclass
class _Session:
    logins: set[str] = field(default_factory=set)
    folder: str = "TNC:"
    pending: list[tuple[str, bytes]] = field(default_factory=list)
    """Telegrams that each T_OK of the client draws, one by one."""
    sending: str = ""
    received: bytearray = field(default_factory=bytearray)


class FakeController:
    """A TNC 640 with a folder of programmes. `deny`: logins that it does not give; `odd`: answers to R_RI as given."""

    def __init__(
        self,
        moving: MovingMachine | None = None,
        *,
        deny: frozenset[str] = frozenset(),
        odd: Mapping[int, bytes] | None = None,
    ) -> None:
        self._moving = moving or MovingMachine(programme=_NAME)
        self._moving.programme = _NAME
        self._deny = deny
        self._odd = dict(odd or {})
        self.files: dict[str, bytes] = {
            f"TNC:\\nc_prog\\{_NAME}": b"BEGIN PGM PGM MM\0TOOL CALL 5 Z S3200\0END PGM PGM MM\0"
        }
        self.sessions = 0
        self.asked: list[str] = []

    async def start(self, port: int = 0) -> asyncio.Server:
        """Listen on 127.0.0.1."""
        return await asyncio.start_server(self._client, "127.0.0.1", port)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session()
        self.sessions += 1
        try:
            while True:
                head = await reader.readexactly(8)
                payload = await reader.readexactly(int.from_bytes(head[:4], "big"))
                command = head[4:].decode("ascii")
                self.asked.append(command)
                answer, data = self._answer(session, command, payload)
                writer.write(struct.pack(">L", len(data)) + answer.encode("ascii") + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.sessions -= 1
            writer.close()

    def _answer(self, session: _Session, command: str, payload: bytes) -> tuple[str, bytes]:
        now = self._moving.now()
        text = payload.split(b"\0", 1)[0].decode("latin-1")
        if command == "A_LG":
            return self._login(session, payload)
        if command in ("A_LO", "C_CC"):
            return "T_OK", b""
        if command == "R_VR":
            return "S_VR", self._version(payload)
        if command == "R_PR":
            return "S_PR", _parameters()
        if command == "R_CI":
            return "S_CI", struct.pack(">LL", 1, 1)
        if command == "R_RI":
            return self._run_info(session, struct.unpack(">H", payload)[0], now)
        if command == "R_MB":
            return self._memory(session, payload, now)
        if command == "T_OK" and session.pending:
            return session.pending.pop(0)
        if command in ("C_DC", "R_DI", "R_DR", "R_FI", "R_FL", "C_FL", "S_FL", "T_FD", "C_FD", "C_FR"):
            if "FILE" not in session.logins:
                return _error(NO_PRIVILEGE)
            return self._file(session, command, payload, text, now)
        return _error(WRONG_PARAMETER)

    def _login(self, session: _Session, payload: bytes) -> tuple[str, bytes]:
        name, _, password = payload.partition(b"\0")
        login = name.decode("ascii")
        if login in self._deny or (login == "PLCDEBUG" and password.rstrip(b"\0") != b"plc"):
            return _error(NO_PRIVILEGE)
        session.logins.add(login)
        return "T_OK", b""

    def _version(self, payload: bytes) -> bytes:
        if not payload:
            return b"TNC640\x00340590 11\x00PLC FAUX\x00%0000\x00"
        return b"FAUX\0"

    def _run_info(self, session: _Session, what: int, now: Snapshot) -> tuple[str, bytes]:
        if "DNC" not in session.logins:
            return _error(NO_PRIVILEGE)
        path = f"TNC:/nc_prog/{now.programme}".encode("latin-1")
        alarm = struct.pack(">HHl", 8, 0x230, now.alarm) + b"SURCOURSE AXE X (FAUSSE COMMANDE)\0"
        answers = {
            23: struct.pack(">H", 4),
            24: struct.pack(">L", 12) + path + b"\0" + path + b"\0",
            25: struct.pack(">LLL", round(now.feed_override * 100), 10_000, 10_000),
            26: struct.pack(">H", STATE[now.execution]),
            27: alarm if now.alarm else b"",
            51: struct.pack(">LHH", now.tool, 0, 2) + struct.pack("<dd", 100.0, 5.0),
        } | self._odd
        if what in (27, 28) and not (what == 27 and now.alarm):
            return _error(NO_NEXT_ERROR)
        return ("S_RI", answers[what]) if what in answers else _error(WRONG_PARAMETER)

    def _memory(self, session: _Session, payload: bytes, now: Snapshot) -> tuple[str, bytes]:
        if "PLCDEBUG" not in session.logins:
            return _error(NO_PRIVILEGE)
        address, size = struct.unpack(">LB", payload)
        memory = bytearray(256)
        struct.pack_into("<l", memory, 100, now.parts)
        struct.pack_into("<h", memory, 104, round(now.load * 10))
        at = address - WORDS_AT
        if at < 0 or at + size > len(memory):
            return _error(52)
        return "S_MB", bytes(memory[at : at + size])

    def _file(self, session: _Session, command: str, payload: bytes, text: str, now: Snapshot) -> tuple[str, bytes]:
        if command == "C_DC":
            return self._change(session, text)
        if command == "R_DI":
            return "S_DI", bytes(164) + session.folder.encode("latin-1") + b"\0"
        if command == "R_DR":
            entries = [("S_DR", self._entry(path)) for path in self._inside(session.folder)]
            session.pending = [*entries[1:], ("T_FD", b"")]
            return entries[0] if entries else ("T_FD", b"")
        if command == "R_FI":
            return ("S_FI", self._entry(text)) if text in self.files else _error(NO_FILE)
        if command == "R_FL":
            return self._give(session, text)
        if command == "C_FL":
            session.sending, session.received = text, bytearray()
            return "T_OK", b""
        if command == "S_FL":
            session.received += payload
            return "T_OK", b""
        if command == "T_FD":
            self.files[session.sending] = bytes(session.received)
            return "T_OK", b""
        if command == "C_FD":
            if now.execution == "ACTIVE" and text.endswith(now.programme):
                return _error(NO_DELETE)
            return ("T_OK", b"") if self.files.pop(text, None) is not None else _error(NO_FILE)
        target = payload.split(b"\0")[1].decode("latin-1")
        content = self.files.pop(f"{session.folder}\\{text}", None)
        if content is None:
            return _error(NO_FILE)
        self.files[target] = content
        return "T_OK", b""

    def _change(self, session: _Session, folder: str) -> tuple[str, bytes]:
        wanted = folder.rstrip("\\")
        if wanted.upper() not in ("TNC:", "TNC:\\NC_PROG"):
            return _error(NO_DIRECTORY)
        session.folder = wanted
        return "T_OK", b""

    def _inside(self, folder: str) -> list[str]:
        return sorted(path for path in self.files if path.rpartition("\\")[0].upper() == folder.upper())

    def _entry(self, path: str) -> bytes:
        name = path.rpartition("\\")[2].encode("latin-1")
        return struct.pack(">LLL", len(self.files[path]), int(time.time()), 0x03) + name + b"\0"

    def _give(self, session: _Session, path: str) -> tuple[str, bytes]:
        content = self.files.get(path)
        if content is None:
            return _error(NO_FILE)
        # as text: the controller ends its lines by a zero
        lines = content.replace(b"\r\n", b"\0")
        pieces = [lines[at : at + 1000] for at in range(0, len(lines), 1000)] or [b""]
        session.pending = [*(("S_FL", piece) for piece in pieces[1:]), ("T_FD", b"")]
        return "S_FL", pieces[0]


def _error(code: int) -> tuple[str, bytes]:
    return "T_ER", bytes([1, code])


def _parameters() -> bytes:
    """120 bytes of system parameters: where the words begin, how many, how long a telegram may be."""
    areas = [0x100, 256, 0x200, 64, 0x300, 64, 0x3C0, 16, 0x3E0, 16, WORDS_AT, 4096, 0x8000, 16]
    return struct.pack(
        ">14L8B8L2BH4B2L2HL",
        *areas, *([80] + [0] * 7), 0x9000, 16, 0xA000, 16, 0, 0, 0, 0, 2, 0, 1024, 1, 1, 1, 1, 0, 0, 0, 4, 0,
    )  # fmt: skip


async def serve(moving: MovingMachine, port: int) -> None:
    """Answer until cancelled; says in a JSON line when it listens."""
    async with await FakeController(moving).start(port) as server:
        listening(port)
        await server.serve_forever()


def example_config(host: str, port: int, machine_id: str = "fraiseuse-3") -> str:
    """The TOML that reads this machine."""
    head = [
        "[machine]", f'id = "{machine_id}"', "", "[driver]", 'kind = "lsv2"', f'host = "{host}"', f"port = {port}",
        'plc_password = "plc"',
    ]  # fmt: skip
    return "\n".join([*head, "", "[driver.signals]", *(f"{name} = {{ {at} }}" for name, at in PLACES.items()), ""])


def main() -> None:
    """The command line."""
    given = parser("A fake Heidenhain controller behind an LSV/2 server").parse_args()
    asyncio.run(serve(machine(given), given.port))


if __name__ == "__main__":
    main()
