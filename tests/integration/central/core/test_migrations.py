"""Models and migrations say the same, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from central import migrations, schema
from central.core.database import Database
from central.items.models import Item
from central.machines.models import Machine, MachineCycle
from central.programmes.models import CnTransfer
from central.stock.models import Movement
from central.work.models import PartsAssigned

NOW = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, schema.metadata()))


async def test_models_and_migrations_agree(database_url: str) -> None:
    database = Database(database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(migrations.upgrade)
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_upgrading_again_changes_nothing(database_url: str) -> None:
    database = Database(database_url)
    for _ in range(2):
        async with database.engine.begin() as connection:
            await connection.run_sync(migrations.upgrade)
    async with database.engine.begin() as connection:
        scripts = await connection.run_sync(lambda c: ScriptDirectory.from_config(migrations.config(c)))
        found = await connection.execute(text("SELECT version_num FROM alembic_version"))
        assert list(found.scalars()) == scripts.get_heads()
    await database.close()


@pytest.mark.parametrize("rewriting", ["UPDATE stock_movements SET qty = 0", "DELETE FROM stock_movements"])
async def test_the_ledger_of_a_migrated_database_cannot_be_rewritten(database_url: str, rewriting: str) -> None:
    database = Database(database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(migrations.upgrade)
        item = Item(code="A", label="", item_class="other", unit="pce", handling="lend", minimum=0, per_box=1000)
        async with AsyncSession(connection) as session:
            session.add(item)
            await session.flush()
            session.add(Movement(event="e", item_id=item.id, qty=1, at=NOW, recorded_at=NOW, kind="pick"))
            await session.flush()
            await session.commit()
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.engine.begin() as connection:
            await connection.execute(text(rewriting))
    await database.close()


async def test_a_migration_that_fails_leaves_nothing_behind(database_url: str) -> None:
    database = Database(database_url)

    class Stop(Exception):
        pass

    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(migrations.upgrade)
            raise Stop  # noqa: TRY301  # a failure inside the transaction, whatever it is
    except Stop:
        pass
    async with database.engine.connect() as connection:
        assert await connection.run_sync(lambda c: inspect(c).get_table_names()) == []
    await database.close()


async def test_what_programmes_yield_survives_its_move_to_the_machine(database_url: str) -> None:
    database = Database(database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda c: migrations.upgrade(c, "0002"))
        await connection.execute(
            text("INSERT INTO programme_yield VALUES ('tour-1', 'CHAUFFE', 0), ('tour-1', 'O1', 2)")
        )
    async with database.engine.begin() as connection:
        await connection.run_sync(migrations.upgrade)
        found = await connection.execute(
            text("SELECT pattern, produces, parts_per_cycle FROM machine_programme ORDER BY pattern")
        )
        assert [(p, bool(y), n) for p, y, n in found] == [("CHAUFFE", False, None), ("O1", True, 2)]
    await database.close()


async def test_a_database_of_revision_0002_with_data_reaches_this_one_and_back(database_url: str) -> None:
    database = Database(database_url)
    moment = "'2026-05-04 06:00:00+00'" if "postgres" in database_url else "1777874400000000"
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda c: migrations.upgrade(c, "0002"))
        machine = "(code, label, kind, controller, weekly, declared, active)"
        cycle = "(fact_id, machine, began, ended, programme, completed)"
        parts = "(fact_id, machine, at, programme, cycles, parts, why)"
        for row in (
            f"machine {machine} VALUES ('tour-1', 'Tour 1', '', '', '[]', true, true)",
            f"machine_cycle {cycle} VALUES (1, 'tour-1', {moment}, {moment}, 'O1', true)",
            f"parts_assigned {parts} VALUES (2, 'tour-1', {moment}, 'O1', 1, 1, '')",
        ):
            await connection.execute(text(f"INSERT INTO {row}"))
    async with database.engine.begin() as connection:
        await connection.run_sync(migrations.upgrade)
        async with AsyncSession(connection) as session:
            [found] = await session.scalars(select(Machine))
            [ran] = await session.scalars(select(MachineCycle))
            [made] = await session.scalars(select(PartsAssigned))
            assert (found.label, found.axes, found.counting, found.power_kw) == ("Tour 1", "", "counter", None)
            assert (ran.ended, ran.completed, ran.uncertain) == (NOW, True, False)
            assert (made.parts, made.source, made.corrected) == (1, "counter", False)
    async with database.engine.begin() as connection:
        await connection.run_sync(_downgrade)
        assert [row.label for row in await connection.execute(text("SELECT label FROM machine"))] == ["Tour 1"]
    await database.close()


def _downgrade(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("BEGIN IMMEDIATE"))
    command.downgrade(migrations.config(connection), "0002")


async def test_what_lay_in_a_machine_is_known_after_0006(database_url: str) -> None:
    database = Database(database_url)
    moment = "'2026-05-04 06:00:00+00'" if "postgres" in database_url else "1777874400000000"
    names = "id, kind, machine, agent, name, person, asked_at, expires_at, published_at, state, detail, told_at"
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda c: migrations.upgrade(c, "0005"))
        for state in ("asked", "broken", "done", "unread"):
            told = "NULL" if state == "asked" else moment
            values = f"'{state}', 'send', 'm', 'a', 'O1', 'p', {moment}, {moment}, {moment}, '{state}', '', {told}"
            await connection.execute(text(f"INSERT INTO cn_transfer ({names}) VALUES ({values})"))
    async with database.engine.begin() as connection:
        await connection.run_sync(migrations.upgrade)
        async with AsyncSession(connection) as session:
            rows = await session.scalars(select(CnTransfer).order_by(CnTransfer.id))
            found = {row.id: (row.whole, row.whole_at) for row in rows}
    assert found == {"asked": (None, None), "broken": (False, NOW), "done": (True, NOW), "unread": (None, None)}
    await database.close()
