"""Register maps: which values lie where, read together where they are neighbours, and what a refusal leaves.

Modbus counts registers or bits, S7 counts bytes; both plan their reads here.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

NUMBERS: Mapping[str, struct.Struct] = {
    "u8": struct.Struct(">B"),
    "s8": struct.Struct(">b"),
    "u16": struct.Struct(">H"),
    "s16": struct.Struct(">h"),
    "u32": struct.Struct(">I"),
    "s32": struct.Struct(">i"),
    "f32": struct.Struct(">f"),
    "f64": struct.Struct(">d"),
}
"""How a number lies in bytes, most significant first."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One signal's place: `length` units from `start` in `area` (a table, a data block)."""

    name: str
    area: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring pieces, read by one request."""

    area: str
    start: int
    length: int
    pieces: tuple[Piece, ...]


class RefusedError(Exception):
    """The far side answered that it does not give this span. `code` is stable, `why_fr` a part of a sentence."""

    def __init__(self, code: str, why: str, why_fr: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.why_fr = why_fr


Content: TypeAlias = Sequence[int]
"""Registers, bits or bytes, one a unit."""


def spans(pieces: Iterable[Piece], *, max_gap: int, max_length: int) -> list[Span]:
    """`pieces` joined where at most `max_gap` unused units lie between them and the whole fits `max_length`."""
    found: list[Span] = []
    for piece in sorted(pieces, key=lambda piece: (piece.area, piece.start, piece.length)):
        last = found[-1] if found else None
        if last is not None and last.area == piece.area and piece.start - (last.start + last.length) <= max_gap:
            length = max(last.length, piece.start + piece.length - last.start)
            if length <= max_length:
                found[-1] = Span(last.area, last.start, length, (*last.pieces, piece))
                continue
        found.append(Span(piece.area, piece.start, piece.length, (piece,)))
    return found


class BatchReader:
    """Reads all pieces in as few requests as the far side allows, and learns what it refuses.

    A refused span is read again piece by piece, which finds the culprits; they are left alone for `retry_s` and the
    others are planned again without crossing unused places.
    """

    def __init__(self, pieces: Iterable[Piece], *, max_gap: int, max_length: int, retry_s: float = 30.0) -> None:
        self._pieces = list(pieces)
        self._max_gap = max_gap
        self._max_length = max_length
        self._retry_s = retry_s
        self._refused: dict[str, float] = {}
        """Signal → when it was last refused, monotonic seconds."""
        self._alone: set[str] = set()
        self._plan = self._planned()

    def _planned(self) -> list[Span]:
        good = [piece for piece in self._pieces if piece.name not in self._refused]
        together = [piece for piece in good if piece.name not in self._alone]
        single = [_only(piece) for piece in good if piece.name in self._alone]
        return spans(together, max_gap=self._max_gap, max_length=self._max_length) + single

    async def read(
        self, ask: Callable[[Span], Awaitable[Content]], now: float
    ) -> tuple[dict[str, Content], dict[str, RefusedError]]:
        """Each signal's content, and the signals refused in this round. `now`: monotonic seconds."""
        given: dict[str, Content] = {}
        refused: dict[str, RefusedError] = {}
        for span in self._plan:
            try:
                given |= _cut(span, await ask(span))
            except RefusedError as error:
                if len(span.pieces) == 1:
                    refused[span.pieces[0].name] = error
                else:
                    await self._singly(span, ask, given, refused)
        for name in [name for name, since in self._refused.items() if now - since >= self._retry_s]:
            span = _only(next(piece for piece in self._pieces if piece.name == name))
            try:
                given |= _cut(span, await ask(span))
                del self._refused[name]
                self._plan = self._planned()
            except RefusedError as error:
                refused[name] = error
        if refused:
            self._refused |= dict.fromkeys(refused, now)
            self._plan = self._planned()
        return given, refused

    async def _singly(
        self,
        span: Span,
        ask: Callable[[Span], Awaitable[Content]],
        given: dict[str, Content],
        refused: dict[str, RefusedError],
    ) -> None:
        culprits = 0
        for piece in span.pieces:
            try:
                given |= _cut(_only(piece), await ask(_only(piece)))
            except RefusedError as error:
                culprits += 1
                refused[piece.name] = error
        if self._max_gap:
            self._max_gap = 0  # what lies between is perhaps what it refuses
        elif not culprits:
            self._alone |= {piece.name for piece in span.pieces}
        self._plan = self._planned()


def _only(piece: Piece) -> Span:
    return Span(piece.area, piece.start, piece.length, (piece,))


def _cut(span: Span, content: Content) -> dict[str, Content]:
    if len(content) < span.length:
        raise RefusedError(
            "short_answer",
            f"{len(content)} units where {span.length} were asked",
            "la machine a répondu trop court",
        )
    return {
        piece.name: content[piece.start - span.start : piece.start - span.start + piece.length] for piece in span.pieces
    }
