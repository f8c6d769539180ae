"""Picks at racks joined with badges, clockings and plans, in event time; what stays open is "à imputer".

Whatever arrives late or twice, what it can have changed is judged again; what a person said stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select

from central.audit import service as audit
from central.automation import service as automation
from central.core.facts import Fact
from central.core.uow import UnitOfWork
from central.machines.store import insert_new
from central.people import service as people
from central.people.models import BadgeScan
from central.racks import service as racks
from central.racks.models import Rack
from central.stock import service as stock
from central.work import charging_rules as rules
from central.work.models import ClockingInterval, Operation, PlannedItem
from contracts.facts import CodeScanned, StockAsked, StockObserved

_LONGEST: Final = timedelta(hours=2)
"""No chain of picks or of badge readings reaches further."""


@dataclass(frozen=True, slots=True)
class ToCharge:
    """A pick of which nobody knows what it was for."""

    observation: int
    rack: str
    place: str
    item: str
    label: str
    unit: str
    qty: int
    """Thousandths, negative."""
    at: datetime
    person: str | None
    likely: list[str]
    """Operations that may have been it."""


async def plan_items(uow: UnitOfWork, operation: str, items: Iterable[str]) -> None:
    """The operation plans to use these items, and no others. What was taken for it while it ran is judged again."""
    if await uow.session.get(Operation, operation) is None:
        raise LookupError(f"Opération inconnue : {operation}")
    codes = sorted({item.strip().upper() for item in items if item.strip()})
    await uow.session.execute(delete(PlannedItem).where(PlannedItem.operation == operation))
    await insert_new(uow.session, PlannedItem, [{"operation": operation, "item": code} for code in codes])
    first = await uow.session.scalar(
        select(func.min(ClockingInterval.begin)).where(ClockingInterval.operation == operation)
    )
    if first is not None:
        await rejudge(uow, first, uow.now)


async def planned_items(uow: UnitOfWork, operation: str) -> list[str]:
    found = await uow.session.scalars(
        select(PlannedItem.item).where(PlannedItem.operation == operation).order_by(PlannedItem.item)
    )
    return list(found)


async def to_charge(uow: UnitOfWork, person: str | None = None, limit: int = 50) -> list[ToCharge]:
    """What waits "à imputer", oldest first: all of it, or what `person` took or may have taken."""
    waiting = await stock.uncharged(uow, 500 if person is not None else limit)
    theirs: set[str] = set()
    if person is not None and waiting:
        interval = ClockingInterval
        theirs = set(
            await uow.session.scalars(
                select(interval.operation).where(
                    interval.person == person,
                    interval.end.is_(None) | (interval.end > waiting[0].at),
                )
            )
        )
    found = [
        ToCharge(
            t.observation, t.rack, t.place, t.item, t.label, t.unit, t.qty, t.at, t.charged_person or t.person,
            list(t.likely),
        )
        for t in waiting
        if person is None
        or (t.charged_person or t.person) == person
        or ((t.charged_person or t.person) is None and theirs & set(t.likely))
    ]  # fmt: skip
    return found[-limit:]


async def charge_to(uow: UnitOfWork, observation: int, operation: str | None, by: str) -> None:
    """A person says what it was for; None: for no operation. Raises LookupError."""
    pick = await stock.find_taken(uow, observation)
    if pick is None:
        raise LookupError(f"Prise inconnue : {observation}")
    if operation is not None and await uow.session.get(Operation, operation) is None:
        raise LookupError(f"Opération inconnue : {operation}")
    who = pick.charged_person or pick.person
    await stock.charge(uow, [stock.ChargeRow(observation, who, operation, "hand")], by=by)
    await audit.record(
        uow, who=by, what="work.charge", subject=f"observation:{observation}", operation=operation, item=pick.item
    )


# Facts -------------------------------------------------------------------------------------------------------------


async def on_observed(uow: UnitOfWork, facts: Sequence[Fact[StockObserved]]) -> None:
    places = [(f.at, f.body.place) for f in facts if f.body.source == "camera" and f.body.place]
    await _rejudge_at(uow, [(at, racks.rack_of(place)) for at, place in places])


async def on_asked(uow: UnitOfWork, facts: Sequence[Fact[StockAsked]]) -> None:
    await _rejudge_at(uow, [(f.at, racks.rack_of(f.body.place)) for f in facts])


async def on_badges(uow: UnitOfWork, facts: Sequence[Fact[CodeScanned]]) -> None:
    """A badge at a post that is a rack; people's consumer has kept it already."""
    await _rejudge_at(uow, [(f.at, f.body.post) for f in facts if people.badge_in(f.body.code)])


async def _rejudge_at(uow: UnitOfWork, said: Sequence[tuple[datetime, str]]) -> None:
    known = await racks.known(uow, {rack for _, rack in said}) if said else set()
    times = [at for at, rack in said if rack in known]
    if times:
        # A badge's second reading says of what lay before it that somebody was still there.
        earlier = timedelta(seconds=uow.settings.racks_quiet_s) * rules.CLOSES
        await rejudge(uow, min(times) - earlier, max(times) + _LONGEST, known)


async def rejudge(uow: UnitOfWork, since: datetime, until: datetime, codes: Collection[str] | None = None) -> None:
    """Judge the picks of [since, until] again; of these racks, or of all."""
    if codes is None:
        codes = set(await uow.session.scalars(select(Rack.code)))
    picks = await stock.taken(uow, codes, since, until)
    if not picks:
        return
    begin, end = picks[0].at - _LONGEST, picks[-1].at
    sessions = await _sessions(uow, codes, begin, end)
    runs = await _runs(uow, picks[0].at, end)
    planned = await _planned(uow, {run.operation for run in runs})
    badges = await people.by_badge(uow, {b for p in picks if p.person and (b := people.badge_in(p.person))})
    automatic = await automation.is_automatic(uow, "charge")
    rows: list[stock.ChargeRow] = []
    for pick in picks:
        if pick.how == "hand" or pick.operation is not None:
            continue
        said = badges.get(people.badge_in(pick.person) or "", pick.person) if pick.person else None
        # What was found after an absence was taken at another time: no badge and no clocking tells of it.
        badged, person = (True, said) if said or pick.during_absence else sessions[pick.rack].at(pick.at)
        found = rules.judge(
            pick.at, pick.item, badged=badged, person=person, runs=runs, planned=planned,
            complete=uow.settings.racks_plans_complete,
        )  # fmt: skip
        if found.operation is not None and not automatic:
            found = rules.Verdict(found.person, None, "none", (found.operation,))
        row = stock.ChargeRow(pick.observation, found.person, found.operation, found.how, found.likely)
        if (pick.charged_person, pick.charged_operation, pick.how, pick.likely) != (
            row.person, row.operation, row.how, row.likely,
        ):  # fmt: skip
            rows.append(row)
    await stock.charge(uow, rows)


async def _sessions(
    uow: UnitOfWork, codes: Collection[str], begin: datetime, end: datetime
) -> dict[str, rules.Sessions]:
    b = BadgeScan
    scans: defaultdict[str, list[rules.Badge]] = defaultdict(list)
    for post, at, person, badge in await uow.session.execute(
        select(b.post, b.at, b.person, b.badge).where(b.post.in_(codes), b.at.between(begin, end + _LONGEST))
    ):
        scans[post].append(rules.Badge(at, person, badge))
    picks: defaultdict[str, list[datetime]] = defaultdict(list)
    for pick in await stock.taken(uow, [code for code in codes if code in scans], begin, end):
        if not pick.during_absence:
            picks[pick.rack].append(pick.at)
    wanted = uow.settings
    quiet, chain, same = (
        timedelta(seconds=s) for s in (wanted.racks_quiet_s, wanted.racks_chain_s, wanted.same_scan_s)
    )
    return {code: rules.Sessions(scans[code], picks[code], quiet=quiet, chain=chain, same_scan=same) for code in codes}


async def _runs(uow: UnitOfWork, begin: datetime, end: datetime) -> list[rules.Run]:
    """Who was at work on what; a pause is no work, a forgotten end no clocking."""
    i = ClockingInterval
    rows = await uow.session.execute(
        select(i.begin, i.end, i.person, i.operation).where(
            i.phase != "pause", i.forgotten.is_(False), i.begin <= end, i.end.is_(None) | (i.end > begin)
        )
    )
    return [rules.Run(*row) for row in rows]


async def _planned(uow: UnitOfWork, operations: Collection[str]) -> dict[str, set[str]]:
    """By operation; the material of a débit is planned by itself."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for operation, item in await uow.session.execute(
        select(PlannedItem.operation, PlannedItem.item).where(PlannedItem.operation.in_(operations))
    ):
        found[operation].add(item)
    for operation, material in await uow.session.execute(
        select(Operation.code, Operation.debit_item).where(Operation.code.in_(operations))
    ):
        if material is not None:
            found[operation].add(material.upper())
    return found
