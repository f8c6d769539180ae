"""Brings new observations and decisions into the books: loads what they can touch, matches it anew, appends rows.

What one observation can touch is its *chain*: the item's observations between two boundaries (`rules.chains`), with
the chains of the operations that a validation nets. Chains are found by time, so the work does not grow with the
ledger. A change before a later count is explained by that count: its chain is done next. All items of a batch are
done together, in rounds of one chain each, so that the number of statements does not grow with them.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Insert, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from central.core.uow import UnitOfWork
from central.items.models import Item
from central.stock.former import former_questions
from central.stock.loading import Bounds, Chain, Span, chains, later_counts
from central.stock.models import Comment, Level, Link, Movement, Observation, Proposal, Sight
from central.stock.rules import Booking, Outcome, Question, Row, book, match
from central.stock.standing import Changes, pending_of, seen_places, standing_questions

_OBSERVATIONS: Any = Observation.__table__
_MOVEMENTS: Any = Movement.__table__
_LINKS: Any = Link.__table__
_PROPOSALS: Any = Proposal.__table__
_LEVELS: Any = Level.__table__
STANDING = ("ask", "read", "former")
"""Kinds of questions that follow from all that is known of a place, not from one chain."""
_AT_ONCE = 500
"""Most values in one IN list."""

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_KNOWN = select(_OBSERVATIONS.c.key).where(_OBSERVATIONS.c.key.in_(_IDS))
_OLDEST = select(func.min(Observation.at)).where(Observation.item_id == Item.id).correlate(Item).scalar_subquery()
_NEWEST = select(func.max(Observation.at)).where(Observation.item_id == Item.id).correlate(Item).scalar_subquery()
_ITEMS = select(Item.id, Item.code, Item.place_id, _OLDEST, _NEWEST).where(Item.id.in_(_IDS)).order_by(Item.id)
_LEVEL = select(Level.item_id, Level.place_id, Level.qty, Level.pending, Level.since).where(Level.item_id.in_(_IDS))
_UNLINK = delete(_LINKS).where(_LINKS.c.id.in_(_IDS))
_SETTLE = update(_PROPOSALS).where(_PROPOSALS.c.id.in_(_IDS)).values(state="settled")
_REOPEN = (
    update(_PROPOSALS)
    .where(_PROPOSALS.c.id == bindparam("number"))
    .values(
        state="open", qty=bindparam("asked"), place_id=bindparam("there"), decided_at=None, decided_by=None,
        decided_qty=None,
    )
)  # fmt: skip


@dataclass(slots=True)
class Saying:
    """An observation to be recorded, with what hangs on it."""

    row: dict[str, Any]
    comment: str = ""
    sight: dict[str, Any] | None = None
    """What a camera gave with it: columns of `Sight`."""


class Recorded(NamedTuple):
    """New sayings of racks that are not trusted yet, and what of older ones was settled or came back."""

    blank: list[int]
    answered: set[int]
    doubted: set[str]


class Rematched(NamedTuple):
    """Which doubts of cameras other sayings settled (observations), and which came back (keys)."""

    answered: set[int]
    doubted: set[str]


@dataclass(slots=True)
class _Level:
    """A row of the projection."""

    qty: int = 0
    pending: int = 0
    since: datetime | None = None


async def record(uow: UnitOfWork, sayings: Sequence[Saying]) -> Recorded:
    """Keep new observations and book what follows; those already known (by key) change nothing."""
    by_key = {s.row["key"]: s for s in sayings}
    for part in _parts(list(by_key)):
        for key in await uow.session.scalars(_KNOWN, {"ids": part}):
            del by_key[key]
    if not by_key:
        return Recorded([], set(), set())
    # One writer only, so what was just found missing is still missing.
    rows = [s.row for s in by_key.values()]
    statement = insert(_OBSERVATIONS).returning(_OBSERVATIONS.c.id, _OBSERVATIONS.c.key)
    found = await uow.session.execute(statement, rows)
    new = [(by_key[key], id_) for id_, key in found]
    await _keep_beside(uow, new)
    touched: defaultdict[int, list[datetime]] = defaultdict(list)
    for saying, _ in new:
        touched[saying.row["item_id"]].append(saying.row["at"])
    done = await rematch(uow, touched)
    blank = [id_ for saying, id_ in new if saying.sight is not None and saying.sight["blank"]]
    return Recorded(blank, done.answered, done.doubted)


async def _keep_beside(uow: UnitOfWork, new: Iterable[tuple[Saying, int]]) -> None:
    sights = [{"observation_id": i} | s.sight for s, i in new if s.sight is not None]
    comments = [{"observation_id": i, "text": s.comment} for s, i in new if s.comment]
    if sights:
        await uow.session.execute(insert(Sight), sights)
    if comments:
        await uow.session.execute(insert(Comment), comments)


async def rematch(uow: UnitOfWork, touched: Mapping[int, Sequence[datetime]]) -> Rematched:
    """Match anew around these times of each item, and tell the pages."""
    books = _Books(uow)
    codes = await books.open(list(touched))
    todo = {item: deque(_spans(item, touched[item], books.window)) for item in codes}
    while any(todo.values()):
        for span in await books.redo([spans.popleft() for spans in todo.values() if spans]):
            todo[span.item].append(span)
    await books.stand(sorted(codes))
    if books.last:
        item = max(books.last)
        last = books.last[item]
        uow.tell("movement", item=codes[item], qty=last.qty, at=last.at.isoformat(), kind=last.kind)
    uow.tell("stock", items=list(codes.values())[:50])
    return Rematched(books.answered, books.doubted)


def _spans(item: int, times: Sequence[datetime], window: timedelta) -> list[Span]:
    spans: list[Span] = []
    for at in sorted(times):
        if spans and at - spans[-1].last <= window:
            spans[-1].last = at
        else:
            spans.append(Span(item, at, at))
    return spans


class _Books:
    """The books of the items of a batch. `last` is the last row appended, by item."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._session = uow.session
        self._bounds: dict[int, Bounds] = {}
        self._levels: defaultdict[int, dict[int, _Level]] = defaultdict(dict)
        self.window = timedelta(seconds=uow.settings.match_window_s)
        self.last: dict[int, Row] = {}
        self.answered: set[int] = set()
        """Observations whose doubt was settled by what else was said."""
        self.doubted: set[str] = set()
        """Keys of doubts that opened (again)."""

    async def open(self, items: Sequence[int]) -> dict[int, str]:
        """Load what is known of the items as a whole; their codes by id, in the order of ids."""
        codes: dict[int, str] = {}
        for part in _parts(sorted(items)):
            for item, code, home, oldest, newest in await self._session.execute(_ITEMS, {"ids": part}):
                if oldest is not None:
                    codes[item] = code
                    self._bounds[item] = Bounds(home or 0, oldest, newest)
            for item, place, qty, pending, since in await self._session.execute(_LEVEL, {"ids": part}):
                self._levels[item][place] = _Level(qty, pending, since)
        return codes

    async def redo(self, spans: Sequence[Span]) -> list[Span]:
        """Match the chain around each span anew and book it; what later counts have to be looked at again.

        At most one span an item.
        """
        found = await chains(self._session, spans, self._bounds, self.window)
        done: list[tuple[Chain, Outcome, Booking]] = []
        for chain in found:
            outcome = self._match(chain)
            done.append((chain, outcome, book(outcome.events, outcome.adjustments, chain.accounts, self.window)))
        await self._append((chain, booking) for chain, _, booking in done)
        await self._link((chain, booking) for chain, _, booking in done)
        doubted = await self._ask([(chain, outcome.questions) for chain, outcome, _ in done])
        return await self._project([(c, b, p) for (c, _, b), p in zip(done, doubted, strict=True)])

    def _base(self, chain: Chain) -> dict[int, int]:
        """The level of each place just before the chain."""
        levels = self._levels[chain.item]
        return {place: level.qty - chain.moved.get(place, 0) for place, level in levels.items()}

    def _match(self, chain: Chain) -> Outcome:
        levels = self._levels[chain.item]
        return match(
            chain.observations,
            chain.decisions,
            window=self.window,
            same_scan=timedelta(seconds=self._uow.settings.same_scan_s),
            home=self._bounds[chain.item].home,
            base=self._base(chain),
            begun=frozenset(p for p, level in levels.items() if level.since is not None and level.since < chain.first),
            doubts=chain.doubts,
        )

    def _look(self, chain: Chain) -> tuple[Outcome, dict[int, int]]:
        return self._match(chain), self._base(chain)

    async def _append(self, booked: Iterable[tuple[Chain, Booking]]) -> None:
        now = self._uow.now
        rows = []
        for chain, booking in booked:
            for r in booking.rows:
                self.last[chain.item] = r
                rows.append(
                    {
                        "event": r.event,
                        "item_id": chain.item,
                        "place_id": r.place,
                        "qty": r.qty,
                        "at": r.at,
                        "recorded_at": now,
                        "kind": r.kind,
                        "operation": r.operation,
                        "person": r.person,
                        "uncertain": r.uncertain,
                    }
                )
        if rows:
            await self._session.execute(insert(_MOVEMENTS), rows)

    async def _link(self, booked: Iterable[tuple[Chain, Booking]]) -> None:
        stale: list[int] = []
        rows = []
        for chain, booking in booked:
            wanted = booking.links
            # A compensated account keeps its last links: they say what it was about.
            accounts = {event for _, event in wanted}
            stale += [
                id_
                for (observation, event), (id_, qty) in chain.links.items()
                if event in accounts and wanted.get((observation, event)) != qty
            ]
            rows += [
                {"observation_id": observation, "event": event, "qty": qty}
                for (observation, event), qty in wanted.items()
                if chain.links.get((observation, event), (0, None))[1] != qty
            ]
        for part in _parts(stale):
            await self._session.execute(_UNLINK, {"ids": part})
        if rows:
            await self._session.execute(insert(_LINKS), rows)

    async def _ask(self, asked: Sequence[tuple[Chain, Sequence[Question]]]) -> list[set[int]]:
        """Open, reopen and settle proposals; for each chain the places of its doubts, open or settled now."""
        changes: list[set[int]] = []
        settled: list[int] = []
        reopened: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for chain, questions in asked:
            doubted: set[int] = set()
            keys = {q.key for q in questions}
            for proposal in chain.proposals.values():
                if proposal.state != "open" or proposal.kind in STANDING:
                    continue
                if proposal.kind == "doubt":
                    doubted.add(proposal.place_id)
                if proposal.key not in keys:
                    settled.append(proposal.id)
                    if proposal.kind == "doubt":
                        self.answered.add(proposal.observation_id)
            for q in questions:
                if q.kind == "doubt":
                    doubted.add(q.place)
                known = chain.proposals.get(q.key)
                if known is not None and known.state == "settled" and q.kind == "doubt":
                    self.doubted.add(q.key)
                if known is None:
                    rows.append(self._proposal(chain.item, q))
                elif (known.state, known.qty, known.place_id) != ("open", q.qty, q.place):
                    reopened.append({"number": known.id, "asked": q.qty, "there": q.place})
            changes.append(doubted)
        for part in _parts(settled):
            await self._session.execute(_SETTLE, {"ids": part})
        if reopened:
            # On the connection: the ORM would take several sets of parameters for an update by primary key.
            await (await self._session.connection()).execute(_REOPEN, reopened)
        if rows:
            await self._session.execute(insert(_PROPOSALS), rows)
        return changes

    async def stand(self, items: Sequence[int]) -> None:
        """Open, reopen and settle what cameras ask of places, now that the books are up to date."""
        seen, booked = await seen_places(self._session, items)
        await self._change(await standing_questions(self._session, seen, self._bounds, self.window, self._look))
        await self._change(await former_questions(self._session, booked))
        await self._await(items)

    async def _change(self, changes: Iterable[tuple[int, Changes]]) -> None:
        rows: list[dict[str, Any]] = []
        reopened: list[dict[str, Any]] = []
        for item, standing in changes:
            rows += [self._proposal(item, q) for q in standing.new]
            reopened += [{"number": n, "asked": q.qty, "there": q.place} for n, q in standing.again]
            for part in _parts(standing.settled):
                await self._session.execute(_SETTLE, {"ids": part})
        if reopened:
            await (await self._session.connection()).execute(_REOPEN, reopened)
        if rows:
            await self._session.execute(insert(_PROPOSALS), rows)

    async def _await(self, items: Sequence[int]) -> None:
        """Bring up to date what is pending at each place."""
        pending: dict[tuple[int, int], int] = {}
        for part in _parts(items):
            pending |= await pending_of(self._session, part)
        changed: set[tuple[int, int]] = set()
        for item in items:
            levels = self._levels[item]
            for place in levels.keys() | {p for i, p in pending if i == item}:
                level = levels.setdefault(place, _Level())
                if level.pending != pending.get((item, place), 0):
                    level.pending = pending.get((item, place), 0)
                    changed.add((item, place))
        await self._write(changed)

    async def _write(self, places: Iterable[tuple[int, int]]) -> None:
        rows = []
        for item, place in sorted(places):
            level = self._levels[item][place]
            rows.append(
                {"item_id": item, "place_id": place, "qty": level.qty, "pending": level.pending, "since": level.since}
            )
        if rows:
            await self._session.execute(_put_level(self._session.get_bind().dialect.name), rows)

    def _proposal(self, item: int, q: Question) -> dict[str, Any]:
        return {
            "key": q.key,
            "kind": q.kind,
            "state": "open",
            "item_id": item,
            "place_id": q.place,
            "at": q.at,
            "qty": q.qty,
            "observation_id": q.observation,
            "other_id": q.other,
            "created_at": self._uow.now,
            "undone": 0,
        }

    async def _project(self, booked: Sequence[tuple[Chain, Booking, set[int]]]) -> list[Span]:
        """Bring the levels up to date; the next later count of each place whose level changed."""
        written: set[tuple[int, int]] = set()
        changed: dict[int, set[int]] = {}
        item_of: dict[int, int] = {}
        for chain, booking, doubted in booked:
            change: defaultdict[int, int] = defaultdict(int)
            since: dict[int, datetime] = {}
            for row in booking.rows:
                change[row.place] += row.qty
                since[row.place] = min(row.at, since.get(row.place, row.at))
            for o in chain.observations:
                if o.place:
                    since[o.place] = min(o.at, since.get(o.place, o.at))
            for place in {*change, *since}:
                level = self._levels[chain.item].setdefault(place, _Level())
                before = (level.qty, level.since)
                level.qty += change[place]
                begun = since.get(place)
                if begun is not None and (level.since is None or begun < level.since):
                    level.since = begun
                if (level.qty, level.since) != before:
                    written.add((chain.item, place))
            places = {place for place, qty in change.items() if qty}
            # What a doubt explained, or explains no more, is asked at the count after it.
            places |= {p.place_id for p in chain.proposals.values() if p.kind == "doubt"} | doubted
            places |= {d.place for d in chain.doubts}
            if places and self._bounds[chain.item].newest > chain.last:
                anchor = chain.observations[-1].id
                changed[anchor], item_of[anchor] = places, chain.item
        await self._write(written)
        return [Span(item_of[anchor], at, at) for anchor, at in await later_counts(self._session, changed)]


@cache
def _put_level(dialect: str) -> Insert:
    module = postgresql if dialect == "postgresql" else sqlite
    statement = module.insert(_LEVELS)
    new = statement.excluded
    return statement.on_conflict_do_update(  # type: ignore[no-any-return]  # two dialects' Insert
        index_elements=["item_id", "place_id"], set_={"qty": new.qty, "pending": new.pending, "since": new.since}
    )


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[index : index + _AT_ONCE] for index in range(0, len(values), _AT_ONCE)]


async def rebuild_levels(uow: UnitOfWork) -> None:
    """The projection once more, from the ledger and the open doubts."""
    await uow.session.execute(update(Level).values(qty=0, pending=0))
    sums = await uow.session.execute(
        select(Movement.item_id, Movement.place_id, func.sum(Movement.qty), func.min(Movement.at)).group_by(
            Movement.item_id, Movement.place_id
        )
    )
    doubts = await pending_of(uow.session)
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
    for (item, place), qty in doubts.items():
        of(item, place).pending = qty
    await uow.session.flush()


__all__ = ["Outcome", "Saying", "rebuild_levels", "record", "rematch"]
