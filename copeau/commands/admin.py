"""``copeau admin``: what is done on the centre's own machine, by whoever may run commands there."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from copeau.commands.admin_devices import devices
from copeau.commands.admin_journal import anchors, verify
from copeau.commands.admin_restored import restored

if TYPE_CHECKING:
    from central.core.settings import Settings


@click.group(help="Owner, devices, journal: on the centre's own machine.")
def command() -> None: ...


@command.command("owner-link")
@click.option("--database", "database_url", help="As for `copeau central`.")
@click.option("--forget-factor", is_flag=True, help="The owner lost phone, passkeys and recovery codes too.")
def owner_link(database_url: str | None, *, forget_factor: bool) -> None:
    """A link, good once, by which the owner sets a password: nobody is locked out who can reach this machine."""
    from sqlalchemy.exc import DBAPIError

    from central.core.settings import Settings

    given: dict[str, Any] = {"database_url": database_url} if database_url else {}
    settings = Settings(**given)
    try:
        token = asyncio.run(_owner_token(settings, forget_factors=forget_factor))
    except DBAPIError as error:
        click.echo(f"copeau admin: {error.orig}; start the centre once on this database first", err=True)
        sys.exit(2)
    click.echo(f"{settings.address}/bienvenue/{token}")


async def _owner_token(settings: Settings, *, forget_factors: bool) -> str:
    from central.core.database import Database
    from central.core.uow import Units
    from central.people import links

    units = Units(Database(settings.database_url), settings)
    try:
        async with units.begin() as uow:
            token = await links.owner_token(uow, forget_factors=forget_factors) or await links.setup_token(uow)
            assert token is not None
            return token
    finally:
        await units.database.close()


command.add_command(devices)
command.add_command(verify)
command.add_command(anchors)
command.add_command(restored)
