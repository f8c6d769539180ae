"""The property of `tests/unit/central/stock/world`, through the consumers and a real database, in any batches."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from central.core.facts import Fact
from central.items.models import Place
from central.items.service import add_item
from central.stock import service
from central.stock.models import Movement, Observation, Proposal
from central.stock.rules import Obs
from contracts.facts import CodeScanned, StockCounted, StockObserved
from tests.integration.central.stock.conftest import NOON, Shop, open_shop
from tests.unit.central.stock.world import START, STOCK, shops
from tests.unit.central.stock.world import Shop as World

_PLACES = {0: None, 1: "rack-a/A1", 2: "rack-a/A2"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shops(6), st.data())
def test_the_books_are_the_truth_or_ask(world: World, data: st.DataObject) -> None:
    said = [o for o in world.observations if o.nature != "receipt" and o.source != "operation"]
    validations = [o for o in world.observations if o.source == "operation"]
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(said) - 1)), max_size=3)))
    again = data.draw(st.permutations(said))
    with tempfile.TemporaryDirectory() as directory:
        one = asyncio.run(_live(Path(directory) / "one.db", world, said, validations, cuts))
        other = asyncio.run(_live(Path(directory) / "other.db", world, list(again), validations[::-1], []))
    assert one == other, "the order of arrival, or the batches, changed the books"


async def _live(path: Path, world: World, said: list[Obs], validations: list[Obs], cuts: list[int]) -> object:
    async with open_shop(f"sqlite:///{path}") as shop:
        async with shop.begin() as uow:
            await add_item(uow, "VNMG", "Plaquette VNMG", "insert")
            for place in ("rack-a/A1", "rack-a/A2"):
                await service.receive(uow, "VNMG", STOCK, place, at=START - timedelta(hours=9), key=f"first {place}")
        half = len(validations) // 2
        for o in validations[:half]:
            await _validate(shop, o)
        for low, high in zip([0, *cuts], [*cuts, len(said)], strict=True):
            await shop.say(*[_fact(shop, o) for o in said[low:high]])
        for o in validations[half:]:
            await _validate(shop, o)
        return await _judge(shop, world)


async def _judge(shop: Shop, world: World) -> object:
    async with shop.units.reading() as uow:
        level = await service.level(uow, "VNMG")
        levels = {p.place: p.qty for p in level.places if p.place}
        assert {1: levels["rack-a/A1"], 2: levels["rack-a/A2"]} == world.truth()
        names = {p.id: p.code for p in await uow.session.scalars(select(Place))}
        moved: dict[str | None, int] = {"rack-a/A1": 0, "rack-a/A2": 0}
        item = select(Observation.item_id).where(Observation.key == "first rack-a/A1").scalar_subquery()
        for row in await uow.session.scalars(select(Movement).where(Movement.item_id == item)):
            if not row.event.startswith("ecart:"):
                place = names.get(row.place_id)
                moved[place] = moved.get(place, 0) + row.qty
        asked = list(
            await uow.session.scalars(select(Proposal).where(Proposal.item_id == item, Proposal.state == "open"))
        )
        truth = {"rack-a/A1": world.truth()[1], "rack-a/A2": world.truth()[2]}
        right = {place: qty for place, qty in moved.items() if qty or place} == truth
        assert right or asked, "wrong and unflagged"
        counted = [
            (o.place, o.at)
            for o in world.observations
            if o.nature == "count" or (o.before is not None and not o.review)
        ]
        pending = sum(
            q.qty
            for q in asked
            if q.kind == "doubt" and not any(_PLACES[p] == names.get(q.place_id) and at > q.at for p, at in counted)
        )
        assert level.pending == pending
        return levels, level.qty, sorted((q.kind, q.at, q.qty) for q in asked)


async def _validate(shop: Shop, o: Obs) -> None:
    async with shop.begin() as uow:
        await service.charge_operation(
            uow, str(o.operation), "VNMG", -o.qty, o.at, person=o.person, key=f"{o.operation}/end"
        )


def _fact(shop: Shop, o: Obs) -> Fact[object]:
    second = (o.at - NOON).total_seconds()
    place = _PLACES[o.place]
    if o.nature == "count":
        assert place is not None
        return shop.fact(StockCounted(source=o.source, item="VNMG", place=place, qty=o.qty), second, "a")  # type: ignore[arg-type]  # a source
    if o.source == "scan":
        action = "take" if o.qty < 0 else "return"
        return shop.fact(
            CodeScanned(
                code="VNMG", format="QR", post=str(o.post), action=action, qty=abs(o.qty), place=place,
                person=o.person, operation=o.operation,
            ),
            second,
        )  # fmt: skip
    return shop.fact(
        StockObserved(
            source="camera", qty=o.qty, item="VNMG", place=place, mode="review" if o.review else "auto",
            count_before=None if o.before is None else o.before // 1000,
            count_after=None if o.after is None else o.after // 1000,
        ),
        second,
        "a",
    )  # fmt: skip
