"""Programmes as a line carries them: `%` framing, line ends, tape control codes. Pure: bytes in, bytes out.

ISO code (ASCII) only; EIA code is refused by nobody, but never sent. Control codes, as Fanuc's connection manuals and
Haas's "DC CODES" use them: DC1 start the reader, DC3 stop it, DC2 punch on, DC4 punch off.
"""

from __future__ import annotations

import re
from typing import Literal

from cnc_bridge.port import DriverFaultError
from cnc_bridge.serial_line.settings import LineSettings, TapeSettings

DC1, DC2, DC3, DC4 = 0x11, 0x12, 0x13, 0x14
XON, XOFF = DC1, DC3
PERCENT = ord("%")
_FILLER = b"\x00\x7f"
_ENDS = re.compile(rb"\r*\n\r*|\r")
_NUMBER = re.compile(rb"^[ \t]*[O:](\d{1,8})", re.MULTILINE)


def normalised(content: bytes) -> bytes:
    r"""`content` with LF as its only line end: CR LF, CR, and the LF CR CR that some controls punch, become one."""
    return _ENDS.sub(b"\n", content)


def framed(content: bytes) -> bytes:
    """`content` with LF line ends between one `%` line and another; those that it has already are kept, once."""
    text = normalised(content).strip(b"\x00 \t\n")
    if not text.startswith(b"%"):
        text = b"%\n" + text
    if not text.endswith(b"\n%"):
        text = text.removesuffix(b"\n") + b"\n%"
    return text + b"\n"


def canonical(content: bytes, tape: TapeSettings) -> bytes:
    """What a reception gives of a programme that was sent so: compare with this after reading back."""
    if tape.eol == "as_is":
        return content
    return framed(content) if tape.framing == "percent" else normalised(content)


def to_send(content: bytes, line: LineSettings, tape: TapeSettings) -> bytes:
    """The bytes for the line, leader and trailer included. Raises DriverFaultError `unsendable`."""
    text = canonical(content, tape)
    if tape.framing == "percent":
        _refuse_inner_percent(text)
    _refuse_bytes(text, line, tape)
    if tape.eol == "crlf":
        text = text.replace(b"\n", b"\r\n")
    return bytes(tape.leader) + text + bytes(tape.trailer)


def _refuse_inner_percent(text: bytes) -> None:
    lines = normalised(text).rstrip(b"\x00 \t\n").split(b"\n")
    for number, line in enumerate(lines[1:-1], 2):
        if b"%" in line:
            raise _unsendable(
                number,
                "a % inside the programme would end it",
                "le caractère « % » y terminerait la lecture du programme ; le retirer (même dans un commentaire)",
            )


def _refuse_bytes(text: bytes, line: LineSettings, tape: TapeSettings) -> None:
    codes = obeys_codes(line, tape)
    for number, row in enumerate(normalised(text).split(b"\n"), 1):
        for byte in row:
            if byte > 0x7F and line.data_bits == 7:
                shown = _character(row)
                raise _unsendable(
                    number,
                    f"{shown!r} does not fit a 7-bit line",
                    f"« {shown} » ne passe pas sur une ligne à 7 bits ; l'écrire sans accent",
                )
            if codes and DC1 <= byte <= DC4:
                raise _unsendable(
                    number,
                    f"control code 0x{byte:02x} would be taken for flow control",
                    f"le code de commande 0x{byte:02x} serait pris pour un arrêt ou une reprise ; le retirer",
                )


def _character(row: bytes) -> str:
    """The first character of `row` beyond ASCII, as its author sees it."""
    try:
        text = row.decode("utf-8")
    except UnicodeDecodeError:
        text = row.decode("latin-1")
    return next(char for char in text if ord(char) > 0x7F)


def _unsendable(line: int, message: str, message_fr: str) -> DriverFaultError:
    return DriverFaultError("unsendable", f"line {line}: {message}", f"Programme refusé, ligne {line} : {message_fr}.")


def obeys_codes(line: LineSettings, tape: TapeSettings) -> bool:
    """Whether DC1 and DC3 from the machine mean go on and stop on this line."""
    return line.flow == "xonxoff" or tape.start == "dc1"


def programme_number(content: bytes) -> int | None:
    """The O (or `:`) number that the programme carries."""
    found = _NUMBER.search(normalised(content).lstrip(b"\x00 \t\n%"))
    return int(found[1]) if found else None


class Receiver:
    """A programme that the machine punches, byte by byte. `state`: waiting, receiving, done.

    Framed: from the first `%` to the next one outside a comment and not on the first line; what precedes (leader,
    label) is dropped. Unframed: from the first byte, or DC2, to DC4 or silence.
    """

    def __init__(self, line: LineSettings, tape: TapeSettings, now: float) -> None:
        self._tape = tape
        self._framed = tape.framing == "percent"
        self._codes = obeys_codes(line, tape)
        self._body = bytearray()
        self._since = now
        self._first_line = True
        self._in_comment = False
        self.state: Literal["waiting", "receiving", "done"] = "waiting"
        self.punch_off = False

    @property
    def content(self) -> bytes:
        """What came, line ends as LF unless `as_is`."""
        return bytes(self._body) if self._tape.eol == "as_is" else normalised(bytes(self._body))

    @property
    def size(self) -> int:
        return len(self._body)

    def feed(self, data: bytes, now: float) -> None:
        """Bytes from the machine, as they come. Raises DriverFaultError `too_long`, `cut_short`."""
        if data:
            self._since = now
        for byte in data:
            self._byte(byte)
        if len(self._body) > self._tape.max_kb * 1024:
            raise DriverFaultError(
                "too_long",
                f"the machine sent more than {self._tape.max_kb} kB without an end",
                "Réception abandonnée : trop long et sans fin ; vérifier que la machine termine par « % », "
                "ou augmenter `tape.max_kb`.",
            )

    def _byte(self, byte: int) -> None:
        if byte == DC4 and self._codes:
            self.punch_off = True
            if self.state == "receiving":
                self._end_unframed_or_refuse()
            return
        if self.state == "done":
            return
        if self._codes and DC1 <= byte <= DC3:
            if byte == DC2 and not self._framed:
                self.state = "receiving"
            return
        if byte in _FILLER and self._tape.eol != "as_is":
            return
        if self._framed:
            self._framed_byte(byte)
        else:
            self.state = "receiving"
            self._body.append(byte)

    def _framed_byte(self, byte: int) -> None:
        if self.state == "waiting":
            if byte == PERCENT:
                self.state = "receiving"
                self._body.append(byte)
            return
        if byte in b"\r\n":
            self._first_line = self._in_comment = False
        elif byte == ord("("):
            self._in_comment = True
        elif byte == ord(")"):
            self._in_comment = False
        self._body.append(byte)
        if byte == PERCENT and not self._first_line and not self._in_comment:
            self._body += b"\n"
            self.state = "done"

    def _end_unframed_or_refuse(self) -> None:
        if self._framed:
            raise _cut_short(len(self._body), "the machine ended the punch")
        self.state = "done"

    def check(self, now: float) -> None:
        """What time alone brings: the end of an unframed reception, or DriverFaultError `no_start`, `cut_short`."""
        quiet = now - self._since
        if self.state == "waiting" and quiet > self._tape.start_timeout_s:
            raise DriverFaultError(
                "no_start",
                f"the machine sent nothing in {quiet:.0f} s",
                "La machine n'a rien envoyé : lancer PUNCH (sortie) à la commande, vérifier le câble et les réglages.",
            )
        if self.state == "receiving" and quiet > self._tape.idle_timeout_s:
            if self._framed:
                raise _cut_short(len(self._body), f"silence for {quiet:.1f} s")
            self.state = "done"


def _cut_short(size: int, why: str) -> DriverFaultError:
    return DriverFaultError(
        "cut_short",
        f"the programme stopped after {size} bytes without its final %: {why}",
        f"Programme incomplet ({size} octets, sans le « % » final) : rien n'est gardé ; relancer PUNCH à la machine.",
    )
