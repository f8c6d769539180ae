"""``copeau central``: the service on the NAS."""

from __future__ import annotations

import sys
from typing import Any

import click


@click.command(help="Run the centre: inbox, stock, work, machines and their pages.")
@click.option("--database", "database_url", help="sqlite:///path or postgresql://user:password@host/name.")
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the pages (default 8000).")
@click.option("--broker", metavar="HOST:PORT", help="MQTT broker (default 127.0.0.1:1883).")
@click.option("--site", help="Name of this site, one level of every topic.")
def command(database_url: str | None, host: str | None, port: int | None, broker: str | None, site: str | None) -> None:
    from pydantic import ValidationError

    from central.core.settings import Settings
    from central.server import CannotStart, serve

    given: dict[str, Any] = {"database_url": database_url, "host": host, "port": port, "site": site}
    if broker is not None:
        name, _, broker_port = broker.rpartition(":")
        given |= {"broker_host": name or broker, "broker_port": broker_port if name else 1883}
    try:
        settings = Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise click.UsageError("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())) from None
    try:
        serve(settings)
    except CannotStart as error:
        click.echo(f"copeau central: {error}", err=True)
        sys.exit(2)
