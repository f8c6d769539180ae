"""A FAKE control's RS-232 side, for tests and the demo: the tape reader and punch of no maker in particular.

It stands at the other end of a pseudo-terminal. Reading: it asks with DC1, fills its small buffer at the speed of the
line, holds with DC3 at three quarters, works the buffer off, goes on with DC1 at one quarter, and stops at the last
``%``. Punching: DC2, the programme with LF CR CR as its line end, DC4. What happened is one JSON line at the end.

    python -m cnc_bridge.testing.dnc_machine read --into FILE
    python -m cnc_bridge.testing.dnc_machine punch FILE
"""

from __future__ import annotations

import argparse
import array
import fcntl
import json
import os
import select
import statistics
import sys
import termios
import time
import tty
from pathlib import Path

DC1, DC2, DC3, DC4 = b"\x11", b"\x12", b"\x13", b"\x14"
QUIET_S = 10.0
"""Silence after which a reading that was going on is given up."""


class Reader:
    """One reading through a buffer of `size` bytes; `rate` bytes/s are worked off while it holds."""

    def __init__(self, port: int, *, size: int, rate: float, resumes: int, codes: bool, quiet: float = QUIET_S) -> None:
        self._port, self._size, self._rate, self._resumes, self._codes, self._quiet = (
            port,
            size,
            rate,
            resumes,
            codes,
            quiet,
        )
        self.received = bytearray()
        self.xoffs = 0
        self.overshoots: list[int] = []
        """For each XOFF, the bytes that came after it beyond those already in the pipe when it was sent. The kernel's
        own delay between the two ends is in it: on a busy computer single ones are large."""
        self._level = 0.0
        self._holding = False
        self._after = self._piped = 0

    def run(self) -> bool:
        """Whether the programme came to its end."""
        last = time.monotonic()
        while True:
            ready, _, _ = select.select([self._port], [], [], 0.002)
            now = time.monotonic()
            if ready:
                self._take(os.read(self._port, 16))
                last_byte = now
            elif self.received:
                if self._ended():
                    return True
                if not self._holding and now - last_byte > self._quiet:
                    return False
            self._work_off(now - last)
            last = now

    def _ended(self) -> bool:
        text = bytes(self.received).rstrip(b"\r\n\x00")
        return len(text) > 1 and text.endswith(b"%")

    def _take(self, data: bytes) -> None:
        self.received += data
        self._level += len(data)
        if self._holding:
            self._after += len(data)
            self.overshoots[-1] = max(0, self._after - self._piped)
        elif self._codes and self._level >= 0.75 * self._size:
            os.write(self._port, DC3)
            self.xoffs += 1
            self.overshoots.append(0)
            self._holding, self._after, self._piped = True, 0, _waiting(self._port)

    def _work_off(self, seconds: float) -> None:
        if not self._holding:
            return
        self._level = max(0.0, self._level - seconds * self._rate)
        if self._level <= 0.25 * self._size and self.xoffs <= self._resumes:
            self._holding = False
            os.write(self._port, DC1)


def _waiting(port: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(port, termios.FIONREAD, count)
    return count[0]


def _read(port: int, arguments: argparse.Namespace) -> None:
    for _ in range(arguments.rounds):
        _operator(arguments)
        reader = Reader(
            port,
            size=arguments.buffer,
            rate=arguments.rate,
            resumes=arguments.resumes,
            codes=not arguments.no_codes,
            quiet=arguments.quiet,
        )
        if not arguments.no_dc1:
            os.write(port, DC1)
        ended = reader.run()
        if not arguments.no_codes:
            os.write(port, DC3)
        arguments.into.write_bytes(bytes(reader.received))
        usual, worst = statistics.median(reader.overshoots or [0]), max(reader.overshoots or [0])
        _say({"ended": ended, "bytes": len(reader.received), "xoffs": reader.xoffs, "overshoot": usual, "worst": worst})


def _punch(port: int, arguments: argparse.Namespace) -> None:
    content = arguments.file.read_bytes()
    if arguments.cut:
        content = content[: arguments.cut]
    _operator(arguments)
    for piece in ((b"" if arguments.no_codes else DC2), content.replace(b"\n", b"\n\r\r")):
        for at in range(0, len(piece), 256):
            os.write(port, piece[at : at + 256])
            time.sleep(0.002)
    if not arguments.no_codes and not arguments.cut:
        os.write(port, DC4)
    _say({"punched": len(content)})


def _operator(arguments: argparse.Namespace) -> None:
    """READ or PUNCH is pressed: after some time, or when a line comes on the standard input."""
    if arguments.by_line:
        sys.stdin.readline()
    else:
        time.sleep(arguments.after)


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """The command line of the fake."""
    parser = argparse.ArgumentParser(description="A fake control on an RS-232 line (not a controller).")
    parser.add_argument("--after", type=float, default=0.5, help="seconds before the operator presses the key")
    parser.add_argument("--by-line", action="store_true", help="the key is a line on the standard input instead")
    parser.add_argument("--no-codes", action="store_true", help="no DC codes at all")
    what = parser.add_subparsers(dest="what", required=True)
    reading = what.add_parser("read")
    reading.add_argument("--into", type=Path, required=True)
    reading.add_argument("--buffer", type=int, default=4096)
    reading.add_argument("--rate", type=float, default=100_000.0, help="bytes/s worked off while it holds")
    reading.add_argument("--resumes", type=int, default=10**9, help="XOFFs after which an XON follows; then none")
    reading.add_argument("--no-dc1", action="store_true", help="never ask")
    reading.add_argument("--quiet", type=float, default=QUIET_S, help="seconds of silence that end a reading")
    reading.add_argument("--rounds", type=int, default=1)
    punching = what.add_parser("punch")
    punching.add_argument("file", type=Path)
    punching.add_argument("--cut", type=int, default=0, help="stop for good after so many bytes")
    arguments = parser.parse_args()
    port, far = os.openpty()
    tty.setraw(far)
    _say({"listening": os.ttyname(far)})
    (_read if arguments.what == "read" else _punch)(port, arguments)
    sys.stdin.read()  # the port stays until the other side of this pipe is closed


if __name__ == "__main__":
    main()
