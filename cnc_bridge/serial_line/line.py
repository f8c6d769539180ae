"""The port itself: a serial device, or the TCP connection of a serial-device server, as one non-blocking descriptor.

XON/XOFF is handled by the programme (`sender`), not by the kernel (IXON), and this is why: the kernel swallows DC1 and
DC3, so that nobody could say "the machine holds since 40 s", wait for the DC1 that starts a reading, or count; a
process killed while the kernel holds leaves a port that cannot be drained; and a TCP serial server has no IXON. What
the kernel does better, to stop at once, is kept by never having more than a few bytes on their way.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import termios
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import serial

from cnc_bridge.port import DriverFaultError
from cnc_bridge.serial_line.settings import LineSettings

UNACKNOWLEDGED_MS = 10_000
_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


@dataclass
class LineErrors:
    """Characters that came damaged: parity or framing (wrong frame, a bad cable), and line breaks."""

    damaged: int = 0
    breaks: int = 0


class MarkDecoder:
    r"""Undoes PARMRK: ``\377 \0 x`` is a damaged x, ``\377 \0 \0`` a break, ``\377 \377`` a true 0xFF."""

    def __init__(self) -> None:
        self.errors = LineErrors()
        self._open = b""

    def feed(self, data: bytes) -> bytes:
        """The good bytes of `data`; damaged ones are left out and counted."""
        data = self._open + data
        self._open = b""
        if b"\xff" not in data:
            return data
        good, at = bytearray(), 0
        while at < len(data):
            if data[at] != 0xFF:
                good.append(data[at])
                at += 1
                continue
            mark = data[at : at + 3]
            if len(mark) == 1 or (mark[1] == 0 and len(mark) == 2):
                self._open = mark
                break
            if mark[1] != 0:
                good.append(0xFF)
                at += 2
                continue
            if mark[2] == 0:
                self.errors.breaks += 1
            else:
                self.errors.damaged += 1
            at += 3
        return bytes(good)


class Line:
    """Bytes to and from a controller. One reader and one writer at a time."""

    def __init__(self, descriptor: int, name: str, settings: LineSettings, close: Callable[[], None]) -> None:
        self.name = name
        self.settings = settings
        self._fd = descriptor
        self._close = close
        self._is_device = os.isatty(descriptor)
        self._marks = MarkDecoder()
        self._waiting: list[Callable[[], None]] = []

    @property
    def errors(self) -> LineErrors:
        return self._marks.errors

    def read_now(self) -> bytes:
        """What is there, possibly nothing. Raises DriverFaultError `line_lost`."""
        try:
            data = os.read(self._fd, 65_536)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(error) from error
        if not data:
            raise self._lost(None)
        return self._marks.feed(data) if self._is_device else data

    async def read(self, within: float) -> bytes:
        """What comes first, or nothing after `within` seconds. Raises DriverFaultError `line_lost`."""
        data = self.read_now()
        if not data and within > 0 and await self._ready(within, writing=False):
            data = self.read_now()
        return data

    async def write(self, data: bytes, within: float = 5.0) -> None:
        """All of `data` to the port. Raises DriverFaultError `line_lost`, `line_blocked`."""
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                if not await self._ready(within, writing=True):
                    raise self.blocked(within) from None
            except OSError as error:
                raise self._lost(error) from error

    def queued(self) -> int:
        """Bytes that the port, or the network, still holds."""
        count = array.array("i", [0])
        try:
            fcntl.ioctl(self._fd, termios.TIOCOUTQ, count)
        except OSError as error:
            raise self._lost(error) from error
        return count[0]

    def forget_output(self) -> None:
        """Drop what the port has not sent yet. Where it holds nothing it is left alone: to flush a pseudo-terminal
        throws away what its other end has not read.
        """
        with contextlib.suppress(DriverFaultError, termios.error):
            if self._is_device and self._fd >= 0 and self.queued():
                termios.tcflush(self._fd, termios.TCOFLUSH)

    def close(self) -> None:
        """Close the port; who waits on it, or uses it later, gets DriverFaultError `line_lost`."""
        self.forget_output()
        for stop in list(self._waiting):
            stop()
        self._fd = -1  # its number may soon be another file's
        self._close()

    async def _ready(self, within: float, *, writing: bool) -> bool:
        loop, descriptor = asyncio.get_running_loop(), self._fd
        ready: asyncio.Future[None] = loop.create_future()
        watch, forget = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)

        def stop() -> None:
            forget(descriptor)
            self._waiting.remove(stop)
            if not ready.done():
                ready.set_result(None)

        watch(descriptor, stop)
        self._waiting.append(stop)
        try:
            async with asyncio.timeout(within):
                await ready
        except TimeoutError:
            return False
        finally:
            if stop in self._waiting:
                stop()
        return True

    def _lost(self, error: OSError | None) -> DriverFaultError:
        why = (error.strerror or str(error)) if error else "closed by the other side"
        if self._is_device:
            french = "Adaptateur série débranché : vérifier la prise USB et son câble."
        else:
            french = (
                "La machine (ou son boîtier série) a fermé la connexion : elle redémarre, ou n'accepte pas un client "
                "de plus (deux au plus chez Haas)."
            )
        return DriverFaultError("line_lost", f"{self.name}: line lost ({why})", french)

    def blocked(self, seconds: float) -> DriverFaultError:
        """The port took nothing for so long: CTS is down, or the network is cut."""
        return DriverFaultError(
            "line_blocked",
            f"{self.name}: the port took no byte for {seconds:.0f} s",
            'La ligne ne laisse rien partir : vérifier les fils RTS/CTS du câble, ou mettre `line.flow = "xonxoff"`.',
        )


@contextlib.asynccontextmanager
async def opened(
    device: str | None, host: str | None, port: int, settings: LineSettings, connect_timeout_s: float
) -> AsyncIterator[Line]:
    """The line to `device`, or to `host`:`port`. Raises DriverFaultError with the reason and the next step."""
    if device is not None:
        line = _open_device(device, settings)
    else:
        assert host is not None
        line = await _connect(host, port, settings, connect_timeout_s)
    try:
        yield line
    finally:
        line.close()


def _open_device(device: str, settings: LineSettings) -> Line:
    try:
        made = serial.Serial(
            device,
            settings.baud,
            bytesize=settings.data_bits,
            parity=_PARITY[settings.parity],
            stopbits=settings.stop_bits,
            rtscts=settings.flow == "rtscts",
            exclusive=True,
        )
    except (OSError, ValueError, termios.error) as error:  # pyserial's own error is an OSError
        raise _not_opened(device, error) from error
    try:
        _mark_errors(made.fileno())
    except (OSError, termios.error) as error:
        made.close()
        raise _not_opened(device, error) from error
    return Line(made.fileno(), device, settings, made.close)


def _mark_errors(descriptor: int) -> None:
    """Report each damaged character in its place, and tell "nothing yet" (EAGAIN) from "gone" (end of file)."""
    flags = termios.tcgetattr(descriptor)
    flags[0] |= termios.INPCK | termios.PARMRK
    flags[0] &= ~(termios.IGNPAR | termios.BRKINT | termios.IXON | termios.IXOFF)
    flags[6][termios.VMIN], flags[6][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSANOW, flags)
    os.set_blocking(descriptor, False)


def _not_opened(device: str, error: Exception) -> DriverFaultError:
    number = getattr(error, "errno", None)
    if number == errno.ENOENT or not Path(device).exists():
        return DriverFaultError(
            "no_device",
            f"{device}: no such device",
            f"Pas d'adaptateur série « {device} » : vérifier la prise USB, "
            "et prendre un nom stable sous /dev/serial/by-id/.",
        )
    if number in (errno.EACCES, errno.EPERM):
        return DriverFaultError(
            "device_denied",
            f"{device}: permission denied",
            f"Accès refusé à « {device} » : ajouter l'utilisateur de l'agent au groupe dialout.",
        )
    if number in (errno.EBUSY, errno.EAGAIN):
        return DriverFaultError(
            "device_busy",
            f"{device}: another programme has the port",
            f"« {device} » est déjà utilisé par un autre programme : le fermer.",
        )
    return DriverFaultError(
        "not_opened",
        f"{device}: cannot be used as a serial port ({error})",
        f"« {device} » ne s'ouvre pas comme un port série : vérifier `device` et les réglages de la ligne.",
    )


async def _connect(host: str, port: int, settings: LineSettings, within: float) -> Line:
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(within):
            made = await _connected_socket(host, port)
    except socket.gaierror as error:
        raise DriverFaultError(
            "unknown_host",
            f"{where}: no such host on this network ({error.strerror})",
            f"Adresse inconnue « {host} » : vérifier `host`, ou mettre l'adresse IP de la machine.",
        ) from error
    except ConnectionRefusedError as error:
        raise DriverFaultError(
            "refused",
            f"{where}: nothing listens on this port",
            f"Rien n'écoute sur le port {port} : vérifier `port` et le réglage de la machine (Setting 143 chez Haas).",
        ) from error
    except TimeoutError as error:
        raise DriverFaultError(
            "timeout",
            f"{where}: no answer in {within:g} s",
            "La machine ne répond pas : vérifier qu'elle est sous tension et que son câble réseau est branché.",
        ) from error
    except OSError as error:
        raise DriverFaultError(
            "unreachable",
            f"{where}: cannot be reached ({error.strerror or error})",
            "Machine injoignable : vérifier le câble, le commutateur et l'adresse.",
        ) from error
    return Line(made.fileno(), where, settings, made.close)


async def _connected_socket(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        try:
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            failed = error
            continue
        except BaseException:
            made.close()
            raise
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # what nobody acknowledges ends the connection (Linux)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        return made
    assert failed is not None
    raise failed
