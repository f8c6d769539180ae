"""States as intervals. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

STATE_LABELS: Final[dict[str, str]] = {
    "off": "Éteinte",
    "ready": "Attente",
    "running": "En production",
    "stopped": "Arrêt",
    "setup": "Réglage",
    "alarm": "Alarme",
    "silent": "Sans nouvelles",
}


class StateEvent(NamedTuple):
    at: datetime
    seq: int
    fact_id: int
    state: str
    programme: str | None = None
    tool: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StateInterval:
    """The machine was in `state` from `begin`; `end` is null while it lasts."""

    begin: datetime
    end: datetime | None
    state: str
    programme: str | None = None
    tool: str | None = None
    detail: str = ""

    def minutes(self, until: datetime) -> float:
        return max(0.0, ((self.end or until) - self.begin).total_seconds() / 60)


def intervals(events: Iterable[StateEvent]) -> list[StateInterval]:
    """What the events mean, whatever the order in which they came.

    A state lasts until the next event in event time; one that says the same state and programme again changes nothing.
    Of two events at one time the later of its source wins.
    """
    at_each_time: dict[datetime, StateEvent] = {}
    for event in sorted(events, key=lambda e: e[:3]):
        at_each_time[event.at] = event
    found: list[StateInterval] = []
    for event in at_each_time.values():
        last = found[-1] if found else None
        if last is not None:
            if (last.state, last.programme) == (event.state, event.programme):
                continue
            found[-1] = _ended(last, event.at)
        found.append(StateInterval(event.at, None, event.state, event.programme, event.tool, event.detail))
    return found


def clip(found: Iterable[StateInterval], begin: datetime, end: datetime) -> list[StateInterval]:
    """The part of the intervals that lies in [begin, end); an interval that still lasts ends at `end`."""
    clipped = []
    for one in found:
        first, last = max(one.begin, begin), min(one.end or end, end)
        if first < last:
            clipped.append(StateInterval(first, last, one.state, one.programme, one.tool, one.detail))
    return clipped


def minutes_by_state(found: Iterable[StateInterval], until: datetime) -> dict[str, float]:
    totals: dict[str, float] = {}
    for one in found:
        totals[one.state] = totals.get(one.state, 0.0) + one.minutes(until)
    return totals


def _ended(one: StateInterval, end: datetime) -> StateInterval:
    return StateInterval(one.begin, end, one.state, one.programme, one.tool, one.detail)
