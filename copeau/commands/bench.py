"""``copeau bench``: figures, run from a checkout after ``make setup-test``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click


@click.group("bench")
def command() -> None:
    """Figures. Each prints what was measured and on which machine."""


@command.command()
@click.option("--rates", default="1000,5000,10000", show_default=True, help="Facts a second, comma-separated.")
@click.option("--seconds", default=15.0, show_default=True, help="Length of each run.")
@click.option("--databases", default="sqlite,postgresql", show_default=True)
@click.option("--peer/--no-peer", default=True, show_default=True, help="Also the plain paho + psycopg loop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def ingest(rates: str, seconds: float, databases: str, peer: bool, as_json: bool) -> None:
    """Facts through MQTT to commit to page."""
    from bench.ingest import run

    result = run([int(r) for r in rates.split(",")], seconds, databases.split(","), peer=peer)
    _show(result, as_json, _ingest_lines)


def _show(result: dict[str, Any], as_json: bool, lines: Callable[[dict[str, Any]], list[str]]) -> None:
    click.echo(json.dumps(result) if as_json else "\n".join(lines(result)))


def _ingest_lines(result: dict[str, Any]) -> list[str]:
    rows = [str(result["machine"])]
    for run in result["runs"]:
        commit = run.get("publish_to_commit_ack") or run["publish_to_commit"]
        page = run.get("publish_to_page") or {}
        rows.append(
            f"{run['what']:<22} {run['database']:<10} {run['rate']:>6}/s  "
            f"settled {run.get('settled_per_s') or '–':>6}/s  "
            f"commit p50 {commit['p50_ms']} p99 {commit['p99_ms']} ms  "
            f"page p50 {page.get('p50_ms', '–')} p99 {page.get('p99_ms', '–')} ms"
        )
    return rows
