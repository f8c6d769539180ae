"""One LSV/2 session with pyLSV2, for use in a thread: what is read, and the programmes. Everything here blocks.

The library reads its socket as it comes and never notices that it was closed; `_Telegrams` stands between them and
gives it whole telegrams, or an error.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

from pyLSV2 import LSV2
from pyLSV2.const import Login, LSV2StatusCode, PgmState
from pyLSV2.err import LSV2DataException, LSV2InputException

from cnc_bridge.port import ProgrammeFile
from cnc_bridge.registers import RefusedError

_LONGEST = 1 << 20
_WARNINGS = (1, 7, 9)
"""Error classes that stop nothing: warning, information, note."""
_NAME = re.compile(r"[\w+#$%&!@-][\w .+#$%&!@-]{0,120}")
_STAGED = "COPEAU_"


class Message(NamedTuple):
    """A pending message of the controller."""

    level: str
    code: str
    text: str


class Reading(NamedTuple):
    """All places that were asked for; a RefusedError where the controller does not give one."""

    values: dict[str, float | int | str | RefusedError | None]
    messages: set[Message]


class DeniedError(Exception):
    """The controller does not give a login. `login` is its name."""

    def __init__(self, login: str, why: str) -> None:
        super().__init__(f"login {login} denied ({why})")
        self.login = login
        self.why = why


class NoTelegramError(Exception):
    """These bytes are no LSV/2."""


class ProgrammeError(Exception):
    """A programme could not be listed, read or written. `code` is stable."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class Line:
    """`open` it in the thread that uses it; `abandon` may be called from any other."""

    def __init__(self, host: str, port: int, timeout_s: float, plc_password: str | None) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._plc_password = plc_password or ""
        self._socket: _Telegrams | None = None
        self._lsv2: Any = None
        self.name = ""
        self._places: dict[str, Callable[[], float | int | str | None]] = {
            "programme state": lambda: str(self._lsv2.program_status().name),
            "execution mode": lambda: str(self._lsv2.execution_state().name),
            "programme": lambda: self._stack("main"),
            "current programme": lambda: self._stack("current"),
            "tool": self._tool,
            "feed override": lambda: self._override("feed"),
            "spindle override": lambda: self._override("spindle"),
            "rapid override": lambda: self._override("rapid"),
        }

    def open(self, logins: Sequence[Login] = (Login.DNC,)) -> None:
        """Connect and log in. Raises OSError, DeniedError, and whatever pyLSV2 raises at garbage."""
        self._socket = _Telegrams(self._timeout_s)
        # the state needs the DNC login, which the library's safe mode withholds; here only programmes are written
        self._lsv2 = LSV2(self._host, self._port, self._timeout_s, safe_mode=False)
        self._lsv2._llcom.disconnect()  # noqa: SLF001 - its own socket, which is not used
        self._lsv2._llcom._tcpsock = self._socket  # noqa: SLF001 - the only way to give it another
        self._lsv2.connect()
        versions = self._lsv2.versions
        self.name = f"{versions.control} {versions.nc_sw}".strip()
        for login in logins:
            self._login(login, self._plc_password if login is Login.PLCDEBUG else "")

    def _login(self, login: Login, password: str = "") -> None:  # nosec B107  # a log-in that has none
        if not self._lsv2.login(login, password):
            raise DeniedError(str(login.value), self._error())

    def _error(self) -> str:
        return str(LSV2StatusCode(self._lsv2.last_error.e_code).name)

    def abandon(self) -> None:
        """Wake whoever reads: the connection is over."""
        if self._socket is not None:
            self._socket.close()

    def close(self) -> None:
        """Log out, so that the controller's few connections are free again."""
        with contextlib.suppress(Exception):  # the goodbye of a connection that is being thrown away
            self._lsv2.logout()
        self.abandon()

    def read(self, places: Sequence[str], *, messages: bool) -> Reading:
        """What the controller says of `places`, and its pending messages."""
        values: dict[str, float | int | str | RefusedError | None] = {}
        for place in places:
            try:
                values[place] = self._plc(place[4:]) if place.startswith("plc ") else self._places[place]()
            except RefusedError as error:
                values[place] = error
            except (ValueError, IndexError, struct.error, LSV2DataException) as error:
                why = f"an answer that the library does not know ({error})"
                values[place] = RefusedError("device_failure", why, "réponse d'un format inconnu de ce pilote")
        return Reading(values, set(self._messages()) if messages else set())

    def _stack(self, part: str) -> str | None:
        stack = self._given(self._lsv2.program_stack())
        path = str(getattr(stack, part))
        return path.replace("/", "\\").rpartition("\\")[2] or None

    def _tool(self) -> str | None:
        tool = self._given(self._lsv2.spindle_tool_status())
        return f"{tool.number}.{tool.index}" if tool.index else str(tool.number)

    def _override(self, part: str) -> float:
        return float(getattr(self._given(self._lsv2.override_state()), part))

    def _given(self, answer: Any) -> Any:
        if answer is None:
            why = self._error()
            raise RefusedError("illegal_function", why, f"cette commande ne le donne pas ({why})")
        return answer

    def _plc(self, address: str) -> float | int | str | None:
        self._login_once()
        try:
            found = self._lsv2.read_plc_address(address)
        except (LSV2InputException, IndexError) as error:
            raise RefusedError(
                "illegal_address", f"{address}: {error}", f"l'adresse automate {address} n'existe pas ou est refusée"
            ) from error
        if isinstance(found, str):
            return found.split("\0", 1)[0].strip()
        return found if isinstance(found, (int, float)) else None

    def _login_once(self) -> None:
        try:
            self._login(Login.PLCDEBUG, self._plc_password)
        except DeniedError as error:
            raise RefusedError(
                "no_access",
                f"login PLCDEBUG denied ({error.why})",
                "la mémoire automate demande le mot de passe PLCDEBUG : le donner dans `plc_password`",
            ) from error

    def _messages(self) -> list[Message]:
        return [
            Message(
                "WARNING" if message.e_class in _WARNINGS else "FAULT",
                f"{message.e_group:X}-{message.e_number & 0xFFFFFFFF:04X}",
                message.e_text.strip()[:500],
            )
            for message in self._lsv2.get_error_messages()
        ]

    def list_programmes(self, folder: str) -> list[ProgrammeFile]:
        """The files of `folder`."""
        if not self._lsv2.change_directory(folder):
            raise ProgrammeError("no_folder", f"{folder}: {self._error()}")
        return [
            ProgrammeFile(entry.name, entry.size, entry.timestamp.astimezone(UTC))
            for entry in self._lsv2.directory_content()
            if not entry.is_directory and not entry.is_hidden and entry.name not in (".", "..")
        ]

    def read_programme(self, folder: str, name: str) -> bytes:
        """One programme as text, its lines ended by CR LF as the controller exports them."""
        path = _path(folder, name)
        if self._lsv2.file_info(path) is None:
            raise ProgrammeError("no_programme", f"{path}: {self._error()}")
        with tempfile.TemporaryDirectory() as local:
            copy = Path(local) / "programme"
            if not self._lsv2.recive_file(path, copy):
                raise ProgrammeError("not_read", f"{path}: {self._error()}")
            return copy.read_bytes()

    def write_programme(self, folder: str, name: str, content: bytes) -> None:
        """Put it beside the old one first, then in its place: a cut connection leaves the old one whole."""
        path, staged = _path(folder, name), _path(folder, _STAGED + Path(name).suffix.upper())
        if self._lsv2.program_status() is PgmState.STARTED and (self._stack("main") or "").upper() == name.upper():
            raise ProgrammeError("in_use", f"{path} is running")
        with tempfile.TemporaryDirectory() as local:
            copy = Path(local) / "programme"
            copy.write_bytes(content)
            if not self._lsv2.send_file(copy, staged, override_file=True):
                raise ProgrammeError("not_written", f"{staged}: {self._error()}")
        if not self._lsv2.delete_file(path):
            raise ProgrammeError("in_use", f"{path}: {self._error()}")
        if not self._lsv2.move_file(staged, path):
            raise ProgrammeError("not_renamed", f"{staged} to {path}: {self._error()}")


def _path(folder: str, name: str) -> str:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise ProgrammeError("bad_name", f"{name!r} is no programme name")
    return f"{folder.rstrip(chr(92))}\\{name}"


class _Telegrams:
    """A socket as pyLSV2 uses one: `recv` gives one whole telegram, raises when the far side has gone or hangs."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)

    def connect(self, address: tuple[str, int]) -> None:
        self._socket.connect(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> int:
        self._socket.sendall(data)
        return len(data)

    def recv(self, _: int) -> bytes:
        deadline = time.monotonic() + self._timeout_s
        head = self._exactly(8, deadline)
        length = int.from_bytes(head[:4], "big")
        if length > _LONGEST or not head[4:].isascii():
            raise NoTelegramError(f"no LSV/2 telegram: {head.hex(' ')}")
        return head + self._exactly(length, deadline)

    def _exactly(self, size: int, deadline: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("a telegram that does not end")
            self._socket.settimeout(left)
            piece = self._socket.recv(size - len(found))
            if not piece:
                raise ConnectionResetError("the controller closed the connection")
            found += piece
        return bytes(found)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
