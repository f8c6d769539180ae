"""Adding up outcomes: by case, JSON-able so that a run can go on from where it stood, and as a table with bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vision.evaluation.outcomes import Judged, Outcome, Truth
from vision.evaluation.statistics import share, upper_bound

_KEPT = 400
"""Findings kept with their place in the run; more would only repeat."""


@dataclass
class Tally:
    """Sessions and outcomes of one rack size (or of one kind of run).

    Attributes:
        sessions: case → how many.
        outcomes: case → outcome → places.
        booked: "debits" (pieces booked as taken without a person), "takings" (places with such debits, one a session)
            and "takings_wrong", "takings_due" (places from which something was taken, and a number was possible) and
            "takings_asked", "phantoms" (numbers booked where nothing moved nor had to be asked), "idle_sessions",
            "idle_debits" (booked in sessions where nothing was taken), "idle_asked".
        findings: what went wrong or was asked needlessly, with where to find it again.
    """

    sessions: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    booked: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, Any]] = field(default_factory=list)

    def add(self, truth: Truth, judged: Iterable[Judged], where: Mapping[str, Any] | None = None) -> None:
        """One session; ``where`` (seed, session, frame) is kept with each finding."""
        self.sessions[truth.case] += 1
        counts = self.outcomes.setdefault(truth.case, Counter())
        if truth.idle:
            self.booked["idle_sessions"] += 1
        for one in judged:
            counts[one.outcome] += 1
            if not one.number_possible:
                counts["beyond"] += 1
                counts[f"beyond_{one.outcome}"] += 1
            self.booked["debits"] += one.debits
            self.booked["takings"] += one.debits > 0
            if one.number_possible and one.expected < 0:
                self.booked["takings_due"] += 1
                self.booked["takings_asked"] += one.outcome is Outcome.ASKED
            if one.outcome is Outcome.WRONG:
                self.booked["takings_wrong"] += one.debits > 0
                self.booked["phantoms"] += one.number_possible and not one.expected
            if truth.idle:
                self.booked["idle_debits"] += one.debits
                self.booked["idle_asked"] += one.outcome is Outcome.NEEDLESS
            if one.outcome in (Outcome.WRONG, Outcome.MISSED, Outcome.NEEDLESS) and len(self.findings) < _KEPT:
                self.findings.append(
                    {
                        "case": truth.case,
                        "slot": one.slot,
                        "outcome": str(one.outcome),
                        "expected": one.expected,
                        "claimed": one.claimed,
                        "why": one.why[:160],
                        **(where or {}),
                    }
                )

    def total(self, outcome: Outcome) -> int:
        return sum(counts[outcome] for counts in self.outcomes.values())

    @property
    def debits(self) -> int:
        """Pieces booked as taken without a person."""
        return self.booked["debits"]

    def merged(self, other: Tally) -> Tally:
        """Both together; neither is changed."""
        both = Tally.from_json(self.as_json())
        both.sessions += other.sessions
        for case, counts in other.outcomes.items():
            both.outcomes.setdefault(case, Counter()).update(counts)
        both.booked += other.booked
        both.findings = (both.findings + other.findings)[:_KEPT]
        return both

    def as_json(self) -> dict[str, Any]:
        return {
            "sessions": dict(self.sessions),
            "outcomes": {case: dict(counts) for case, counts in self.outcomes.items()},
            "booked": dict(self.booked),
            "findings": list(self.findings),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Tally:
        """Raises KeyError, TypeError or AttributeError when it is not what `as_json` gave."""
        return cls(
            Counter(raw["sessions"]),
            {case: Counter(counts) for case, counts in raw["outcomes"].items()},
            Counter(raw["booked"]),
            list(raw["findings"]),
        )

    def figures(self) -> dict[str, Any]:
        """Rates with their one-sided 95 % upper bounds.

        ``automatic_wrong`` is of all that was booked, ``takings_wrong`` of the bookings that debited (a booking
        of three pieces is one, for they are right or wrong together); ``missed`` of what moved or had to be
        asked, ``moves_missed`` of what moved where a number was possible; ``asked`` of what moved or was asked
        where a number was possible, ``takings_asked`` of the places from which something was taken. ``beyond``
        are the places where no number can be right; ``read_beside`` counts absolute readings of places about
        which nothing else was said, against what can be read.
        """
        right, wrong = self.total(Outcome.RIGHT), self.total(Outcome.WRONG)
        missed, asked = self.total(Outcome.MISSED), self.total(Outcome.ASKED)
        needless = self.total(Outcome.NEEDLESS)
        every: Counter[str] = sum(self.outcomes.values(), Counter())
        every_place = right + wrong + missed + asked + needless
        due = every_place - needless - self.booked["phantoms"]
        askable = every_place - every["beyond"]
        questions = asked + needless - every[f"beyond_{Outcome.ASKED}"]
        return {
            "sessions": sum(self.sessions.values()),
            "automatic_debits": self.debits,
            "automatic": right + wrong,
            "automatic_wrong": rate(wrong, right + wrong),
            "takings_wrong": rate(self.booked["takings_wrong"], self.booked["takings"]),
            "missed": rate(missed, due),
            "moves_missed": rate(missed - every[f"beyond_{Outcome.MISSED}"], due - every["beyond"]),
            "asked": rate(questions, askable),
            "takings_asked": rate(self.booked["takings_asked"], self.booked["takings_due"]),
            "asked_needlessly": needless,
            "beyond": {
                "places": every["beyond"],
                "asked": every[f"beyond_{Outcome.ASKED}"],
                "booked": every[f"beyond_{Outcome.WRONG}"],
                "silent": every[f"beyond_{Outcome.MISSED}"],
            },
            "read_beside": rate(self.booked["read_wrong"], self.booked["read"]),
            "transfers": {"played": self.booked["transfers"], "named": self.booked["transfers_named"]},
            "idle_sessions": self.booked["idle_sessions"],
            "idle_debits": self.booked["idle_debits"],
            "idle_asked": self.booked["idle_asked"],
        }


def rate(k: int, n: int) -> dict[str, Any]:
    """What k of n are: its share and its upper bound (see `vision.evaluation.statistics`)."""
    value = share(k, n)
    return {"k": k, "n": n, "share": None if value is None else round(value, 6), "upper95": round(upper_bound(k, n), 6)}


_COLUMNS = (
    (Outcome.RIGHT, "right"),
    (Outcome.WRONG, "wrong"),
    (Outcome.MISSED, "missed"),
    (Outcome.ASKED, "asked"),
    (Outcome.NEEDLESS, "needless"),
)


def table(tallies: Mapping[str, Tally]) -> list[str]:
    """Lines for a person: a table of the sizes, then one of the cases."""
    titles = ("wrong (≤ 95 %)", "wrong debits", "missed (≤ 95 %)", "missed moves", "asked (≤ 95 %)")
    lines = [f"{'':<14} sessions  debits   auto  " + " ".join(title.ljust(18) for title in titles) + " idle debits"]
    for name, tally in tallies.items():
        f = tally.figures()
        lines.append(
            f"{name:<14} {f['sessions']:>8} {f['automatic_debits']:>7} {f['automatic']:>6}  "
            f"{_short(f['automatic_wrong'])} {_short(f['takings_wrong'])} {_short(f['missed'])} "
            f"{_short(f['moves_missed'])} {_short(f['asked'])} "
            f"{f['idle_debits']} in {f['idle_sessions']}"
        )
    lines += ["", f"{'case':<24}" + "sessions".rjust(9) + "".join(title.rjust(9) for _, title in _COLUMNS)]
    every = sum_of(tallies.values())
    for case in sorted(every.sessions):
        counts = every.outcomes.get(case, Counter())
        lines.append(f"{case:<24}{every.sessions[case]:>9}" + "".join(f"{counts[o]:>9}" for o, _ in _COLUMNS))
    return lines


def sum_of(tallies: Iterable[Tally]) -> Tally:
    """All together."""
    total = Tally()
    for tally in tallies:
        total = total.merged(tally)
    return total


def _short(figure: Mapping[str, Any]) -> str:
    value = figure["share"]
    if value is None:
        return "–".ljust(18)
    return f"{figure['k']}: {value:.2%} (≤ {figure['upper95']:.2%})".ljust(18)
