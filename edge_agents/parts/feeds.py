"""Scanners as streams of bytes: text lines from a pipe or serial port, key strokes from a keyboard wedge."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import AsyncGenerator, Callable
from typing import Final, NamedTuple, Protocol

import serial

from edge_agents.supervisor import SourceFault

_MOST = 4096
_IDLE_S = 0.2
_EVIOCGRAB: Final = 0x40044590
_EVENT = struct.Struct("llHHi")
_EV_KEY = 1
_ENTER = (28, 96)
_SHIFT = (42, 54)
_ROWS = {2: "1234567890-=", 16: "qwertyuiop[]", 30: "asdfghjkl;'`", 43: "\\zxcvbnm,./"}
_SHIFTED = dict(zip("1234567890-=[];'`\\,./", '!@#$%^&*()_+{}:"~|<>?', strict=True))
_KEYS = {first + n: c for first, row in _ROWS.items() for n, c in enumerate(row)} | {57: " ", 74: "-", 78: "+", 83: "."}
_KEYS |= {71 + n: c for n, c in enumerate("789") if c} | {75 + n: c for n, c in enumerate("456")}
_KEYS |= {79 + n: c for n, c in enumerate("123")} | {82: "0"}


class Reader(Protocol):
    """Bytes in, whole scans out."""

    def feed(self, data: bytes) -> list[str]: ...

    def idle(self) -> list[str]:
        """The device fell silent: what is whole by that."""
        ...


class LineReader:
    """Text ended by CR or LF; with `ends_by_pause` also by a pause, for scanners that send no suffix."""

    def __init__(self, *, ends_by_pause: bool = False) -> None:
        self._rest = b""
        self._ends_by_pause = ends_by_pause

    def feed(self, data: bytes) -> list[str]:
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        self._rest = rest if len(rest) <= _MOST else b""
        return [line.decode("utf-8", "replace") for line in lines if line.strip()]

    def idle(self) -> list[str]:
        if not self._ends_by_pause or not self._rest.strip():
            return []
        line, self._rest = self._rest, b""
        return [line.decode("utf-8", "replace")]


class KeyReader:
    """Linux input events of a scanner that types (US layout, as scanners are delivered), ended by Enter."""

    def __init__(self) -> None:
        self._rest = b""
        self._text = ""
        self._shift = False

    def feed(self, data: bytes) -> list[str]:
        whole = (len(self._rest) + len(data)) // _EVENT.size * _EVENT.size
        data, self._rest = (self._rest + data)[:whole], (self._rest + data)[whole:]
        scans = []
        for _, _, kind, code, value in _EVENT.iter_unpack(data):
            if kind != _EV_KEY:
                continue
            if code in _SHIFT:
                self._shift = value != 0
            elif value == 1 and code in _ENTER:
                if self._text.strip():
                    scans.append(self._text)
                self._text = ""
            elif value == 1 and code in _KEYS:
                self._text = (self._text + self._character(_KEYS[code]))[-_MOST:]
        return scans

    def idle(self) -> list[str]:
        return []

    def _character(self, key: str) -> str:
        return _SHIFTED.get(key, key.upper()) if self._shift else key


class Device(NamedTuple):
    """An open device: its descriptor, how to read it, how to let it go."""

    descriptor: int
    reader: Reader
    close: Callable[[], None]


def open_lines(path: str) -> Device:
    """A pipe or terminal that gives a code a line; ``-`` is standard input."""
    if path == "-":
        return Device(0, LineReader(), lambda: None)
    # both ways, so that a pipe whose writer goes away is not at its end
    descriptor = _open(path, os.O_RDWR)
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        os.close(descriptor)
        raise SourceFault(
            "not_a_pipe",
            f"{path} is neither a pipe nor a device",
            f"« {path} » n'est pas un tube : `mkfifo {path}`.",
            "error",
        )
    return Device(descriptor, LineReader(), lambda: os.close(descriptor))


def open_keyboard(path: str) -> Device:
    """A keyboard wedge, taken for ourselves so that its codes do not end in somebody's text."""
    descriptor = _open(path, os.O_RDONLY)
    with contextlib.suppress(OSError):  # not an input device (a test's pipe): nothing to take
        fcntl.ioctl(descriptor, _EVIOCGRAB, 1)
    return Device(descriptor, KeyReader(), lambda: os.close(descriptor))


def open_serial(port: str, baud: int) -> Device:
    try:
        device = serial.Serial(port, baud, timeout=0)
    except (serial.SerialException, OSError, ValueError) as error:
        raise _unplugged(port, error) from error
    return Device(device.fileno(), LineReader(ends_by_pause=True), device.close)


async def scans(device: Device, name: str) -> AsyncGenerator[str, None]:
    """What the device reads, as it comes. Raises SourceFault when it is unplugged or ends."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes | OSError] = asyncio.Queue()

    def readable() -> None:
        try:
            arrived.put_nowait(os.read(device.descriptor, 65_536))
        except BlockingIOError:
            return
        except OSError as error:
            loop.remove_reader(device.descriptor)
            arrived.put_nowait(error)

    os.set_blocking(device.descriptor, False)
    loop.add_reader(device.descriptor, readable)
    try:
        while True:
            try:
                async with asyncio.timeout(_IDLE_S):
                    data = await arrived.get()
            except TimeoutError:
                found = device.reader.idle()
            else:
                if isinstance(data, OSError):
                    raise _unplugged(name, data)
                if not data:
                    raise _unplugged(name, OSError("end of input"))
                found = device.reader.feed(data)
            for text in found:
                yield text
    finally:
        loop.remove_reader(device.descriptor)
        device.close()


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unplugged(path, error) from error


def _unplugged(name: str, error: Exception) -> SourceFault:
    denied = isinstance(error, PermissionError)
    french = (
        f"Accès refusé à {name} : ajouter l'utilisateur de l'agent au groupe du périphérique (dialout, input)."
        if denied
        else f"Lecteur {name} absent : le rebrancher, ou vérifier son chemin dans la configuration."
    )
    return SourceFault("denied" if denied else "unplugged", f"{name}: {error}", french)
