"""Items, places and codes on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from central import schema
from central.core.database import Database
from central.core.settings import Settings
from central.core.uow import Units
from central.items import service
from contracts.codes import BadCheck, format_code


@pytest.fixture
async def units(database_url: str) -> AsyncIterator[Units]:
    database = Database(database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(schema.metadata().create_all)
    yield Units(database, Settings(database_url=database_url))
    await database.close()


async def test_an_item_is_found_by_its_code_its_label_code_and_our_own(units: Units) -> None:
    async with units.begin() as uow:
        await service.add_place(uow, "rack-a/A1")
        await service.add_item(uow, "cnmg", "Plaquette", "insert", place="rack-a/A1", codes=["036000291452"])
        await service.add_item(uow, "cnmg", "Plaquette CNMG", "insert", place="rack-a/A1", codes=["036000291452"])
    async with units.reading() as uow:
        for text in ("CNMG", " cnmg ", "0036000291452", format_code("IT", "CNMG")):
            found = await service.resolve(uow, text)
            assert found is not None
            assert found.item is not None
            assert found.item.label == "Plaquette CNMG"
        place = await service.resolve(uow, "RACK-A/A1")
        assert place is not None
        assert place.place is not None
        assert await service.resolve(uow, "inconnu") is None
        with pytest.raises(BadCheck):
            await service.resolve(uow, "IT:CNMG:?")
        assert [i.place for i in await service.items(uow, "plaq")] == ["rack-a/A1"]


async def test_a_code_cannot_mean_two_things(units: Units) -> None:
    async with units.begin() as uow:
        await service.add_item(uow, "A", "A", codes=["123"])
        await service.add_item(uow, "B", "B")
        with pytest.raises(ValueError, match="déjà attribué"):
            await service.name_code(uow, "123", item="B")
        with pytest.raises(service.NotFound, match="inconnu"):
            await service.name_code(uow, "9", item="C")
        with pytest.raises(ValueError, match="classe"):
            await service.add_item(uow, "C", "C", "gizmo")  # type: ignore[arg-type]  # a wrong word is the test
