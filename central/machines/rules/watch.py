"""The rules that alert about a machine. Pure: stored values in, what stands out; no order of arrival matters.

Bounds are the machine's own (`MachineRule`), or the defaults of `RULES`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

from central.alerts.rules import LABELS, Level
from central.machines.rules.states import StateInterval

RuleName: TypeAlias = Literal["unexpected_stop", "idle_tool", "cycle_drift", "silent"]
Side: TypeAlias = Literal["high", "low"]

STOPS: Final = frozenset({"stopped", "alarm"})
"""Not "ready": a person or the programme meant that (feed hold, M00, M01, M30)."""
MICRO_STOP_S: Final = 60.0
COMPLETION_SLACK: Final = timedelta(seconds=5)
"""A controller says "stopped" a little before or after it counts the cycle."""
STILL_FEED: Final = 0.5
"""mm/min."""
STILL_SPINDLE: Final = 1.0
"""rpm."""
REFERENCE_CYCLES: Final = 5
RECENT_CYCLES: Final = 5


class Rule(NamedTuple):
    """One rule and its defaults; `bound` between `lowest` and `highest`, in seconds, or a share for ``"%"``."""

    label: str
    says: str
    level: Level
    bound: float
    unit: Literal["s", "%"]
    lowest: float
    highest: float


RULES: Final[dict[RuleName, Rule]] = {
    "unexpected_stop": Rule(
        "Arrêt inattendu",
        "La machine produisait et s'est arrêtée sans finir son cycle ; plus court, c'est un micro-arrêt.",
        "high", MICRO_STOP_S, "s", 5, 86400,
    ),
    "idle_tool": Rule(
        "Outil immobile",
        "La machine se dit en production, mais l'avance reste à zéro (la broche, si l'avance n'est pas connue).",
        "medium", 180, "s", 5, 86400,
    ),
    "cycle_drift": Rule(
        "Dérive du cycle",
        f"Médiane des {RECENT_CYCLES} derniers cycles contre le temps déclaré, sinon contre les {REFERENCE_CYCLES} "
        "premiers bons cycles du programme.",
        "medium", 0.15, "%", 0.01, 5,
    ),
    "silent": Rule(
        "Sans nouvelles",
        "Ni la carte ni la commande ne disent plus rien ; une machine éteinte ne compte pas.",
        "high", 300, "s", 10, 7 * 86400,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """A rule as it is set for one machine."""

    rule: RuleName
    active: bool
    level: Level
    bound: float

    @property
    def duration(self) -> timedelta:
        return timedelta(seconds=self.bound)


def default(rule: RuleName) -> Setting:
    return Setting(rule, True, RULES[rule].level, RULES[rule].bound)


def checked(setting: Setting) -> Setting:
    """Raises ValueError with the sentence for the person who typed it."""
    rule = RULES.get(setting.rule)
    if rule is None:
        raise ValueError(f"Aucune règle ne s'appelle {setting.rule}.")
    if setting.level not in LABELS:
        raise ValueError("Le niveau est critique, haute, moyenne ou information.")
    if not rule.lowest <= setting.bound <= rule.highest:
        low, high = (rule.lowest * 100, rule.highest * 100) if rule.unit == "%" else (rule.lowest, rule.highest)
        raise ValueError(f"{rule.label} : le seuil va de {low:g} à {high:g} {rule.unit}.")
    return setting


# Unexpected stop -------------------------------------------------------------------------------------------------


class Stop(NamedTuple):
    """The machine produced, then stopped without completing; `end` is None while it lasts."""

    begin: datetime
    end: datetime | None
    state: str
    programme: str | None
    detail: str


def unexpected_stops(
    found: Sequence[StateInterval], completed: Iterable[datetime], until: datetime, bound: timedelta
) -> list[Stop]:
    """Stops longer than `bound`, in time order. `until` is when the machine was last known; `completed` are the ends of
    completed cycles. An alarm within a stop, or another programme chosen in it, does not begin a new one.
    """
    ends = sorted(completed)
    stops: list[Stop] = []
    before: StateInterval | None = None
    chain: list[StateInterval] = []
    for interval in [*found, None]:
        if interval is not None and interval.state in STOPS:
            chain.append(interval)
            continue
        if chain and before is not None and before.state == "running":
            begin, end = chain[0].begin, chain[-1].end
            worst = next((i for i in chain if i.state == "alarm"), chain[0])
            is_done = any(begin - COMPLETION_SLACK <= at <= begin + COMPLETION_SLACK for at in ends)
            if not is_done and (end or until) - begin > bound:
                stops.append(Stop(begin, end, worst.state, before.programme, worst.detail))
        before, chain = interval, []
    return stops


# Idle tool -------------------------------------------------------------------------------------------------------


def still_since(values: Iterable[tuple[datetime, float]], threshold: float) -> datetime | None:
    """Since when the newest values of a signal (any order) are at most `threshold`; None when it moves, or is unknown.

    A source that only sends changes says zero once: a value stands until the next one.
    """
    since: datetime | None = None
    for at, value in sorted(values):
        if abs(value) > threshold:
            since = None
        elif since is None:
            since = at
    return since


def idle_since(running_since: datetime, still: datetime | None, until: datetime, bound: timedelta) -> datetime | None:
    """When the tool stopped moving while the machine says that it produces, once that lasts longer than `bound`."""
    if still is None:
        return None
    since = max(running_since, still)
    return since if until - since > bound else None


# Cycle drift -----------------------------------------------------------------------------------------------------


class Drift(NamedTuple):
    """Seconds. `share` is how much longer (positive) or shorter the last cycles are."""

    reference_s: float
    recent_s: float
    share: float
    declared: bool


def drift(first: Sequence[float], last: Sequence[float], count: int, declared_s: float | None) -> Drift | None:
    """The `last` durations of a programme's completed cycles against the declared time, else against its `first` ones.

    `count` is how many there are in all. None as long as too few were seen: a reference and what is judged by it never
    share a cycle.
    """
    enough = RECENT_CYCLES if declared_s is not None else REFERENCE_CYCLES + RECENT_CYCLES
    if count < enough or len(last) < RECENT_CYCLES:
        return None
    reference = declared_s if declared_s is not None else statistics.median(first)
    if reference <= 0:
        return None
    recent = statistics.median(last)
    return Drift(reference, recent, recent / reference - 1, declared_s is not None)


# Limits ----------------------------------------------------------------------------------------------------------


class Limit(NamedTuple):
    """A signal should stay below (side ``high``) or above (``low``) these, in its own unit. Passed at the value itself;
    over again only `hysteresis` further back.
    """

    machine: str
    signal: str
    side: Side
    warning: float | None
    limit: float
    hysteresis: float = 0.0

    def threshold(self, grade: Literal["warning", "limit"]) -> float | None:
        return self.warning if grade == "warning" else self.limit

    def passes(self, value: float, threshold: float) -> bool:
        return value >= threshold if self.side == "high" else value <= threshold

    def is_back(self, value: float, threshold: float) -> bool:
        if self.side == "high":
            return value < threshold - self.hysteresis
        return value > threshold + self.hysteresis

    def changes(self, standing: str | None, low: float, high: float) -> bool:
        """Whether values from `low` to `high` can end or begin what stands: else nothing need be asked."""
        towards, back = (high, low) if self.side == "high" else (low, high)
        if standing != "limit" and self.passes(towards, self.limit):
            return True
        if standing is None and self.warning is not None and self.passes(towards, self.warning):
            return True
        if standing == "limit":
            return self.is_back(back, self.limit)
        return standing == "warning" and (self.warning is None or self.is_back(back, self.warning))


class Passed(NamedTuple):
    """Since when, and with which value, a threshold is passed."""

    at: datetime
    value: float


def passed(limit: Limit, threshold: float, values: Iterable[tuple[datetime, float]]) -> Passed | None:
    """What stands after these values of one signal, in event order."""
    found: Passed | None = None
    for at, value in sorted(values):
        if limit.passes(value, threshold):
            found = found or Passed(at, value)
        elif limit.is_back(value, threshold):
            found = None
    return found


def checked_limit(limit: Limit) -> Limit:
    """Raises ValueError with the sentence for the person who typed it."""
    if limit.side not in {"high", "low"}:
        raise ValueError("Une limite est haute ou basse.")
    if not 1 <= len(limit.signal) <= 120:
        raise ValueError("Ce nom de signal est trop long ou manque.")
    if limit.hysteresis < 0:
        raise ValueError("L'hystérésis ne peut pas être négative.")
    if limit.warning is not None:
        if limit.side == "high" and limit.warning >= limit.limit:
            raise ValueError("L'avertissement se place sous la limite haute.")
        if limit.side == "low" and limit.warning <= limit.limit:
            raise ValueError("L'avertissement se place au-dessus de la limite basse.")
    return limit
