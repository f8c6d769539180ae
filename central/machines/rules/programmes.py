"""A cycle is not a part: what one cycle of a programme makes (MCH-10). Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

Counting: TypeAlias = Literal["counter", "cycles"]
COUNTING: Final[dict[Counting, str]] = {
    "counter": "le compteur de la commande",
    "cycles": "les cycles terminés",
}
MOST_PARTS_PER_CYCLE: Final = 1000
LONGEST_TEXT: Final = 120


class Programme(NamedTuple):
    """What is set for the programmes that `pattern` names; `machine` empty is for all machines."""

    machine: str
    pattern: str
    produces: bool
    parts_per_cycle: int | None
    cycle_s: float | None = None
    note: str = ""

    @property
    def parts(self) -> int | None:
        """Parts that a cycle makes; None when the operation says it."""
        return self.parts_per_cycle if self.produces else 0


class Yields:
    """The settings of one machine, its own and those for all."""

    def __init__(self, counting: Counting, found: Iterable[Programme]) -> None:
        self.counting = counting
        self.programmes: Sequence[Programme] = sorted(found, key=_closest_first)

    def of(self, programme: str | None) -> Programme | None:
        """The setting that names it best: the machine's own before the shop's, a name before a pattern, a long pattern
        before a short one.
        """
        if programme is None:
            return None
        return next((p for p in self.programmes if _pattern(p.pattern).fullmatch(programme)), None)

    def parts(self, programme: str | None) -> int | None:
        """Parts that a cycle of `programme` makes, 0 for warm-up and probing; None when nothing is set."""
        found = self.of(programme)
        return None if found is None else found.parts


def checked(setting: Programme) -> Programme:
    """Raises ValueError with the sentence for the person who typed it."""
    if not setting.pattern.strip():
        raise ValueError("Donnez le nom du programme, ou un motif comme PALP*.")
    if max(len(setting.pattern.strip()), len(setting.note.strip())) > LONGEST_TEXT:
        raise ValueError(f"Le nom et la note font {LONGEST_TEXT} caractères au plus.")
    pieces = 1 if setting.parts_per_cycle is None else setting.parts_per_cycle
    if setting.produces and not 1 <= pieces <= MOST_PARTS_PER_CYCLE:
        raise ValueError(
            f"Un cycle qui produit donne de 1 à {MOST_PARTS_PER_CYCLE} pièces ; sinon, décochez « produit »."
        )
    if setting.cycle_s is not None and not 0 < setting.cycle_s <= 7 * 86400:
        raise ValueError("Le temps de cycle déclaré est en secondes, plus grand que zéro.")
    per_cycle = setting.parts_per_cycle if setting.produces else None
    return setting._replace(pattern=setting.pattern.strip(), parts_per_cycle=per_cycle, note=setting.note.strip())


def _closest_first(setting: Programme) -> tuple[bool, bool, int, str]:
    plain = not any(mark in setting.pattern for mark in "*?")
    return not setting.machine, not plain, -len(setting.pattern), setting.pattern


@functools.lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """``*`` is any text, ``?`` one character; everything else is itself (controllers put brackets in names)."""
    parts = [".*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in text]
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
