"""``copeau vision``: teach, watch, render, train, evaluate; each command in the file that its work names."""

from __future__ import annotations

import click

from copeau.commands.vision.evaluating import evaluate
from copeau.commands.vision.models import compare, labels, markers, sign
from copeau.commands.vision.recette import recette
from copeau.commands.vision.rendering import render, train
from copeau.commands.vision.teaching import teach
from copeau.commands.vision.watching import setup_check, watch


@click.group("vision")
def command() -> None:
    """The rack camera's eyes: teach, prove, watch, train, evaluate."""


for _one in (markers, teach, recette, watch, setup_check, render, train, evaluate, labels, compare, sign):
    command.add_command(_one)
