"""A scale under a bin: what its lines say, and how many pieces came or left. Pure: times are given.

The lines are those that scales send without being asked: ``ST,GS,+  12.34 kg`` (A&D, CAS and many indicators: ST
stable, US not, OL overload), ``S S     12.34 g`` (Mettler-Toledo SICS, after ``SIR``: S stable, D not), or a bare
``12.34 g``.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final, Literal, NamedTuple

import msgspec

from contracts.facts import Mode

GRAMS: Final = {"mg": 0.001, "g": 1.0, "kg": 1000.0, "t": 1e6, "lb": 453.59237, "oz": 28.349523125}
_NUMBER = r"([+-]?)\s*(\d+(?:[.,]\d*)?|[.,]\d+)"
_UNIT = r"\s*(mg|g|kg|t|lb|oz)\b"
_INDICATOR = re.compile(rf"^(ST|US|OL|QT)\s*,\s*(?:(?:GS|NT|TR)\s*,)?\s*{_NUMBER}{_UNIT}", re.IGNORECASE)
_SICS = re.compile(rf"^S\s+(S|D)\s+{_NUMBER}{_UNIT}", re.IGNORECASE)
_OVERLOAD = re.compile(r"^(OL\b|S\s+[+-]\s*$|ST?\s*,\s*OL)", re.IGNORECASE)
_BARE = re.compile(rf"^{_NUMBER}{_UNIT}\s*$", re.IGNORECASE)

NEAR: Final = 0.25
"""Share of one piece's weight by which a difference may miss a whole number."""
_CREEP: Final = 0.2
"""Share of one piece below which a difference is the scale's own drift, and followed."""
_MOST_SURE: Final = 20
"""Pieces at once beyond which the spread of the pieces' own weights makes a number doubtful."""


class Weight(NamedTuple):
    """One line. `stable` None: the scale does not say; `grams` None: overload."""

    grams: float | None
    stable: bool | None


def parse(line: str) -> Weight | None:
    """What a line says; None: it is no weight."""
    text = line.strip()
    if found := _INDICATOR.match(text):
        if found[1].upper() == "OL":
            return Weight(None, stable=False)
        return Weight(_grams(found[2], found[3], found[4]), stable=found[1].upper() in ("ST", "QT"))
    if found := _SICS.match(text):
        return Weight(_grams(found[2], found[3], found[4]), stable=found[1].upper() == "S")
    if _OVERLOAD.match(text):
        return Weight(None, stable=False)
    if found := _BARE.match(text):
        return Weight(_grams(found[1], found[2], found[3]), stable=None)
    return None


def _grams(sign: str, digits: str, unit: str) -> float:
    return float(f"{sign}{digits.replace(',', '.')}") * GRAMS[unit.lower()]


class BinState(msgspec.Struct, frozen=True):
    """What outlives a restart: the settled weight, the count at it (None: only differences are known)."""

    grams: float | None = None
    count: int | None = None
    strange: bool = False
    """Something lies there, or is missing, that is no whole number of pieces; it was asked about."""


class Moved(NamedTuple):
    """Pieces came (positive) or left; or, with `ask`, nobody can say how many (`pieces` is the guess)."""

    pieces: int
    before: int | None
    after: int | None
    confidence: float
    mode: Mode
    ask: Literal["foreign"] | None
    why: str


class Bin:
    """One bin on its scale: only settled weights count, and a count changes by whole pieces.

    Args:
        unit_g: weight of one piece, g, as taught.
        bin_g: weight of the empty bin as the scale shows it, g; None when it is not known.
        settle_s: for how long a weight must stand still, seconds.
        state: of the last run.
    """

    def __init__(self, unit_g: float, bin_g: float | None, settle_s: float, state: BinState | None = None) -> None:
        self.state = state or BinState()
        self.lifted = False
        self._unit_g, self._bin_g, self._settle_s = unit_g, bin_g, settle_s
        self._lately: deque[tuple[float, float]] = deque()

    def see(self, weight: Weight, mono: float) -> Moved | None:
        """Take in one line. `mono`: monotonic seconds."""
        settled = self._settled(weight, mono)
        return None if settled is None else self._judge(settled)

    def _settled(self, weight: Weight, mono: float) -> float | None:
        """The weight that has stood still for long enough, g."""
        if weight.grams is None or weight.stable is False:
            self._lately.clear()
            return None
        self._lately.append((mono, weight.grams))
        while len(self._lately) > 1 and mono - self._lately[1][0] >= self._settle_s:
            self._lately.popleft()
        values = [grams for _, grams in self._lately]
        if max(values) - min(values) > _CREEP / 2 * self._unit_g:
            self._lately.clear()
            self._lately.append((mono, weight.grams))
            return None
        if mono - self._lately[0][0] < self._settle_s:
            return None
        return sorted(values)[len(values) // 2]

    def _judge(self, grams: float) -> Moved | None:
        state, floor = self.state, 0.0 if self._bin_g is None else self._bin_g
        self.lifted = grams < floor - self._unit_g / 2
        if self.lifted:
            return None  # the bin is in somebody's hands: it will come back
        if state.grams is None:
            count = None if self._bin_g is None else max(0, round((grams - self._bin_g) / self._unit_g))
            self.state = BinState(grams, count)
            return None
        exact = (grams - state.grams) / self._unit_g
        pieces = round(exact)
        miss = abs(exact - pieces)
        if pieces == 0 and miss <= NEAR:
            creep = grams if miss <= _CREEP and not state.strange else state.grams
            self.state = BinState(creep, state.count)
            return None
        after = None if state.count is None else state.count + pieces
        if miss > NEAR or (after is not None and after < 0):
            if state.strange:
                return None
            self.state = BinState(state.grams, state.count, strange=True)
            why = f"{grams - state.grams:+.1f} g is {exact:+.2f} pieces of {self._unit_g:g} g"
            return Moved(pieces, state.count, None, 0.0, "review", "foreign", why)
        self.state = BinState(grams, after)
        sure = abs(pieces) <= _MOST_SURE and not state.strange
        why = f"{grams - state.grams:+.1f} g, {exact:+.2f} pieces"
        return Moved(pieces, state.count, after, 1.0 - 2 * miss, "auto" if sure else "review", None, why)
