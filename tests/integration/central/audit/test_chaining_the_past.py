"""What was written before the journal was a chain becomes one, and can go back."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from sqlalchemy import Connection, text

from central import migrations
from central.audit import service as audit
from central.audit.verifying import verify
from central.core.database import Database
from central.core.settings import Settings
from central.core.uow import Units


async def test_entries_of_revision_0009_are_chained_and_their_comments_can_be_erased(
    database_url: str, tmp_path: Path
) -> None:
    database = Database(database_url)
    moment = "'2026-05-04 06:00:00.123456+00'" if "postgres" in database_url else "1777874400123456"
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda c: migrations.upgrade(c, "0009"))
        for number, detail in ((4, '{"b": 1, "a": 2.50}'), (9, '{"comment": "vu avec Opérateur 7", "version": 1}')):
            values = f"{number}, {moment}, 'page', 'programmes.validate', 'programme:1'"
            row = text(f"INSERT INTO audit_entry (id, at, who, what, subject, detail) VALUES ({values}, :detail)")
            await connection.execute(row, {"detail": detail})
    async with database.engine.begin() as connection:
        await connection.run_sync(migrations.upgrade)
    units = Units(database, Settings(_env_file=None, database_url=database_url, data=tmp_path))
    async with units.begin() as uow:
        await audit.record(uow, who="page", what="programmes.submit", subject="programme:1")
    async with units.reading() as uow:
        assert (await verify(uow)).findings == []
        shown = await audit.entries(uow)
        assert [view.id for view in shown] == [3, 2, 1]
        assert [view.detail for view in shown[1:]] == [
            {"comment": "vu avec Opérateur 7", "version": 1},
            {"a": 2.5, "b": 1},
        ]
        assert "sealed" in str(await uow.session.scalar(text("SELECT detail FROM audit_entry WHERE id = 2")))
    async with database.engine.begin() as connection:
        await connection.run_sync(_back)
        rows = await connection.execute(text("SELECT id, detail FROM audit_entry ORDER BY id"))
        assert [row.id for row in rows] == [1, 2, 3]
    async with database.engine.begin() as connection:
        await connection.run_sync(migrations.upgrade)
    async with units.reading() as uow:
        assert (await verify(uow)).findings == []
    await database.close()


def _back(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("BEGIN IMMEDIATE"))
    command.downgrade(migrations.config(connection), "0009")
