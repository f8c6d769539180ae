"""``copeau admin devices``: who may speak, on the centre's own machine, also while the centre runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from central.core.settings import Settings
    from central.core.uow import Units
    from central.fleet.enrolment import Kind
    from contracts.enrolment import Invitation

_DATABASE = click.option("--database", "database_url", help="As for `copeau central`.")
WHO = "system"
"""Who acts at this command line: whoever may run commands on the centre's machine."""


@click.group()
def devices() -> None:
    """Agents and terminals: list, invite, retire."""


@devices.command("list")
@_DATABASE
@click.option("--retired", is_flag=True, help="Also those that were retired.")
def show(database_url: str | None, *, retired: bool) -> None:
    """One line for each device."""
    from central.fleet import enrolment

    async def read() -> None:
        async with _units(_settings(database_url)) as units, units.reading() as uow:
            for d in await enrolment.devices(uow, retired=retired):
                state = "retired" if d.retired_at else "enrolled" if d.enrolled_at else "invited"
                until = f"{d.cert_until:%Y-%m-%d}" if d.cert_until else "-"
                click.echo(f"{d.name}\t{d.kind}\t{state}\t{until}\t{d.label}")

    _run(read())


@devices.command()
@click.argument("name")
@_DATABASE
@click.option("--host", help="Name or address of this NAS for the agent; default: the first of COPEAU_NAMES.")
@click.option("--terminal", is_flag=True, help="A tablet or post instead of an agent.")
@click.option("--label", default="", help="What the pages call it.")
def invite(name: str, database_url: str | None, host: str | None, label: str, *, terminal: bool) -> None:
    """A one-time token, good for 15 minutes, as the one command that the agent runs, and its QR."""
    import segno

    settings = _settings(database_url)
    if settings.tls_port is None:
        raise click.ClickException("no safe address yet: start the centre with COPEAU_TLS_PORT=8443, then try again")
    invitation = _run(_invite(settings, name, "terminal" if terminal else "agent", label, host))
    url = invitation.url()
    if terminal:
        url = f"https://{invitation.host}:{invitation.port}/inscription#{invitation.token}"
    segno.make(url, error="m").terminal(compact=True)
    click.echo(url if terminal else f"copeau agent enrol '{url}'")


@devices.command()
@click.argument("name")
@_DATABASE
def retire(name: str, database_url: str | None) -> None:
    """It may no longer speak; a running centre ends its session within seconds."""
    from central.fleet import enrolment

    async def write() -> None:
        async with _units(_settings(database_url)) as units, units.begin() as uow:
            await enrolment.retire(uow, name, by=WHO)

    _run(write())
    click.echo(f"{name}: retired")


async def _invite(settings: Settings, name: str, kind: Kind, label: str, host: str | None) -> Invitation:
    from central.fleet import enrolment
    from central.fleet.trust import Trust
    from contracts.enrolment import Invitation

    async with _units(settings) as units:
        trust = Trust(settings, units)
        async with units.begin() as uow:
            made = await enrolment.invite(uow, name, kind, label, by=WHO)
    return Invitation(host or trust.names[0], settings.tls_port or 0, made.token, trust.authority.fingerprint)


def _settings(database_url: str | None) -> Settings:
    from central.core.settings import Settings

    given: dict[str, Any] = {"database_url": database_url} if database_url else {}
    return Settings(**given)


@asynccontextmanager
async def _units(settings: Settings) -> AsyncIterator[Units]:
    """Beside a running centre: each act is one short transaction of its own."""
    from central.core.database import Database
    from central.core.uow import Units

    units = Units(Database(settings.database_url), settings)
    try:
        yield units
    finally:
        await units.database.close()


def _run(job: Any) -> Any:
    from sqlalchemy.exc import DBAPIError

    try:
        return asyncio.run(job)
    except DBAPIError as error:
        click.echo(f"copeau admin: {error.orig}; start the centre once on this database first", err=True)
    except (ValueError, LookupError, RuntimeError, OSError) as error:
        click.echo(f"copeau admin: {error}", err=True)
    sys.exit(2)
