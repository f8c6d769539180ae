"""``copeau vision eval``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from copeau.commands.vision.common import stop


@click.command("eval")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Close with one JSON line.")
@click.option("--detector", default="onnx", show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=None, help="Another .onnx with its .json sheet.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
def evaluate(folder: Path, as_json: bool, detector: str, model: Path | None, threads: int) -> None:
    """Picks and returns of the episodes in FOLDER against their truth."""
    from vision.detectors import DetectorError, make_detector
    from vision.evaluation.recordings import EvaluationError, totals
    from vision.evaluation.recordings import evaluate as run

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
        stop(str(problem))
    counts = totals(results)
    if as_json:
        click.echo(json.dumps({"episodes": [r.as_json() for r in results], "totals": counts}))
    else:
        click.echo(", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts.items()))
