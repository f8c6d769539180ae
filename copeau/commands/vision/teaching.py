"""``copeau vision teach``: a still picture, a grid or polygons, a list of items → ``rack.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from copeau.commands.vision.common import stop

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@click.command("teach")
@click.argument("source")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--grid", "grid_size", default=None, help="COLUMNSxROWS places, for example 8x5; with --corners.")
@click.option("--corners", default=None, help="The tray's corners, px: `x,y x,y x,y x,y`, clockwise from top left.")
@click.option("--gap", type=float, default=0.06, show_default=True, help="Wall between places, share of a place.")
@click.option(
    "--polygons", type=click.Path(path_type=Path), default=None, help='Instead of a grid: {"A1": [[x, y], …], …}.'
)
@click.option(
    "--items",
    type=click.Path(path_type=Path),
    default=None,
    help="item;count;class;kind;capacity, a line per place in printed order, or with a header that names `slot`.",
)
@click.option("--small-as-presence", is_flag=True, help="Places too small to count are taught as presence only.")
@click.option("--json", "as_json", is_flag=True, help="Close with one JSON line.")
def teach(
    source: str,
    out: Path,
    grid_size: str | None,
    corners: str | None,
    gap: float,
    polygons: Path | None,
    items: Path | None,
    small_as_presence: bool,
    as_json: bool,
) -> None:
    """Teach the rack seen in SOURCE (picture, folder, video, camera number, rtsp/http URL); write it to OUT.

    Pixels per item are measured in the picture; below the minimum the place is refused.
    """
    from contracts.racks import RackDescriptionError, dump, parse
    from vision.sources import SourceError
    from vision.teaching import TeachError, assign_items, grid, read_list, taught

    if (grid_size is None) == (polygons is None):
        raise click.UsageError("say --grid COLUMNSxROWS with --corners, or --polygons FILE")
    try:
        picture = still(source)
        if polygons is not None:
            places = _polygons(polygons)
        else:
            columns, rows = _size(str(grid_size))
            height, width = picture.shape[:2]
            whole = [(0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height))]
            places = grid(_corners(corners) if corners else whole, columns, rows, gap)
        lines = read_list(_text(items)) if items else []
        rack = taught(picture, assign_items(places, lines), small_is_presence=small_as_presence)
        document = dump(rack)
        parse(document)
        out.write_bytes(document)
    except (TeachError, SourceError, RackDescriptionError) as problem:
        stop(str(problem))
    except OSError as problem:
        stop(f"{out}: {problem.strerror or problem}")
    unmeasured = [s.id for s in rack.slots if s.kind == "countable" and s.px_per_item is None]
    if as_json:
        sides = {s.id: s.px_per_item for s in rack.slots}
        click.echo(json.dumps({"out": str(out), "slots": len(rack.slots), "px_per_item": sides}))
        return
    for slot in rack.slots:
        size = "not measured" if slot.px_per_item is None else f"{slot.px_per_item:.0f} px an item"
        click.echo(f"{slot.id:<6} {slot.kind.value:<10} {slot.item or '–':<24} {size}")
    click.echo(f"{len(rack.slots)} places in {out}")
    if unmeasured:
        click.echo(
            f"not measured: {', '.join(unmeasured)}: empty, touching one another, or not as many as declared", err=True
        )


def still(source: str) -> Any:
    """One picture (H, W, 3) uint8 BGR: a file, or the first frame of a source. Raises SourceError."""
    from vision.sources import SourceError, open_source

    path = Path(source)
    if path.suffix.lower() in _PICTURES:
        import cv2

        try:
            image = cv2.imread(source) if path.is_file() else None
        except cv2.error as problem:  # more pixels than it reads
            raise SourceError(f"{source}: not read: {problem.err}") from problem
        if image is None:
            raise SourceError(f"{source}: {'not a picture' if path.is_file() else 'no such file'}")
        return image
    stream = open_source(source)
    try:
        for frame in stream:
            return frame.image
    finally:
        stream.close()
    raise SourceError(f"{source}: no picture came")


def _size(text: str) -> tuple[int, int]:
    from vision.teaching import TeachError

    columns, _, rows = text.lower().partition("x")
    if not (columns.isdigit() and rows.isdigit()):
        raise TeachError(f"--grid {text}: write COLUMNSxROWS, for example 8x5")
    return int(columns), int(rows)


def _corners(text: str) -> list[tuple[float, float]]:
    from vision.teaching import TeachError

    try:
        return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]
    except ValueError:
        raise TeachError(f"--corners {text}: write `10,10 1900,12 1890,1060 15,1050`") from None


def _polygons(path: Path) -> dict[str, list[tuple[float, float]]]:
    from vision.teaching import TeachError

    try:
        document = json.loads(_text(path))
        return {str(name): [(float(x), float(y)) for x, y in corners] for name, corners in document.items()}
    except (ValueError, TypeError, AttributeError) as problem:
        if isinstance(problem, TeachError):
            raise
        raise TeachError(f'{path}: expected {{"A1": [[x, y], [x, y], [x, y]], …}}: {problem}') from problem


def _text(path: Path) -> str:
    from vision.slots import MOST_BYTES
    from vision.teaching import TeachError

    try:
        if path.stat().st_size > MOST_BYTES:
            raise TeachError(f"{path}: {path.stat().st_size >> 20} MiB, too large for a list of places")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise TeachError(f"{path}: not readable: {problem}") from problem
