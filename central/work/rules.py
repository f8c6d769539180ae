"""Clockings as intervals, whose parts a count made, and how much work remains. Pure.

Every function sorts by event time itself: the order in which facts arrived never changes a result.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

Phase: TypeAlias = Literal["setup", "run", "pause"]
Status: TypeAlias = Literal["planned", "running", "paused", "waiting", "done"]

PHASE_LABELS: Final[dict[str, str]] = {"setup": "Réglage", "run": "Série", "pause": "Pause"}
STATUS_LABELS: Final[dict[str, str]] = {
    "planned": "À faire",
    "running": "En cours",
    "paused": "Suspendue",
    "waiting": "À reprendre",
    "done": "Terminée",
}
KIND_LABELS: Final[dict[str, str]] = {"normal": "Usinage", "debit": "Débit", "external": "Sous-traitance"}

FORGOTTEN_AFTER: Final = timedelta(hours=14)
"""A clocking that nobody ended for so long was forgotten: no shift is that long."""
ENOUGH_PARTS: Final = 5
"""Parts seen before a measured cycle replaces the quote's."""

_RANK: Final = {"start": 0, "first_good": 1, "pause": 2, "resume": 3, "end": 4, "toggle": 5}


class Event(NamedTuple):
    """One clocking of one person on one operation."""

    id: int
    at: datetime
    action: str
    post: str
    seq: int = 0
    phase: str | None = None
    reason: str | None = None
    good: int = 0
    scrap: int = 0
    rework: int = 0


class Interval(NamedTuple):
    """`end` is null while it lasts. A forgotten one is shown, not counted."""

    begin: datetime
    end: datetime | None
    phase: Phase
    post: str
    reason: str | None = None
    forgotten: bool = False

    def minutes(self, until: datetime) -> float:
        return max(0.0, ((self.end or until) - self.begin).total_seconds() / 60)


class Breach(NamedTuple):
    """An event that breaks a rule. It was applied as far as it has a meaning."""

    kind: str
    event: Event
    message: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What the events of one person on one operation mean."""

    intervals: list[Interval]
    breaches: list[Breach]
    ends: list[Event]
    """Events that ended the operation, those without a start included."""
    kept: list[Event]
    """All but the repeats of one scan."""

    @property
    def phase(self) -> Phase | None:
        """The phase that lasts, None when nothing does."""
        last = self.intervals[-1] if self.intervals else None
        return last.phase if last is not None and last.end is None else None


def in_order(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda e: (e.at, _RANK[e.action], e.seq, e.id))


def replay(events: Iterable[Event], same_scan: timedelta) -> Replay:
    """Intervals of one person on one operation.

    A toggle starts when nothing runs, resumes a pause, ends what runs. The same action by the same post within
    `same_scan` is one.
    """
    machine = _Clocking()
    kept = _without_repeats(in_order(events), same_scan)
    for event in kept:
        machine.apply(event)
    return Replay(machine.intervals, machine.breaches, machine.ends, kept)


def _without_repeats(events: Sequence[Event], same_scan: timedelta) -> list[Event]:
    kept: list[Event] = []
    last: dict[tuple[object, ...], datetime] = {}
    for event in events:
        same = (event.action, event.post, event.reason, event.good, event.scrap, event.rework)
        if same in last and event.at - last[same] < same_scan:
            continue
        last[same] = event.at
        kept.append(event)
    return kept


class _Clocking:
    """The state machine of `replay`."""

    def __init__(self) -> None:
        self.intervals: list[Interval] = []
        self.breaches: list[Breach] = []
        self.ends: list[Event] = []
        self._phase: Phase = "setup"
        """The phase to come back to after a pause."""
        self._last_sign: datetime | None = None

    def apply(self, event: Event) -> None:
        self._forget(event)
        action = event.action
        if action == "toggle":
            action = {None: "start", "pause": "resume"}.get(self._open_phase, "end")
        getattr(self, f"_{action}")(event)
        self._last_sign = event.at

    @property
    def _open_phase(self) -> Phase | None:
        last = self.intervals[-1] if self.intervals else None
        return last.phase if last is not None and last.end is None else None

    def _start(self, event: Event) -> None:
        if self._open_phase is None:
            self._open(event, "run" if event.phase == "run" else "setup")
        elif self._open_phase == "pause":
            self._switch(event, self._phase)
        else:
            self._breach("double_start", event, "Début pointé alors que l'opération était déjà commencée.")

    def _first_good(self, event: Event) -> None:
        if self._open_phase is None:
            self._breach("first_good_without_start", event, "Première pièce bonne sans début pointé.")
        if self._open_phase != "run":
            self._switch(event, "run")

    def _pause(self, event: Event) -> None:
        if self._open_phase is None:
            self._breach("pause_without_start", event, "Pause pointée sans début.")
            return
        self._switch(event, "pause")

    def _resume(self, event: Event) -> None:
        if self._open_phase is None:
            self._breach("resume_without_start", event, "Reprise pointée sans début.")
        elif self._open_phase != "pause":
            return
        self._switch(event, self._phase)

    def _end(self, event: Event) -> None:
        self.ends.append(event)
        if self._open_phase is None:
            self._breach("end_without_start", event, "Fin pointée sans début : la durée est à saisir.")
            return
        self._close(event.at)
        self._phase = "setup"

    def _switch(self, event: Event, phase: Phase) -> None:
        self._close(event.at)
        self._open(event, phase)

    def _open(self, event: Event, phase: Phase) -> None:
        if phase != "pause":
            self._phase = phase
        self.intervals.append(Interval(event.at, None, phase, event.post, event.reason if phase == "pause" else None))

    def _close(self, at: datetime, *, forgotten: bool = False) -> None:
        if self._open_phase is None:
            return
        last = self.intervals.pop()
        if at > last.begin:
            self.intervals.append(last._replace(end=at, forgotten=forgotten))

    def _forget(self, event: Event) -> None:
        """A new start long after the last sign: the end between them was never clocked."""
        silent_for = event.at - self._last_sign if self._last_sign is not None else timedelta(0)
        if (
            event.action in {"start", "toggle"}
            and self._open_phase in {"setup", "run"}
            and silent_for > FORGOTTEN_AFTER
        ):
            self._breach("forgotten_end", event, "Fin oubliée au pointage précédent : la durée est à saisir.")
            self._close(event.at, forgotten=True)
            self._phase = "setup"

    def _breach(self, kind: str, event: Event, message: str) -> None:
        self.breaches.append(Breach(kind, event, message))


def minutes_by_phase(intervals: Iterable[Interval], until: datetime) -> dict[str, float]:
    """Counted minutes; forgotten intervals are left out until somebody enters their end."""
    totals = {"setup": 0.0, "run": 0.0, "pause": 0.0}
    for one in intervals:
        if not one.forgotten:
            totals[one.phase] += one.minutes(until)
    return totals


class Progress(NamedTuple):
    """An operation as its clockings tell it."""

    status: Status
    phase: Phase | None
    started_at: datetime | None
    ended_at: datetime | None
    good: int
    scrap: int
    rework: int


def progress(replays: Iterable[Replay], quantity: int) -> Progress:
    """Of all persons together. An end that declares fewer good parts than ordered leaves the rest "à reprendre"."""
    found = list(replays)
    kept = [event for one in found for event in one.kept]
    good, scrap, rework = (sum(getattr(e, name) for e in kept) for name in ("good", "scrap", "rework"))
    begun = [one.intervals[0].begin for one in found if one.intervals]
    ends = [event for one in found for event in one.ends]
    ended_at = max((event.at for event in ends), default=None)
    lasting = [one.intervals[-1] for one in found if one.phase is not None]
    working = [one for one in lasting if one.phase != "pause"]
    status: Status
    if working:
        status = "running"
    elif lasting:
        status = "paused"
    elif ends:
        status = "waiting" if good + scrap > 0 and good < quantity else "done"
    elif begun:
        status = "waiting"
    else:
        status = "planned"
    phase = max(working or lasting, key=lambda i: i.begin).phase if lasting else None
    return Progress(status, phase, min(begun, default=None), None if lasting else ended_at, good, scrap, rework)


def pieces_to_charge(ends: Iterable[Event], count: int) -> int:
    """Pieces whose material a débit operation has used up: those declared, else all that were planned."""
    charged = 0
    for event in in_order(ends):
        declared = event.good + event.scrap
        charged += declared if declared > 0 else max(0, count - charged)
    return charged


def debit_quantity(pieces: int, length: int, unit: str) -> int:
    """What `pieces` of `length` (thousandths of mm) use up, in thousandths of the item's unit.

    An item counted otherwise than by length is taken piece by piece.
    """
    if unit == "mm":
        return length * pieces
    if unit == "m":
        return round(length * pieces / 1000)
    return 1000 * pieces


# Parts -----------------------------------------------------------------------------------------------------------


class Presence(NamedTuple):
    """An operation is on a machine from its start to its end, pauses included: the machine may go on meanwhile."""

    begin: datetime
    end: datetime | None
    operation: str


def presences(operation: str, intervals: Iterable[Interval]) -> list[Presence]:
    """Joined spans of one operation, all persons together."""
    spans: list[Presence] = []
    for one in sorted(intervals, key=lambda i: i.begin):
        last = spans[-1] if spans else None
        if last is not None and (last.end is None or one.begin <= last.end):
            end = None if last.end is None or one.end is None else max(last.end, one.end)
            spans[-1] = Presence(last.begin, end, operation)
        else:
            spans.append(Presence(one.begin, one.end, operation))
    return spans


def operation_at(spans: Iterable[Presence], at: datetime) -> tuple[str | None, str]:
    """The one operation on the machine at `at`, and why; None when nobody or more than one claims it."""
    there = sorted({s.operation for s in spans if s.begin <= at and (s.end is None or at < s.end)})
    if len(there) == 1:
        return there[0], "opération en cours sur la machine"
    return None, "aucune opération en cours" if not there else "plusieurs opérations en cours : " + ", ".join(there)


def parts_made(cycles: int, parts_per_cycle: int, programme_yield: int | None) -> int:
    """A cycle is not a part: the programme's yield (0 for warm-up and probing) goes before the operation's."""
    return cycles * (parts_per_cycle if programme_yield is None else programme_yield)


# Load ------------------------------------------------------------------------------------------------------------


class Measure(NamedTuple):
    minutes: float
    """A piece."""
    pieces: int
    how: str


def measured_cycle(counts: Iterable[tuple[datetime, int]]) -> Measure | None:
    """Median of the time between counts, a piece; None before `ENOUGH_PARTS`. The median leaves stops aside."""
    ordered = sorted((at, parts) for at, parts in counts if parts > 0)
    gaps = [
        (at - before).total_seconds() / 60 / parts
        for (before, _), (at, parts) in itertools.pairwise(ordered)
        if at > before
    ]
    pieces = sum(parts for _, parts in ordered)
    if pieces < ENOUGH_PARTS or len(gaps) < ENOUGH_PARTS - 1:
        return None
    return Measure(statistics.median(gaps), pieces, f"mesuré sur {pieces} pièces")


def clocked_cycle(run_minutes: float, good: int) -> Measure | None:
    """Clocked série time over good parts, where no machine counts."""
    if good < ENOUGH_PARTS or run_minutes <= 0:
        return None
    return Measure(run_minutes / good, good, f"pointé sur {good} pièces")


class Need(NamedTuple):
    """What the load of one operation is computed from. Minutes."""

    quantity: int
    done: int
    setup_min: float
    run_min: float
    setup_spent: float
    in_run: bool
    """The first good part was made: no more réglage."""
    measure: Measure | None


class Remaining(NamedTuple):
    minutes: float
    why: str


def remaining(need: Need) -> Remaining:
    """Setup + run × remaining quantity, at the measured cycle once enough parts were seen; with its reason."""
    left = max(0, need.quantity - need.done)
    setup = 0.0 if need.in_run or left == 0 else max(0.0, need.setup_min - need.setup_spent)
    cycle, how = (need.measure.minutes, need.measure.how) if need.measure else (need.run_min, "prévu au devis")
    words = []
    if setup > 0:
        words.append(f"réglage {_french(setup)} min")
    words.append(f"{left} pièces × {_french(cycle)} min ({how})")
    return Remaining(setup + cycle * left, " + ".join(words))


def _french(minutes: float) -> str:
    return f"{minutes:.1f}".removesuffix(".0").replace(".", ",")


def overloaded(load_min: float, capacity_min: float) -> bool:
    return load_min > capacity_min
