"""What the collision guard told: its curves, whether it may act again, and which of its verdicts still call. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

import msgspec

from central.alerts.rules import Level, graver

LEVELS: Final[dict[str, Level]] = {"watch": "medium", "alert": "high", "hold": "critical"}
LEVEL_LABELS: Final[dict[str, str]] = {"watch": "Surveillance", "alert": "Alerte", "hold": "Arrêt d'avance"}
OUTCOME_LABELS: Final[dict[str, str]] = {
    "none": "rien n'a été demandé à la machine",
    "shadow": "mode ombre : l'arrêt n'a pas été demandé",
    "held": "maintenu : la vitesse nulle a été vue",
    "deferred": "différé : commande envoyée, vitesse nulle pas vue à temps",
    "refused": "non autorisé : cette machine n'accepte pas l'arrêt",
    "failed": "échec : la commande n'est pas arrivée",
}
COMMANDED: Final = frozenset({"held", "deferred", "failed"})
"""A hold that was sent: the guard waits for a person before it acts again."""
QUIET: Final[dict[str, timedelta]] = {
    "watch": timedelta(minutes=15),
    "alert": timedelta(hours=1),
    "hold": timedelta(hours=12),
}
"""A verdict that asked nothing of a person calls for so long after the last one of its kind."""


class Curve(msgspec.Struct, frozen=True, array_like=True):
    """What the guard saw: milliseconds after `t0`, values, and the limits then (None where it was masked)."""

    dt: list[int]
    v: list[float]
    low: list[float | None] = []
    high: list[float | None] = []

    def pack(self) -> bytes:
        return zlib.compress(msgspec.msgpack.encode(self))

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        return msgspec.msgpack.decode(zlib.decompress(packed), type=cls)


class Trip(NamedTuple):
    at: datetime
    fact_id: int
    level: str
    outcome: str
    why: str

    @property
    def grave(self) -> Level:
        """In shadow mode nothing moved and nothing was to be stopped yet."""
        return "high" if self.level == "hold" and self.outcome == "shadow" else LEVELS[self.level]


class Calling(NamedTuple):
    """The alert that stands for a machine's guard: `first` verdict of its level, `worst` (gravest, then newest) of the
    `trips` that still call.
    """

    level: Level
    first: datetime
    worst: Trip
    trips: int
    awaits_rearming: bool


def unanswered(trips: Sequence[Trip], rearmed: Sequence[datetime]) -> Trip | None:
    """The hold after which nobody has rearmed the guard yet; None when it may act."""
    last = max(rearmed, default=None)
    holds = [t for t in trips if t.level == "hold" and t.outcome in COMMANDED and (last is None or t.at > last)]
    return max(holds, default=None)


def calling(trips: Sequence[Trip], rearmed: Sequence[datetime], now: datetime) -> Calling | None:
    """What the verdicts of one machine call for at `now`; rearming answers all that came before it."""
    last = max(rearmed, default=None)
    awaiting = unanswered(trips, rearmed) is not None
    still = [
        t
        for t in trips
        if (last is None or t.at > last)
        and (now - t.at < QUIET[t.level] or (t.level == "hold" and t.outcome in COMMANDED))
    ]
    if not still:
        return None
    level: Level = "info"
    for trip in still:
        level = graver(level, trip.grave)
    gravest = [t for t in still if t.grave == level]
    worst = max(gravest, key=lambda t: (t.at, t.fact_id))
    return Calling(level, min(t.at for t in gravest), worst, len(still), awaiting)


def is_about_guard(source: str, code: str, machine: str | None) -> bool:
    """A ``source.status`` of the guard, which is a part of its own (``tour-1-garde``) beside the machine's: the machine
    goes on being heard when its guard is blind.
    """
    return machine is not None and source != machine and (source.endswith(_SUFFIXES) or code.startswith("guard"))


_SUFFIXES: Final = ("-garde", "-guard")
