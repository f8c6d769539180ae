"""What of the books a batch can touch, loaded for all its items together: a few statements, however many items.

Spans that lie close together are loaded by one statement over their common span, and cut to each item's own here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import BindParameter, bindparam, case, exists, func, select
from sqlalchemy import Row as SqlRow
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from central.stock.models import NO_PLACE, Level, Link, Movement, Observation, Proposal
from central.stock.rules import Account, Decision, Doubt, Obs, boundaries

_Row: TypeAlias = SqlRow[*tuple[Any, ...]]
_AT_ONCE = 500
"""Most values in one IN list."""
_FAR = 4
"""Windows after which a chain that goes on and on is cut where nothing is joined."""
_ALIKE = timedelta(minutes=1)
"""Spans so close together are loaded by one statement, whatever their length."""
_DECIDED = frozenset({"confirmed", "corrected", "refused", "contested"})

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OF_ITEMS = Observation.item_id.in_(_IDS)
_WITHIN = Observation.at.between(bindparam("low"), bindparam("high"))
_SPOKE = (
    select(Observation.item_id, Observation.place_id, Observation.channel, Observation.nature)
    .where(_OF_ITEMS, _WITHIN)
    .distinct()
)
_OBSERVATIONS = (
    select(
        Observation.item_id, Observation.id, Observation.at, Observation.qty, Observation.channel, Observation.source,
        Observation.nature, Observation.place_id, Observation.operation, Observation.person, Observation.post,
        Observation.review, Observation.count_before, Observation.count_after, Observation.uncertain,
        Observation.reason,
    )
    .where(_OF_ITEMS, _WITHIN)
    .order_by(Observation.item_id, Observation.at, Observation.id)
)  # fmt: skip
_OPERATIONS = (
    select(
        Observation.item_id,
        Observation.operation,
        func.min(Observation.at),
        func.max(Observation.at),
        func.max(case((Observation.source == "operation", 1), else_=0)),
    )
    .where(_OF_ITEMS, Observation.operation.in_(bindparam("operations", expanding=True)))
    .group_by(Observation.item_id, Observation.operation)
)
_PROPOSALS = select(
    Proposal.observation_id, Proposal.id, Proposal.key, Proposal.kind, Proposal.state, Proposal.place_id, Proposal.qty,
    Proposal.decided_qty,
).where(Proposal.item_id.in_(_IDS), Proposal.at.between(bindparam("low"), bindparam("high")))  # fmt: skip
_LINKS = (
    select(Link.observation_id, Link.event, Link.id, Link.qty)
    .join(Observation, Observation.id == Link.observation_id)
    .where(_OF_ITEMS, _WITHIN)
)
_ACCOUNTS = (
    select(Movement.event, Movement.place_id, func.sum(Movement.qty), func.min(Movement.at))
    .where(Movement.event.in_(_IDS))
    .group_by(Movement.event, Movement.place_id)
)
_ANCHOR = aliased(Observation)
_SINCE = (
    select(_ANCHOR.id, Movement.place_id, func.sum(Movement.qty))
    .join(Movement, (Movement.item_id == _ANCHOR.item_id) & (Movement.at >= _ANCHOR.at))
    .where(_ANCHOR.id.in_(_IDS))
    .group_by(_ANCHOR.id, Movement.place_id)
)
"""What moved at each place since the time of an observation."""
_ANSWER = aliased(Proposal)
_ANSWERED = (
    (_ANSWER.item_id == Observation.item_id)
    & (_ANSWER.at == Observation.at)
    & (_ANSWER.observation_id == Observation.id)
)
_TAKEN_AS_COUNT = (
    exists(_ANSWER.id)
    .where(_ANSWERED, _ANSWER.kind == "read", _ANSWER.state.in_(("confirmed", "corrected")))
    .correlate(Observation)
)
_BELIEVED = (
    exists(_ANSWER.id).where(_ANSWERED, _ANSWER.kind == "doubt", _ANSWER.state == "confirmed").correlate(Observation)
)
COUNTS = (Observation.review.is_(False) | _BELIEVED) & (
    (Observation.nature == "count")
    | ((Observation.nature == "move") & (Observation.count_before.is_not(None) | Observation.count_after.is_not(None)))
    | (Observation.nature.in_(("read", "there")) & _TAKEN_AS_COUNT)
)
"""Of an observation: it says what lies there."""
_COUNTED = (
    select(Observation.at)
    .where(
        Observation.item_id == _ANCHOR.item_id,
        Observation.place_id == Level.place_id,
        Observation.at > _ANCHOR.at,
        COUNTS,
    )
    .order_by(Observation.at)
    .limit(1)
    .correlate(_ANCHOR, Level)
    .scalar_subquery()
)
_NEXT_COUNT = (
    select(_ANCHOR.id, Level.place_id, _COUNTED)
    .join(Level, Level.item_id == _ANCHOR.item_id)
    .where(_ANCHOR.id.in_(_IDS), Level.place_id.in_(bindparam("places", expanding=True)))
)
"""The first count at each place after an observation."""
_OPEN_BEFORE = (
    select(_ANCHOR.id, Proposal.place_id, Proposal.at, Proposal.qty)
    .join(Proposal, (Proposal.item_id == _ANCHOR.item_id) & (Proposal.at < _ANCHOR.at))
    .where(
        _ANCHOR.id.in_(_IDS),
        Proposal.kind == "doubt",
        Proposal.state == "open",
        ~exists(
            select(Observation.id)
            .where(
                Observation.item_id == _ANCHOR.item_id,
                Observation.place_id == Proposal.place_id,
                Observation.at > Proposal.at,
                Observation.at < _ANCHOR.at,
                COUNTS,
            )
            .correlate(_ANCHOR, Proposal)
        ),
    )
)
"""Doubts from before an observation that are open, and that no count came after."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """An item's home place and the times of its first and last observation."""

    home: int
    oldest: datetime
    newest: datetime


@dataclass(slots=True)
class Span:
    """What of one item has to be matched anew."""

    item: int
    first: datetime
    last: datetime


@dataclass(slots=True)
class Chain:
    """All that can have to do with a span, with the books about it as they are."""

    item: int
    rows: list[_Row]
    observations: list[Obs] = field(init=False)
    proposals: dict[str, _Row] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)
    """By place: what moved since the chain began."""
    accounts: list[Account] = field(default_factory=list)
    links: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    """(observation, event) → (id, qty)."""
    doubts: list[Doubt] = field(default_factory=list)
    """Open ones from before the chain, that no count came after."""

    def __post_init__(self) -> None:
        self.observations = [Obs(*row[1:]) for row in self.rows]

    @property
    def first(self) -> datetime:
        return self.observations[0].at

    @property
    def last(self) -> datetime:
        return self.observations[-1].at

    @property
    def decisions(self) -> dict[str, Decision]:
        return {p.key: Decision(p.state, p.decided_qty) for p in self.proposals.values() if p.state in _DECIDED}


@dataclass(slots=True)
class _Search:
    """A chain that is being looked for: loaded from `low` to `high`."""

    item: int
    first: datetime
    last: datetime
    low: datetime
    high: datetime
    step: timedelta
    alone: bool | None = None
    """Only cameras or scales spoke around, each at its own places, so that nothing can be joined to anything."""

    @classmethod
    def of(cls, item: int, first: datetime, last: datetime, window: timedelta) -> _Search:
        return cls(item, first, last, first - window, last + window, window)


async def chains(
    session: AsyncSession, spans: Iterable[Span], bounds: dict[int, Bounds], window: timedelta
) -> list[Chain]:
    """The chain around each span, at most one span an item; spans of which nothing is known are left out."""
    found: list[Chain] = []
    looking = [_Search.of(s.item, s.first, s.last, window) for s in spans]
    while looking:
        await _who_spoke(session, [s for s in looking if s.alone is None])
        rows = await _between(
            session, [(s.item, s.first, s.last) if s.alone else (s.item, s.low, s.high) for s in looking]
        )
        cut: list[tuple[_Search, list[_Row]]] = []
        wider: list[_Search] = []
        for search in looking:
            mine = rows.get(search.item, [])
            own = mine if search.alone else await _connected(session, search, mine, bounds[search.item], window)
            if own is None:
                wider.append(search)
            elif own:
                cut.append((search, own))
        looking = wider
        reaches = await _validated(session, cut)
        for search, own in cut:
            first, last = own[0].at, own[-1].at
            low, high = reaches.get(search.item, (first, last))
            if low >= first and high <= last:
                found.append(Chain(search.item, own))
            else:
                looking.append(_Search.of(search.item, min(first, low), max(last, high), window))
    await _load_books(session, found)
    return sorted(found, key=lambda chain: (chain.item, chain.first))


async def later_counts(session: AsyncSession, changed: dict[int, set[int]]) -> list[tuple[int, datetime]]:
    """(observation, time) of the first later count, for each observation and place in `changed`."""
    places = {place for its in changed.values() for place in its}
    found = await _all(session, _NEXT_COUNT, changed, places=sorted(places)) if places else []
    return [(anchor, at) for anchor, place, at in found if at is not None and place in changed[anchor]]


async def _who_spoke(session: AsyncSession, searches: list[_Search]) -> None:
    spoke: defaultdict[int, set[tuple[int, str, str]]] = defaultdict(set)
    for items, low, high in _together([(s.item, s.low, s.high) for s in searches]):
        for item, place, channel, nature in await _all(session, _SPOKE, items, low=low, high=high):
            spoke[item].add((place, channel, nature))
    for search in searches:
        search.alone = _apart(spoke[search.item])


def _apart(spoke: set[tuple[int, str, str]]) -> bool:
    """Whether of these (place, channel, nature) no two can tell of one event: one camera, or each at its own places."""
    if any(nature != "move" or not channel.startswith(("camera:", "scale:")) for _, channel, nature in spoke):
        return False
    channels = {channel for _, channel, _ in spoke}
    places = {place for place, _, _ in spoke}
    return len(channels) == 1 or (NO_PLACE not in places and len(places) == len(spoke))


async def _between(session: AsyncSession, spans: Sequence[tuple[int, datetime, datetime]]) -> dict[int, list[_Row]]:
    own = {item: (low, high) for item, low, high in spans}
    found: dict[int, list[_Row]] = {}
    for items, low, high in _together(spans):
        rows = await _all(session, _OBSERVATIONS, items, low=low, high=high)
        for item, its in groupby(rows, key=itemgetter(0)):
            begin, end = own[item]
            found[item] = [row for row in its if begin <= row[2] <= end]
    return found


async def _connected(
    session: AsyncSession, search: _Search, rows: list[_Row], bounds: Bounds, window: timedelta
) -> list[_Row] | None:
    """Those of `rows` that can have to do with the span, one with the next; None when more must be seen first."""
    low, high, first, last = search.low, search.high, search.first, search.last
    found = boundaries(rows, window)
    # What lies before `low` or after `high` was not seen: only boundaries a window away from there are sure.
    start = next((i for i in reversed(found) if low + window <= rows[i].at <= first), None)
    end = next((i for i in found if rows[i].at > last and high - rows[i - 1].at >= window), None)
    if start is None and bounds.oldest >= low:
        start = 0
    if start is None and first - low > window * _FAR:
        start = await _clean_cut(session, search, rows, first - window * 2)
    if end is None and bounds.newest <= high:
        end = len(rows)
    if start is not None and end is not None:
        return rows[start:end]
    search.low -= search.step if start is None else timedelta(0)
    search.high += search.step if end is None else timedelta(0)
    search.step *= 2
    return None


async def _clean_cut(session: AsyncSession, search: _Search, rows: list[_Row], before: datetime) -> int | None:
    """For an item that never rests: the last place before `before` that no movement's sources straddle.

    Two windows away, nothing that is matched anew can reach over it.
    """
    number = {row.id: i for i, row in enumerate(rows)}
    links = await _all(session, _LINKS, [search.item], low=rows[0].at, high=rows[-1].at)
    reach = list(range(len(rows)))
    first_of: dict[str, int] = {}
    for event, index in sorted((event, number[o]) for o, event, _, _ in links):
        reach[index] = min(reach[index], first_of.setdefault(event, index))
    lowest = len(rows)
    for index in range(len(rows) - 1, 0, -1):
        lowest = min(lowest, reach[index])
        if lowest >= index and rows[index - 1].at < rows[index].at <= before:
            return index
    return None


async def _validated(
    session: AsyncSession, cut: Iterable[tuple[_Search, list[_Row]]]
) -> dict[int, tuple[datetime, datetime]]:
    """By item: from when to when sayings of its operations reach, those operations only that have a validation."""
    named = {s.item: {row.operation for row in rows if row.operation} for s, rows in cut}
    named = {item: operations for item, operations in named.items() if operations}
    every = sorted({operation for operations in named.values() for operation in operations})
    found: dict[int, tuple[datetime, datetime]] = {}
    for index in range(0, len(every), _AT_ONCE):
        part = every[index : index + _AT_ONCE]
        for item, operation, low, high, validated in await _all(session, _OPERATIONS, named, operations=part):
            if validated and operation in named[item]:
                known = found.get(item, (low, high))
                found[item] = (min(low, known[0]), max(high, known[1]))
    return found


async def _load_books(session: AsyncSession, found: list[Chain]) -> None:
    """Proposals, links, accounts and sums of all these chains."""
    of = {o.id: chain for chain in found for o in chain.observations}
    told: defaultdict[str, set[int]] = defaultdict(set)
    for items, low, high in _together([(c.item, c.first, c.last) for c in found]):
        for row in await _all(session, _PROPOSALS, items, low=low, high=high):
            if row.observation_id in of:
                of[row.observation_id].proposals[row.key] = row
        for observation, event, id_, qty in await _all(session, _LINKS, items, low=low, high=high):
            if observation in of:
                of[observation].links[observation, event] = (id_, qty)
                told[event].add(observation)
    for event, place, net, at in await _all(session, _ACCOUNTS, told):
        sources = frozenset(told[event])
        of[min(sources)].accounts.append(Account(event, place, int(net), at, sources))
    first = {chain.observations[0].id: chain for chain in found}
    for anchor, place, qty in await _all(session, _SINCE, first):
        first[anchor].moved[place] = int(qty)
    for anchor, place, at, qty in await _all(session, _OPEN_BEFORE, first):
        first[anchor].doubts.append(Doubt(place, at, qty))


def _together(
    spans: Iterable[tuple[int, datetime, datetime]],
) -> Iterator[tuple[list[int], datetime, datetime]]:
    """Items whose spans are alike, with their common span: never much longer than the shortest of them."""
    group: list[tuple[int, datetime, datetime]] = []
    for span in sorted(spans, key=lambda s: (s[1], s[2], s[0])):
        wider = [*group[-1:], span]
        if group and max(s[2] for s in wider) - group[0][1] > min(s[2] - s[1] for s in wider) * 2 + _ALIKE:
            yield [s[0] for s in group], group[0][1], max(s[2] for s in group)
            group = []
        group.append(span)
    if group:
        yield [s[0] for s in group], group[0][1], max(s[2] for s in group)


async def _all(session: AsyncSession, statement: Any, ids: Iterable[Any], **more: Any) -> list[_Row]:
    """All rows of a statement over ``ids``, a part of them at a time."""
    found: list[_Row] = []
    wanted = sorted(ids)
    for index in range(0, len(wanted), _AT_ONCE):
        found += await session.execute(statement, {"ids": wanted[index : index + _AT_ONCE], **more})
    return found
