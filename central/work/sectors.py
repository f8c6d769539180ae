"""For whom an order is made. Only a marked one asks for signatures (`central.signing`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, TypeAlias, cast

from sqlalchemy import case, exists, func, or_, select

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.work.models import Operation, WorkOrder

Sector: TypeAlias = Literal["civil", "aeronautic", "military"]
SECTORS: Final[dict[Sector, str]] = {"civil": "Civil", "aeronautic": "Aéronautique", "military": "Militaire"}


@dataclass(frozen=True, slots=True)
class OrderRow:
    code: str
    article: str
    label: str
    quantity: int
    due: date | None
    sector: Sector
    operations: int
    done: int


async def set_sector(uow: UnitOfWork, order: str, sector: str, *, by: str) -> None:
    """The same again changes nothing. Raises LookupError, ValueError."""
    if sector not in SECTORS:
        raise ValueError(f"Secteur inconnu : {sector}")
    row = await uow.session.get(WorkOrder, order)
    if row is None:
        raise LookupError(f"OF inconnu : {order}")
    before = row.sector
    if before == sector:
        return
    row.sector = sector
    await uow.session.flush()
    await audit.record(uow, who=by, what="work.sector", subject=f"order:{order}", before=before, after=sector)
    uow.tell("work")


async def any_marked(uow: UnitOfWork) -> bool:
    """Whether the shop has an order that asks for signatures."""
    return bool(await uow.session.scalar(select(exists().where(WorkOrder.sector != "civil"))))


async def find_orders(uow: UnitOfWork, query: str = "", limit: int = 100) -> list[OrderRow]:
    """Newest first; `query` is looked for in code, article and label."""
    o, step = WorkOrder, Operation
    found = select(o).order_by(o.created_at.desc(), o.code).limit(limit)
    if wanted := query.strip().lower():
        columns = (o.code, o.article, o.label)
        found = found.where(or_(*(func.lower(c).contains(wanted, autoescape=True) for c in columns)))
    rows = (await uow.session.scalars(found)).all()
    counted = await uow.session.execute(
        select(step.order, func.count(), func.sum(case((step.status == "done", 1), else_=0)))
        .where(step.order.in_([row.code for row in rows]))
        .group_by(step.order)
    )
    steps = {order: (total, int(done or 0)) for order, total, done in counted}
    return [
        OrderRow(
            row.code, row.article, row.label, row.quantity, row.due, cast("Sector", row.sector),
            *steps.get(row.code, (0, 0)),
        )
        for row in rows
    ]  # fmt: skip
