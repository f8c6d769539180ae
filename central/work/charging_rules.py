"""Who stood at a rack, and what a pick there was for. Pure; in event time, whatever arrived first.

A wrong charge is worse than none: a badge covers what clearly is its holder's and no more, an operation is charged only
with what its plan holds or cannot tell, and without a badge only where one operation alone was running. Else nobody
guesses.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

CLOSES: Final = 3
"""Times the quiet after a badge in which its next reading is the end of the session, not another beginning."""


class Badge(NamedTuple):
    at: datetime
    person: str | None
    """None: a badge that nobody holds (yet)."""
    badge: str


class Run(NamedTuple):
    """Somebody worked on an operation in [begin, end)."""

    begin: datetime
    end: datetime | None
    person: str
    operation: str


class Verdict(NamedTuple):
    person: str | None
    operation: str | None
    how: str
    likely: tuple[str, ...]


class Sessions:
    """The badge sessions of one rack: what clearly belongs to whom, and no more. `picks`: times of picks there.

    A badge covers the first pick within `quiet` after it, and those that follow each other within `chain`; nothing
    after its own second reading. What may be another's renews nothing. While two persons' sessions overlap, nobody is
    known to be there.
    """

    def __init__(
        self,
        badges: Iterable[Badge],
        picks: Iterable[datetime],
        *,
        quiet: timedelta,
        chain: timedelta,
        same_scan: timedelta,
    ) -> None:
        self._picks = sorted(set(picks))
        self._quiet, self._chain = quiet, chain
        self._owners: dict[datetime, set[Badge]] = defaultdict(set)
        self._present: dict[datetime, set[str]] = defaultdict(set)
        of: defaultdict[str, list[Badge]] = defaultdict(list)
        for badge in _distinct(sorted(badges, key=lambda b: (b.at, b.badge)), same_scan):
            of[badge.badge].append(badge)
        for readings in of.values():
            for opening, closing in _pairs(readings, quiet * CLOSES):
                self._cover(opening, closing)

    def at(self, moment: datetime) -> tuple[bool, str | None]:
        """Whether somebody was there by badge, and who, if it is sure. Of times of picks only."""
        owners = self._owners.get(moment, set())
        if len(self._present.get(moment, ())) > 1:
            return True, None
        if not owners:
            return False, None
        return True, max(owners, key=lambda b: b.at).person

    def _cover(self, opening: Badge, closing: datetime | None) -> None:
        """Mark the picks that are this session's, and those at which its person may still have been there."""
        last = opening.at + self._quiet
        end = last if closing is None else closing
        after = bisect_left(self._picks, opening.at)
        covered: datetime | None = None
        for moment in self._picks[after:]:
            if moment > (end if covered is None else max(end, covered + self._chain)):
                break
            if closing is not None and moment > closing:
                break
            self._present[moment].add(opening.badge)
            if (covered is None and moment <= last) or (covered is not None and moment - covered <= self._chain):
                covered = moment
                self._owners[moment].add(opening)


def _pairs(readings: Sequence[Badge], longest: timedelta) -> list[tuple[Badge, datetime | None]]:
    """Openings of one badge, each with the reading that closes it, if there is one within `longest`."""
    found: list[tuple[Badge, datetime | None]] = []
    index = 0
    while index < len(readings):
        closes = index + 1 < len(readings) and readings[index + 1].at - readings[index].at <= longest
        found.append((readings[index], readings[index + 1].at if closes else None))
        index += 2 if closes else 1
    return found


def _distinct(badges: Sequence[Badge], same_scan: timedelta) -> list[Badge]:
    """A badge read twice within a moment is one reading."""
    kept: list[Badge] = []
    last: dict[str, datetime] = {}
    for badge in badges:
        if badge.badge not in last or badge.at - last[badge.badge] > same_scan:
            kept.append(badge)
        last[badge.badge] = badge.at
    return kept


def running_at(runs: Iterable[Run], moment: datetime) -> list[Run]:
    return [r for r in runs if r.begin <= moment and (r.end is None or moment < r.end)]


def judge(
    moment: datetime,
    item: str,
    *,
    badged: bool,
    person: str | None,
    runs: Iterable[Run],
    planned: Mapping[str, Collection[str]],
    complete: bool = False,
) -> Verdict:
    """Whose pick it was, and for what.

    badged:    somebody was there by badge; `person` may be unknown all the same.
    planned:   operation → item codes, upper case; an operation without any has no plan.
    complete:  plans hold all that is taken: of several running operations the only one that plans the item is it.
    """
    present = running_at(runs, moment)
    running = sorted({r.operation for r in present})
    own = sorted({r.operation for r in present if r.person == person}) if person is not None else running
    plan = [operation for operation in own if item.upper() in planned.get(operation, ())]
    unplanned = [operation for operation in own if not planned.get(operation)]
    if person is not None:
        # Their only operation, unless its plan says otherwise; of several, the only one that can have been it.
        can = plan + unplanned
        if len(can) == 1 and (plan or len(own) == 1):
            return Verdict(person, can[0], "badge", ())
        return Verdict(person, None, "none", tuple(own))
    if not badged and len(plan) == 1 and not unplanned and (complete or len(own) == 1):
        return Verdict(None, plan[0], "planned", ())
    return Verdict(None, None, "none", tuple(plan + unplanned) or tuple(running))
