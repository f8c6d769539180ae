"""``copeau vision watch`` and ``setup-check``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from copeau.commands.vision.common import stop


@click.command("watch")
@click.argument("source")
@click.option("--rack", "rack_file", type=click.Path(path_type=Path), required=True, help="rack.json")
@click.option("--fps", type=click.FloatRange(min=0, min_open=True), default=None)
@click.option("--json", "as_json", is_flag=True, help="One JSON line for each.")
@click.option("--detector", default="onnx", show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=None)
def watch(source: str, rack_file: Path, fps: float | None, as_json: bool, detector: str, model: Path | None) -> None:
    """Print what is seen in SOURCE (folder, video, camera number, rtsp/http URL) as it comes.

    Movements, questions, absolute readings and modes.
    """
    from vision.detectors import DetectorError, make_detector
    from vision.privacy import OutlineCut, OutlineError
    from vision.slots import RackError, load_rack
    from vision.sources import CameraGoneError, SourceError, open_source
    from vision.watching import RackWatcher

    try:
        rack = load_rack(rack_file)
        watcher = RackWatcher(rack, make_detector(detector, model))
        stream = open_source(source, fps=fps, cut=OutlineCut(rack))
        while True:
            try:
                for frame in stream:
                    begun = time.perf_counter()
                    said = watcher.feed(frame.image, frame.ts)
                    spent = (time.perf_counter() - begun) * 1000
                    for one in said:
                        _say(one, frame.index, spent, as_json)
            except CameraGoneError as gone:
                click.echo(str(gone), err=True)
                continue
            break
    except (RackError, DetectorError, SourceError, OutlineError, ValueError) as problem:
        stop(str(problem))
    except KeyboardInterrupt:
        click.echo("stopped", err=True)


@click.command("setup-check")
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
        stop(f"--zone {zone}: write at least three corners, `10,10 600,10 600,400` ({error})")
    try:
        found = changed_zones(read_gray(reference), read_gray(now), corners)
    except SetupCheckError as error:
        stop(str(error))
    for change in found:
        place = {"x": change.x, "y": change.y, "width": change.width, "height": change.height}
        said = f"changed: {change.width} x {change.height} px at ({change.x}, {change.y}), contrast {change.contrast}"
        click.echo(json.dumps({**place, "contrast": change.contrast}) if as_json else said)
    if not found and not as_json:
        click.echo("nothing differs")
    raise SystemExit(1 if found else 0)


def _say(one: Any, index: int, spent_ms: float, as_json: bool) -> None:
    from vision.watching import ModeChange, Reading, SlotAsk, SlotChange

    if isinstance(one, SlotChange):
        _say_change(one, index, spent_ms, as_json)
        return
    if isinstance(one, SlotAsk):
        line: dict[str, Any] = {"slot": one.slot, "ask": one.reason, "before": one.count_before, "guess": one.guess}
        told = f"{one.slot}  combien ?  ({one.reason}, guess {one.guess})"
    elif isinstance(one, Reading):
        line = {"reading": one.why, "slots": {seen.slot: seen.count for seen in one.places}}
        told = f"reading ({one.why}) of {len(one.places)} places"
    elif isinstance(one, ModeChange):
        line = {"mode": one.mode, "code": one.code}
        told = f"mode {one.mode} ({one.code})"
    else:
        return
    line |= {"frame": index, "at": round(one.at, 3)}
    click.echo(json.dumps(line) if as_json else f"{one.at:8.2f} s  {told}")


def _say_change(change: Any, index: int, spent_ms: float, as_json: bool) -> None:
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
            "transfer": change.transfer,
            "frame_ms": round(spent_ms, 1),
        }
        click.echo(json.dumps(line))
        return
    click.echo(
        f"{change.at:8.2f} s  {change.slot}  {change.before_count} -> {change.after_count}  ({change.delta:+d})"
        f"  {change.mode} {change.confidence:.2f}"
        f"  settled {change.ended:.2f} s, frame {index}, {spent_ms:.1f} ms"
    )
