"""What each line of the retention table does to the tables, some rows at a time: the writer waits for none of it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeAlias, cast

from sqlalchemy import CursorResult, Select, delete, exists, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.inbox.models import FactStream, StoredFact
from central.machines.models import MachineSignal, SampleBlock, SampleRollup
from central.machines.rules import MINUTE_S
from central.people.account_models import SignIn
from central.people.models import BadgeScan, Person
from central.privacy import persons
from central.stock.models import Charge, Comment, Movement, Observation, Proposal
from central.work.models import ClockingEvent, ClockingInterval, Conflict, PartsAssigned, WorkComment

MOST: Final = 20_000
"""Rows of one statement in one turn."""
UNLINKED: Final = "x-"
"""Begins the ids of persons whose link was cut."""

Forget: TypeAlias = Callable[[UnitOfWork, datetime], Awaitable[int]]
"""Forget what is older; how many rows. `MOST` or more: there may be more."""


async def facts(uow: UnitOfWork, before: datetime) -> int:
    """Only below their stream's mark, which is what dedupes then; never the newest, from which ids go on."""
    f = StoredFact
    old = (
        select(f.id)
        .join(FactStream, FactStream.id == f.stream_id)
        .where(f.received_at < before, f.at < before, f.seq <= FactStream.upto, f.state == "accepted")
        .where(f.id < select(func.max(f.id)).scalar_subquery())
        .limit(MOST)
    )
    return await _delete(uow, f.id, old)


async def stock_persons(uow: UnitOfWork, before: datetime) -> int:
    o, m, c, p = Observation, Movement, Charge, Proposal
    gone = await _cut(uow, m.id, select(m.id).where(m.at < before, m.person.is_not(None)), person=None)
    gone += await _cut(uow, o.id, select(o.id).where(o.at < before, o.person.is_not(None)), person=None)
    charges = (
        select(c.observation_id)
        .join(o, o.id == c.observation_id)
        .where(o.at < before, or_(c.person.is_not(None), c.by.is_not(None)))
    )
    gone += await _cut(uow, c.observation_id, charges, person=None, by=None)
    decided = select(p.id).where(p.decided_at < before, p.decided_by.is_not(None))
    return gone + await _cut(uow, p.id, decided, decided_by=None)


async def badges(uow: UnitOfWork, before: datetime) -> int:
    b = BadgeScan
    return await _delete(uow, b.fact_id, select(b.fact_id).where(b.at < before).limit(MOST))


async def sign_ins(uow: UnitOfWork, before: datetime) -> int:
    s = SignIn
    return await _delete(uow, s.id, select(s.id).where(s.at < before).limit(MOST))


async def clockings(uow: UnitOfWork, before: datetime) -> int:
    """Under an id drawn now and kept nowhere: durations still add up, and nobody knows whose."""
    e, i, k, a = ClockingEvent, ClockingInterval, Conflict, PartsAssigned
    named = e.person.is_not(None) & ~e.person.startswith(UNLINKED)
    persons = set(await uow.session.scalars(select(e.person).where(e.at < before, named).distinct()))
    finished = (i.end < before, ~i.person.startswith(UNLINKED))
    persons |= set(await uow.session.scalars(select(i.person).where(*finished).distinct()))
    gone = 0
    for person in sorted(p for p in persons if p is not None):
        drawn = f"{UNLINKED}{secrets.token_hex(6)}"
        gone += await _cut(uow, e.id, select(e.id).where(e.at < before, e.person == person), person=drawn)
        gone += await _cut(uow, i.id, select(i.id).where(i.end < before, i.person == person), person=drawn)
        gone += await _cut(uow, k.id, select(k.id).where(k.at < before, k.person == person), person=None)
        if gone >= MOST:
            return gone
    gone += await _cut(uow, e.id, select(e.id).where(e.at < before, e.entered_by.is_not(None)), entered_by=None)
    gone += await _cut(uow, k.id, select(k.id).where(k.at < before, k.settled_by.is_not(None)), settled_by=None)
    return gone + await _cut(uow, a.fact_id, select(a.fact_id).where(a.at < before, a.by.is_not(None)), by=None)


async def comments(uow: UnitOfWork, before: datetime) -> int:
    c, o, w, e = Comment, Observation, WorkComment, ClockingEvent
    old = select(c.observation_id).join(o, o.id == c.observation_id).where(o.at < before).limit(MOST)
    gone = await _delete(uow, c.observation_id, old)
    said_since = exists().where(e.comment_hash == w.hash, e.at >= before)
    return gone + await _cut(uow, w.hash, select(w.hash).where(w.text.is_not(None), ~said_since), text=None)


async def journal_texts(uow: UnitOfWork, before: datetime) -> int:
    ids = await audit.noted_before(uow, before, 2000)
    return await audit.erase_notes(uow, ids, who="system", what="audit.erase", subject="journal")


async def departed(uow: UnitOfWork, before: datetime) -> int:
    """Inactive, and not changed since."""
    p = Person
    gone = await uow.session.scalars(
        select(p.id).where(~p.active, p.erased_at.is_(None), p.updated_at < before).order_by(p.id).limit(100)
    )
    ids = list(gone)
    for person in ids:
        await persons.erase(uow, person, by="system", why="departed")
    return len(ids)


async def samples(uow: UnitOfWork, before: datetime) -> int:
    b, gone = SampleBlock, 0
    for machine, signal in await _signals(uow):
        old = delete(b).where(b.machine == machine, b.signal == signal, b.minute < before)
        gone += _count(await uow.session.execute(old.execution_options(synchronize_session=False)))
        if gone >= MOST:
            break
    return gone


async def minutes(uow: UnitOfWork, before: datetime) -> int:
    r, gone = SampleRollup, 0
    for machine, signal in await _signals(uow):
        old = delete(r).where(r.machine == machine, r.signal == signal, r.span_s == MINUTE_S, r.start < before)
        gone += _count(await uow.session.execute(old.execution_options(synchronize_session=False)))
        if gone >= MOST:
            break
    return gone


async def _signals(uow: UnitOfWork) -> list[tuple[str, str]]:
    """By which both tables are ordered: nothing is searched through."""
    rows = await uow.session.execute(select(MachineSignal.machine, MachineSignal.signal))
    return [(row.machine, row.signal) for row in rows]


BY_KEY: Final[dict[str, Forget]] = {
    forget.__name__: forget
    for forget in (
        facts, stock_persons, badges, sign_ins, clockings, comments, journal_texts, departed, samples, minutes,
    )
}  # fmt: skip
"""By the key of the rule."""


async def _delete(uow: UnitOfWork, key: InstrumentedAttribute[Any], old: Select[Any]) -> int:
    gone = delete(key.class_).where(key.in_(old)).execution_options(synchronize_session=False)
    return _count(await uow.session.execute(gone))


async def _cut(uow: UnitOfWork, key: InstrumentedAttribute[Any], which: Select[Any], **values: Any) -> int:
    cut = update(key.class_).where(key.in_(which.limit(MOST))).values(**values)
    return _count(await uow.session.execute(cut.execution_options(synchronize_session=False)))


def _count(done: Any) -> int:
    return max(cast("CursorResult[Any]", done).rowcount, 0)
