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
@click.option("--rates", default="1000,10000", show_default=True, help="Facts a second, comma-separated.")
@click.option("--seconds", default=8.0, show_default=True, help="Length of each run.")
@click.option("--pairs", default=3, show_default=True, type=click.IntRange(min=1), help="Of runs: plain, then secure.")
@click.option("--databases", default="sqlite,postgresql", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def trust(rates: str, seconds: float, pairs: int, databases: str, as_json: bool) -> None:
    """The same facts in the clear and over TLS with rights and accounts, in turns: what that costs."""
    from bench.trust import lines, run

    _show(run([int(r) for r in rates.split(",")], seconds, pairs, databases.split(",")), as_json, lines)


@command.command()
@click.option("--sign-ins", default=50, show_default=True, type=click.IntRange(min=1))
@click.option("--entries", default=100_000, show_default=True, type=click.IntRange(min=1000), help="Acts written.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def journal(sign_ins: int, entries: int, as_json: bool) -> None:
    """Signing in by password; the journal written, and walked again by `copeau admin verify`."""
    from bench.journal import run

    _show(run(sign_ins, entries), as_json, lambda result: [f"{name}: {value}" for name, value in result.items()])


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


@command.command()
@click.option("--data", default="../shared/data/telemetry", show_default=True, type=click.Path(path_type=Path))
@click.option("--sites", default=60, show_default=True, help="Places of injections in each data set and part.")
@click.option("--seed", default=7, show_default=True, help="Tuning; the evaluation uses this + 1000.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def guard(data: Path, sites: int, seed: int, as_json: bool) -> None:
    """The collision guard on recordings: injections, false verdicts with their hours, worn tools."""
    from bench.guard import run

    if not data.is_dir():
        raise click.ClickException(f"{data}: no recordings there; say where they are with --data")
    _show(run(data, sites=sites, seed=seed), as_json, _guard_lines)


@command.command()
@click.option("--trips", default=1000, show_default=True, help="Holds to measure.")
@click.option("--stress", default=2, show_default=True, help="Busy processes beside.")
@click.option("--linuxcnc", default=0, show_default=True, help="So many holds on LinuxCNC instead (2 s each).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def latency(trips: int, stress: int, linuxcnc: int, as_json: bool) -> None:
    """The collision guard: sample in to hold command out, in its own process."""
    from bench.guard_latency import run, run_linuxcnc

    result = run_linuxcnc(linuxcnc) if linuxcnc else run(trips, stress=stress)
    _show(result, as_json, lambda result: [f"{name}: {value}" for name, value in result.items()])


@command.command("hand-to-page")
@click.option("--sessions", default=60, show_default=True, help="Picks that are shown to the camera.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def hand_to_page(sessions: int, as_json: bool) -> None:
    """From the hand that has gone to the movement on the rack's page."""
    from bench.hand_to_page import run

    _show(run(sessions), as_json, lambda result: [f"{name}: {value}" for name, value in result.items()])


@command.command()
@click.option("--calls", default=300, show_default=True, help="Detections a runtime.")
@click.option("--seconds", default=30.0, show_default=True, help="Length of each watching.")
@click.option("--palm", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A palm .tflite, as peer.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def vision(calls: int, seconds: float, palm: Path | None, as_json: bool) -> None:
    """The eyes: hands a second by runtime, an idle rack, four racks on two cores."""
    from bench.vision import run

    _show(run(calls=calls, seconds=seconds, palm=palm), as_json, _vision_lines)


def _vision_lines(result: dict[str, Any]) -> list[str]:
    rows = [str(result["machine"])]
    rows.extend(
        f"hands, {one['runtime']:<9} {one['missing']}"
        if one.get("missing")
        else f"hands, {one['runtime']:<9} {one['per_s']:>6}/s  p50 {one['p50_ms']} p99 {one['p99_ms']} ms"
        for one in result["hands"]
    )
    idle = result["idle"]
    rows.append(f"idle rack: {100 * idle['core_share']:.1f} % of a core, {idle['rss_mb']} MB")
    rows += [f"one of four racks: {one['fps']} fps, {one['rss_mb']} MB" for one in result["four_racks"]["racks"]]
    return rows


@command.command("rack-days")
@click.option("--days", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--sessions", default=100, show_default=True, type=click.IntRange(min=1), help="A day.")
@click.option("--slots", default=40, show_default=True, type=click.IntRange(min=4), help="Places.")
@click.option("--seed", default=1, show_default=True)
@click.option("--pixels", is_flag=True, help="Rendered frames through the real watcher; else numbers, its rules alone.")
@click.option("--asked", default=0.06, show_default=True, help="Numbers: share of doubts drawn.")
@click.option("--missed", default=0.0, show_default=True, help="Numbers: share of misses drawn.")
@click.option("--wrong", default=0.0, show_default=True, help="Numbers: share of wrong bookings drawn.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rack_days(
    days: int, sessions: int, slots: int, seed: int, pixels: bool, asked: float, missed: float, wrong: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Days at a rack over the real ledger: blindness, restarts, scans, lateness; what is right, shown, silent."""
    from bench.rack_days.day import Play, run
    from bench.rack_days.floor import Rates

    play = Play(days, sessions, slots, seed, pixels, rates=Rates(asked, missed, wrong))
    _show(run(play), as_json, lambda result: [f"{name}: {value}" for name, value in result.items()])


@command.command("rack-charging")
@click.option("--picks", default=500, show_default=True, type=click.IntRange(min=1))
@click.option("--badged", default=0.3, show_default=True, help="Share of picks with a badge at the rack.")
@click.option("--planned", default=0.75, show_default=True, help="Share of picks of items that the operation plans.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rack_charging(picks: int, badged: float, planned: float, seed: int, as_json: bool) -> None:
    """Who took it and for what: four operators, two machines, one rack; charged right, wrong, left to a person."""
    from bench.rack_days.charging import Charging, run

    play = Charging(picks=picks, badged=badged, planned=planned, seed=seed)
    _show(run(play), as_json, lambda result: [f"{name}: {value}" for name, value in result.items()])


def _guard_lines(result: dict[str, Any]) -> list[str]:
    rows = [str(result["machine"]), f"thresholds {result['thresholds']}, chosen on {result['chosen_on']}"]
    for clean in result["clean"]:
        said = "  ".join(
            f"{level} {clean[level]['count']} ({clean[level]['per_hour_95'][0]} to {clean[level]['per_hour_95'][1]} /h)"
            for level in ("alert", "hold")
        )
        rows.append(f"clean {clean['data']:6} {clean['part']:10} {clean['cutting_h']} h of good cycles: {said}")
    for injected in result["injections"]:
        rows.append(f"injected {injected['data']} {injected['part']}, {injected['sites']} places")
        rows += [
            f"  size {rate['size']:<5} {rate['periods']:>2} periods  "
            f"alert {rate['alert_rate']:.2f} hold {rate['hold_rate']:.2f}"
            for rate in injected["rates"]
        ]
    return [*rows, f"recorded faults {result['faults']}", f"UMich {result['umich']}"]


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
