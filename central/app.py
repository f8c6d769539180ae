"""The centre as one application: what starts in which order, and which features are wired in."""

from __future__ import annotations

import asyncio
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
from central.audit.keeping import Keeper
from central.core import refusals
from central.core.access import OpenGate, check_routes, routes_of
from central.core.database import Database, DatabaseBusy
from central.core.facts import Consumers
from central.core.pace import Pace
from central.core.settings import Settings
from central.core.shield import Shield
from central.core.sweeps import Sweeps
from central.core.text import NoNul
from central.core.uow import UnitOfWork, Units
from central.fleet import consumers as fleet_consumers
from central.fleet import routes as fleet_routes
from central.fleet import service as fleet
from central.fleet.identifying import DeviceGate
from central.fleet.trust import Trust
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
from central.people import links, posts
from central.people.identity import PersonGate
from central.people.keys import Keys
from central.people.passwords import Hashing
from central.people.signing_in import Door
from central.privacy import enforcing as privacy_sweeps
from central.privacy import remembering, retention
from central.programmes import consumers as programmes_consumers
from central.programmes import routes as programmes_routes
from central.programmes import sweeps as programmes_sweeps
from central.racks import consumers as racks_consumers
from central.racks import crops as racks_crops
from central.racks import routes as racks_routes
from central.racks import sweeps as racks_sweeps
from central.racks.pictures import Pictures
from central.racks.vault import make_key
from central.signing.verifying import check as check_signatures
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
_SWEEPS = (racks_sweeps, stock_sweeps, machines_sweeps, programmes_sweeps, work_sweeps, privacy_sweeps)
_ROUTERS = (
    inbox_routes,
    fleet_routes,
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
    app = FastAPI(
        title="Copeau",
        lifespan=centre.lifespan,
        version=metadata.version("copeau"),
        openapi_url=None,  # what the API looks like is in docs/, not for whoever asks
    )
    app.state.centre = centre
    app.state.settings = centre.settings
    app.state.units = centre.units
    app.state.inbox = centre.inbox
    app.state.live = centre.live
    app.state.link = centre.link
    app.state.gate = centre.gate
    app.state.devices = centre.devices
    app.state.door = centre.door
    app.state.rack_pictures = Pictures()
    app.add_middleware(NoNul)
    app.add_middleware(Pace)
    app.add_middleware(Shield)  # around all others: what they refuse has its headers too
    for module in _ROUTERS:
        app.include_router(module.router)
    refusals.install(app)
    check_routes(routes_of(app))
    return app


class Centre:
    """The parts of one centre, and the order in which they start and stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.units = Units(self.database, settings)
        self.consumers = Consumers()
        self.sweeps = Sweeps()
        self.keys = Keys(settings)
        self.gate: OpenGate | PersonGate = (
            OpenGate() if settings.access == "open" else PersonGate(self.units, self.keys)
        )
        self.devices = DeviceGate(self.units)
        if isinstance(self.gate, PersonGate):
            self.gate.devices = self.devices
        self.door = Door(self.units, self.keys, Hashing())
        self.link = Link(settings, self.units.clock)
        self.inbox = Inbox(self.units, self.consumers, self.link, _alarm, self.link.set_present)
        self.live = Live(self.units, self.link, (LinkDown,))
        self.notebook = fleet.Notebook()
        self.trust: Trust | None = None
        """From `open` on, where anything goes over TLS."""
        self.journal = Keeper(self.units, _alarm, [check_signatures])
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
        await self._open_door()
        if self.settings.tls_port is not None or self.settings.broker_tls:
            self.trust = Trust(self.settings, self.units)
            await self.trust.open()
        if self.settings.broker_tls and self.trust is not None:
            self.link.secure = self.trust.broker_context
        await self.journal.open()
        await self._keep_promises()
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
        self.journal.start()

    async def _open_door(self) -> None:
        """Ready to let persons in; without an owner yet, each start says a link for the first one in the log."""
        await asyncio.to_thread(self.keys.open)
        if isinstance(self.gate, OpenGate):
            log.warning(
                "open without a password: pages answer on this machine only (COPEAU_ACCESS=accounts closes them)"
            )
            return
        self.sweeps.every(60.0, "people.seen", self.gate.write_seen)
        self.sweeps.every(60.0, "people.posts", posts.release_ended)
        async with self.units.begin() as uow:
            token = await links.setup_token(uow)
        if token is not None:
            log.warning("first start: become the owner of this centre at %s/bienvenue/%s", self.settings.address, token)

    async def _open_vault(self) -> None:
        """The key of the pictures, made at the first start; those of a key that was lost are gone, and it is said."""
        if make_key(self.settings):
            log.info("a new key for rack pictures was made beside the database")
        async with self.units.begin() as uow:
            gone = await racks_crops.purge_lost(uow)
        if gone:
            log.error("%d rack pictures were sealed under a key that is lost: removed", gone)

    async def _keep_promises(self) -> None:
        """The retention table must be readable; who was erased stays so, whatever backup was put back."""
        retention.rules(self.settings.data_dir)
        async with self.units.begin() as uow:
            again = await remembering.erase_again(uow)
        if again:
            log.warning("%d persons of an older backup had been erased since: erased again", again)

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        await self.sweeps.stop()
        await self.journal.stop()
        await self.link.stop()
        if self.trust is not None:
            await self.trust.close()
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
