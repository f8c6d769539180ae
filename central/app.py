"""The centre as one application: what starts in which order, and which features are wired in."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from asyncio import Task
from collections.abc import AsyncIterator
from importlib import metadata

import msgspec
from fastapi import FastAPI

from central import migrations
from central.alerts import routes as alerts_routes
from central.alerts import service as alerts
from central.core.database import Database, DatabaseBusy
from central.core.facts import Consumers
from central.core.settings import Settings
from central.core.sweeps import Sweeps
from central.core.text import NoNul
from central.core.uow import UnitOfWork, Units
from central.fleet import consumers as fleet_consumers
from central.fleet import service as fleet
from central.inbox import quarantine
from central.inbox import routes as inbox_routes
from central.inbox.service import Inbox
from central.link import Link, LinkDown
from central.live import routes as live_routes
from central.live.service import Live
from central.machines import consumers as machines_consumers
from central.machines import routes as machines_routes
from central.machines import sweeps as machines_sweeps
from central.people import consumers as people_consumers
from central.programmes import consumers as programmes_consumers
from central.programmes import routes as programmes_routes
from central.programmes import sweeps as programmes_sweeps
from central.racks import consumers as racks_consumers
from central.racks import crops as racks_crops
from central.racks import routes as racks_routes
from central.racks import sweeps as racks_sweeps
from central.racks.pictures import Pictures
from central.racks.vault import make_key
from central.stock import consumers as stock_consumers
from central.stock import routes as stock_routes
from central.stock import sweeps as stock_sweeps
from central.ui import pages
from central.work import consumers as work_consumers
from central.work import routes as work_routes
from central.work import sweeps as work_sweeps
from contracts import topics
from contracts.control import AgentState

log = logging.getLogger(__name__)

_CONSUMERS = (
    people_consumers,
    fleet_consumers,
    racks_consumers,
    stock_consumers,
    machines_consumers,
    programmes_consumers,
    work_consumers,
)
"""Lower features first: what they write is there when the higher ones look."""
_SWEEPS = (racks_sweeps, stock_sweeps, machines_sweeps, programmes_sweeps, work_sweeps)
_ROUTERS = (
    inbox_routes,
    live_routes,
    alerts_routes,
    racks_routes,
    stock_routes,
    machines_routes,
    programmes_routes,
    work_routes,
    pages,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Nothing is opened before the application starts: a second centre on the same database then refuses with
    `DatabaseBusy`.
    """
    centre = Centre(settings or Settings())
    app = FastAPI(title="Copeau", lifespan=centre.lifespan, version=metadata.version("copeau"))
    app.state.centre = centre
    app.state.settings = centre.settings
    app.state.units = centre.units
    app.state.inbox = centre.inbox
    app.state.live = centre.live
    app.state.link = centre.link
    app.state.rack_pictures = Pictures()
    app.add_middleware(NoNul)
    for module in _ROUTERS:
        app.include_router(module.router)
    return app


class Centre:
    """The parts of one centre, and the order in which they start and stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.units = Units(self.database, settings)
        self.consumers = Consumers()
        self.sweeps = Sweeps()
        self.link = Link(settings, self.units.clock)
        self.inbox = Inbox(self.units, self.consumers, self.link, _alarm, self.link.set_present)
        self.live = Live(self.units, self.link, (LinkDown,))
        self.notebook = fleet.Notebook()
        self._is_open = False
        self.link.on_message = self._route
        self.link.on_up(self.live.wake)
        for consumers in _CONSUMERS:
            consumers.register(self.consumers)
        for sweeps in _SWEEPS:
            sweeps.register(self.sweeps)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """For servers that start the application by themselves; `copeau central` opens it before it listens."""
        if not self._is_open:
            await self.open()
        try:
            yield
        finally:
            await self.close()

    async def open(self) -> None:
        """Take the database, bring it up to date, begin to work. Raises `DatabaseBusy`, RuntimeError, DBAPIError."""
        await self.database.take_start_lock()
        self._is_open = True
        await self.database.check_durability()
        async with self.database.engine.begin() as connection:
            await connection.run_sync(migrations.upgrade)
        await self._open_vault()
        again = await self.inbox.rerun_after_upgrade(metadata.version("copeau"))
        if again:
            log.info("%d facts of the quarantine are understood by this version", again)
        self.inbox.start(self._fatal)
        self.live.start()
        self.link.start()
        self.sweeps.every(1.0, "inbox.chase", self.inbox.chase)
        self.sweeps.every(1.0, "fleet.write", self.notebook.write)
        self.sweeps.every(2.0, "fleet.silent", fleet.mark_silent)
        self.sweeps.every(5.0, "core.lock", self._keep_lock)
        self.sweeps.every(60.0, "live.purge", self.live.purge)
        self.sweeps.every(3600.0, "inbox.purge", self.inbox.purge)
        self.sweeps.every(3600.0, "quarantine.purge", quarantine.purge)
        self.sweeps.start(self.units)

    async def _open_vault(self) -> None:
        """The key of the pictures, made at the first start; those of a key that was lost are gone, and it is said."""
        if make_key(self.settings):
            log.info("a new key for rack pictures was made beside the database")
        async with self.units.begin() as uow:
            gone = await racks_crops.purge_lost(uow)
        if gone:
            log.error("%d rack pictures were sealed under a key that is lost: removed", gone)

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        await self.sweeps.stop()
        await self.link.stop()
        await self.inbox.stop()
        await self.live.stop()
        await self.database.close()

    def _route(self, address: topics.Address, payload: bytes, retained: bool) -> None:
        if address.channel != "state":
            self.inbox.accept(address.site, address.agent, payload)
            return
        try:
            state = msgspec.json.decode(payload, type=AgentState)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("state of %s is unreadable: %s", address.agent, error)
            return
        if state.agent != address.agent:
            log.warning("state of %s arrived as %s: ignored", state.agent, address.agent)
            return
        self.notebook.note(state, retained=retained)
        self.inbox.heard(state, retained=retained)

    def _fatal(self, task: Task[None]) -> None:
        """The inbox cannot go on (another centre took the database): stop rather than look alive."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stop(error)

    async def _keep_lock(self, _uow: UnitOfWork) -> None:
        try:
            await self.database.keep_start_lock()
        except DatabaseBusy as error:
            self._stop(error)

    def _stop(self, error: BaseException) -> None:
        log.critical("the centre stops: %s", error)
        os.kill(os.getpid(), signal.SIGTERM)


async def _alarm(uow: UnitOfWork, key: str, title: str, text: str) -> None:
    await alerts.raise_alert(uow, key, "high", title, text)
