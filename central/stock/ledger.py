"""Brings new observations and decisions into the books: loads what they can touch, matches it anew, appends rows.

What one observation can touch is its *chain*: the item's observations between two boundaries (`rules.chains`), with
the chains of the operations that a validation nets. Chains are found by time, so the work does not grow with the
ledger. A change before a later count is explained by that count: its chain is done next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy import Row as SqlRow

from central.core.uow import UnitOfWork
from central.items.models import Item
from central.stock.models import Comment, Evidence, Level, Link, Movement, Observation, Proposal
from central.stock.rules import Account, Booking, Decision, Obs, Outcome, Question, book, boundaries, match

_COLUMNS = (
    Observation.id, Observation.at, Observation.qty, Observation.channel, Observation.source, Observation.nature,
    Observation.place_id, Observation.operation, Observation.person, Observation.post, Observation.review,
    Observation.count_before, Observation.count_after, Observation.uncertain,
)  # fmt: skip
_DECIDED = frozenset({"confirmed", "corrected", "refused"})
_OBSERVATIONS: Any = Observation.__table__
_MOVEMENTS: Any = Movement.__table__
_LINKS: Any = Link.__table__


@dataclass(slots=True)
class Saying:
    """An observation to be recorded, with what hangs on it."""

    row: dict[str, Any]
    before: bytes | None = None
    after: bytes | None = None
    comment: str = ""


@dataclass(slots=True)
class _Touched:
    """What of one item has to be matched anew."""

    first: datetime
    last: datetime


@dataclass(slots=True)
class _Chain:
    first: datetime
    last: datetime
    observations: list[Obs]
    proposals: dict[str, Proposal] = field(default_factory=dict)


async def record(uow: UnitOfWork, sayings: Sequence[Saying]) -> list[int]:
    """Keep new observations and book what follows; those already known (by key) change nothing. The new ones' ids."""
    by_key = {s.row["key"]: s for s in sayings}
    known = await uow.session.scalars(select(Observation.key).where(Observation.key.in_(by_key)))
    for key in known:
        del by_key[key]
    if not by_key:
        return []
    # One writer only, so what was just found missing is still missing.
    rows = [s.row for s in by_key.values()]
    found = await uow.session.execute(insert(_OBSERVATIONS).returning(_OBSERVATIONS.c.id, _OBSERVATIONS.c.key), rows)
    new = [(by_key[key], id_) for id_, key in found]
    await _keep_beside(uow, new)
    touched: defaultdict[int, list[datetime]] = defaultdict(list)
    for saying, _ in new:
        touched[saying.row["item_id"]].append(saying.row["at"])
    await rematch(uow, touched)
    return [id_ for _, id_ in new]


async def _keep_beside(uow: UnitOfWork, new: Iterable[tuple[Saying, int]]) -> None:
    pictures = [{"observation_id": i, "before": s.before, "after": s.after} for s, i in new if s.before or s.after]
    comments = [{"observation_id": i, "text": s.comment} for s, i in new if s.comment]
    if pictures:
        await uow.session.execute(insert(Evidence), pictures)
    if comments:
        await uow.session.execute(insert(Comment), comments)


async def rematch(uow: UnitOfWork, touched: Mapping[int, Sequence[datetime]]) -> None:
    """Match anew around these times of each item, and tell the pages."""
    homes = await uow.session.execute(select(Item.id, Item.code, Item.place_id).where(Item.id.in_(touched)))
    told: list[str] = []
    for item, code, home in sorted(homes, key=lambda row: row[0]):
        told.append(code)
        books = _Books(uow, item, home or 0)
        todo = _spans(touched[item], books.window)
        while todo:
            todo += await books.redo(todo.pop(0))
        if books.last is not None:
            uow.tell("movement", item=code, qty=books.last.qty, at=books.last.at.isoformat(), kind=books.last.kind)
    uow.tell("stock", items=told[:50])


def _spans(times: Sequence[datetime], window: timedelta) -> list[_Touched]:
    spans: list[_Touched] = []
    for at in sorted(times):
        if spans and at - spans[-1].last <= window:
            spans[-1].last = at
        else:
            spans.append(_Touched(at, at))
    return spans


class _Books:
    """The books of one item."""

    def __init__(self, uow: UnitOfWork, item: int, home: int) -> None:
        self._uow = uow
        self._session = uow.session
        self._item = item
        self._home = home
        self.window = timedelta(seconds=uow.settings.match_window_s)
        self.last: Any = None

    async def redo(self, span: _Touched) -> list[_Touched]:
        """Match the chain around `span` anew and book it; what later counts have to be looked at again."""
        chain = await self._chain(span)
        if not chain.observations:
            return []
        levels = {level.place_id: level for level in await self._levels()}
        base, begun = await self._before(chain, levels)
        outcome = match(
            chain.observations,
            _decisions(chain.proposals.values()),
            window=self.window,
            same_scan=timedelta(seconds=self._uow.settings.same_scan_s),
            home=self._home,
            base=base,
            begun=begun,
        )
        accounts, links = await self._accounts(chain)
        booking = book(outcome.events, outcome.adjustments, accounts, self.window)
        await self._append(booking)
        await self._link(booking.links, links)
        pending = await self._ask(outcome.questions, chain)
        return await self._project(booking, pending, chain, levels)

    # Loading

    async def _chain(self, span: _Touched) -> _Chain:
        first, last = span.first, span.last
        while True:
            rows = await self._connected(first, last)
            if not rows:
                return _Chain(first, last, [])
            operations = {row.operation for row in rows if row.operation}
            wider = await self._validated(operations) if operations else None
            first, last = rows[0].at, rows[-1].at
            if wider is None or (wider[0] >= first and wider[1] <= last):
                break
            first, last = min(first, wider[0]), max(last, wider[1])
        proposals = await self._session.scalars(
            select(Proposal).where(Proposal.item_id == self._item, Proposal.at.between(first, last))
        )
        return _Chain(first, last, [_obs(row) for row in rows], {p.key: p for p in proposals})

    async def _connected(self, first: datetime, last: datetime) -> list[SqlRow[Any]]:
        """Observations from `first` to `last` and all that can have to do with them, one with the next."""
        if await self._one_camera(first - self.window, last + self.window):
            return await self._between(first, last)
        low, high = first - self.window, last + self.window
        step = self.window
        while True:
            rows = await self._between(low, high)
            # What lies before `low` or after `high` was not seen: only boundaries a window away from there are sure.
            starts = [i for i in boundaries(rows, self.window) if rows[i].at - low >= self.window]
            start = next((i for i in reversed(starts) if rows[i].at <= first), None)
            ends = [i for i in boundaries(rows, self.window) if high - rows[i - 1].at >= self.window]
            end = next((i for i in ends if rows[i].at > last), None)
            if start is None and not await self._any(Observation.at < low):
                start = 0
            if end is None and not await self._any(Observation.at > high):
                end = len(rows)
            if start is not None and end is not None:
                return rows[start:end]
            low -= step if start is None else timedelta(0)
            high += step if end is None else timedelta(0)
            step *= 2

    async def _one_camera(self, low: datetime, high: datetime) -> bool:
        """Whether a single camera or scale spoke, so that nothing can be joined to anything."""
        found = await self._session.execute(
            select(Observation.channel, Observation.nature)
            .where(Observation.item_id == self._item, Observation.at.between(low, high))
            .distinct()
        )
        spoke = list(found)
        return len(spoke) == 1 and spoke[0].nature == "move" and spoke[0].channel.startswith(("camera:", "scale:"))

    async def _any(self, condition: ColumnElement[bool]) -> bool:
        found = await self._session.scalar(
            select(Observation.id).where(Observation.item_id == self._item, condition).limit(1)
        )
        return found is not None

    async def _between(self, low: datetime, high: datetime) -> list[SqlRow[Any]]:
        statement = select(*_COLUMNS).where(Observation.item_id == self._item, Observation.at.between(low, high))
        return list(await self._session.execute(statement.order_by(Observation.at, Observation.id)))

    async def _validated(self, operations: set[str]) -> tuple[datetime, datetime] | None:
        """From when to when sayings of these operations reach, those operations only that have a validation."""
        of_item = Observation.item_id == self._item
        validated = (
            select(Observation.operation)
            .where(of_item, Observation.operation.in_(operations), Observation.source == "operation")
            .scalar_subquery()
        )
        reach = await self._session.execute(
            select(func.min(Observation.at), func.max(Observation.at)).where(
                of_item, Observation.operation.in_(validated)
            )
        )
        low, high = reach.one()
        found: tuple[datetime | None, datetime | None] = (low, high)
        return None if found[0] is None or found[1] is None else (found[0], found[1])

    async def _levels(self) -> list[Level]:
        return list(await self._session.scalars(select(Level).where(Level.item_id == self._item)))

    async def _before(self, chain: _Chain, levels: dict[int, Level]) -> tuple[dict[int, int], frozenset[int]]:
        """Level of each place just before the chain, and the places known then."""
        since = await self._session.execute(
            select(Movement.place_id, func.sum(Movement.qty))
            .where(Movement.item_id == self._item, Movement.at >= chain.first)
            .group_by(Movement.place_id)
        )
        moved = {place: int(qty) for place, qty in since}
        base = {place: level.qty - moved.get(place, 0) for place, level in levels.items()}
        begun = frozenset(p for p, level in levels.items() if level.since is not None and level.since < chain.first)
        return base, begun

    async def _accounts(self, chain: _Chain) -> tuple[list[Account], dict[tuple[int, str], tuple[int, int]]]:
        """The accounts of the chain's observations, and their links: (observation, event) → (id, qty)."""
        found = await self._session.execute(
            select(Link.id, Link.observation_id, Link.event, Link.qty)
            .join(Observation, Observation.id == Link.observation_id)
            .where(Observation.item_id == self._item, Observation.at.between(chain.first, chain.last))
        )
        links = {(observation, event): (id_, qty) for id_, observation, event, qty in found}
        told: defaultdict[str, set[int]] = defaultdict(set)
        for observation, event in links:
            told[event].add(observation)
        if not told:
            return [], links
        events = (
            select(Link.event)
            .join(Observation, Observation.id == Link.observation_id)
            .where(Observation.item_id == self._item, Observation.at.between(chain.first, chain.last))
        )
        sums = await self._session.execute(
            select(Movement.event, Movement.place_id, func.sum(Movement.qty), func.min(Movement.at))
            .where(Movement.event.in_(events))
            .group_by(Movement.event, Movement.place_id)
        )
        return [Account(event, place, int(net), at, frozenset(told[event])) for event, place, net, at in sums], links

    # Writing

    async def _append(self, booking: Booking) -> None:
        rows = [
            {
                "event": r.event,
                "item_id": self._item,
                "place_id": r.place,
                "qty": r.qty,
                "at": r.at,
                "recorded_at": self._uow.now,
                "kind": r.kind,
                "operation": r.operation,
                "person": r.person,
                "uncertain": r.uncertain,
            }
            for r in booking.rows
        ]
        if rows:
            await self._session.execute(insert(_MOVEMENTS), rows)
            self.last = booking.rows[-1]

    async def _link(self, wanted: dict[tuple[int, str], int], there: dict[tuple[int, str], tuple[int, int]]) -> None:
        # A compensated account keeps its last links: they say what it was about.
        accounts = {event for _, event in wanted}
        stale = [
            id_
            for (observation, event), (id_, qty) in there.items()
            if event in accounts and wanted.get((observation, event)) != qty
        ]
        if stale:
            await self._session.execute(delete(Link).where(Link.id.in_(stale)))
        rows = [
            {"observation_id": observation, "event": event, "qty": qty}
            for (observation, event), qty in wanted.items()
            if there.get((observation, event), (0, None))[1] != qty
        ]
        if rows:
            await self._session.execute(insert(_LINKS), rows)

    async def _ask(self, questions: Sequence[Question], chain: _Chain) -> dict[int, int]:
        """Open, reopen and settle proposals; the change of what is pending, by place."""
        pending: defaultdict[int, int] = defaultdict(int)
        asked = {q.key for q in questions}
        for proposal in chain.proposals.values():
            if proposal.state != "open":
                continue
            if proposal.kind == "doubt":
                pending[proposal.place_id] -= proposal.qty
            if proposal.key not in asked:
                proposal.state = "settled"
        rows = []
        for q in questions:
            if q.kind == "doubt":
                pending[q.place] += q.qty
            known = chain.proposals.get(q.key)
            if known is not None:
                known.state, known.qty, known.place_id = "open", q.qty, q.place
                known.decided_at = known.decided_by = known.decided_qty = None
                continue
            rows.append(
                {
                    "key": q.key,
                    "kind": q.kind,
                    "state": "open",
                    "item_id": self._item,
                    "place_id": q.place,
                    "at": q.at,
                    "qty": q.qty,
                    "observation_id": q.observation,
                    "other_id": q.other,
                    "created_at": self._uow.now,
                    "undone": 0,
                }
            )
        if rows:
            await self._session.execute(insert(Proposal), rows)
        await self._session.flush()
        return pending

    async def _project(
        self, booking: Booking, pending: dict[int, int], chain: _Chain, levels: dict[int, Level]
    ) -> list[_Touched]:
        """Bring the levels up to date; the next later count of each place whose level changed."""
        change: defaultdict[int, int] = defaultdict(int)
        since: dict[int, datetime] = {}
        for row in booking.rows:
            change[row.place] += row.qty
            since[row.place] = min(row.at, since.get(row.place, row.at))
        for o in chain.observations:
            if o.place:
                since[o.place] = min(o.at, since.get(o.place, o.at))
        for place in {*change, *pending, *since}:
            level = levels.get(place)
            if level is None:
                level = Level(item_id=self._item, place_id=place, qty=0, pending=0, since=None)
                self._session.add(level)
            level.qty += change[place]
            level.pending += pending.get(place, 0)
            begun = since.get(place)
            if begun is not None and (level.since is None or begun < level.since):
                level.since = begun
        await self._session.flush()
        return [at for place, qty in change.items() if qty and (at := await self._next_count(place, chain.last))]

    async def _next_count(self, place: int, after: datetime) -> _Touched | None:
        at = await self._session.scalar(
            select(Observation.at)
            .where(
                Observation.item_id == self._item,
                Observation.place_id == place,
                Observation.at > after,
                Observation.review.is_(False),
                or_(
                    Observation.nature == "count",
                    Observation.count_before.is_not(None),
                    Observation.count_after.is_not(None),
                ),
            )
            .order_by(Observation.at)
            .limit(1)
        )
        return None if at is None else _Touched(at, at)


def _obs(row: SqlRow[Any]) -> Obs:
    return Obs(
        row.id, row.at, row.qty, row.channel, row.source, row.nature, row.place_id, row.operation, row.person,
        row.post, row.review, row.count_before, row.count_after, row.uncertain,
    )  # fmt: skip


def _decisions(proposals: Iterable[Proposal]) -> dict[str, Decision]:
    return {p.key: Decision(p.state, p.decided_qty) for p in proposals if p.state in _DECIDED}  # type: ignore[arg-type]  # the three states are the three verdicts


async def rebuild_levels(uow: UnitOfWork) -> None:
    """The projection once more, from the ledger and the open doubts."""
    await uow.session.execute(update(Level).values(qty=0, pending=0))
    sums = await uow.session.execute(
        select(Movement.item_id, Movement.place_id, func.sum(Movement.qty), func.min(Movement.at)).group_by(
            Movement.item_id, Movement.place_id
        )
    )
    doubts = await uow.session.execute(
        select(Proposal.item_id, Proposal.place_id, func.sum(Proposal.qty))
        .where(Proposal.state == "open", Proposal.kind == "doubt")
        .group_by(Proposal.item_id, Proposal.place_id)
    )
    levels = {
        (x.item_id, x.place_id): x
        for x in await uow.session.scalars(select(Level).execution_options(populate_existing=True))
    }

    def of(item: int, place: int) -> Level:
        if (item, place) not in levels:
            levels[item, place] = Level(item_id=item, place_id=place, qty=0, pending=0, since=None)
            uow.session.add(levels[item, place])
        return levels[item, place]

    for item, place, qty, since in sums:
        level = of(item, place)
        level.qty = int(qty)
        level.since = min(level.since or since, since)
    for item, place, qty in doubts:
        of(item, place).pending = int(qty)
    await uow.session.flush()


__all__ = ["Outcome", "Saying", "rebuild_levels", "record", "rematch"]
