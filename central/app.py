"""The centre as one application: what is started in which order, and which features are wired in."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import AsyncIterator
from importlib import util

from fastapi import FastAPI

from central import schema
from central.core.database import Database
from central.core.facts import Consumers
from central.core.settings import Settings
from central.core.sweeps import Sweeps
from central.core.uow import UnitOfWork, Units
from central.inbox import routes as inbox_routes
from central.inbox.service import Inbox

log = logging.getLogger(__name__)

_FEATURES = ("people", "audit", "alerts", "items", "stock", "machines", "work", "ui")


class _NoLink:
    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        log.debug("no broker: %s dropped", topic)


async def _alarm(_uow: UnitOfWork, key: str, title: str, text: str) -> None:
    log.warning("%s: %s (%s)", title, text, key)


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()
    database = Database(settings.database_url)
    units = Units(database, settings)
    consumers = Consumers()
    sweeps = Sweeps()
    inbox = Inbox(units, consumers, _NoLink(), _alarm)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await database.take_start_lock()
        await database.check_durability()
        async with database.engine.begin() as connection:
            await connection.run_sync(schema.metadata().create_all)
        inbox.start()
        sweeps.every(1.0, "inbox.chase", inbox.chase)
        sweeps.start(units)
        yield
        await sweeps.stop()
        await inbox.stop()
        await database.close()

    app = FastAPI(title="Copeau", lifespan=lifespan)
    app.state.settings = settings
    app.state.units = units
    app.state.inbox = inbox
    app.include_router(inbox_routes.router)
    for feature in _FEATURES:
        for module in ("consumers", "sweeps"):
            if util.find_spec(f"central.{feature}.{module}"):
                importlib.import_module(f"central.{feature}.{module}").register(
                    consumers if module == "consumers" else sweeps
                )
        for module in ("routes", "pages"):
            if util.find_spec(f"central.{feature}.{module}"):
                app.include_router(importlib.import_module(f"central.{feature}.{module}").router)
    return app
