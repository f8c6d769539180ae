"""``copeau vision eval``: recordings in a folder, rendered racks, faults, the real clip, hands."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from copeau.commands.vision.common import stop

if TYPE_CHECKING:
    from vision.evaluation.rendered import Plan
    from vision.evaluation.stages import Eyes

_PHOTOS = Path("../shared/data/photos")


@click.command("eval")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Close with one JSON line.")
@click.option("--detector", default="onnx", show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=None, help="Another .onnx with its .json sheet.")
@click.option("--judge", type=click.Path(path_type=Path), default=None, help="Another slot judge.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--rendered", is_flag=True, help="Rendered racks of all cases, of seeds that trained nothing.")
@click.option("--slots", default="12,40,96", show_default=True, help="Rack sizes.")
@click.option("--debits", type=click.IntRange(min=1), default=5000, show_default=True, help="Automatic, all sizes.")
@click.option("--nothing", type=click.IntRange(min=1), default=None, help="So many sessions in which nothing is taken.")
@click.option("--stacked", type=click.IntRange(min=1), default=None, help="So many with stacked items: ask is right.")
@click.option("--opened", type=click.IntRange(min=1), default=None, help="So many opened in place: ask is right.")
@click.option("--cases", default=None, help="Only these cases, comma-separated, with --rendered.")
@click.option("--faults", is_flag=True, help="Each fault with picks before, during and after; a simulated week.")
@click.option("--racks", type=click.IntRange(min=1), default=3, show_default=True, help="Racks a fault.")
@click.option("--clip", is_flag=True, help="The real clip and its variants.")
@click.option("--hands", is_flag=True, help="Hands on real photos and in the clip.")
@click.option("--photos", type=click.Path(path_type=Path), default=_PHOTOS, show_default=True)
@click.option("--seed", type=click.IntRange(0, 99), default=1, show_default=True, help="Other racks.")
@click.option("--size", default="1920x1080", show_default=True, help="Of the rendered pictures.")
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="Save here; go on from here.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=None, help="Stop after so long.")
def evaluate(
    folder: Path | None,
    as_json: bool,
    detector: str,
    model: Path | None,
    judge: Path | None,
    threads: int,
    rendered: bool,
    slots: str,
    debits: int,
    nothing: int | None,
    stacked: int | None,
    opened: int | None,
    cases: str | None,
    faults: bool,
    racks: int,
    clip: bool,
    hands: bool,
    photos: Path,
    seed: int,
    size: str,
    checkpoint: Path | None,
    minutes: float | None,
) -> None:
    """Against the truth: picks and returns of the episodes in FOLDER, or what the options name."""
    if folder is not None:
        _recordings(folder, as_json, detector, model, threads)
        return
    from vision.detectors import DetectorError
    from vision.evaluation.checkpoint import CheckpointError
    from vision.evaluation.hands import PhotosMissingError
    from vision.evaluation.rendered import IDLE, Plan, StuckError
    from vision.judging.net import NetError

    plans: dict[str, Plan] = {}
    try:
        base = Plan(slots=_sizes(slots), seed=seed, size=_size(size))
        if rendered:
            plans["rendered"] = _but(base, debits=debits, cases=_names(cases))
        if nothing:
            plans["nothing"] = _but(base, debits=None, sessions=nothing, cases=IDLE)
        if stacked:
            plans["stacked"] = _but(base, debits=None, sessions=stacked, cases=("stacked",))
        if opened:
            plans["opened"] = _but(base, debits=None, sessions=opened, cases=("lid_opened",))
    except ValueError as problem:
        stop(str(problem))
    if not (plans or faults or clip or hands):
        raise click.UsageError("name a FOLDER of episodes, or --rendered, --nothing, --faults, --clip, --hands …")
    results: dict[str, Any] = {}
    try:
        from vision.evaluation.stages import Eyes

        eyes = Eyes(detector, model, judge, threads)
        results["versions"] = eyes.versions()
        _note(results["versions"], as_json)
        until = None if minutes is None else time.monotonic() + 60 * minutes
        for name, plan in plans.items():
            results[name] = _played(name, plan, eyes, _file(checkpoint, name, len(plans)), until, as_json)
        if faults:
            results["faults"] = _faults(eyes, racks, base, as_json)
        if clip:
            results["clip"] = _clip(eyes, photos, as_json)
        if hands:
            results["hands"] = _hands(eyes, photos, as_json)
    except (DetectorError, NetError, CheckpointError, PhotosMissingError, StuckError) as problem:
        stop(str(problem))
    if as_json:
        click.echo(json.dumps(results))


def _played(name: str, plan: Plan, eyes: Eyes, file: Path | None, until: float | None, as_json: bool) -> dict[str, Any]:
    from vision.evaluation.checkpoint import Checkpoint
    from vision.evaluation.rendered import Progress, asked_of, run

    saved = Checkpoint(file, asked_of(plan, eyes.versions()))
    progress = Progress.from_json(saved.load())
    begun, before = time.monotonic(), progress.sessions
    for progress in run(plan, eyes.stage, saved):
        wanted = f"{progress.debits}/{plan.debits} debits" if plan.debits else f"{progress.sessions}/{plan.sessions}"
        rate = (progress.sessions - before) / (time.monotonic() - begun)
        click.echo(f"{name}: {progress.sessions} sessions, {wanted}, {rate:.2f} sessions/s", err=True)
        if until is not None and time.monotonic() > until:
            break
    if not as_json:
        _lines([name, *progress.lines()])
    over = progress.over(plan)
    return {"complete": over, "seed": plan.seed, "size": list(plan.size), **progress.results()}


def _faults(eyes: Eyes, racks: int, base: Plan, as_json: bool) -> dict[str, Any]:
    from vision.evaluation.faults import availability, measured_back, run, table
    from vision.evaluation.rendered import rack_seed

    seeds = [rack_seed(base, 12, 9_000 + n) for n in range(racks)]
    results = []
    for result in run(lambda seed: eyes.stage(seed, 12, base.size), seeds):
        results.append(result)
        click.echo(
            f"{result.kind} {result.amount:g} seed {result.seed}: before {result.before} during {result.during} after "
            f"{result.after}, blind {result.codes}, back after {result.seconds} s, {result.standing}",
            err=True,
        )
    rows, week = table(results), availability(measured_back(results))
    if not as_json:
        _lines([f"{row}" for row in rows] + [f"availability of a simulated week: {week}"])
    return {"table": rows, "week": week, "back_s": measured_back(results), "runs": [r.as_json() for r in results]}


def _clip(eyes: Eyes, photos: Path, as_json: bool) -> dict[str, Any]:
    from vision.evaluation.clip import clip_results

    results = []
    for result in clip_results(photos / "bottle-pick-clip", eyes.watcher):
        results.append(result)
        click.echo(f"{'ok   ' if result['right'] else 'WRONG'} {result['variant']}: {result['said']}", err=as_json)
    return {"variants": len(results), "right": sum(r["right"] for r in results), "results": results}


def _hands(eyes: Eyes, photos: Path, as_json: bool) -> dict[str, Any]:
    from vision.evaluation.hands import clip_figures, photo_figures

    figures = {
        "photos": photo_figures(eyes.detector, photos),
        "clip": clip_figures(eyes.detector, photos / "bottle-pick-clip"),
    }
    if not as_json:
        _lines([f"{name}: {key} {value}" for name, one in figures.items() for key, value in one.items()])
    return figures


def _recordings(folder: Path, as_json: bool, detector: str, model: Path | None, threads: int) -> None:
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


def _but(base: Plan, debits: int | None, cases: tuple[str, ...], sessions: int | None = None) -> Plan:
    from dataclasses import replace

    return replace(base, debits=debits, sessions=sessions, cases=cases)


def _file(checkpoint: Path | None, name: str, plans: int) -> Path | None:
    """Each run its own file: the name goes before the suffix when there are several."""
    return checkpoint if checkpoint is None or plans == 1 else checkpoint.with_stem(f"{checkpoint.stem}-{name}")


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part) for part in text.split(",") if part.strip().isdigit())
    if not sizes or any(n not in (12, 24, 40, 96) for n in sizes):
        raise ValueError(f"--slots {text}: of 12, 24, 40 and 96, comma-separated")
    return sizes


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 320 and int(height) >= 180):
        raise ValueError(f"--size {text}: WIDTHxHEIGHT, for example 1920x1080")
    return int(width), int(height)


def _names(text: str | None) -> tuple[str, ...]:
    from vision.rendering.truth import CASES

    names = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    strange = [name for name in names if name not in CASES]
    if strange:
        raise ValueError(f"--cases {strange[0]}: known are {', '.join(CASES)}")
    return names


def _note(versions: dict[str, Any], as_json: bool) -> None:
    click.echo("judged by " + ", ".join(f"{name} {value}" for name, value in versions.items()), err=as_json)


def _lines(rows: Iterable[str]) -> None:
    click.echo("\n".join(rows))
