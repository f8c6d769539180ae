"""Which sayings tell of the same physical event.

Sayings become *lots*: a quantity of one sign with the channels that told of it. Lots of different channels join
when they lie close enough, the closest range first (`GRADES`), the oldest first within a range, each as far as
its quantity goes: a scan of 2 takes in two camera picks of 1. Up to `NEAR` a join is taken as sure; a wider one is
made too, since most often it is right, and asks "même prise ?".

An operation's validation nets, whatever the time between, against what is already charged to that operation: the
lots that carry its code, returns deducted. Only what is left over is matched by time, or is an event of its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from central.stock.rules.sayings import Decisions, Obs, Question, doubt_key, pair_key

NEAR: Final = timedelta(minutes=2)
GRADES: Final = (timedelta(seconds=15), NEAR, timedelta(minutes=15), timedelta(hours=1))
"""The last grade is the window itself."""

_VALIDATION: Final = "operation"
_SEES: Final = frozenset({"camera", "scale"})
"""Sources whose time is the event's own; a person's saying may come later, or before."""


@dataclass(frozen=True, slots=True)
class Event:
    """One physical event, or a part of one. `parts` are observation ids with the share of each, all equal to |qty|."""

    qty: int
    place: int
    at: datetime
    observations: tuple[int, ...]
    operation: str | None
    person: str | None
    seen: bool
    """A camera or a scale timed it."""
    uncertain: bool

    @property
    def order(self) -> tuple[object, ...]:
        """By time and content; ids, which follow the arrival, only between equals."""
        count, known = len(self.observations), (self.operation or "", self.person or "")
        return (self.at, self.qty, self.place, count, known, self.seen, self.observations)


@dataclass(slots=True)
class Lot:
    """A quantity (positive) of one sign, told by `told`, at most one observation per channel."""

    qty: int
    sign: int
    told: tuple[Obs, ...]
    first: datetime
    last: datetime
    channels: frozenset[str]
    place: int
    operation: str | None
    persons: frozenset[str]
    asked: tuple[tuple[int, int], ...] = field(default=())
    """Pairs of observations that are joined in doubt."""
    order: tuple[object, ...] = field(init=False)

    @classmethod
    def of(cls, obs: Obs) -> Lot:
        return cls(
            qty=abs(obs.qty),
            sign=1 if obs.qty > 0 else -1,
            told=(obs,),
            first=obs.at,
            last=obs.at,
            channels=frozenset({obs.channel}),
            place=obs.place,
            operation=obs.operation,
            persons=frozenset({obs.person} if obs.person else ()),
        )

    def __post_init__(self) -> None:
        self.order = (self.first, self.last, tuple(o.order for o in self.told))

    def joined(self, other: Lot, qty: int, asked: tuple[tuple[int, int], ...]) -> Lot:
        return Lot(
            qty=qty,
            sign=self.sign,
            told=tuple(sorted(self.told + other.told, key=lambda o: o.order)),
            first=min(self.first, other.first),
            last=max(self.last, other.last),
            channels=self.channels | other.channels,
            place=self.place or other.place,
            operation=self.operation or other.operation,
            persons=self.persons | other.persons,
            asked=self.asked + other.asked + asked,
        )

    @property
    def doubtful(self) -> bool:
        return all(o.review for o in self.told)

    def event(self, home: int) -> Event:
        ranks = {o.id: 0 if o.source in _SEES else 2 if o.source == _VALIDATION else 1 for o in self.told}
        best = min(ranks.values())
        timed = [o for o in self.told if ranks[o.id] == best]
        return Event(
            qty=self.sign * self.qty,
            place=self.place or home,
            at=min(o.at for o in timed),
            observations=tuple(o.id for o in self.told),
            operation=self.operation,
            person=next((o.person for o in self.told if o.person), None),
            seen=best == 0,
            uncertain=all(o.uncertain for o in timed),
        )


class _Matcher:
    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._apart = {key for key, d in decisions.items() if d.verdict == "refused" and key.startswith("pair:")}

    def join(self, lots: Iterable[Lot], window: timedelta) -> list[Lot]:
        """One range: each lot in time order takes from earlier ones of other channels, the oldest first."""
        waiting: defaultdict[tuple[frozenset[str], int], list[Lot]] = defaultdict(list)
        closed: list[Lot] = []
        for new in sorted(lots, key=lambda lot: lot.order):
            rest = new
            for old in self._candidates(waiting, closed, new, window):
                if not self._compatible(old, rest):
                    continue
                qty = min(old.qty, rest.qty)
                both = old.joined(rest, qty, self._question(old, rest, window))
                insort(waiting[both.channels, both.sign], both, key=lambda lot: lot.order)
                old.qty -= qty
                rest = _less(rest, qty)
                if not rest.qty:
                    break
            if rest.qty:
                insort(waiting[rest.channels, rest.sign], rest, key=lambda lot: lot.order)
        return closed + [lot for group in waiting.values() for lot in group if lot.qty]

    def _candidates(
        self,
        waiting: dict[tuple[frozenset[str], int], list[Lot]],
        closed: list[Lot],
        new: Lot,
        window: timedelta,
    ) -> Iterator[Lot]:
        """Earlier lots of wholly other channels within the window, by time."""
        found: list[Lot] = []
        for (channels, sign), group in waiting.items():
            if sign != new.sign or channels & new.channels:
                continue
            gone = 0
            while gone < len(group) and (not group[gone].qty or new.first - group[gone].last > window):
                if group[gone].qty:
                    closed.append(group[gone])
                gone += 1
            del group[:gone]
            found.extend(lot for lot in group if lot.qty and new.first - lot.last <= window)
        found.sort(key=lambda lot: lot.order)
        yield from found

    def _compatible(self, old: Lot, new: Lot) -> bool:
        if old.channels & new.channels:
            return False
        if old.place and new.place and old.place != new.place:
            return False
        if old.operation and new.operation and old.operation != new.operation:
            return False
        return not (self._apart and any(pair_key(a.id, b.id) in self._apart for a in old.told for b in new.told))

    def _question(self, old: Lot, new: Lot, window: timedelta) -> tuple[tuple[int, int], ...]:
        contradictory = len(old.persons | new.persons) > 1
        if window <= NEAR and not contradictory:
            return ()
        pairs = ((a, b) for a in old.told for b in new.told)
        a, b = min(pairs, key=lambda ab: (abs(ab[0].at - ab[1].at), *sorted((ab[0].order, ab[1].order))))
        decision = self._decisions.get(pair_key(a.id, b.id))
        return () if decision is not None and decision.verdict == "confirmed" else ((a.id, b.id),)

    def join_confirmed(self, lots: list[Lot]) -> list[Lot]:
        """What a person said is one event stays one, whatever arrives later."""
        pairs = [key for key, d in self._decisions.items() if d.verdict == "confirmed" and key.startswith("pair:")]
        for key in sorted(pairs):
            one, other = (int(part) for part in key.split(":")[1:])
            a = next((lot for lot in lots if lot.qty and any(o.id == one for o in lot.told)), None)
            b = next((lot for lot in lots if lot.qty and any(o.id == other for o in lot.told)), None)
            if a is None or b is None or a is b or a.sign != b.sign or a.channels & b.channels:
                continue
            qty = min(a.qty, b.qty)
            lots.append(a.joined(b, qty, ()))
            a.qty -= qty
            b.qty -= qty
        return [lot for lot in lots if lot.qty]

    def ask_lone(self, lots: list[Lot], window: timedelta) -> None:
        """Fewer events could be told from the same sayings: lots of a single channel may belong to a neighbour."""
        told = sorted(((b, lot) for lot in lots for b in lot.told), key=lambda found: found[0].order)
        times = [b.at for b, _ in told]
        for lone in lots:
            if len(lone.channels) > 1:
                continue
            a = lone.told[0]
            near = [
                (abs(b.at - a.at), b.order, b.id)
                for b, lot in told[bisect_left(times, a.at - window) : bisect_right(times, a.at + window)]
                if lot is not lone and lot.sign == lone.sign and self._compatible(Lot.of(b), lone)
            ]
            if near:
                pair = (a.id, min(near)[2])
                decision = self._decisions.get(pair_key(*pair))
                if decision is None or decision.verdict != "confirmed":
                    lone.asked += (pair,)

    def net(self, lots: list[Lot], validations: list[Lot]) -> list[Lot]:
        """Validations against what is charged to their operations; all lots, and what is left of the validations."""
        charged: defaultdict[str, list[Lot]] = defaultdict(list)
        for lot in sorted(lots, key=lambda lot: lot.order):
            if lot.operation and not lot.doubtful:
                charged[lot.operation].append(lot)
        for operation in {v.operation for v in validations if v.operation}:
            of_it = charged[operation]
            room = -sum(lot.sign * lot.qty for lot in of_it)
            takes = [lot for lot in of_it if lot.sign < 0]
            for validation in sorted((v for v in validations if v.operation == operation), key=lambda v: v.order):
                for lot in takes:
                    if validation.sign > 0 or room <= 0 or not validation.qty:
                        break
                    qty = min(lot.qty, validation.qty, room)
                    if not qty or not self._compatible(lot, validation):
                        continue
                    lots.append(lot.joined(validation, qty, ()))
                    lot.qty -= qty
                    validation.qty -= qty
                    room -= qty
        return [lot for lot in lots + validations if lot.qty]


def _less(lot: Lot, qty: int) -> Lot:
    return Lot(
        lot.qty - qty, lot.sign, lot.told, lot.first, lot.last, lot.channels, lot.place, lot.operation, lot.persons,
        lot.asked,
    )  # fmt: skip


def lots_of(moves: Iterable[Obs], decisions: Decisions, window: timedelta) -> list[Lot]:
    """All lots of one item, joined as far as they go, in order."""
    matcher = _Matcher(decisions)
    moves = [obs for obs in moves if obs.qty]
    grades = [grade for grade in GRADES if grade < window]
    lots, validations = _start(moves)
    if len({lot.channels for lot in lots + validations}) == 1:
        return sorted(lots + validations, key=lambda lot: lot.order)
    lots = matcher.join_confirmed(lots)
    for grade in grades:
        if grade <= NEAR:
            lots = matcher.join(lots, grade)
    lots = matcher.net(lots, validations)
    if validations:
        lots = matcher.join_confirmed(lots)
    for grade in (*grades, window):
        lots = matcher.join(lots, grade)
    if _moved(lots) > _moved(_fewest(matcher, moves, window)):
        matcher.ask_lone(lots, window)
    return sorted(lots, key=lambda lot: lot.order)


def _start(moves: list[Obs]) -> tuple[list[Lot], list[Lot]]:
    """Every saying a lot: those matched by time first, and the validations."""
    lots: tuple[list[Lot], list[Lot]] = ([], [])
    for obs in moves:
        lots[obs.source == _VALIDATION and obs.operation is not None].append(Lot.of(obs))
    return lots


def _fewest(matcher: _Matcher, moves: list[Obs], window: timedelta) -> list[Lot]:
    """The oldest first over the whole window makes as few events as can be; the closest first may make more."""
    lots, validations = _start(moves)
    return matcher.join(matcher.net(matcher.join_confirmed(lots), validations), window)


def _moved(lots: list[Lot]) -> int:
    return sum(lot.qty for lot in lots if not lot.doubtful)


def questions_of(lots: Iterable[Lot], home: int) -> list[Question]:
    """Doubts that nothing corroborates, and joins that may be two events."""
    lots = list(lots)
    times = {o.id: o.at for lot in lots for o in lot.told}
    doubts: dict[int, Question] = {}
    pairs: dict[str, Question] = {}
    for lot in lots:
        qty = lot.sign * lot.qty
        place = lot.place or home
        if lot.doubtful:
            obs = lot.told[0]
            known = doubts.get(obs.id)
            qty += known.qty if known else 0
            doubts[obs.id] = Question(doubt_key(obs.id), "doubt", place, obs.at, qty, obs.id)
            continue
        for key, (a, b) in {pair_key(*pair): pair for pair in lot.asked}.items():
            known = pairs.get(key)
            amount = qty + (known.qty if known else 0)
            pairs[key] = Question(key, "pairing", place, min(times[a], times[b]), amount, a, b)
    return [*doubts.values(), *pairs.values()]
