"""Sending under the machine's control, as a state machine without input or output.

The machine is the tape reader's master: DC1 (XON) lets bytes go, DC3 (XOFF) holds them. A drip feed is the same thing
for hours: the programme is longer than the machine's memory, and XOFF stays for as long as a block cuts.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from cnc_bridge.port import DriverFaultError
from cnc_bridge.serial_line.settings import LineSettings, TapeSettings
from cnc_bridge.serial_line.tape import DC1, DC3, obeys_codes

LAST_S = 2.0
"""How long a line end or trailer after the last character that matters waits for an XON."""

State = Literal["waiting", "sending", "held", "done"]


class Progress(msgspec.Struct, frozen=True):
    """Where a transfer is: bytes, how often the machine held it, and whether it has said anything at all.

    `damaged` counts the machine's characters that came unreadable: one of them may have been an XOFF.
    """

    state: State
    sent: int
    total: int
    holds: int
    heard: bool = False
    damaged: int = 0


class Sender:
    """Hands out `data` in order, at most `tape.chunk` bytes at a time, and none while the machine holds.

    Call `hear` with all that came before each `take`. Times in seconds of a clock that never jumps.
    """

    def __init__(self, data: bytes, line: LineSettings, tape: TapeSettings, now: float) -> None:
        self._data = data
        self._tape = tape
        self._codes = obeys_codes(line, tape)
        self._sent = 0
        self._since = now
        end = data.rstrip(b"\x00\r\n")
        self._essential = len(end) if end.endswith(b"%") else len(data.rstrip(b"\x00"))
        self._state: State = "waiting" if tape.start == "dc1" else "sending"
        self._heard = False
        self.holds = 0
        self.unexpected = 0
        """Bytes from the machine that were neither DC1 nor DC3: an echo, or a wrong speed."""

    @property
    def progress(self) -> Progress:
        return Progress(self._state, self._sent, len(self._data), self.holds, self._heard)

    @property
    def done(self) -> bool:
        return self._state == "done"

    def hear(self, data: bytes, now: float) -> None:
        """Bytes from the machine. A parity bit on top of a code (DC3 as 0x93, line set to 8 bits) is looked over."""
        for byte in data:
            code = byte & 0x7F
            if not self._codes or code not in (DC1, DC3):
                self.unexpected += 1
            else:
                self._heard = True
                self._obey(code, now)

    def _obey(self, code: int, now: float) -> None:
        if code == DC1 and self._state in ("waiting", "held"):
            self._enter("sending", now)
        elif code == DC3 and self._state == "sending":
            self.holds += 1
            self._enter("held", now)

    def take(self, now: float) -> bytes:
        """The next bytes to put on the line; empty while waiting, held or done."""
        if self._state != "sending":
            return b""
        chunk = self._data[self._sent : self._sent + self._tape.chunk]
        self._sent += len(chunk)
        if self._sent == len(self._data):
            self._enter("done", now)
        return chunk

    def check(self, now: float) -> None:
        """Raises DriverFaultError `no_start` or `held` when the machine was waited for too long."""
        waited = now - self._since
        heard = f" ({self.unexpected} other bytes came)" if self.unexpected else ""
        if self._state == "waiting" and waited > self._tape.start_timeout_s:
            raise DriverFaultError(
                "no_start",
                f"the machine did not ask for the programme (DC1) in {waited:.0f} s{heard}",
                "La machine n'a pas demandé le programme : lancer READ (entrée) à la commande ; sinon vérifier le "
                'câble, la vitesse, ou mettre `tape.start = "at_once"`.',
            )
        if self._state == "held" and self._sent >= self._essential and waited > LAST_S:
            self._enter("done", now)  # a reader stops at the last % and asks for no more
        if self._state == "held" and waited > self._tape.hold_timeout_s:
            raise DriverFaultError(
                "held",
                f"the machine holds the transfer (XOFF) since {waited:.0f} s, {self._sent} of {len(self._data)} sent",
                f"La machine retient l'envoi depuis {waited:.0f} s ({self._sent} octets sur {len(self._data)}) : "
                "vérifier qu'elle n'est pas en alarme ou arrêtée, puis recommencer l'envoi.",
            )

    def _enter(self, state: State, now: float) -> None:
        self._state, self._since = state, now
