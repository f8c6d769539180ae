"""What the commands of ``copeau vision`` share."""

from __future__ import annotations

from typing import NoReturn

import click


def stop(sentence: str) -> NoReturn:
    """Close with one sentence on stderr and exit code 2."""
    click.echo(f"copeau vision: {sentence}", err=True)
    raise SystemExit(2)
