"""One agent: its outbox, its uplink, its parts, from one configuration."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import metadata

from contracts.facts import AgentStarted, SourceStatus
from edge_agents.centre_http import CentreHttp
from edge_agents.clock import Clock
from edge_agents.commands import Commands
from edge_agents.config import AgentConfig
from edge_agents.identity import Identity, forget
from edge_agents.link import Link
from edge_agents.outbox import ALERT_AT, Fact, Outbox, OutboxError
from edge_agents.renewal import Renewal
from edge_agents.supervisor import Part, Supervisor
from edge_agents.uplink import Settings, Uplink

_log = logging.getLogger(__name__)


def _version() -> str:
    try:
        return metadata.version("copeau")
    except metadata.PackageNotFoundError:
        return "unknown"


VERSION = _version()
_LEAVE_WITHIN_S = 2.0
_LOOK_EVERY_S = 5.0
_TELL_WITHIN_S = 30.0


class Agent:
    """`await Agent(config).run()` runs until it is cancelled, and then closes in order within some seconds."""

    def __init__(self, config: AgentConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock()

    async def run(self) -> None:
        """Raises OutboxError when the outbox cannot be used."""
        own, centre, box = self._config.agent, self._config.centre, self._config.outbox
        async with Outbox.open(
            box.path, site=own.site, agent=own.name, clock=self._clock, max_bytes=box.max_mb * 1024 * 1024
        ) as outbox:
            await self._say_started(outbox)
            broker = centre.broker()
            supervisor = Supervisor(make_parts(self._config), outbox)
            commands = Commands(supervisor, outbox)
            uplink = Uplink(
                outbox,
                lambda name, subscriptions, will: Link(broker, name, subscriptions, will),
                version=VERSION,
                parts=lambda: supervisor.states,
                obey=commands.take,
                on_present=supervisor.centre_present,
                cert_until=_end_of(centre.enrolled),
                settings=Settings(heartbeat_s=centre.heartbeat_s, resend_s=centre.resend_s),
            )
            supervisor.changed = uplink.state_changed
            supervisor.start()
            tasks = [
                asyncio.create_task(uplink.run(), name="uplink"),
                asyncio.create_task(_watch_room(outbox), name="room"),
            ]
            tasks.append(asyncio.create_task(_until_wiped(commands, outbox), name="wipe"))
            if centre.enrolled is not None:
                tasks.append(asyncio.create_task(Renewal(centre.enrolled, outbox).run(), name="renewal"))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                wiped = commands.wiping.is_set()
                await commands.close()
                await supervisor.stop()
                await asyncio.wait([asyncio.create_task(uplink.say_offline())], timeout=_LEAVE_WITHIN_S)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks, timeout=_LEAVE_WITHIN_S)

        if wiped:
            await asyncio.to_thread(wipe, self._config)
            _log.warning("everything of this agent is gone: the centre asked for it")

    async def _say_started(self, outbox: Outbox) -> None:
        facts = [Fact(AgentStarted(version=VERSION, clean=outbox.was_clean, config=self._config.agent.name))]
        if outbox.set_aside is not None:
            message = (
                f"Le fichier des faits était abîmé : il est gardé sous {outbox.set_aside.name}, un nouveau est ouvert. "
                "Les faits non transmis y sont peut-être encore : le garder et vérifier la carte SD."
            )
            facts.append(Fact(SourceStatus(source="outbox", status="error", code="outbox_damaged", message=message)))
        try:
            await outbox.put(facts)
        except OutboxError as error:
            _log.error("start not written: %s", error)


async def _until_wiped(commands: Commands, outbox: Outbox) -> None:
    """Ends when all is to go, and the centre has the answer that says so (or will hardly have it any more)."""
    await commands.wiping.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_TELL_WITHIN_S):
            while (at := await outbox.position("facts")).acked < at.last:  # noqa: ASYNC110  # the outbox has no such event
                await asyncio.sleep(0.1)


def wipe(config: AgentConfig) -> None:
    """Remove what this agent knows: its key first. Its configuration stays; what cannot be removed is logged."""
    box, pictures = config.outbox.path, config.pictures
    if config.centre.identity is not None:
        forget(config.centre.identity)
    folders = [pictures.folder or box.with_name(f"{box.stem}-pictures"), box.with_name(f"{box.stem}-models")]
    files = [pictures.key or box.with_name(f"{box.stem}-pictures.key"), *box.parent.glob(f"{box.name}*")]
    for path in files:
        path.unlink(missing_ok=True)
    for folder in folders:
        if folder.is_dir():
            shutil.rmtree(folder, onerror=lambda _how, path, error: _log.error("%s stays: %s", path, error[1]))


def _end_of(identity: Identity | None) -> Callable[[], datetime | None]:
    """The end of the certificate that is on disk, read again at each heartbeat."""

    def until() -> datetime | None:
        try:
            return None if identity is None else identity.until()
        except (OSError, ValueError):
            return None

    return until


async def _watch_room(outbox: Outbox) -> None:
    """Say once when the outbox fills, and when it has room again."""
    alerted = False
    while True:
        full = outbox.used >= ALERT_AT
        if full != alerted:
            message = (
                f"Mémoire de l'agent remplie à {outbox.used:.0%} : rétablir la liaison avec le centre."
                if full
                else "La mémoire de l'agent a de nouveau de la place."
            )
            status = SourceStatus(
                source="outbox", status="full" if full else "ok", code="outbox_80" if full else "ok", message=message
            )
            try:
                await outbox.put([Fact(status)])
                alerted = full
            except OutboxError as error:
                _log.error("%s", error)
        await asyncio.sleep(_LOOK_EVERY_S)


def make_parts(config: AgentConfig) -> list[Part]:
    """The parts of a configuration; only the libraries that they need are loaded."""
    parts: list[Part] = []
    if config.rack:
        from edge_agents.eyes import Eyes
        from edge_agents.parts.pictures import PicturesPart
        from edge_agents.parts.rack import RackPart
        from edge_agents.rack_models import Models
        from edge_agents.spool import Spool

        http = CentreHttp(config.centre.http_address, config.centre.trusted, identity=config.centre.shown)
        kept, beside = config.pictures, config.outbox.path
        spool = Spool(
            kept.folder or beside.with_name(f"{beside.stem}-pictures"),
            kept.key or beside.with_name(f"{beside.stem}-pictures.key"),
            kept.max_mb * 1024 * 1024,
        )
        eyes = Eyes(config.agent.racks_per_process)
        pictures = PicturesPart(spool, http, timedelta(hours=kept.hours))
        for section in config.rack:
            folder = beside.with_name(f"{beside.stem}-models") / section.name
            models = Models(folder, http, section.model_key, unsigned=section.unsigned_models)
            parts.append(RackPart(section, eyes, pictures, models))
        parts.append(pictures)
    if config.scanner:
        from edge_agents.parts.scanner import ScannerPart

        parts += [ScannerPart(section) for section in config.scanner]
    if config.scale:
        from edge_agents.parts.scale import ScalePart

        parts += [ScalePart(scale) for scale in config.scale]
    if config.contact:
        from edge_agents.parts.contact import ContactPart
        from edge_agents.parts.rack import RackPart

        racks = {part.name: part for part in parts if isinstance(part, RackPart)}
        parts += [ContactPart(contact, racks.get(contact.rack or "")) for contact in config.contact]
    if config.machine:
        from edge_agents.parts.guard import GuardPart
        from edge_agents.parts.machine import MachinePart
        from edge_agents.parts.programmes import Exchange

        exchange = Exchange(
            config.centre.http_address, config.centre.programmes_s, config.centre.trusted, config.centre.shown
        )
        for source in config.machine:
            guard = GuardPart(source, config.outbox.path.parent) if source.machine.guard is not None else None
            parts += [MachinePart(source, exchange, guard), *([guard] if guard is not None else [])]
    return parts
