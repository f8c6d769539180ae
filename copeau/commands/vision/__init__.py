"""``copeau vision``: teach, watch, render, train, evaluate; each command in the file that its work names."""

from __future__ import annotations

from typing import Any

import click

from copeau.commands.vision.common import stop
from copeau.commands.vision.evaluating import evaluate
from copeau.commands.vision.models import compare, labels, markers, sign
from copeau.commands.vision.recette import recette
from copeau.commands.vision.rendering import render, train
from copeau.commands.vision.teaching import teach
from copeau.commands.vision.watching import setup_check, watch


class _Eyes(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] in _ROOMS:
                raise
            stop(f"needs the library {error.name!r}, which is not installed here: run `make setup`")


_ROOMS = {"contracts", "vision", "edge_agents", "copeau"}


@click.group("vision", cls=_Eyes)
def command() -> None:
    """The rack camera's eyes: teach, prove, watch, train, evaluate."""


for _one in (markers, teach, recette, watch, setup_check, render, train, evaluate, labels, compare, sign):
    command.add_command(_one)
