"""`copeau scan`: decode the codes in image files, as the scanner agent would."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from vision.codes import CodeReader
from vision.codes.files import ImageError, load


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per image: file, codes, or error.")
@click.option("--live", is_flag=True, help="The quick effort of a live camera instead of the thorough one.")
def command(images: tuple[str, ...], as_json: bool, live: bool) -> None:
    """Decode QR codes, Data Matrix and barcodes in IMAGE files.

    A text is given only when independent looks at the picture agree on it. Exit code 2 when a file could not be used.
    """
    reader = CodeReader(effort="live" if live else "thorough")
    failed = False
    for name in images:
        answer: dict[str, Any] = {"file": name, "codes": []}
        try:
            codes = reader.read(load(Path(name)))
            answer["codes"] = [{"format": code.format, "text": code.text} for code in codes]
        except ImageError as error:
            failed = True
            answer["error"] = str(error)
        click.echo(json.dumps(answer) if as_json else _line(answer), err=not as_json and "error" in answer)
    if failed:
        sys.exit(2)


def _line(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return f"{click.format_filename(answer['file'])}: {answer['error']}"
    read = ", ".join(f"{code['format']} {json.dumps(code['text'], ensure_ascii=False)}" for code in answer["codes"])
    return f"{click.format_filename(answer['file'])}: {read or 'no code'}"
