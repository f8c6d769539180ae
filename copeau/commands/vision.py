"""``copeau vision``: render, train, evaluate, watch."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click


@click.group("vision")
def command() -> None:
    """The rack camera's eyes: render, train, eval, watch."""


@command.command("render")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--episodes", type=click.IntRange(min=0), default=0, help="Hand sessions with their truth, for `vision eval`."
)
@click.option("--dataset", type=click.IntRange(min=0), default=0, help="Labelled pictures in the YOLO layout.")
@click.option("--seed", type=int, default=0, show_default=True)
def render(out: Path, episodes: int, dataset: int, seed: int) -> None:
    """Render episodes or a data set into OUT; the same seed gives the same pictures."""
    from vision.rendering.dataset import write_dataset
    from vision.rendering.episodes import write_episodes

    if not episodes and not dataset:
        raise click.UsageError("say --episodes N or --dataset N")
    try:
        if dataset:
            write_dataset(out, dataset, max(1, dataset // 5), seed)
            click.echo(f"{dataset} pictures and {max(1, dataset // 5)} for validation in {out}")
        if episodes:
            with click.progressbar(
                write_episodes(out, episodes, seed), length=episodes, label="episodes", file=sys.stderr
            ) as bar:
                for _ in bar:
                    pass
            click.echo(f"{episodes} episodes in {out}")
    except OSError as problem:
        _stop(f"{out}: {problem.strerror or problem}")


@command.command("train")
@click.argument("out", type=click.Path(path_type=Path))
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
def train(out: Path, images: int, hours: float, epochs: int | None, seed: int, start: Path | None) -> None:
    """Train the rack detector into OUT (needs the `train` extra)."""
    from vision.training import TrainingPlan, TrainingUnavailableError
    from vision.training import train as run

    budget = None if epochs else hours
    plan = TrainingPlan(out, images, max(8, images // 6), seed, budget, epochs or 30, start=start)
    try:
        click.echo(run(plan))
    except TrainingUnavailableError as problem:
        _stop(str(problem))


@command.command("eval")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Close with one JSON line.")
@click.option("--detector", default="onnx", show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=None, help="Another .onnx with its .json sheet.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
def evaluate(folder: Path, as_json: bool, detector: str, model: Path | None, threads: int) -> None:
    """Picks and returns of the episodes in FOLDER against their truth."""
    from vision.detectors import DetectorError, make_detector
    from vision.evaluation import EvaluationError, totals
    from vision.evaluation import evaluate as run

    results = []
    try:
        for result in run(folder, lambda: make_detector(detector, model, threads)):
            results.append(result)
            if not as_json or not result.exact:
                sign = "ok   " if result.exact else "WRONG"
                click.echo(
                    f"{sign} {result.name} expected {result.expected} seen {result.seen} {result.mode}", err=as_json
                )
    except (EvaluationError, DetectorError) as problem:
        _stop(str(problem))
    counts = totals(results)
    if as_json:
        click.echo(json.dumps({"episodes": [r.as_json() for r in results], "totals": counts}))
    else:
        click.echo(", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts.items()))


@command.command("watch")
@click.argument("source")
@click.option("--rack", "rack_file", type=click.Path(path_type=Path), required=True, help="rack.json")
@click.option("--fps", type=click.FloatRange(min=0, min_open=True), default=None)
@click.option("--json", "as_json", is_flag=True, help="One JSON line per change.")
@click.option("--detector", default="onnx", show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=None)
def watch(source: str, rack_file: Path, fps: float | None, as_json: bool, detector: str, model: Path | None) -> None:
    """Print the changes seen in SOURCE (folder, video, camera number, rtsp/http URL) as they come."""
    from vision.detectors import DetectorError, make_detector
    from vision.pipeline import RackWatcher
    from vision.slots import RackError, load_rack
    from vision.sources import CameraGoneError, SourceError, open_source

    try:
        watcher = RackWatcher(load_rack(rack_file), make_detector(detector, model))
        stream = open_source(source, fps=fps)
        while True:
            try:
                for frame in stream:
                    begun = time.perf_counter()
                    changes = watcher.feed(frame.image, frame.ts)
                    spent = (time.perf_counter() - begun) * 1000
                    for change in changes:
                        _say(change, frame.index, spent, as_json)
            except CameraGoneError as gone:
                click.echo(str(gone), err=True)
                continue
            break
    except (RackError, DetectorError, SourceError, ValueError) as problem:
        _stop(str(problem))
    except KeyboardInterrupt:
        click.echo("stopped", err=True)


@command.command("setup-check")
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("now", type=click.Path(path_type=Path))
@click.option("--zone", default=None, help="The clear zone, in px of the picture: `x,y x,y x,y`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per change.")
def setup_check(reference: Path, now: Path, zone: str | None, as_json: bool) -> None:
    """Before a cut: what differs in the machine's clear zone between picture REFERENCE and picture NOW.

    Exit code 1 when something differs. It warns a person; it never stops a machine.
    """
    from vision.setup_check import SetupCheckError, changed_zones, read_gray

    try:
        corners = [(float(x), float(y)) for x, y in (pair.split(",") for pair in zone.split())] if zone else None
        if corners is not None and len(corners) < 3:
            raise ValueError(f"{len(corners)} corners")  # noqa: TRY301 - said with the others, below
    except ValueError as error:
        _stop(f"--zone {zone}: write at least three corners, `10,10 600,10 600,400` ({error})")
    try:
        found = changed_zones(read_gray(reference), read_gray(now), corners)
    except SetupCheckError as error:
        _stop(str(error))
    for change in found:
        place = {"x": change.x, "y": change.y, "width": change.width, "height": change.height}
        said = f"changed: {change.width} x {change.height} px at ({change.x}, {change.y}), contrast {change.contrast}"
        click.echo(json.dumps({**place, "contrast": change.contrast}) if as_json else said)
    if not found and not as_json:
        click.echo("nothing differs")
    raise SystemExit(1 if found else 0)


def _say(change: Any, index: int, spent_ms: float, as_json: bool) -> None:
    if as_json:
        line = {
            "frame": index,
            "slot": change.slot,
            "delta": change.delta,
            "before": change.before_count,
            "after": change.after_count,
            "confidence": change.confidence,
            "mode": change.mode,
            "at": round(change.at, 3),
            "began": round(change.began, 3),
            "ended": round(change.ended, 3),
            "during_absence": change.during_absence,
            "frame_ms": round(spent_ms, 1),
        }
        click.echo(json.dumps(line))
        return
    click.echo(
        f"{change.at:8.2f} s  {change.slot}  {change.before_count} -> {change.after_count}  ({change.delta:+d})"
        f"  {change.mode} {change.confidence:.2f}"
        f"  settled {change.ended:.2f} s, frame {index}, {spent_ms:.1f} ms"
    )


def _stop(sentence: str) -> NoReturn:
    click.echo(f"copeau vision: {sentence}", err=True)
    raise SystemExit(2)
