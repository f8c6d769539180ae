"""Who stood at a rack, and what a pick there was for. Pure; in event time, whatever arrived first.

A badge opens a session at the rack. It ends with the next badge, with its own second reading, or when nothing happened
there for a while. The operation is the person's running one, if there is exactly one; without a person, the only
running one that plans the item; else nobody guesses.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple


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
    """The badge sessions of one rack. `signs`: times at which something happened there."""

    def __init__(
        self, badges: Iterable[Badge], signs: Iterable[datetime], quiet: timedelta, same_scan: timedelta
    ) -> None:
        self._badges = _distinct(sorted(badges, key=lambda b: (b.at, b.badge)), same_scan)
        self._signs = sorted(signs)
        self._quiet = quiet

    def at(self, moment: datetime) -> tuple[bool, str | None]:
        """Whether a session was open, and whose."""
        index = bisect_right(self._badges, moment, key=lambda b: b.at) - 1
        if index < 0:
            return False, None
        opening = self._opening(index)
        if opening is None or not self._lasts(opening.at, moment):
            return False, None
        return True, opening.person

    def _opening(self, index: int) -> Badge | None:
        """The badge whose session reading number `index` begins; None when that reading closes one."""
        badge = self._badges[index]
        before = index - 1
        same = 0
        while (
            before >= 0 and self._badges[before].badge == badge.badge and self._lasts(self._badges[before].at, badge.at)
        ):
            same += 1
            before -= 1
        return None if same % 2 else badge

    def _lasts(self, since: datetime, moment: datetime) -> bool:
        """Whether nothing was quiet for too long from `since` to `moment`."""
        last = since
        for sign in self._signs[bisect_right(self._signs, since) :]:
            if sign >= moment:
                break
            if sign - last > self._quiet:
                return False
            last = sign
        return moment - last <= self._quiet


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
) -> Verdict:
    """Whose pick it was, and for what.

    badged:   somebody was there by badge; `person` may be unknown all the same.
    planned:  operation → item codes, upper case.
    """
    present = running_at(runs, moment)
    own = sorted({r.operation for r in present if r.person == person}) if person is not None else []
    plan = sorted({r.operation for r in present if item.upper() in planned.get(r.operation, ())})
    if person is not None:
        if len(own) == 1:
            return Verdict(person, own[0], "badge", ())
        both = [operation for operation in own if operation in plan]
        if len(both) == 1:
            return Verdict(person, both[0], "badge", ())
        return Verdict(person, None, "none", tuple(own))
    if not badged and len(plan) == 1:
        return Verdict(None, plan[0], "planned", ())
    return Verdict(None, None, "none", tuple(plan) or tuple(sorted({r.operation for r in present})))
