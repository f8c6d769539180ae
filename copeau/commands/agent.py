"""``copeau agent``: the process on a Pi."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import click

from contracts.enrolment import parse_invitation
from edge_agents import identity as enrolling
from edge_agents.agent import Agent
from edge_agents.config import AgentConfig, ConfigError, load
from edge_agents.outbox import OutboxError

_FILE = click.argument("config", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def command() -> None:
    """The process on a Pi: its sources' facts to disk, then to the centre."""


@command.command()
@_FILE
def run(config: Path) -> None:
    """Run the agent of CONFIG.toml until SIGTERM or Ctrl-C."""
    tree = _load(config)
    try:
        asyncio.run(_until_told_to_stop(Agent(tree)))
    except OutboxError as error:
        click.echo(f"{error}\n{error.french}", err=True)
        sys.exit(1)


@command.command()
@_FILE
def check(config: Path) -> None:
    """Check CONFIG.toml: one line for each mistake, with its line and its fix; exits 2 when there is one."""
    tree = _load(config)
    names = ", ".join(tree.part_names) or "no part yet"
    click.echo(f"{config}: good. Agent {tree.agent.name} of {tree.agent.site}: {names}.")


@command.command()
@click.argument("url")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("agent.toml"),
    show_default=True,
    help="Its configuration; written when it is not there yet.",
)
@click.option("--identity", "name", default="identity", show_default=True, help="Folder beside it: key, certificate.")
def enrol(url: str, config: Path, name: str) -> None:
    """Make this agent one of the shop's. URL: shown with its QR by the centre's page Agents, good for 15 minutes."""
    folder = config.absolute().parent / name
    try:
        identity = asyncio.run(enrolling.enrol(parse_invitation(url), folder))
    except (ValueError, enrolling.IdentityError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    card = identity.card
    click.echo(f"{card.name} ({card.site}) est enrôlé ; son certificat vaut jusqu'au {identity.until():%d/%m/%Y}.")
    if not config.exists():
        config.write_text(_FIRST_CONFIG.format(name=card.name, site=card.site, folder=name), encoding="utf-8")
        click.echo(f"{config} est écrit : y décrire ses sources, puis : copeau agent run {config}")
        return
    try:
        tree = load(config)
    except ConfigError as error:
        click.echo("\n".join(error.lines), err=True)
        sys.exit(2)
    if tree.centre.identity is None:
        click.echo(f'Dans {config}, section [centre], écrire seulement : identity = "{name}"')


_FIRST_CONFIG = """\
# L'agent {name}. Ses sources s'ajoutent en dessous : [[rack]], [[scanner]], [[scale]], [[contact]], [[machine]].
[agent]
name = "{name}"
site = "{site}"

[centre]
identity = "{folder}"
"""


def _load(path: Path) -> AgentConfig:
    try:
        return load(path)
    except ConfigError as error:
        for line in error.lines:
            click.echo(line, err=True)
        sys.exit(2)


async def _until_told_to_stop(agent: Agent) -> None:
    running = asyncio.create_task(agent.run(), name="agent")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running
