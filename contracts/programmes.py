"""What both sides mean by "the same CN programme": the agent compares what it reads back, the centre shows versions.

A programme is bytes, known by the SHA-256 of exactly these bytes. Two texts say the same when only what changes
nothing in the cut differs: line ends, blanks at the end of a block or between two words, empty lines, the ``%`` frame,
the programme's own O number, control characters of a serial line.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

MAX_BYTES: Final = 64 * 1024 * 1024
"""Of one programme; a 3D finishing of some hours is 20 to 40 MB."""
BLOBS_PATH: Final = "/api/programmes/blobs"
"""Below the centre's HTTP address: ``GET`` and ``PUT`` ``…/<sha256>``."""

NameRule: TypeAlias = Literal["file", "o_number", "8.3"]
"""What a controller takes as a name: a file's, ``O`` and four to eight digits, or eight letters and an extension."""

_NAMES: Final[dict[NameRule, tuple[re.Pattern[str], str]]] = {
    "file": (
        re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+\- ]{0,62}[A-Za-z0-9_+\-]|[A-Za-z0-9_]"),
        "64 caractères au plus : lettres sans accent, chiffres, espace et . _ + -",
    ),
    "o_number": (re.compile(r"O\d{4,8}"), "la lettre O puis quatre à huit chiffres, par exemple O1234"),
    "8.3": (
        re.compile(r"[A-Z0-9_$\-]{1,8}\.[A-Z0-9]{1,3}"),
        "huit caractères au plus en capitales, un point, une extension, par exemple PIECE12.NC",
    ),
}
_CONTROLS: Final = dict.fromkeys([*range(9), *range(11, 13), *range(14, 32), 127])
_BETWEEN_WORDS: Final = re.compile(r"(?<![A-Za-z_])([A-Za-z][+-]?[0-9.]+)[ \t]+(?=[A-Za-z][-+.#\[0-9])")
_QUOTED: Final = re.compile(r"(\([^)]*\)|\"[^\"]*\"|;.*$)")
_O_NUMBER: Final = re.compile(r"[O:](\d{1,8})(?!\d)\s*")
_SEQUENCE: Final = re.compile(r"^\s*/?\s*N\d+\s*|^\s*\d+\s+(?=[A-Z*;])")
_NOTHING: Final = frozenset({"", "%"})
"""Lines that may come and go: emptiness, the frame."""
_SMALL: Final = 1500
"""Lines of a stretch that `difflib` compares well within a second."""


class BadNameError(ValueError):
    """No controller of that kind takes this name. The text is French."""


def check_name(name: str, rule: NameRule = "file") -> str:
    """`name` itself. Raises BadNameError: a name is never a path, whatever the rule."""
    pattern, said = _NAMES[rule]
    if not pattern.fullmatch(name) or ".." in name:
        raise BadNameError(f"« {name[:60]} » n'est pas un nom de programme accepté : {said}.")
    return name


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def decode(content: bytes) -> str:
    """UTF-8 where it is that, else Latin-1: every byte has its character, nothing is lost or invented."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def lines_of(content: bytes) -> list[str]:
    """The blocks as a person numbers them, without line ends and control characters."""
    text = decode(content)
    for end in ("\r\n", "\n\r", "\r"):
        text = text.replace(end, "\n")
    return text.translate(_CONTROLS).rstrip("\n").split("\n")


def normalised(content: bytes, name: str = "") -> list[str]:
    """The blocks that cut, free of what a controller or a line adds. `name`: its own O number is not a difference."""
    kept = [shown for line in lines_of(content) if (shown := _block(line))]
    if kept and kept[0] == "%":
        del kept[0]
    if kept and kept[-1] == "%":
        del kept[-1]
    if kept and (own := _O_NUMBER.match(kept[0])):
        number, rest = int(own[1]), kept[0][own.end() :]
        known = _O_NUMBER.fullmatch(name.split(".", maxsplit=1)[0].upper())
        if known and int(known[1]) == number:
            kept[:1] = [rest] if rest else []
        else:
            kept[0] = f"O{number}{rest}"
    return kept


def fingerprint(content: bytes, name: str = "") -> str:
    """Equal for two texts that say the same."""
    return sha256("\n".join(normalised(content, name)).encode())


def same(one: bytes, other: bytes, name: str = "") -> bool:
    """Whether both texts cut the same part the same way, block by block."""
    return one == other or normalised(one, name) == normalised(other, name)


def _block(line: str) -> str:
    line = line.strip()
    if " " not in line and "\t" not in line:
        return line
    if "(" not in line and '"' not in line and ";" not in line:
        return _BETWEEN_WORDS.sub(r"\1", line)
    pieces = _QUOTED.split(line)
    return "".join(piece if index % 2 else _BETWEEN_WORDS.sub(r"\1", piece) for index, piece in enumerate(pieces))


# Differences ------------------------------------------------------------------------------------------------------

Change: TypeAlias = Literal["same", "changed", "added", "removed", "renumbered"]


class Row(NamedTuple):
    """One line of a comparison side by side; numbers from 1, None on the side where there is nothing.

    ``renumbered``: only the sequence number (N) differs.
    """

    change: Change
    left: int | None
    left_text: str
    right: int | None
    right_text: str


class Difference(NamedTuple):
    rows: list[Row]
    """Changed lines with some around them; a row without numbers stands for lines left out."""
    counts: dict[Change, int]
    """Lines by change, "same" excluded."""

    @property
    def empty(self) -> bool:
        return not self.counts

    def sentence(self) -> str:
        """French, for a list: ``3 lignes changées, 1 ajoutée``."""
        words: tuple[tuple[Change, str], ...] = (
            ("changed", "changée"), ("added", "ajoutée"), ("removed", "retirée"), ("renumbered", "renumérotée"),
        )  # fmt: skip
        said = [(self.counts[kind], word) for kind, word in words if self.counts.get(kind)]
        if not said:
            return "Aucune différence qui change l'usinage."
        parts = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in said]
        first, word = said[0]
        parts[0] = f"{first} ligne{'s' if first > 1 else ''} {word}{'s' if first > 1 else ''}"
        return ", ".join(parts) + "."


def difference(old: bytes, new: bytes, *, around: int = 3, most: int = 2000) -> Difference:
    """What differs between two texts, line by line; the rows stop after `most`, the counts do not.

    Lines are compared as blocks (blanks and line ends apart). In long texts, lines that occur once in both are
    anchors (patience difference), so that tens of megabytes are compared in seconds.
    """
    left, right = lines_of(old), lines_of(new)
    a, b = [_block(line) for line in left], [_block(line) for line in right]
    rows: list[Row] = []
    counts: Counter[Change] = Counter()
    quiet_from: tuple[int, int] | None = None
    position = (0, 0)
    for a0, a1, b0, b1 in [*_stretches(a, b), (len(a), len(a), len(b), len(b))]:
        _quiet(rows, left, right, position, (a0, b0), around, first=quiet_from is None, last=a0 == a1 and b0 == b1)
        quiet_from = position
        for row in _changed(left, right, a, b, (a0, a1, b0, b1)):
            counts[row.change] += 1
            if len(rows) < most:
                rows.append(row)
        position = (a1, b1)
    counts.pop("same", None)
    if not counts:
        return Difference([], {})
    return Difference(rows[:most], dict(counts))


def _quiet(
    rows: list[Row], left: list[str], right: list[str], since: tuple[int, int], to: tuple[int, int], around: int,
    *, first: bool, last: bool,
) -> None:  # fmt: skip
    """The equal lines between two changes: those near them, and one row for the others."""
    length = to[0] - since[0]
    head = 0 if first else min(around, length)
    tail = 0 if last else min(around, length - head)

    def equal(offset: int) -> Row:
        i, j = since[0] + offset, since[1] + offset
        return Row("same", i + 1, left[i], j + 1, right[j])

    rows += [equal(offset) for offset in range(head)]
    if left_out := length - head - tail:
        rows.append(
            Row("same", None, f"{left_out} ligne{'s' * (left_out > 1)} identique{'s' * (left_out > 1)}", None, "")
        )
    rows += [equal(offset) for offset in range(length - tail, length)]


def _changed(
    left: list[str], right: list[str], a: list[str], b: list[str], span: tuple[int, int, int, int]
) -> list[Row]:
    a0, a1, b0, b1 = span
    paired = min(a1 - a0, b1 - b0)
    rows = []
    for offset in range(max(a1 - a0, b1 - b0)):
        i, j = a0 + offset, b0 + offset
        if offset < paired:
            only_number = _SEQUENCE.sub("", a[i]) == _SEQUENCE.sub("", b[j])
            rows.append(Row("renumbered" if only_number else "changed", i + 1, left[i], j + 1, right[j]))
        elif i < a1:
            if a[i] not in _NOTHING:
                rows.append(Row("removed", i + 1, left[i], None, ""))
        elif b[j] not in _NOTHING:
            rows.append(Row("added", None, "", j + 1, right[j]))
    return rows


def _stretches(a: list[str], b: list[str]) -> list[tuple[int, int, int, int]]:
    """Where `a` and `b` differ, as (a0, a1, b0, b1), in order; what lies between is equal."""
    found: list[tuple[int, int, int, int]] = []
    _descend(a, b, (0, len(a), 0, len(b)), found)
    return found


def _descend(
    a: Sequence[str], b: Sequence[str], span: tuple[int, int, int, int], found: list[tuple[int, int, int, int]]
) -> None:
    a0, a1, b0, b1 = span
    while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
        a0, b0 = a0 + 1, b0 + 1
    while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
        a1, b1 = a1 - 1, b1 - 1
    if a0 == a1 and b0 == b1:
        return
    if a0 == a1 or b0 == b1:
        found.append((a0, a1, b0, b1))
        return
    if max(a1 - a0, b1 - b0) <= _SMALL:
        matcher = difflib.SequenceMatcher(None, a[a0:a1], b[b0:b1], autojunk=False)
        found += [
            (a0 + i0, a0 + i1, b0 + j0, b0 + j1) for tag, i0, i1, j0, j1 in matcher.get_opcodes() if tag != "equal"
        ]
        return
    anchors = _anchors(a, b, (a0, a1, b0, b1))
    if not anchors:
        found.append((a0, a1, b0, b1))
        return
    for i, j in anchors:
        if i >= a0 and j >= b0:
            _descend(a, b, (a0, i, b0, j), found)
            a0, b0 = i + 1, j + 1
    _descend(a, b, (a0, a1, b0, b1), found)


def _anchors(a: Sequence[str], b: Sequence[str], span: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    """Lines that occur once on both sides, the longest chain of them in order on both (patience difference)."""
    a0, a1, b0, b1 = span
    once_a, once_b = Counter(a[a0:a1]), Counter(b[b0:b1])
    where = {b[j]: j for j in range(b0, b1) if once_b[b[j]] == 1}
    pairs = [(i, where[a[i]]) for i in range(a0, a1) if once_a[a[i]] == 1 and a[i] in where]
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, j) in enumerate(pairs):
        at = bisect_left(tails, j)
        tails[at : at + 1] = [j]
        ends[at : at + 1] = [index]
        before.append(ends[at - 1] if at else -1)
    chain: list[tuple[int, int]] = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]
