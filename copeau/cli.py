"""``copeau``: finds the command's file by its name, so an agent starts without the centre's libraries."""

from __future__ import annotations

import importlib
import logging
from importlib import util

import click

from copeau import __version__

_HELP = {
    "demo": "A living shop on this machine.",
    "central": "The service on the NAS.",
    "agent": "The process on a Pi: enrol URL | run | check CONFIG.toml.",
    "scan": "Decode the codes in images.",
    "vision": "Render, train, evaluate, watch.",
    "cnc": "What a controller offers; its facts as they come.",
    "bench": "Figures.",
    "admin": "Users, agents, storage, backup.",
}


class _Rooms(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return [name for name in _HELP if util.find_spec(f"copeau.commands.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        try:
            module = importlib.import_module(f"copeau.commands.{cmd_name}")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("copeau"):
                raise
            raise click.ClickException(
                f"`copeau {cmd_name}` needs the library {error.name!r}, which is not installed here: run `make setup`."
            ) from error
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _HELP[name]) for name in self.list_commands(ctx)])


@click.group(cls=_Rooms, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="copeau")
@click.option("-v", "--verbose", count=True, help="More logs: -v info, -vv debug.")
def main(verbose: int) -> None:
    """Copeau: the shop floor keeps its own books."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if level > logging.DEBUG:
        # It writes a line for each notification, ten a second for each machine.
        logging.getLogger("asyncua").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
