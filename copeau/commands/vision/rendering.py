"""``copeau vision render`` and ``train``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from copeau.commands.vision.common import stop


@click.command("render")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--episodes", type=click.IntRange(min=0), default=0, help="Hand sessions with their truth, for `vision eval`."
)
@click.option(
    "--dataset", type=click.IntRange(min=0), default=0, help="Labelled pictures of hands, in the YOLO layout."
)
@click.option("--photos", type=click.Path(path_type=Path), default=None, help="Real photos, for cut-outs of hands.")
@click.option("--seed", type=int, default=0, show_default=True)
def render(out: Path, episodes: int, dataset: int, photos: Path | None, seed: int) -> None:
    """Render episodes or a data set into OUT; the same seed gives the same pictures."""
    from vision.rendering.episodes import write_episodes
    from vision.rendering.hand_pictures import write_hand_pictures

    if not episodes and not dataset:
        raise click.UsageError("say --episodes N or --dataset N")
    try:
        if dataset:
            write_hand_pictures(out, dataset, max(1, dataset // 5), seed, photos)
            click.echo(f"{dataset} pictures and {max(1, dataset // 5)} for validation in {out}")
        if episodes:
            with click.progressbar(
                write_episodes(out, episodes, seed), length=episodes, label="episodes", file=sys.stderr
            ) as bar:
                for _ in bar:
                    pass
            click.echo(f"{episodes} episodes in {out}")
    except OSError as problem:
        stop(f"{out}: {problem.strerror or problem}")


@click.command("train")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--judge", "subject", flag_value="judge", help="The slot judge, as the shipped one was made.")
@click.option("--hands", "subject", flag_value="hands", default=True, help="The hand detector (the usual).")
@click.option("--images", type=click.IntRange(min=8), default=700, show_default=True)
@click.option(
    "--hours", type=click.FloatRange(min=0, min_open=True), default=0.3, show_default=True, help="Wall-clock budget."
)
@click.option("--epochs", type=click.IntRange(min=1), default=None, help="Train so many epochs instead.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Weights (.pt) to go on from.",
)
@click.option("--photos", type=click.Path(path_type=Path), default=None, help="Real photos, for cut-outs of hands.")
def train(
    out: Path,
    subject: str,
    images: int,
    hours: float,
    epochs: int | None,
    seed: int,
    start: Path | None,
    photos: Path | None,
) -> None:
    """Train a model into OUT (needs the `train` extra)."""
    if subject == "judge":
        _train_judge(out)
        return
    from vision.training import TrainingPlan, TrainingUnavailableError
    from vision.training import train as run

    budget = None if epochs else hours
    plan = TrainingPlan(out, images, max(8, images // 6), seed, budget, epochs or 30, start=start, photos=photos)
    try:
        click.echo(run(plan))
    except TrainingUnavailableError as problem:
        stop(str(problem))


def _train_judge(out: Path) -> None:
    from vision.judging.training import JudgeTrainingUnavailableError, make_slot_judge

    try:
        click.echo(make_slot_judge(out))
    except (JudgeTrainingUnavailableError, ImportError) as problem:
        stop(f"training needs the `train` extra: {problem}")
    except OSError as problem:
        stop(f"{out}: {problem.strerror or problem}")
