"""A batch of many items: the same books as item by item, in a number of statements that does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import event, text

from central.core.facts import Fact
from central.items.service import add_item, add_place
from central.stock import service
from contracts.facts import CodeScanned, StockCounted, StockObserved
from tests.integration.central.stock.conftest import PIECE, Shop, open_shop

_CONTENT = {
    "stock_movements": "event, item_id, place_id, qty, at, kind, operation, person, uncertain",
    "stock_links": "observation_id, event, qty",
    "stock_proposals": "key, kind, state, item_id, place_id, at, qty, observation_id, other_id",
    "stock_levels": "item_id, place_id, qty, pending, since",
}


async def stocked(shop: Shop, items: int) -> list[str]:
    names = [f"ART-{number:03}" for number in range(items)]
    async with shop.begin() as uow:
        for number, name in enumerate(names):
            place = f"rack-b/{number % 7}"
            await add_place(uow, place)
            await add_item(uow, name, name, "insert", place=place)
            await service.receive(uow, name, 9 * PIECE, place, key=f"first {name}")
    return names


def take(item: str, place: str, before: int | None = None, mode: Literal["auto", "review"] = "auto") -> StockObserved:
    after = None if before is None else before - 1
    return StockObserved(
        source="camera", qty=-PIECE, item=item, place=place, count_before=before, count_after=after, mode=mode
    )


def scan(item: str, pieces: int = 1, operation: str | None = None) -> CodeScanned:
    return CodeScanned(
        code=item, format="QR", post="poste-1", action="take", qty=pieces * PIECE, person="p1", operation=operation
    )


def day(shop: Shop, names: Sequence[str]) -> list[list[Fact[Any]]]:
    """For each item what is said of it, differing from item to item."""
    said: list[list[Fact[Any]]] = []
    for number, name in enumerate(names):
        place, base = f"rack-b/{number % 7}", float(number * 40)
        mine = [shop.fact(take(name, place), base), shop.fact(scan(name), base + 30)]
        if number % 2:
            mine.append(shop.fact(take(name, place, mode="review"), base + 7 * 3600))
        if number % 3 == 0:
            mine.append(
                shop.fact(StockCounted(source="manual", item=name, place=place, qty=7 * PIECE), base + 9 * 3600)
            )
        if number % 5 == 0:
            mine.append(shop.fact(take(name, "rack-b/6", before=4), base + 90, agent="pi-2"))
        if number % 4 == 0:
            mine += [shop.fact(scan(name, 2, "OF1"), base - 40 * 3600), shop.fact(scan(name, 1, "OF1"), base + 3600)]
        said.append(mine)
    return said


async def content(shop: Shop) -> dict[str, list[tuple[object, ...]]]:
    found: dict[str, list[tuple[object, ...]]] = {}
    async with shop.units.reading() as uow:
        for table, columns in _CONTENT.items():
            rows = await uow.session.execute(text(f"SELECT {columns} FROM {table}"))
            found[table] = sorted((tuple(row) for row in rows), key=repr)
    return found


async def test_a_batch_of_many_items_gives_the_books_of_item_by_item(tmp_path: Path) -> None:
    found = []
    for together in (True, False):
        async with open_shop(f"sqlite:///{tmp_path / str(together)}.db") as shop:
            names = await stocked(shop, 23)
            said = day(shop, names)
            # Kind by kind, so that the observations get the same ids either way.
            for kind in (StockObserved, CodeScanned, StockCounted):
                parts = [[f for f in mine if isinstance(f.body, kind)] for mine in said]
                if together:
                    await shop.say(*(f for part in parts for f in part))
                else:
                    for part in parts:
                        await shop.say(*part)
            found.append(await content(shop))
    assert found[0] == found[1]
    assert len(found[0]["stock_movements"]) > 23
    assert {"doubt", "ecart"} <= {row[1] for row in found[0]["stock_proposals"]}


@pytest.mark.parametrize("known", [False, True])
async def test_the_statements_of_a_batch_do_not_grow_with_its_items(shop: Shop, *, known: bool) -> None:
    names = await stocked(shop, 50)
    if known:
        await shop.say(*(shop.fact(scan(name), number) for number, name in enumerate(names)))
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    engine = shop.units.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    places = {f"rack-c/{number}" for number in range(9)}
    facts = [
        shop.fact(take(name, sorted(places)[number % 9] if number % 2 else f"rack-b/{number % 7}"), 20 + number)
        for number, name in enumerate(names)
    ]
    await shop.say(*facts)
    event.remove(engine, "before_cursor_execute", note)
    assert len(statements) <= 25, statements
    for name in names:
        assert await shop.level(name) == (8, 0), "a pick, and the scan of it where there was one"


@pytest.mark.parametrize("scanned", [False, True])
async def test_cameras_at_their_own_places_book_alike_in_any_batches(tmp_path: Path, *, scanned: bool) -> None:
    found = []
    for number, (step, turn) in enumerate([(1, 1), (5, 1), (40, 1), (3, -1)]):
        async with open_shop(f"sqlite:///{tmp_path / str(number)}.db") as shop:
            (name,) = await stocked(shop, 1)
            # The third pick of each camera was missed: its next count before says so.
            facts = [
                shop.fact(
                    take(name, f"rack-d/{n % 6}", before=9 - n // 6 - (n >= 18)), n * 20, agent=f"pi-{n % 6 // 2}"
                )
                for n in range(36)
            ]
            facts += [shop.fact(scan(name), 200)] if scanned else []
            facts = facts[::turn]
            for index in range(0, len(facts), step):
                await shop.say(*facts[index : index + step])
            async with shop.units.reading() as uow:
                asked = sorted((p.kind, p.at, p.qty) for p in await service.proposals(uow) if p.state == "open")
                levels = [(x.item, sorted((p.place or "", p.qty) for p in x.places)) for x in await service.levels(uow)]
            found.append((asked, levels))
    assert all(one == found[0] for one in found[1:])
    assert [kind for kind, _, _ in found[0][0]].count("ecart") >= 6
