"""Items, places and codes: find, add, name. What an unknown code meant is applied by ``stock.service.assign_code``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import msgspec
from sqlalchemy import func, insert, select, update

from central.core.database import insert_ignore
from central.core.facts import Fact
from central.core.uow import UnitOfWork
from central.items.models import Code, Item, ItemClass, Place, UnknownSaying
from central.items.rules import candidates, handling_of, is_other_business, normal
from contracts.codes import BadCheck

__all__ = [
    "Found",
    "ItemView",
    "NotFound",
    "UnknownCode",
    "add_item",
    "add_place",
    "add_places",
    "items",
    "keep_unknown",
    "name_code",
    "places",
    "require_item",
    "require_place",
    "resolve",
    "resolve_many",
    "unknown_codes",
    "unknown_facts",
]


class NotFound(LookupError):
    """No such item, place or code. The message is French, for the person who asked."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a text names: exactly one of both."""

    item: Item | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class ItemView:
    id: int
    code: str
    label: str
    item_class: str
    unit: str
    handling: str
    minimum: int
    """Thousandths of `unit`."""
    per_box: int
    place: str | None


@dataclass(frozen=True, slots=True)
class UnknownCode:
    """A code that nobody assigned yet, and how often it was said."""

    code: str
    times: int
    first_at: datetime
    last_at: datetime


async def add_item(
    uow: UnitOfWork,
    code: str,
    label: str,
    item_class: ItemClass = "other",
    *,
    unit: str = "pce",
    handling: str | None = None,
    minimum: int = 0,
    per_box: int = 1000,
    place: str | None = None,
    codes: Iterable[str] = (),
) -> Item:
    """Create or bring up to date the item `code`. Quantities are thousandths; `place` must exist. Safe to repeat."""
    code = normal(code)
    if not code or len(code) > 120:
        raise ValueError(f"code article {code!r} : 1 à 120 caractères")
    if item_class not in get_args(ItemClass):
        raise ValueError(f"classe {item_class!r} inconnue ; classes : {', '.join(get_args(ItemClass))}")
    handling = handling or handling_of(item_class)
    if handling not in {"consume", "lend"}:
        raise ValueError(f"gestion {handling!r} inconnue ; consume ou lend")
    if minimum < 0 or per_box <= 0:
        raise ValueError(f"article {code} : le minimum ne peut être négatif, ni la boîte vide")
    place_id = (await require_place(uow, place)).id if place else None
    item = await uow.session.scalar(select(Item).where(Item.code == code))
    if item is None:
        item = Item(code=code)
        uow.session.add(item)
    item.label, item.item_class, item.unit, item.handling = label, item_class, unit, handling
    item.minimum, item.per_box, item.place_id = minimum, per_box, place_id
    await uow.session.flush()
    for text in codes:
        await name_code(uow, text, item=item.code)
    return item


async def add_place(uow: UnitOfWork, code: str, label: str = "", parent: str | None = None) -> Place:
    """Create or bring up to date the place `code`, for example ``rack-a/A1``. Its case is kept as sources say it."""
    code = code.strip()
    if not code or len(code) > 120:
        raise ValueError(f"code emplacement {code!r} : 1 à 120 caractères")
    place = await uow.session.scalar(select(Place).where(Place.code == code))
    if place is None:
        place = Place(code=code)
        uow.session.add(place)
    place.label = label or place.label or code
    if parent:
        place.parent_id = (await require_place(uow, parent)).id
    await uow.session.flush()
    return place


async def add_places(uow: UnitOfWork, codes: Sequence[str]) -> dict[str, int]:
    """Create places that sources speak of and nobody declared yet; their ids. None of them may exist."""
    rows = [{"code": code, "label": code, "parent_id": None} for code in codes]
    found = await uow.session.execute(insert(Place).returning(Place.code, Place.id), rows)
    return {code: id_ for code, id_ in found}  # noqa: C416 -- dict() of rows has no type


async def name_code(uow: UnitOfWork, text: str, *, item: str | None = None, place: str | None = None) -> None:
    """`text` on a label means this item, or this place. A code already given to something else is refused."""
    text = normal(text)
    item_id = (await require_item(uow, item)).id if item else None
    place_id = (await require_place(uow, place)).id if place else None
    if (item_id is None) == (place_id is None):
        raise ValueError("un code désigne un article ou un emplacement")
    known = await uow.session.get(Code, text)
    if known is None:
        uow.session.add(Code(text=text, item_id=item_id, place_id=place_id, created_at=uow.now))
    elif (known.item_id, known.place_id) != (item_id, place_id):
        raise ValueError(f"le code {text} est déjà attribué ; retirez-le d'abord")
    await uow.session.flush()


async def require_item(uow: UnitOfWork, code: str) -> Item:
    item = await uow.session.scalar(select(Item).where(Item.code == normal(code)))
    if item is None:
        raise NotFound(f"article {code} inconnu")
    return item


async def require_place(uow: UnitOfWork, code: str) -> Place:
    place = await uow.session.scalar(select(Place).where(Place.code == code.strip()))
    if place is None:
        raise NotFound(f"emplacement {code} inconnu")
    return place


async def resolve(uow: UnitOfWork, text: str) -> Found | None:
    """The item or place that `text` names, None when nobody knows it. Raises `BadCheck` for a misread own code."""
    candidates(text)
    return (await resolve_many(uow, [text])).get(text)


async def resolve_many(uow: UnitOfWork, texts: Iterable[str]) -> dict[str, Found]:
    """As `resolve`, for many at once; a misread own code is simply not in the answer."""
    wanted: dict[str, tuple[str, ...]] = {}
    for text in set(texts):
        try:
            wanted[text] = candidates(text)
        except BadCheck:
            continue
    names = {name for tried in wanted.values() for name in tried}
    if not names:
        return {}
    by_text: dict[str, Found] = {}
    for item in await uow.session.scalars(select(Item).where(Item.code.in_(names))):
        by_text[item.code] = Found(item=item)
    for place in await uow.session.scalars(select(Place).where(func.upper(Place.code).in_(names))):
        by_text.setdefault(place.code.upper(), Found(place=place))
    assigned = await uow.session.execute(
        select(Code.text, Item, Place)
        .outerjoin(Item, Item.id == Code.item_id)
        .outerjoin(Place, Place.id == Code.place_id)
        .where(Code.text.in_(names))
    )
    for text, named_item, named_place in assigned:
        by_text[text] = Found(item=named_item, place=named_place)
    return {
        text: found
        for text, tried in wanted.items()
        if (found := next((by_text[name] for name in tried if name in by_text), None)) is not None
    }


async def items(uow: UnitOfWork, query: str | None = None) -> list[ItemView]:
    """Items whose code or label holds `query`, by code."""
    statement = select(Item, Place.code).outerjoin(Place, Place.id == Item.place_id).order_by(Item.code)
    if query:
        like = f"%{query.strip().upper()}%"
        statement = statement.where(func.upper(Item.code).like(like) | func.upper(Item.label).like(like))
    return [
        ItemView(i.id, i.code, i.label, i.item_class, i.unit, i.handling, i.minimum, i.per_box, place)
        for i, place in await uow.session.execute(statement)
    ]


async def places(uow: UnitOfWork) -> list[Place]:
    return list(await uow.session.scalars(select(Place).order_by(Place.code)))


async def keep_unknown(uow: UnitOfWork, said: Sequence[tuple[str, Fact[Any]]]) -> None:
    """Keep facts that name an unknown code, whole, until it is assigned. Idempotent by fact."""
    rows = [
        {
            "fact_id": fact.id,
            "kind": fact.kind,
            "code": normal(code),
            "at": fact.at,
            "source_time": fact.source_time,
            "received_at": fact.received_at,
            "uncertain": fact.uncertain,
            "site": fact.site,
            "agent": fact.agent,
            "body": msgspec.to_builtins(fact.body),
            "settled_at": None,
        }
        for code, fact in said
        if not is_other_business(code)
    ]
    if rows:
        await uow.session.execute(insert_ignore(uow.session, UnknownSaying.__table__, rows))  # type: ignore[arg-type]  # __table__ is typed FromClause
        uow.tell("unknown", codes=sorted({row["code"] for row in rows})[:20])


async def unknown_codes(uow: UnitOfWork) -> list[UnknownCode]:
    """Codes that wait for an item, the latest first."""
    found = await uow.session.execute(
        select(UnknownSaying.code, func.count(), func.min(UnknownSaying.at), func.max(UnknownSaying.at))
        .where(UnknownSaying.settled_at.is_(None))
        .group_by(UnknownSaying.code)
        .order_by(func.max(UnknownSaying.at).desc())
    )
    return [UnknownCode(code, times, first, last) for code, times, first, last in found]


async def unknown_facts(uow: UnitOfWork, code: str) -> list[UnknownSaying]:
    """The kept facts of `code`, marked settled; the caller applies them in the same transaction."""
    kept = list(
        await uow.session.scalars(
            select(UnknownSaying)
            .where(UnknownSaying.code == normal(code), UnknownSaying.settled_at.is_(None))
            .order_by(UnknownSaying.at, UnknownSaying.fact_id)
        )
    )
    await uow.session.execute(
        update(UnknownSaying)
        .where(UnknownSaying.fact_id.in_([k.fact_id for k in kept]))
        .values(settled_at=uow.now)
        .execution_options(synchronize_session=False)
    )
    return kept
