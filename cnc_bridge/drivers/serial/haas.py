"""Haas machine data collection (MDC): what to ask, and what the answers say. No input or output.

``?Q100`` is answered by ``SERIAL NUMBER, 1234567``. Generations frame it differently: STX … ETB CR LF and a ``>``
prompt on serial ports, ``>`` before the text on others, or the bare line. What one client asks is answered to all.
Sources: Haas, "Machine Data Collection" (service pages); the label variants are those of the MTConnect Haas adapter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

MAX_PIECE = 512
_SEPARATORS = re.compile(rb"[\x02\x03\x17\r\n>]+")
_QUERY = re.compile(r"Q(\d{3})(?: (\d{1,5}))?(?::(status|programme|parts|alarm))?", re.ASCII)

LABELS: Mapping[str, tuple[str, ...]] = {
    "Q100": ("SERIAL NUMBER", "S/N"),
    "Q101": ("SOFTWARE VERSION", "SOFTWARE", "VERSION"),
    "Q102": ("MODEL", "MODEL NUMBER"),
    "Q104": ("MODE",),
    "Q200": ("TOOL CHANGES",),
    "Q201": ("USING TOOL",),
    "Q300": ("P.O. TIME",),
    "Q301": ("C.S. TIME",),
    "Q303": ("LAST CYCLE",),
    "Q304": ("PREV CYCLE",),
    "Q402": ("M30 #1",),
    "Q403": ("M30 #2",),
    "Q500": ("PROGRAM", "STATUS"),
    "Q600": ("MACRO",),
}
_BY_LABEL = {label: query for query, labels in LABELS.items() for label in labels}


class Query(msgspec.Struct, frozen=True):
    """One question: `command` as it is asked (`Q201`, `Q600 1098`), and the `part` of its answer that is meant."""

    command: str
    part: str = "value"


def parse_query(text: str) -> Query:
    """A query as the configuration writes it. Raises ValueError; E commands, which write, do not exist here."""
    found = _QUERY.fullmatch(text)
    if not found or f"Q{found[1]}" not in LABELS:
        raise ValueError(f"{text!r} is no Q command: write Q104, Q500:status or Q600 1098 (known: {', '.join(LABELS)})")
    number, variable, part = found.groups()
    if (number == "600") != (variable is not None):
        raise ValueError(f"{text!r}: Q600, and only Q600, takes a variable number: `Q600 1098`")
    if (number == "500") != (part is not None):
        raise ValueError(f"{text!r}: say which part of Q500: Q500:status, Q500:programme, Q500:parts or Q500:alarm")
    return Query(f"Q{number} {variable}" if variable else f"Q{number}", part or "value")


def request(command: str) -> bytes:
    """The bytes that ask it. Only questions can be made: ``?Q…``, never ``?E…`` which writes a variable."""
    parse_query(command if command != "Q500" else "Q500:status")
    return f"?{command}\r\n".encode("ascii")


class Answer(msgspec.Struct, frozen=True):
    """What a known command's answer says; `values` by part. `variable` of a macro, where the answer names it."""

    command: str
    values: Mapping[str, str]
    variable: int | None = None


class Unknown(msgspec.Struct, frozen=True):
    """The controller does not know the command, or the variable."""

    text: str


class Other(msgspec.Struct, frozen=True):
    """Legible, and no answer: an echo, a DPRNT line, the end of an answer whose beginning was missed."""

    text: str


class Garbled(msgspec.Struct, frozen=True):
    """Not text at all: wrong speed or parity, or a damaged line."""

    size: int


Item: TypeAlias = Answer | Unknown | Other | Garbled


class Splitter:
    """Bytes as they come to the pieces between separators. `spoil` after a damaged character: its piece is dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._spoilt = False

    def feed(self, data: bytes) -> list[Item]:
        """What these bytes complete."""
        *whole, rest = _SEPARATORS.split(self._rest + data)
        items: list[Item] = []
        for piece in whole:
            if self._spoilt:
                self._spoilt = False
                items.append(Garbled(len(piece)))
            elif piece:
                items.append(read_piece(piece))
        if len(rest) > MAX_PIECE:
            items.append(Garbled(len(rest)))
            rest = b""
        self._rest = rest
        return items

    def spoil(self) -> None:
        self._spoilt = True


def read_piece(piece: bytes) -> Item:
    """One piece between separators."""
    if sum(32 <= byte < 127 for byte in piece) < 0.9 * len(piece):
        return Garbled(len(piece))
    text = "".join(chr(byte) for byte in piece if 32 <= byte < 127).strip()
    fields = [field.strip() for field in text.split(",")]
    label = fields[0].upper()
    if label in ("UNKNOWN", "?"):
        return Unknown(text)
    command = _BY_LABEL.get(label)
    if command is None or len(fields) < 2:
        return Other(text)
    if command == "Q600":
        return _macro(fields) or Other(text)
    if command == "Q500":
        return _combined(label, fields) or Other(text)
    return Answer(command, {"value": _plain(", ".join(fields[1:]))})


def _plain(text: str) -> str:
    """Legacy controls write the mode in brackets: ``MODE, (MDI)``."""
    return re.sub(r"\s+", " ", text.strip().removeprefix("(").removesuffix(")")).strip()


def _macro(fields: list[str]) -> Answer | None:
    """``MACRO, 1098, 12.000000``, or without the number on some: ``MACRO, 12.000000``."""
    if len(fields) == 2:
        return Answer("Q600", {"value": fields[1]})
    if len(fields) == 3 and fields[1].isdigit():
        return Answer("Q600", {"value": fields[2]}, int(fields[1]))
    return None


def _combined(label: str, fields: list[str]) -> Answer | None:
    """``PROGRAM, O00010, IDLE, PARTS, 42``; ``STATUS, BUSY`` while it works, which says nothing of the rest."""
    if label == "STATUS":
        return Answer("Q500", _with_alarm({"status": _plain(fields[1]).upper()}))
    upper = [field.upper() for field in fields]
    if "PARTS" not in upper[2:]:
        return None
    at = len(upper) - 1 - upper[::-1].index("PARTS")
    if at < 3 or at + 1 >= len(fields) or not fields[at + 1].isdigit():
        return None
    programme = ", ".join(fields[1 : at - 1])
    values = {"status": _plain(upper[at - 1]), "parts": fields[at + 1]}
    values["programme"] = "" if programme.upper() == "MDI" else programme
    return Answer("Q500", _with_alarm(values))


def _with_alarm(values: dict[str, str]) -> dict[str, str]:
    return values | {"alarm": "ALARM ON" if values["status"] == "ALARM ON" else "0"}
