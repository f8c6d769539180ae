"""How long a rack was there, when a class is believed, when a model is worse than the one before. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Final, Literal, NamedTuple, TypeAlias

Begin: TypeAlias = Literal["blank", "automatic"]

MODE_LABELS: Final[dict[str, str]] = {
    "counting": "Compte",
    "restocking": "Mode rangement",
    "blind": "En pause",
    "unknown": "Sans nouvelles",
}
CODE_LABELS: Final[dict[str, str]] = {
    "covered": "caméra masquée",
    "dark": "trop sombre",
    "frozen": "image figée",
    "dirty": "objectif sale",
    "moved": "caméra déplacée",
    "closed": "tiroir fermé",
    "lost": "liaison perdue",
    "flicker": "éclairage instable",
}
STATE_LABELS: Final[dict[str, str]] = {
    "seen": "vu",
    "masked": "masqué",
    "foreign": "objet étranger",
    "stacked": "empilé",
    "hidden": "non visible",
    "unlike": "ne ressemble plus à son article",
    "unreadable": "illisible",
    "unknown": "jamais lu",
}
KIND_LABELS: Final[dict[str, str]] = {
    "countable": "comptable",
    "presence": "présence seule",
    "hidden": "non visible",
}
UNREADABLE: Final = frozenset({"masked", "foreign", "stacked", "unlike", "unreadable"})

ENOUGH: Final = 20
"""Outcomes of a model before it is compared with the one before."""


def rack_of(place: str) -> str:
    """``rack-a/A1`` lies in ``rack-a``; a place without a slash is its own."""
    return place.rpartition("/")[0] or place


def slot_of(place: str) -> str:
    return place.rpartition("/")[2]


class ModeAt(NamedTuple):
    at: datetime
    mode: str


def availability(changes: Iterable[ModeAt], begin: datetime, end: datetime) -> float | None:
    """Share of [begin, end) in which the rack was not blind, of the time since it first spoke; None before that.

    A drawer that is closed is not blind for its users, but cannot be judged either: it counts as what it says.
    """
    ordered = sorted(changes)
    known = [c for c in ordered if c.at < end]
    if not known or end <= begin:
        return None
    first = max(begin, known[0].at)
    whole = (end - first).total_seconds()
    if whole <= 0:
        return None
    away = timedelta()
    for index, change in enumerate(known):
        until = known[index + 1].at if index + 1 < len(known) else end
        since = max(change.at, first)
        if change.mode == "blind" and until > since:
            away += until - since
    return 1.0 - away.total_seconds() / whole


class Said(NamedTuple):
    """The outcome of one saying of which the camera was sure."""

    decided_at: datetime
    key: str
    right: bool


@dataclass(frozen=True, slots=True)
class Standing:
    automatic: bool
    confirmed: int
    wrong: int


def standing(
    outcomes: Iterable[Said],
    begin: Begin,
    after: int,
    *,
    reset_at: datetime | None = None,
    forced_at: datetime | None = None,
) -> Standing:
    """Automatic after `after` right ones in a row; one wrong one puts it back. The order is that of the decisions.

    begin:      what a class starts as, before anything was ever wrong.
    reset_at:   a person put it back: what was decided before counts no more, and `begin` neither.
    forced_at:  a person let it act from then on, until the first wrong one after it.
    """
    automatic, confirmed, wrong = begin == "automatic", 0, 0
    marks: list[tuple[datetime, int, str, bool | None]] = [(o.decided_at, 1, o.key, o.right) for o in outcomes]
    if reset_at is not None:
        marks.append((reset_at, 0, "reset", None))
    if forced_at is not None:
        marks.append((forced_at, 0, "set", None))
    for _, _, key, right in sorted(marks, key=lambda m: m[:3]):
        if right is None:
            automatic, confirmed = key == "set", 0
        elif right:
            confirmed += 1
            automatic = automatic or confirmed >= after
        else:
            automatic, confirmed, wrong = False, 0, wrong + 1
    return Standing(automatic, confirmed, wrong)


def fell(right: int, wrong: int, right_before: int, wrong_before: int) -> bool:
    """Whether a model is worse than the one before: beyond chance (one-sided 95 %, Wilson 1927), once enough is known.

    Without a past to compare with, one in ten wrong, beyond chance, is too many.
    """
    n, before = right + wrong, right_before + wrong_before
    if n < ENOUGH:
        return False
    usual = wrong_before / before if before >= ENOUGH else 0.1
    return _least(wrong, n) > usual


def _least(wrong: int, n: int) -> float:
    """Lower bound of the share."""
    z = 1.645
    p = wrong / n
    centre = p + z * z / (2 * n)
    return (centre - z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)
