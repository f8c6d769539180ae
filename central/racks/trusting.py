"""How far each rack's camera is believed, class by class; and the labels from which that follows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, select

from central.audit import service as audit
from central.automation import service as automation
from central.core.uow import UnitOfWork
from central.racks import rules
from central.racks.models import Rack, RackOutcome, RackTrust


@dataclass(frozen=True, slots=True)
class Outcome:
    """A label, as the stock knows it; see `RackOutcome`."""

    key: str
    rack: str
    place: str
    klass: str
    item: str
    model: str | None
    crops: str | None
    kind: Literal["doubt", "ask", "read"]
    sure: bool
    right: bool
    said: int | None
    truth: int | None
    reason: str | None
    at: datetime
    decided_by: str


async def trusted(uow: UnitOfWork, asked: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Of these (rack, class), those whose observations may move stock by themselves; none where a person validates."""
    begin = uow.settings.racks_begin == "automatic"
    wanted = set(asked)
    if not wanted or not await automation.is_automatic(uow, "camera_debit"):
        return set()
    t = RackTrust
    rows = await uow.session.execute(
        select(t.rack, t.klass, t.automatic).where(t.rack.in_({rack for rack, _ in wanted}))
    )
    known = {(rack, klass): automatic for rack, klass, automatic in rows}
    return {pair for pair in wanted if known.get(pair, begin)}


async def note(uow: UnitOfWork, outcome: Outcome) -> None:
    """Keep a label, in place of what was decided before about the same saying."""
    row = await uow.session.get(RackOutcome, outcome.key)
    if row is None:
        row = RackOutcome(key=outcome.key)
        uow.session.add(row)
    for name, value in asdict(outcome).items():
        setattr(row, name, value)
    row.decided_at = uow.now
    await uow.session.flush()
    if outcome.sure:
        await _stand(uow, outcome.rack, outcome.klass, outcome.decided_by)


async def withdraw(uow: UnitOfWork, keys: Collection[str], by: str) -> None:
    """These sayings are open questions again."""
    o = RackOutcome
    rows = (await uow.session.scalars(select(o).where(o.key.in_(keys)))).all() if keys else ()
    if not rows:
        return
    touched = {(row.rack, row.klass) for row in rows if row.sure}
    await uow.session.execute(
        delete(o).where(o.key.in_([row.key for row in rows])).execution_options(synchronize_session="fetch")
    )
    for rack, klass in sorted(touched):
        await _stand(uow, rack, klass, by)


async def set_trust(uow: UnitOfWork, rack: str, klass: str, *, automatic: bool, by: str) -> None:
    """A person lets the class act by itself, until the first wrong one, or puts it back to proposals.

    Raises LookupError.
    """
    if await uow.session.get(Rack, rack) is None:
        raise LookupError(f"Rack inconnu : {rack}")
    row = await _row(uow, rack, klass)
    if automatic:
        row.forced_at = uow.now
    else:
        row.reset_at = uow.now
    await uow.session.flush()
    await _stand(uow, rack, klass, by)


async def _row(uow: UnitOfWork, rack: str, klass: str) -> RackTrust:
    row = await uow.session.get(RackTrust, (rack, klass))
    if row is None:
        if await uow.session.get(Rack, rack) is None:
            uow.session.add(Rack(code=rack, label=rack, mode="unknown", mode_code="ok", message=""))
        begin = uow.settings.racks_begin == "automatic"
        row = RackTrust(rack=rack, klass=klass, automatic=begin, confirmed=0, wrong=0, changed_at=uow.now)
        uow.session.add(row)
        await uow.session.flush()
    return row


async def _stand(uow: UnitOfWork, rack: str, klass: str, by: str) -> None:
    """Where the class stands after all that was decided; a change is an audit row."""
    row = await _row(uow, rack, klass)
    o = RackOutcome
    said = await uow.session.execute(
        select(o.decided_at, o.key, o.right).where(o.rack == rack, o.klass == klass, o.sure)
    )
    found = rules.standing(
        [rules.Said(*s) for s in said],
        uow.settings.racks_begin,
        uow.settings.racks_trust_after,
        reset_at=row.reset_at,
        forced_at=row.forced_at,
    )
    if found.automatic != row.automatic:
        row.changed_at = uow.now
        what = "racks.automatic" if found.automatic else "racks.blank"
        await audit.record(
            uow, who=by, what=what, subject=f"rack:{rack}", klass=klass, confirmed=found.confirmed, wrong=found.wrong
        )
        uow.tell("racks")
    row.automatic, row.confirmed, row.wrong = found.automatic, found.confirmed, found.wrong
    await uow.session.flush()
    uow.tell(f"rack:{rack}")
