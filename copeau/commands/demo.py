"""``copeau demo``: a living shop on this machine, in one command."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--seconds", type=click.FloatRange(min=5), help="Stop by itself after so long.")
@click.option("--json", "as_json", is_flag=True, help="Close with one JSON line of counts.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--database", help="postgresql://… (an empty database); default: a fresh SQLite file.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path("var/demo"), show_default=True)
def command(seconds: float | None, as_json: bool, port: int, database: str | None, data: Path) -> None:
    """A broker, the centre, two rack cameras, a scanner, two machines and two operators. Ctrl-C stops everything."""
    from copeau.demo.processes import CannotStart
    from copeau.demo.runner import Demo

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    demo = None
    try:
        demo = Demo(data.resolve(), port, database)
        _say(as_json, "Starting the shop …")
        demo.start()
        _say(as_json, f"The shop lives: http://127.0.0.1:{port}   (logs in {data / 'logs'})")
        _say(as_json, "Pages: / (atelier), /stock, /machines/tour-2, /poste. Ctrl-C stops everything.")
        demo.live(seconds, stop)
        if seconds is None and not as_json:
            _say(as_json, "\nStopping …")
            return
        _say(as_json, "Closing: the last gestures, the last acknowledgements …")
        counts = demo.close()
    except CannotStart as error:
        raise click.ClickException(str(error)) from error
    finally:
        if demo is not None:
            demo.stop()
    click.echo(json.dumps(counts) if as_json else _sentence(counts))
    sys.exit(1 if counts["lost"] or counts["doubled"] else 0)


def _say(as_json: bool, text: str) -> None:
    click.echo(text, err=as_json)


def _sentence(counts: dict[str, Any]) -> str:
    return "\n".join(f"  {name:<16} {value}" for name, value in counts.items())
