"""The acceptance of one rack on its own floor: a hundred moves by hand, the truth by scan or keys, its own figures.

Pure: the command line brings what the watcher said and what the person typed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contracts.racks import SlotKind
from vision.evaluation.outcomes import Claim, Judged, Truth, judge_session
from vision.evaluation.tally import Tally
from vision.slots import Rack, Slot

MIX: Mapping[str, float] = {
    "take": 0.36,
    "take_two": 0.09,
    "put_back": 0.32,
    "move": 0.05,
    "turn": 0.06,
    "nothing": 0.12,
}
_NUMBER = re.compile(r"[+\-−]?\d{1,4}")


class AnswerError(ValueError):
    """A truth that cannot be read; French, for the person at the rack."""


@dataclass(frozen=True)
class Move:
    """One thing to do: `deltas` are its truth when it is done as printed."""

    number: int
    kind: str
    text: str
    deltas: Mapping[str, int]
    touched: tuple[str, ...]


@dataclass
class Recette:
    """How far it is.

    Attributes:
        counts: pieces in each place by the person's word.
        number: of the next move, from 0.
        tally: all outcomes; `classes`: those of each class of items.
        skipped: moves that could not be done.
    """

    seed: int
    counts: dict[str, int]
    number: int = 0
    tally: Tally = field(default_factory=Tally)
    classes: dict[str, Tally] = field(default_factory=dict)
    skipped: int = 0

    def next_move(self, rack: Rack) -> Move:
        """The move to do now; the same state gives the same move."""
        rng = np.random.default_rng((self.seed, self.number, 43))
        names, weights = list(MIX), list(MIX.values())
        for kind in [str(k) for k in rng.choice(names, size=6, p=weights)] + ["nothing"]:
            move = self._move(kind, rack, rng)
            if move is not None:
                return move
        raise AssertionError("to take nothing is always possible")

    def done(self, rack: Rack, move: Move, deltas: Mapping[str, int], claims: Iterable[Claim]) -> list[Judged]:
        """The move was done with this truth, and this was said of it."""
        hidden = {s.id for s in rack.slots if s.kind is SlotKind.HIDDEN}
        touched = (set(deltas) | set(move.touched)) & hidden
        truth = Truth(move.kind if dict(deltas) == dict(move.deltas) else "other", deltas, frozenset(touched))
        said = list(claims)
        judged = judge_session(truth, said)
        where = {"move": self.number + 1}
        self.tally.add(truth, judged, where)
        for klass in {rack.slot(one.slot).klass for one in judged}:
            mine = [one for one in judged if rack.slot(one.slot).klass == klass]
            self.classes.setdefault(klass, Tally()).add(truth, mine, where)
        for slot, delta in deltas.items():
            self.counts[slot] = max(self.counts.get(slot, 0) + delta, 0)
        self.number += 1
        return judged

    def skip(self) -> None:
        self.number += 1
        self.skipped += 1

    def figures(self) -> dict[str, Any]:
        """The rack's own figures, all together and by class, with their bounds."""
        return {
            "moves": sum(self.tally.sessions.values()),
            "skipped": self.skipped,
            "all": self.tally.figures(),
            "classes": {klass: tally.figures() for klass, tally in sorted(self.classes.items())},
            "findings": self.tally.findings,
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "counts": self.counts,
            "number": self.number,
            "skipped": self.skipped,
            "tally": self.tally.as_json(),
            "classes": {klass: tally.as_json() for klass, tally in self.classes.items()},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Recette:
        return cls(
            int(raw["seed"]),
            dict(raw["counts"]),
            int(raw["number"]),
            Tally.from_json(raw["tally"]),
            {klass: Tally.from_json(one) for klass, one in raw["classes"].items()},
            int(raw["skipped"]),
        )

    def _move(self, kind: str, rack: Rack, rng: np.random.Generator) -> Move | None:
        countable = [s for s in rack.slots if s.kind is not SlotKind.HIDDEN]
        full = [s for s in countable if self.counts.get(s.id, 0) > (1 if kind == "take_two" else 0)]
        if kind == "nothing":
            slot = rack.slots[int(rng.integers(len(rack.slots)))]
            return self._of(kind, f"Mettre la main vers {_named(slot)}, ne rien prendre", {}, slot)
        if not full:
            return None
        slot = full[int(rng.integers(len(full)))]
        if kind == "take":
            return self._of(kind, f"Prendre 1 en {_named(slot)}", {slot.id: -1}, slot)
        if kind == "take_two":
            return self._of(kind, f"Prendre 2 en {_named(slot)}", {slot.id: -2}, slot)
        if kind == "turn":
            return self._of(kind, f"Retourner ou déplacer un peu une pièce en {_named(slot)}, la laisser", {}, slot)
        room = [s for s in countable if self.counts.get(s.id, 0) < (s.capacity or _declared(s))]
        if kind == "put_back":
            if not room:
                return None
            back = room[int(rng.integers(len(room)))]
            return self._of(kind, f"Remettre 1 en {_named(back)}", {back.id: 1}, back)
        partners = [s for s in room if s.id != slot.id and s.item == slot.item]
        if not partners:
            return None
        other = partners[int(rng.integers(len(partners)))]
        text = f"Passer 1 de {_named(slot)} à {_named(other)}"
        return self._of(kind, text, {slot.id: -1, other.id: 1}, slot, other)

    def _of(self, kind: str, text: str, deltas: Mapping[str, int], *touched: Slot) -> Move:
        return Move(self.number, kind, text, deltas, tuple(s.id for s in touched))


def begin(rack: Rack, seed: int) -> Recette:
    """A new one; the taught counts are its start, 1 where none was declared."""
    return Recette(seed, {s.id: _declared(s) for s in rack.slots})


def read_answer(line: str, rack: Rack, move: Move) -> dict[str, int] | None:
    """What the person typed or scanned, as deltas; None: the move is skipped.

    Empty: done as printed. ``0``: nothing moved. ``-``: skipped. Else places, each with its number (``A3 -2 B1 +1``);
    a place alone (its code scanned) is one taken. Raises AnswerError.
    """
    text = line.strip()
    if text == "-":
        return None
    if not text:
        return dict(move.deltas)
    if text == "0":
        return {}
    deltas: Counter[str] = Counter()
    whole = _place(text, rack)  # an item's code may have spaces in it
    place = ""
    for word in [] if whole else text.split():
        number = _NUMBER.fullmatch(word)
        found = _place(word, rack)
        if found is not None:  # a place may be named by a number
            deltas[place] += -1 if place else 0
            place = found
        elif number is None:
            raise AnswerError(f"« {word} » : ni une place ni un article de ce rack ; par exemple A3 -2 B1 +1, 0 ou -")
        elif not place:
            raise AnswerError(f"« {word} » : dire d'abord la place, par exemple A3 {word}")
        elif word[0] not in "+-−":
            raise AnswerError(f"« {place} {word} » : dire -{word} (pris) ou +{word} (remis)")
        else:
            deltas[place] += int(word.replace("−", "-"))
            place = ""
    if whole or place:
        deltas[whole or place] -= 1
    return {slot: delta for slot, delta in deltas.items() if slot and delta}


def lines(recette: Recette, thresholds: Sequence[str] = ()) -> list[str]:
    """The certificate as text, French."""
    f = recette.figures()
    rows = [f"{f['moves']} mouvements, {f['skipped']} passés"]
    for name, figure in [("ensemble", f["all"]), *f["classes"].items()]:
        wrong, missed, asked = figure["automatic_wrong"], figure["missed"], figure["asked"]
        rows.append(
            f"{name:<14} automatiques {figure['automatic']:>4}   faux {wrong['k']} (≤ {wrong['upper95']:.1%})   "
            f"manqués {missed['k']} (≤ {missed['upper95']:.1%})   demandés {asked['k']} de {asked['n']}"
        )
    rows.append("≤ : borne supérieure unilatérale à 95 % (Clopper-Pearson)")
    return rows + list(thresholds)


def _place(name: str, rack: Rack) -> str | None:
    """The place of that name (``rack-a/A2`` too), else the only one of that item; raises AnswerError among several."""
    short = name.rsplit("/", 1)[-1].lower()
    named = [slot.id for slot in rack.slots if slot.id.lower() == short]
    holding = [slot.id for slot in rack.slots if slot.item and slot.item.lower() == name.lower()]
    if not named and len(holding) > 1:
        raise AnswerError(f"« {name} » : en {', '.join(holding)} ; dire la place")
    return next(iter(named or holding), None)


def _declared(slot: Slot) -> int:
    return 1 if slot.count is None else slot.count


def _named(slot: Slot) -> str:
    return f"{slot.id} ({slot.item})" if slot.item else slot.id
