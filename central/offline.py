"""Work on the database while the centre is stopped: seeding, administration."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from central import migrations
from central.core.database import Database
from central.core.settings import Settings
from central.core.uow import Units


@contextlib.asynccontextmanager
async def prepare(settings: Settings) -> AsyncIterator[Units]:
    """Units of work on an up-to-date database. Raises `DatabaseBusy` while a centre runs on it."""
    database = Database(settings.database_url)
    try:
        await database.take_start_lock()
        async with database.engine.begin() as connection:
            await connection.run_sync(migrations.upgrade)
        yield Units(database, settings)
    finally:
        await database.close()
