"""``copeau bench``: figures, run from a checkout after ``make setup-test``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
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


@command.command()
@click.option("--rates", default="1000x10,1000x20,1000x25", show_default=True, help="Tags x Hz, comma-separated.")
@click.option("--seconds", default=15.0, show_default=True, help="Length of each window.")
@click.option("--gateway", type=click.Path(exists=True, path_type=Path), help="thingsboard-gateway's program, as peer.")
@click.option("--outage/--no-outage", default=True, show_default=True, help="Broker away 20 s, collector killed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def cnc(rates: str, seconds: float, gateway: Path | None, outage: bool, as_json: bool) -> None:
    """From an OPC UA server (node-opcua) to committed samples, one agent on one core."""
    from bench.cnc import run

    pairs = [(int(tags), float(hz)) for tags, hz in (pair.split("x") for pair in rates.split(","))]
    _show(run(pairs, seconds, gateway=gateway, outage=outage), as_json, _cnc_lines)


def _cnc_lines(result: dict[str, Any]) -> list[str]:
    rows = [str(result["machine"])]
    for one in result["throughput"]:
        latency = one["source_to_broker"]
        rows.append(
            f"{one['what']:<20} {one['tags']} x {one['hz']:g} Hz  {one['values_per_s']:>6}/s  "
            f"p50 {latency['p50_ms']} p99 {latency['p99_ms']} ms  cpu {one['cpu']}  {one['rss_mb']} MB"
        )
    rows.extend(
        f"{one['what']:<20} broker away 20 s, killed, down {one['down_s']} s: longest hole in source times "
        f"{one['longest_hole_ms']} ms, doubled {one['doubled']} of {one['followed']}, rows lost {one['lost_rows']}"
        for one in result["outage"]
    )
    return rows


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
