"""Models and migrations say the same, on both databases."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from central import migrations, schema
from central.core.database import Database


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
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all() == ["0001"]
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
